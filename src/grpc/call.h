#pragma once

/// One call from its first byte to its status: who asks and until when, cancellation, accounting,
/// log line. Messages are parsed here and not by gRPC, which answers bytes that are no message with
/// an empty UNIMPLEMENTED.
/// @threads a call is used by one thread after the other; `OnCancel` may come beside

#include <google/protobuf/arena.h>
#include <grpcpp/server_context.h>
#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/server_callback.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>

#include "base/mutex.h"
#include "grpc/error_status.h"
#include "grpc/server.h"
#include "inference/context.h"

namespace podsense::grpc {

/// A stream that ends when the server stops, once what it has read is answered.
class Stoppable {
 public:
  virtual void stop() = 0;

 protected:
  ~Stoppable() = default;
};

/// What calls share. Everything here outlives them.
class Shared {
 public:
  Shared(const ServerOptions& its_options, const Sources& its_sources)
      : options(its_options), sources(its_sources) {}

  /// False: as many calls are under way as may be.
  bool enter() {
    return in_flight_.fetch_add(1, std::memory_order_relaxed) < options.max_in_flight;
  }
  void leave() {
    if (in_flight_.fetch_sub(1, std::memory_order_acq_rel) == 1 && closed) {
      const MutexLock lock(mutex_);
      idle_.notify_all();
    }
  }
  [[nodiscard]] std::size_t in_flight() const { return in_flight_; }
  /// True when no call was under way before `timeout`, by real time.
  bool wait_idle(Duration timeout);

  /// Streams are told when the server stops: they would last as long as their clients want.
  void add(Stoppable& stream);
  void remove(Stoppable& stream);
  void stop_streams();

  /// Whether a success, or a failure, may be logged now.
  bool may_log(bool failed);

  const ServerOptions& options;
  const Sources sources;
  std::atomic<bool> closed{false};  ///< no longer ready

 private:
  std::atomic<std::size_t> in_flight_{0};
  struct LogBudget {
    std::atomic<std::int64_t> second{0};
    std::atomic<std::uint64_t> count{0};
  };
  LogBudget successes_;
  LogBudget failures_;
  Mutex mutex_;
  CondVar idle_;
  Mutex streams_mutex_;
  std::unordered_set<Stoppable*> streams_ GUARDED_BY(streams_mutex_);
};

/// What a method asks of its callers; kOpen: nothing, as for health.
enum class Access { kOpen, kInference, kControl };

struct Method {
  std::string_view name;  ///< "/package.Service/Method", static text
  Access access = Access::kInference;
};

/// What a log line says of a call, or of one request of a stream.
struct Outcome {
  const Error* error = nullptr;  ///< null: it went well
  std::size_t bytes_in = 0;
  std::size_t bytes_out = 0;
};

/// Who asks, and until when.
class Caller {
 public:
  Caller(Shared& shared, ::grpc::CallbackServerContext& server, const Method& method);
  ~Caller() { shared_.leave(); }
  Caller(const Caller&) = delete;
  Caller& operator=(const Caller&) = delete;

  [[nodiscard]] const inference::Context& context() const { return context_; }
  [[nodiscard]] const std::string& request_id() const { return request_id_; }
  [[nodiscard]] Shared& shared() const { return shared_; }
  [[nodiscard]] inference::Service& service() const { return shared_.sources.service; }
  /// Before anything is read. @errors kOverloaded; kUnauthenticated, kRateLimited: the guard's
  Result<void> admit();
  /// For a further request of a stream.
  [[nodiscard]] Result<void> admit_next() const;
  void abandon() { gone_->leave(shared_.sources.clock.now()); }

  /// For one request of a stream: its time begins now.
  [[nodiscard]] inference::Context next_context() const;
  /// Logs what has ended and hands its trace on.
  void record(const Outcome& outcome, const inference::Context& context) const;
  /// Metadata that a client reads before an answer, and beside an error.
  void answer_metadata() { server_.AddInitialMetadata("x-request-id", request_id_); }
  void error_metadata(const Error& error);

 private:
  [[nodiscard]] Result<access::Name> ask_guard() const;
  void begin_trace(inference::Context& context) const;
  void end_trace(const Outcome& outcome, const inference::Context& context) const;
  void log(const Outcome& outcome, const inference::Context& context) const;

  Shared& shared_;
  ::grpc::CallbackServerContext& server_;
  const Method method_;
  const bool has_place_;
  std::string request_id_;
  std::shared_ptr<inference::Departure> gone_ = std::make_shared<inference::Departure>();
  inference::Context context_;
};

/// @errors kInvalidArgument: the bytes are no such message
Result<void> parse_message(const ::grpc::ByteBuffer& bytes, google::protobuf::Message& message);
Result<void> write_message(const google::protobuf::Message& message, ::grpc::ByteBuffer& bytes);

/// A call's request and response. A run may still read the request when its call was answered at
/// the deadline and is gone.
template <class Request, class Response>
struct Messages {
  std::array<char, 2048> first_block;  ///< small messages need no other memory
  google::protobuf::Arena arena{first_block.data(), first_block.size()};
  Request* request = google::protobuf::Arena::CreateMessage<Request>(&arena);
  Response* response = google::protobuf::Arena::CreateMessage<Response>(&arena);
};

/// One request, one answer. Deletes itself when gRPC is done with it.
template <class Request, class Response>
class UnaryCall final : public ::grpc::ServerUnaryReactor {
 public:
  /// `handle(UnaryCall&)` calls `reply` once, now or later, on any thread.
  template <class Handle>
  static UnaryCall* start(Shared& shared, ::grpc::CallbackServerContext* server,
                          const ::grpc::ByteBuffer* in, ::grpc::ByteBuffer* out,
                          const Method& method, const Handle& handle) {
    auto* call = new UnaryCall(shared, *server, *in, *out, method);
    if (auto admitted = call->caller_.admit(); !admitted) {
      call->refuse(std::move(admitted.error()));
    } else if (auto parsed = parse_message(*in, call->request()); !parsed) {
      call->refuse(std::move(parsed.error()));
    } else {
      handle(*call);
    }
    return call;
  }

  [[nodiscard]] Request& request() { return *messages_->request; }
  [[nodiscard]] Response& response() { return *messages_->response; }
  /// What keeps `request` alive.
  [[nodiscard]] std::shared_ptr<const void> messages() const { return messages_; }
  [[nodiscard]] const Caller& caller() const { return caller_; }
  [[nodiscard]] const inference::Context& context() const { return caller_.context(); }
  [[nodiscard]] inference::Service& service() const { return caller_.service(); }

  /// Sends the response, or the error. The call may be gone when this returns.
  void reply(const Result<void>& result) {
    if (!result) {
      return finish(&result.error());
    }
    if (auto written = write_message(response(), out_); !written) {
      return finish(&written.error());
    }
    finish(nullptr);
  }
  /// An error that no model was told of.
  void refuse(const Error& error) {
    service().reject(context(), error.code);
    finish(&error);
  }

 private:
  UnaryCall(Shared& shared, ::grpc::CallbackServerContext& server, const ::grpc::ByteBuffer& in,
            ::grpc::ByteBuffer& out, const Method& method)
      : caller_(shared, server, method), out_(out), bytes_in_(in.Length()) {}

  void finish(const Error* error) {
    caller_.record({.error = error, .bytes_in = bytes_in_, .bytes_out = error ? 0 : out_.Length()},
                   caller_.context());
    if (error != nullptr) {
      caller_.error_metadata(*error);
      Finish(to_status(*error));
    } else {
      caller_.answer_metadata();
      Finish(::grpc::Status::OK);
    }
  }

  void OnCancel() override { caller_.abandon(); }
  void OnDone() override { delete this; }
  /// What we do when called back is short: no hand-over to another thread for it.
  bool InternalInlineable() override { return true; }

  Caller caller_;
  ::grpc::ByteBuffer& out_;
  const std::size_t bytes_in_;
  const std::shared_ptr<Messages<Request, Response>> messages_ =
      std::make_shared<Messages<Request, Response>>();
};

}  // namespace podsense::grpc
