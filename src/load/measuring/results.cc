#include "load/measuring/results.h"

#include <algorithm>
#include <charconv>
#include <string_view>

namespace podsense::load {
namespace {

constexpr std::size_t kMostSamples = 32;
/// A run that goes on for longer gets wider ones.
constexpr std::size_t kMostSlices = 1000;

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

void LoadSlice::merge(const LoadSlice& other) {
  offered += other.offered;
  sent += other.sent;
  failed += other.failed;
  dropped += other.dropped;
  done += other.done;
  latency.merge(other.latency);
  worst_lag = std::max(worst_lag, other.worst_lag);
}

void Results::widen_slices() {
  for (std::size_t i = 1; i < slices.size(); ++i) {
    if (i % 2 == 1) {
      slices[i / 2].merge(slices[i]);
    } else {
      slices[i / 2] = std::move(slices[i]);
    }
  }
  slices.resize((slices.size() + 1) / 2);
  slice_width *= 2;
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
  slice_width = slices.empty() && !other.slices.empty() ? other.slice_width : slice_width;
  while (!other.slices.empty() && slice_width < other.slice_width) {
    widen_slices();
  }
  for (std::size_t i = 0; i < other.slices.size(); ++i) {
    const auto at = i * static_cast<std::size_t>(other.slice_width.count()) /
                    static_cast<std::size_t>(slice_width.count());
    slices.resize(std::max(slices.size(), at + 1));
    slices[at].merge(other.slices[i]);
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

// How long a run lasts is not always known before, and late answers lie behind its end: where there
// would be too many slices they become wider.
std::size_t Recorder::slice_of(TimePoint moment) {
  const Duration at = std::max(Duration::zero(), moment - window_.start);
  while (static_cast<std::size_t>(at / results_.slice_width) >= kMostSlices) {
    results_.widen_slices();
  }
  const auto index = static_cast<std::size_t>(at / results_.slice_width);
  results_.slices.resize(std::max(results_.slices.size(), index + 1));
  return index;
}

void Recorder::dropped(const RequestTicket& ticket) {
  const TimePoint intended = ticket.intended;
  if (window_.log) {
    rows_.push_back({.index = ticket.index,
                     .target = window_.target,
                     .due = intended - window_.start,
                     .send_lag = ticket.started - intended});
  }
  LoadSlice& slice = slice_at(intended);
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

void Recorder::sent(const RequestTicket& ticket) {
  const Duration lag = std::max(Duration::zero(), ticket.started - ticket.intended);
  LoadSlice& slice = slice_at(ticket.intended);
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
void Recorder::unsent(const RequestOutcome& outcome) {
  LoadSlice& slice = slice_at(outcome.ticket.intended);
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

void Recorder::keep_row(const RequestOutcome& outcome) {
  const RequestTicket& ticket = outcome.ticket;
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

void Recorder::finished(const RequestOutcome& outcome) {
  if (window_.log) {
    keep_row(outcome);
  }
  if (is_shortage(outcome.error)) {
    unsent(outcome);
    return;
  }
  const Duration latency = outcome.finished - outcome.ticket.intended;
  LoadSlice& slice = slice_at(outcome.ticket.intended);
  if (outcome.ok) {
    slice.latency.record(latency);
    ++slice_at(outcome.finished).done;
    ++recent_.ok;
    recent_.latency.record(latency);
  } else if (outcome.error != ErrorKind::kCanceled) {
    ++slice.failed;
    ++recent_.failed;
    recent_.failed_latency.record(latency);
  } else {
    recent_.failed_latency.record(latency);  // not failed, but it waited so long at least
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

void Recorder::note_sample(const RequestOutcome& outcome) {
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
