#include "grpc/call.h"

#include <grpcpp/impl/codegen/proto_utils.h>
#include <grpcpp/support/proto_buffer_reader.h>
#include <grpcpp/support/proto_buffer_writer.h>

#include <algorithm>

#include "base/log.h"
#include "protocol/error_mapping.h"
#include "protocol/identity.h"

namespace podsense::grpc {
namespace {

std::string_view metadata(const ::grpc::CallbackServerContext& server, const char* key) {
  const auto& all = server.client_metadata();
  const auto found = all.find(key);
  return found == all.end() ? std::string_view()
                            : std::string_view(found->second.data(), found->second.size());
}

/// "ipv4:10.1.2.3:50412" and "ipv6:%5B::1%5D:50412" without the port.
std::string_view address_of(std::string_view peer) {
  return peer.substr(0, peer.rfind(':'));
}

/// What is left of a deadline on gRPC's clock; unreachable where there is none.
Duration time_left(const ::grpc::CallbackServerContext& server) {
  using System = std::chrono::system_clock;
  const System::time_point at = server.deadline();
  return at == System::time_point::max()
             ? Duration::max()
             : std::max(Duration::zero(), std::chrono::duration_cast<Duration>(at - System::now()));
}

}  // namespace

bool Shared::wait_idle(Duration timeout) {
  const Deadline deadline = Deadline::after(sources.clock.now(), timeout);
  const MutexLock lock(mutex_);
  while (in_flight_ > 0 && !deadline.passed(sources.clock.now())) {
    idle_.wait_for(mutex_, deadline.left(sources.clock.now()));
  }
  return in_flight_ == 0;
}

void Shared::add(Stoppable& stream) {
  const MutexLock lock(streams_mutex_);
  streams_.insert(&stream);
}

void Shared::remove(Stoppable& stream) {
  const MutexLock lock(streams_mutex_);
  streams_.erase(&stream);
}

void Shared::stop_streams() {
  const MutexLock lock(streams_mutex_);  // held, so that none is deleted meanwhile
  for (Stoppable* stream : streams_) {
    stream->stop();
  }
}

bool Shared::may_log(bool failed) {
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

Caller::Caller(Shared& shared, ::grpc::CallbackServerContext& server, const Method& method)
    : shared_(shared), server_(server), method_(method), has_place_(shared.enter()) {
  const TimePoint now = shared.sources.clock.now();
  const std::string_view given = metadata(server, "x-request-id");
  request_id_ = protocol::valid_request_id(given) ? std::string(given) : protocol::new_request_id();
  context_.set_request_id(request_id_);
  context_.received = now;
  context_.deadline =
      Deadline::after(now, std::min(time_left(server), shared.options.request_timeout));
  context_.protocol = metrics::Protocol::kGrpc;
  begin_trace(context_);
  context_.departure = gone_;
}

inference::Context Caller::next_context() const {
  inference::Context next = context_;
  next.received = shared_.sources.clock.now();
  next.deadline =
      Deadline::after(next.received, std::min(time_left(server_), shared_.options.request_timeout));
  begin_trace(next);
  return next;
}

Result<void> Caller::admit() {
  if (!has_place_) {
    return fail(ErrorCode::kOverloaded, "the server has " +
                                            std::to_string(shared_.options.max_in_flight) +
                                            " calls under way and takes no more");
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
  const std::string peer = server_.peer();
  return guard->admit(area,
                      {.authorization = metadata(server_, "authorization"),
                       .api_key = metadata(server_, "x-api-key"),
                       .address = address_of(peer)},
                      shared_.sources.clock.now());
}

void Caller::error_metadata(const Error& error) {
  // Only trailers: an answer of nothing but an error then fits one frame, which proxies understand.
  server_.AddTrailingMetadata("x-request-id", request_id_);
  server_.AddTrailingMetadata("x-podsense-code", std::string(error_name(error.code)));
  if (const auto delay = retry_delay(error)) {
    const auto seconds = std::chrono::ceil<std::chrono::seconds>(*delay).count();
    server_.AddTrailingMetadata("retry-after",
                                std::to_string(std::max<decltype(seconds)>(1, seconds)));
  }
}

/// Probes are not traced: they would bury the rest.
void Caller::begin_trace(inference::Context& context) const {
  const std::string_view parent = metadata(server_, "traceparent");
  trace::Tracer* const tracer = shared_.sources.tracer;
  if (tracer == nullptr || method_.access == Access::kOpen) {
    context.traceparent = trace::child_traceparent(parent);
    return;
  }
  context.trace = tracer->begin(parent, context.received);
  context.traceparent = context.trace->context().traceparent();
}

void Caller::end_trace(const Outcome& outcome, const inference::Context& context) const {
  if (!context.trace) {
    return;
  }
  const ErrorCode code = outcome.error != nullptr ? outcome.error->code : ErrorCode::kInternal;
  const int status = outcome.error != nullptr ? protocol::mapping(code).http_status : 200;
  shared_.sources.tracer->end(context.trace,
                              {.method = "POST",
                               .path = method_.name,
                               .request_id = request_id_,
                               .status = status,
                               .code = outcome.error != nullptr ? error_name(code) : "OK",
                               .failed = status >= 500},
                              shared_.sources.clock.now());
}

void Caller::record(const Outcome& outcome, const inference::Context& context) const {
  log(outcome, context);
  end_trace(outcome, context);
}

void Caller::log(const Outcome& outcome, const inference::Context& context) const {
  const AccessLog mode = shared_.options.access_log;
  const bool failed = outcome.error != nullptr;
  if (mode == AccessLog::kOff || (!failed && mode == AccessLog::kErrors) ||
      (mode != AccessLog::kAll && !shared_.may_log(failed))) {
    return;
  }
  const bool severe = failed && protocol::mapping(outcome.error->code).http_status >= 500;
  log::record(severe ? log::Level::kError : log::Level::kInfo, "request",
              {{"request_id", request_id_},
               {"server", "grpc"},
               {"peer", server_.peer()},
               {"client", context_.client},
               {"method", method_.name},
               {"code", failed ? error_name(outcome.error->code) : "OK"},
               {"bytes_in", outcome.bytes_in},
               {"bytes_out", outcome.bytes_out},
               {"total_ms", to_ms(shared_.sources.clock.now() - context.received)},
               {"trace", context.traceparent},
               {"detail", failed ? std::string_view(outcome.error->detail) : std::string_view()}});
}

Result<void> parse_message(const ::grpc::ByteBuffer& bytes, google::protobuf::Message& message) {
  ::grpc::ByteBuffer shared_bytes(bytes);  // counts references; the reader wants one it may change
  ::grpc::ProtoBufferReader reader(&shared_bytes);
  if (!reader.status().ok() || !message.ParseFromZeroCopyStream(&reader)) {
    return fail(ErrorCode::kInvalidArgument,
                "the bytes are no " + message.GetDescriptor()->full_name() + " message");
  }
  return {};
}

Result<void> write_message(const google::protobuf::Message& message, ::grpc::ByteBuffer& bytes) {
  bool own = false;
  const ::grpc::Status status =
      ::grpc::GenericSerialize<::grpc::ProtoBufferWriter, google::protobuf::Message>(message,
                                                                                     &bytes, &own);
  if (!status.ok()) {
    return fail(ErrorCode::kInternal, "the answer cannot be written", status.error_message());
  }
  return {};
}

}  // namespace podsense::grpc
