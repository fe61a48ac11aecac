#include "trace/trace.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cmath>
#include <optional>
#include <random>
#include <system_error>
#include <utility>

#include "base/secrets.h"
#include "base/thread_limit.h"
#include "trace/exporter.h"
#include "trace/ids.h"

namespace podsense::trace {
namespace {

void append_hex(std::string& out, std::uint64_t bits) {
  static constexpr std::string_view kHex = "0123456789abcdef";
  for (unsigned shift = 64; shift > 0; shift -= 4) {
    out += kHex[(bits >> (shift - 4)) & 15U];
  }
}

bool is_hex(std::string_view text) {
  return std::ranges::all_of(
      text, [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

/// @requires is_hex(text), at most 16 digits
std::uint64_t hex_value(std::string_view text) {
  std::uint64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value, 16);
  return value;
}

/// The lower half of a trace id is uniformly distributed: values below the ratio's share are
/// sampled.
bool chosen(std::uint64_t low_half, double ratio) {
  return ratio >= 1 || static_cast<double>(low_half >> 1U) < ratio * 0x1p63;
}

/// @param parent the caller's decision; unset: no caller, or no decision
bool samples(const Options& options, std::uint64_t low_half, std::optional<bool> parent) {
  switch (options.sampler) {
    case Sampler::kAlwaysOn:
      return true;
    case Sampler::kAlwaysOff:
      return false;
    case Sampler::kRatio:
      return chosen(low_half, options.ratio);
    case Sampler::kParentAlwaysOn:
      return parent.value_or(true);
    case Sampler::kParentAlwaysOff:
      return parent.value_or(false);
    case Sampler::kParentRatio:
      break;
  }
  return parent ? *parent : chosen(low_half, options.ratio);
}

std::int64_t unix_offset_now(TimePoint now) {
  const auto unix_time = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::nanoseconds>(unix_time).count() -
         now.time_since_epoch().count();
}

}  // namespace

std::uint64_t random_bits() {
  thread_local std::mt19937_64 generator = [] {
    std::random_device device;
    std::seed_seq seed{device(), device(), device(), device()};
    return std::mt19937_64(seed);
  }();
  return generator();
}

std::string Context::trace_id_text() const {
  std::string text;
  text.reserve(32);
  append_hex(text, trace_id[0]);
  append_hex(text, trace_id[1]);
  return text;
}

std::string Context::traceparent() const {
  std::string text = "00-" + trace_id_text() + "-";
  append_hex(text, span_id);
  text += sampled ? "-01" : "-00";
  return text;
}

bool parse_traceparent(std::string_view header, Context& out) {
  // version "-" trace-id "-" parent-id "-" flags; later versions may append "-…"
  if (header.size() < 55 || header[2] != '-' || header[35] != '-' || header[52] != '-') {
    return false;
  }
  const std::string_view version = header.substr(0, 2);
  const std::string_view flags = header.substr(53, 2);
  const bool longer = header.size() > 55;
  if (!is_hex(version) || version == "ff" || !is_hex(header.substr(3, 32)) ||
      !is_hex(header.substr(36, 16)) || !is_hex(flags) ||
      (longer && (version == "00" || header[55] != '-'))) {
    return false;
  }
  const Context read{
      .trace_id = {hex_value(header.substr(3, 16)), hex_value(header.substr(19, 16))},
      .span_id = hex_value(header.substr(36, 16)),
      .sampled = (hex_value(flags) & 1U) != 0};
  if ((read.trace_id[0] | read.trace_id[1]) == 0 || read.span_id == 0) {
    return false;
  }
  out = read;
  return true;
}

std::string child_traceparent(std::string_view parent) {
  Context context;
  if (!parse_traceparent(parent, context)) {
    return {};
  }
  context.span_id = random_bits() | 1U;
  return context.traceparent();
}

std::string_view sampled_trace_id(std::string_view traceparent) {
  constexpr std::size_t kLength = 55;
  const bool sampled = traceparent.size() == kLength && (traceparent.back() - '0') % 2 != 0;
  return sampled ? traceparent.substr(3, 32) : std::string_view();
}

void Request::add(std::string_view name, TimePoint begin, TimePoint end) {
  if (spans_.size() < kMaxSpans) {
    spans_.push_back({.name = name, .begin = begin, .end = end});
  }
}

void Request::set_model(std::string_view name, std::string_view version) {
  model_ = name;
  version_ = version;
}

Result<std::unique_ptr<Tracer>> Tracer::create(Options options) try {
  const std::string& url =
      options.traces_endpoint.empty() ? options.endpoint : options.traces_endpoint;
  if (!url.starts_with("http://") && !url.starts_with("https://")) {
    return fail(ErrorCode::kInvalidArgument,
                "the OTLP endpoint must be an http:// or https:// URL, "
                "such as http://collector:4318, not '" +
                    without_secrets(url) + "'");
  }
  return std::unique_ptr<Tracer>(new Tracer(std::move(options)));
} catch (const std::system_error& error) {
  return fail(ErrorCode::kUnavailable, "no thread for traces: " + thread_refusal(error));
}

Tracer::Tracer(Options options)
    : options_(std::move(options)), exporter_(std::make_unique<Exporter>(options_)) {}
Tracer::~Tracer() = default;

std::shared_ptr<Request> Tracer::begin(std::string_view traceparent, TimePoint now) const {
  Context parent;
  Context own{.span_id = random_bits() | 1U};
  if (parse_traceparent(traceparent, parent)) {
    own.trace_id = parent.trace_id;
  } else {
    own.trace_id = {random_bits(), random_bits() | 1U};
  }
  own.sampled = samples(options_, own.trace_id[1],
                        parent.span_id == 0 ? std::nullopt : std::optional(parent.sampled));
  return std::make_shared<Request>(own, parent.span_id, now);
}

void Tracer::end(const std::shared_ptr<Request>& request, const Outcome& outcome, TimePoint now) {
  const bool told = outcome.failed && options_.sampler != Sampler::kAlwaysOff;
  if (!request || (!request->own_.sampled && !told)) {
    return;
  }
  request->end_ = now;
  request->unix_offset_ns_ = unix_offset_now(now);
  request->name_ = std::string(outcome.method) + " " + std::string(outcome.path);
  request->method_ = outcome.method;
  request->path_ = outcome.path;
  request->request_id_ = outcome.request_id;
  request->code_ = outcome.code;
  request->status_ = outcome.status;
  request->failed_ = outcome.failed;
  exporter_->push(request);
}

Counts Tracer::counts() const {
  return exporter_->counts();
}

}  // namespace podsense::trace
