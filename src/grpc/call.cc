#include "grpc/call.h"

#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <google/rpc/status.pb.h>

#include <algorithm>

#include "base/base64.h"
#include "base/log.h"
#include "protocol/error_mapping.h"

namespace podsense::grpc {
namespace {

constexpr std::string_view kContentType = "application/grpc";
/// Bytes that a client may send of a message whose size is unknown.
constexpr std::uint64_t kLeastAllowed = transport::kInitialWindow / 2;
/// Answers up to this size are not counted: the stream's memory covers them.
constexpr std::size_t kUncounted = 4U << 10U;

}  // namespace

bool CallEnvironment::may_log(bool failed) {
  LogBudget& budget = failed ? failures_ : successes_;
  const auto second =
      std::chrono::duration_cast<std::chrono::seconds>(sources.clock.now().time_since_epoch())
          .count();
  if (budget.second.exchange(second, std::memory_order_relaxed) != second) {
    const std::uint64_t seen = budget.count.exchange(0, std::memory_order_relaxed);
    if (seen > kSampledPerSecond) {
      log::info("requests_not_logged",
                {{"server", "grpc"}, {"failed", failed}, {"count", seen - kSampledPerSecond}});
    }
  }
  return budget.count.fetch_add(1, std::memory_order_relaxed) < kSampledPerSecond;
}

Caller::Caller(CallEnvironment& shared, const transport::Stream& stream, const RpcMethod& method)
    : shared_(shared),
      request_(stream.request()),
      peer_(request_.peer),
      method_(method),
      has_place_(shared.enter()) {
  const TimePoint now = request_.context.received;
  if (const std::string_view timeout = request_.header("grpc-timeout"); !timeout.empty()) {
    if (const auto given = parse_timeout(timeout)) {
      limit_ = Deadline::after(now, *given);
    } else {
      limit_ = fail(given.error());
    }
  }
  context_.set_request_id(request_.id);
  context_.received = now;
  context_.deadline = Deadline::after(now, std::min(time_left(), shared.options.request_timeout));
  context_.protocol = metrics::Protocol::kGrpc;
  context_.turn = request_.context.turn;
  context_.departure = gone_;
  begin_trace(context_);
}

/// Time until the client's deadline; unlimited without one.
Duration Caller::time_left() const {
  return limit_ && *limit_
             ? std::max(Duration::zero(), (*limit_)->left(shared_.sources.clock.now()))
             : Duration::max();
}

inference::Context Caller::next_context() const {
  inference::Context next = context_;
  next.received = shared_.sources.clock.now();
  next.deadline =
      Deadline::after(next.received, std::min(time_left(), shared_.options.request_timeout));
  begin_trace(next);
  return next;
}

Result<void> Caller::admit() {
  if (!has_place_) {
    return fail(ErrorCode::kOverloaded, "the server has " +
                                            std::to_string(shared_.options.max_in_flight) +
                                            " calls under way and takes no more");
  }
  if (!limit_) {
    return fail(limit_.error());
  }
  auto name = ask_guard();
  if (!name) {
    return fail(std::move(name.error()));
  }
  context_.client = std::move(*name);
  return {};
}

Result<void> Caller::admit_next() const {
  const auto name = ask_guard();
  return name ? Result<void>() : fail(name.error());
}

Result<access::Name> Caller::ask_guard() const {
  access::Guard* const guard = shared_.sources.guard;
  const auto area =
      method_.access == Access::kControl ? access::Area::kControl : access::Area::kInference;
  if (guard == nullptr || method_.access == Access::kOpen || guard->open(area)) {
    return access::Name();
  }
  return guard->admit(area,
                      {.authorization = request_.header("authorization"),
                       .api_key = request_.header("x-api-key"),
                       .address = peer_},
                      shared_.sources.clock.now());
}

transport::Fields Caller::answer_metadata() const {
  return {{"content-type", std::string(kContentType)},
          {"grpc-accept-encoding", "identity,gzip,deflate"},
          {"x-request-id", request_.id}};
}

transport::Fields Caller::trailers(const Error* error, std::optional<GrpcCode> code) const {
  if (error == nullptr) {
    return {{"grpc-status", "0"}};
  }
  google::rpc::Status status;
  fill_status(*error, status);
  if (code) {
    status.set_code(static_cast<int>(*code));
  }
  transport::Fields fields{
      {"grpc-status", std::to_string(status.code())},
      {"grpc-message", percent_encode(status.message())},
      {"grpc-status-details-bin", encode_base64(status.SerializeAsString(), Padding::kNone)},
      {"x-podsense-code", std::string(error_name(error->code))}};
  if (const auto delay = retry_delay(*error)) {
    const auto seconds = std::chrono::ceil<std::chrono::seconds>(*delay).count();
    fields.emplace_back("retry-after", std::to_string(std::max<decltype(seconds)>(1, seconds)));
  }
  return fields;
}

/// Probes are not traced, as their traces would hide the others.
void Caller::begin_trace(inference::Context& context) const {
  const std::string_view parent = request_.header("traceparent");
  trace::Tracer* const tracer = shared_.sources.tracer;
  if (tracer == nullptr || method_.access == Access::kOpen) {
    context.traceparent = trace::child_traceparent(parent);
    return;
  }
  context.trace = tracer->begin(parent, context.received);
  context.traceparent = context.trace->context().traceparent();
}

void Caller::end_trace(const CallOutcome& outcome, const inference::Context& context) const {
  if (!context.trace) {
    return;
  }
  const ErrorCode code = outcome.error != nullptr ? outcome.error->code : ErrorCode::kInternal;
  const int status = outcome.error != nullptr ? protocol::mapping(code).http_status : 200;
  shared_.sources.tracer->end(context.trace,
                              {.method = "POST",
                               .path = method_.name,
                               .request_id = request_.id,
                               .status = status,
                               .code = outcome.error != nullptr ? error_name(code) : "OK",
                               .failed = status >= 500},
                              shared_.sources.clock.now());
}

void Caller::record(const CallOutcome& outcome, const inference::Context& context) const {
  log(outcome, context);
  end_trace(outcome, context);
}

void Caller::log(const CallOutcome& outcome, const inference::Context& context) const {
  const AccessLog mode = shared_.options.access_log;
  const bool failed = outcome.error != nullptr;
  if (mode == AccessLog::kOff || (!failed && mode == AccessLog::kErrors) ||
      (mode != AccessLog::kAll && !shared_.may_log(failed))) {
    return;
  }
  const bool severe = failed && protocol::mapping(outcome.error->code).http_status >= 500;
  log::record(severe ? log::Level::kError : log::Level::kInfo, "request",
              {{"request_id", request_.id},
               {"server", "grpc"},
               {"peer", peer_},
               {"peer_port", request_.peer_port},
               {"client", context_.client},
               {"rpc", method_.name},
               {"code", failed ? error_name(outcome.error->code) : "OK"},
               {"bytes_in", outcome.bytes_in},
               {"bytes_out", outcome.bytes_out},
               {"total_ms", to_ms(shared_.sources.clock.now() - context.received)},
               {"trace_id", std::string_view(context.traceparent)
                                .substr(std::min<std::size_t>(3, context.traceparent.size()), 32)},
               {"detail", failed ? std::string_view(outcome.error->detail) : std::string_view()}});
}

Result<void> parse_message(std::string_view bytes, google::protobuf::Message& message) {
  if (!message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return fail(ErrorCode::kInvalidArgument,
                "the bytes are no " + message.GetDescriptor()->full_name() + " message");
  }
  return {};
}

Call::Call(CallEnvironment& shared, std::shared_ptr<transport::Stream> stream,
           const RpcMethod& method)
    : stream_(std::move(stream)),
      caller_(shared, *stream_, method),
      reader_(shared.options.max_message_bytes, shared.options.max_message_bytes,
              shared.sources.memory) {}

void Call::start() {
  if (auto admitted = caller_.admit(); !admitted) {
    return reject(admitted.error());
  }
  const auto compression = compression_of(stream_->request().header("grpc-encoding"));
  if (!compression) {
    return reject(compression.error());
  }
  reader_.set_compression(*compression);
  begin();
}

void Call::on_data(std::string_view bytes) {
  if (finished_) {
    return;
  }
  bytes_in_ += bytes.size();
  allowed_ -= std::min<std::uint64_t>(allowed_, bytes.size());
  reading_ = true;
  const auto read = reader_.feed(bytes, [this](std::string_view one) {
    message(one);
    return reads() && !finished_;
  });
  reading_ = false;
  use(read);
}

void Call::read_on() {
  if (finished_ || reading_ || !reads()) {
    return;
  }
  reading_ = true;
  const auto read = reader_.resume([this](std::string_view one) {
    message(one);
    return reads() && !finished_;
  });
  reading_ = false;
  use(read);
}

/// Handles the result of reading messages.
void Call::use(const Result<void>& read) {
  if (!read) {
    // gRPC clients expect RESOURCE_EXHAUSTED for too large messages; other too large inputs get
    // another code.
    too_large_ = read.error().code == ErrorCode::kPayloadTooLarge;
    return reject(read.error());
  }
  if (finished_ || !reads()) {
    return;
  }
  if (ended_ && !std::exchange(told_, true)) {
    if (reader_.begun()) {
      return reject(
          {.code = ErrorCode::kInvalidArgument, .message = "the last message is cut off"});
    }
    return half_closed();
  }
  grant();
}

/// Grants the rest of the current message, and always some bytes of the next.
void Call::grant() {
  const std::uint64_t wanted = std::max(kLeastAllowed, reader_.missing());
  if (!ended_ && allowed_ < wanted) {
    const std::uint64_t more = wanted + kLeastAllowed - allowed_;
    allowed_ += more;
    stream_->grant(more);
  }
}

void Call::on_end() {
  ended_ = true;
  read_on();
}

void Call::on_late() {
  reject({.code = ErrorCode::kRequestTimeout, .message = "the message did not come in time"});
}

void Call::on_closed() {
  finished_ = true;
  cancelled();
}

void Call::send(std::string framed) {
  if (finished_) {
    return;
  }
  transport::Chunk chunk{.bytes = std::move(framed)};
  if (chunk.bytes.size() > kUncounted) {
    chunk.memory = MemoryBudget::share(caller_.shared().sources.memory, MemoryUse::kAnswers);
    if (const auto counted = chunk.memory.grow_to(chunk.bytes.size()); !counted) {
      return finish(&counted.error());
    }
  }
  if (!std::exchange(begun_, true)) {
    transport::Fields head = caller_.answer_metadata();
    std::ranges::move(metadata_, std::back_inserter(head));
    stream_->respond(std::move(head));
  }
  if (!chunk.bytes.empty()) {
    stream_->write(std::move(chunk));
  }
}

void Call::finish(const Error* error) {
  if (!finished_) {
    end(caller_.trailers(error,
                         too_large_ ? std::optional(GrpcCode::kResourceExhausted) : std::nullopt));
  }
}

void Call::finish_with(std::uint32_t status, std::string_view text) {
  if (!finished_) {
    end({{"grpc-status", std::to_string(status)}, {"grpc-message", percent_encode(text)}});
  }
}

void Call::end(transport::Fields status) {
  finished_ = true;
  transport::Fields fields = std::move(status);
  if (!begun_) {
    transport::Fields head = caller_.answer_metadata();
    std::ranges::move(metadata_, std::back_inserter(head));
    std::ranges::move(fields, std::back_inserter(head));
    fields = std::move(head);
  }
  std::ranges::move(trailers_, std::back_inserter(fields));
  stream_->finish(std::move(fields));
}

void Call::reject(const Error& error) {
  if (finished_) {
    return;
  }
  caller_.service().reject(caller_.context(), error.code);
  caller_.record({.error = &error, .bytes_in = bytes_in_}, caller_.context());
  finish(&error);
}

}  // namespace podsense::grpc
