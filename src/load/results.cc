#include "load/results.h"

#include <algorithm>
#include <charconv>
#include <string_view>

namespace podsense::load {
namespace {

constexpr std::size_t kMostSamples = 32;
constexpr std::size_t kMostSlices = 4000;

/// @source gRPC's status codes, in their order
constexpr std::array<std::string_view, 17> kGrpcNames{
    "OK",        "CANCELLED",      "UNKNOWN",           "INVALID_ARGUMENT",   "DEADLINE_EXCEEDED",
    "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION",
    "ABORTED",   "OUT_OF_RANGE",   "UNIMPLEMENTED",     "INTERNAL",           "UNAVAILABLE",
    "DATA_LOSS", "UNAUTHENTICATED"};

}  // namespace

std::string_view error_kind_name(ErrorKind kind) {
  constexpr std::array<std::string_view, kErrorKinds> kNames{
      "none",     "connect",  "tls",        "timeout",     "closed", "reset",
      "protocol", "canceled", "unexpected", "descriptors", "ports"};
  return kNames[static_cast<std::size_t>(kind)];
}

bool is_shortage(ErrorKind kind) {
  return kind == ErrorKind::kDescriptors || kind == ErrorKind::kPorts;
}

void GeneratorUse::merge(const GeneratorUse& other) {
  busy = std::max(busy, other.busy);
  waited = std::max(waited, other.waited);
  throttled += other.throttled;
}

std::string status_name(int status) {
  const auto code = static_cast<std::size_t>(status - kGrpcStatus);
  return status >= kGrpcStatus && code < kGrpcNames.size() ? std::string(kGrpcNames[code])
         : status >= kGrpcStatus                           ? std::to_string(code)
                                                           : std::to_string(status);
}

std::optional<int> parse_status(std::string_view name) {
  if (const auto* const known = std::ranges::find(kGrpcNames, name); known != kGrpcNames.end()) {
    return kGrpcStatus + static_cast<int>(known - kGrpcNames.begin());
  }
  int number = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
  if (error != std::errc() || end != name.data() + name.size() || number < 0 || number > 999) {
    return std::nullopt;
  }
  return number < 100 ? kGrpcStatus + number : number;
}

bool is_success(int status) {
  return status == kGrpcOk || (status >= 200 && status < 300);
}

void Results::merge(const Results& other) {
  counts.planned += other.counts.planned;
  counts.sent += other.counts.sent;
  counts.ok += other.counts.ok;
  counts.failed += other.counts.failed;
  counts.dropped += other.counts.dropped;
  counts.canceled += other.counts.canceled;
  counts.outside += other.counts.outside;
  counts.connections += other.counts.connections;
  counts.bytes_out += other.counts.bytes_out;
  counts.bytes_in += other.counts.bytes_in;
  latency.merge(other.latency);
  service.merge(other.service);
  first_byte.merge(other.first_byte);
  connect.merge(other.connect);
  send_lag.merge(other.send_lag);
  failed.merge(other.failed);
  failed_service.merge(other.failed_service);
  for (const auto& [code, result] : other.status) {
    StatusResult& mine = status[code];
    mine.count += result.count;
    mine.latency.merge(result.latency);
  }
  for (std::size_t i = 0; i < kErrorKinds; ++i) {
    errors[i] += other.errors[i];
  }
  samples.insert(other.samples.begin(), other.samples.end());
  slices.resize(std::max(slices.size(), other.slices.size()));
  for (std::size_t i = 0; i < other.slices.size(); ++i) {
    slices[i].offered += other.slices[i].offered;
    slices[i].sent += other.slices[i].sent;
    slices[i].failed += other.slices[i].failed;
    slices[i].dropped += other.slices[i].dropped;
    slices[i].done += other.slices[i].done;
    slices[i].latency.merge(other.slices[i].latency);
    slices[i].worst_lag = std::max(slices[i].worst_lag, other.slices[i].worst_lag);
  }
  generator.merge(other.generator);
  measured = std::max(measured, other.measured);
  last_answer = std::max(last_answer, other.last_answer);
}

void Recorder::Recent::merge(const Recent& other) {
  offered += other.offered;
  ok += other.ok;
  failed += other.failed;
  dropped += other.dropped;
  latency.merge(other.latency);
  failed_latency.merge(other.failed_latency);
  send_lag.merge(other.send_lag);
}

Recorder::Recorder(Window window) : window_(window) {
  results_.slice_width = window.slice_width;
}

bool Recorder::measured(TimePoint intended) const {
  const Duration at = intended - window_.start;
  return at >= window_.begin && at < window_.end;
}

// Late answers lie behind the window's end and get slices of their own; a bound keeps a nonsense
// moment from taking all memory.
Slice& Recorder::slice_at(TimePoint moment) {
  const Duration at = std::max(Duration::zero(), moment - window_.start);
  const auto index = std::min(kMostSlices - 1, static_cast<std::size_t>(at / window_.slice_width));
  if (results_.slices.size() <= index) {
    results_.slices.resize(index + 1);
  }
  return results_.slices[index];
}

void Recorder::dropped(const Ticket& ticket) {
  const TimePoint intended = ticket.intended;
  if (window_.log) {
    rows_.push_back({.index = ticket.index,
                     .target = window_.target,
                     .due = intended - window_.start,
                     .send_lag = ticket.started - intended});
  }
  Slice& slice = slice_at(intended);
  ++slice.offered;
  ++slice.dropped;
  ++recent_.offered;
  ++recent_.dropped;
  if (!measured(intended)) {
    ++results_.counts.outside;
    return;
  }
  ++results_.counts.planned;
  ++results_.counts.dropped;
}

void Recorder::sent(const Ticket& ticket) {
  const Duration lag = std::max(Duration::zero(), ticket.started - ticket.intended);
  Slice& slice = slice_at(ticket.intended);
  ++slice.offered;
  ++slice.sent;
  slice.worst_lag = std::max(slice.worst_lag, lag);
  ++recent_.offered;
  recent_.send_lag.record(lag);
  if (!measured(ticket.intended)) {
    ++results_.counts.outside;
    return;
  }
  ++results_.counts.planned;
  ++results_.counts.sent;
  results_.send_lag.record(lag);
}

/// What `sent` counted was not sent after all.
void Recorder::unsent(const Outcome& outcome) {
  Slice& slice = slice_at(outcome.ticket.intended);
  --slice.sent;
  ++slice.dropped;
  ++recent_.dropped;
  if (!measured(outcome.ticket.intended)) {
    return;
  }
  --results_.counts.sent;
  ++results_.counts.dropped;
  ++results_.errors[static_cast<std::size_t>(outcome.error)];
  note_sample(outcome);
}

void Recorder::finished(const Outcome& outcome) {
  if (window_.log) {
    const Ticket& ticket = outcome.ticket;
    rows_.push_back({.index = ticket.index,
                     .target = window_.target,
                     .due = ticket.intended - window_.start,
                     .send_lag = ticket.started - ticket.intended,
                     .first_byte = outcome.first_byte - ticket.started,
                     .service = outcome.finished - ticket.started,
                     .status = outcome.status,
                     .error = outcome.error,
                     .ok = outcome.ok,
                     .bytes_in = outcome.bytes_in});
  }
  if (is_shortage(outcome.error)) {
    unsent(outcome);
    return;
  }
  const Duration latency = outcome.finished - outcome.ticket.intended;
  Slice& slice = slice_at(outcome.ticket.intended);
  if (outcome.ok) {
    slice.latency.record(latency);
    ++slice_at(outcome.finished).done;
    ++recent_.ok;
    recent_.latency.record(latency);
  } else if (outcome.error != ErrorKind::kCanceled) {
    ++slice.failed;
    ++recent_.failed;
    recent_.failed_latency.record(latency);
  }
  if (!measured(outcome.ticket.intended)) {
    return;
  }
  results_.counts.bytes_out += outcome.bytes_out;
  results_.counts.bytes_in += outcome.bytes_in;
  if (outcome.error == ErrorKind::kCanceled) {
    ++results_.counts.canceled;
    return;
  }
  if (outcome.status != 0) {
    StatusResult& status = results_.status[outcome.status];
    ++status.count;
    status.latency.record(latency);
  }
  if (outcome.ok) {
    ++results_.counts.ok;
    results_.last_answer =
        std::max(results_.last_answer, outcome.finished - window_.start - window_.begin);
    results_.latency.record(latency);
    results_.service.record(outcome.finished - outcome.ticket.started);
    results_.first_byte.record(outcome.first_byte - outcome.ticket.started);
    return;
  }
  ++results_.counts.failed;
  results_.failed.record(latency);
  results_.failed_service.record(outcome.finished - outcome.ticket.started);
  if (outcome.error != ErrorKind::kNone) {
    ++results_.errors[static_cast<std::size_t>(outcome.error)];
  }
  note_sample(outcome);
}

void Recorder::note_sample(const Outcome& outcome) {
  if (results_.samples.size() < kMostSamples && !outcome.sample.empty()) {
    results_.samples.try_emplace(outcome.error == ErrorKind::kNone
                                     ? status_name(outcome.status)
                                     : std::string(error_kind_name(outcome.error)),
                                 outcome.sample);
  }
}

void Recorder::connected(Duration took) {
  ++results_.counts.connections;
  results_.connect.record(took);
}

void Recorder::connections_from(const Results& before) {
  results_.counts.connections += before.counts.connections;
  results_.connect.merge(before.connect);
}

Recorder::Recent Recorder::take_recent() {
  Recent recent = std::move(recent_);
  recent_ = {};
  return recent;
}

}  // namespace podsense::load
