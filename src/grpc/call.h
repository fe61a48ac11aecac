#pragma once

/// One gRPC call from its headers to its status: client, deadline, messages, metrics, log line.
/// @threads a call's own connection's, unless it says otherwise

#include <google/protobuf/arena.h>
#include <google/protobuf/message.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "grpc/error_status.h"
#include "grpc/services.h"
#include "grpc/wire.h"
#include "inference/context.h"
#include "protocol/error_mapping.h"
#include "transport/stream.h"

namespace podsense::grpc {

/// What all calls share; outlives them. @threads thread-safe
class CallEnvironment {
 public:
  CallEnvironment(GrpcOptions its_options, Sources its_sources)
      : options(std::move(its_options)), sources(std::move(its_sources)) {}

  /// False: the limit of concurrent calls is reached.
  bool enter() {
    return in_flight_.fetch_add(1, std::memory_order_relaxed) < options.max_in_flight;
  }
  void leave() { in_flight_.fetch_sub(1, std::memory_order_relaxed); }

  /// Whether a success, or a failure, may be logged now.
  bool may_log(bool failed);

  const GrpcOptions options;
  const Sources sources;

 private:
  struct LogBudget {
    std::atomic<std::int64_t> second{0};
    std::atomic<std::uint64_t> count{0};
  };
  std::atomic<std::size_t> in_flight_{0};
  LogBudget successes_;
  LogBudget failures_;
};

/// The credentials that a method requires; kOpen: none, as for health.
enum class Access : std::uint8_t { kOpen, kInference, kControl };

struct RpcMethod {
  std::string_view name;  ///< "/package.Service/Method", static text
  Access access = Access::kInference;
  bool quiet = false;  ///< called frequently by machines: not logged
};

/// What is logged about a call, or about one request of a stream.
struct CallOutcome {
  const Error* error = nullptr;  ///< null: success
  std::size_t bytes_in = 0;
  std::size_t bytes_out = 0;
};

/// The client of a call and its deadline.
class Caller {
 public:
  Caller(CallEnvironment& shared, const transport::Stream& stream, const RpcMethod& method);
  ~Caller() { shared_.leave(); }
  Caller(const Caller&) = delete;
  Caller& operator=(const Caller&) = delete;

  [[nodiscard]] const inference::Context& context() const { return context_; }
  [[nodiscard]] inference::Context& context() { return context_; }
  [[nodiscard]] const std::string& request_id() const { return request_.id; }
  [[nodiscard]] CallEnvironment& shared() const { return shared_; }
  [[nodiscard]] inference::Service& service() const { return shared_.sources.service; }
  /// Checks the client before any message is read. @errors kOverloaded; kUnauthenticated,
  /// kRateLimited: from the guard; kInvalidArgument: malformed timeout
  Result<void> admit();
  /// The same check for a further request of a stream.
  [[nodiscard]] Result<void> admit_next() const;
  void abandon() { gone_->leave(shared_.sources.clock.now()); }

  /// A context for one request of a stream, whose time limit starts now.
  [[nodiscard]] inference::Context next_context() const;
  /// Logs a finished call or request and exports its trace. @threads any
  void record(const CallOutcome& outcome, const inference::Context& context) const;
  /// The metadata sent before an answer.
  [[nodiscard]] transport::Fields answer_metadata() const;
  /// Status and metadata after an answer or instead of it. `error` null: success. `code`: replaces
  /// the error's own code.
  [[nodiscard]] transport::Fields trailers(const Error* error,
                                           std::optional<GrpcCode> code = {}) const;

 private:
  [[nodiscard]] Result<access::Name> ask_guard() const;
  [[nodiscard]] Duration time_left() const;
  void begin_trace(inference::Context& context) const;
  void end_trace(const CallOutcome& outcome, const inference::Context& context) const;
  void log(const CallOutcome& outcome, const inference::Context& context) const;

  CallEnvironment& shared_;
  const transport::Request& request_;
  const std::string peer_;
  const RpcMethod method_;
  const bool has_place_;
  Result<std::optional<Deadline>> limit_;  ///< requested by the client
  std::shared_ptr<inference::Departure> gone_ = std::make_shared<inference::Departure>();
  inference::Context context_;
};

/// @errors kInvalidArgument: the bytes are not a message of this type
Result<void> parse_message(std::string_view bytes, google::protobuf::Message& message);

/// The base of all calls: admission, reading messages, sending the status.
class Call : public transport::StreamService, public std::enable_shared_from_this<Call> {
 public:
  Call(CallEnvironment& shared, std::shared_ptr<transport::Stream> stream, const RpcMethod& method);

  /// Admits the client; reads nothing if it is refused.
  void start();
  void on_data(std::string_view bytes) final;
  void on_end() final;
  void on_late() final;
  void on_closed() final;

  [[nodiscard]] const Caller& caller() const { return caller_; }
  /// Metadata from the client. @requires the stream exists
  [[nodiscard]] std::string_view metadata(std::string_view name) const {
    return stream_->request().header(name);
  }
  /// Adds metadata sent before the answer. Names as in transport::Fields; values of `-bin` names
  /// are base64.
  void add_metadata(std::string_view name, std::string value) {
    metadata_.emplace_back(name, std::move(value));
  }
  /// Adds metadata sent after the answer, with the status.
  void add_trailer(std::string_view name, std::string value) {
    trailers_.emplace_back(name, std::move(value));
  }

 protected:
  virtual void begin() {}
  virtual void message(std::string_view bytes) = 0;
  /// The client will send no more messages.
  virtual void half_closed() = 0;
  /// The client has gone, or the stream ended without a status.
  virtual void cancelled() {}
  /// Whether to read another message now; see `read_on`.
  [[nodiscard]] virtual bool reads() const { return true; }

  /// Continues reading; call it when `reads` may have become true.
  void read_on();
  /// Sends framed bytes and begins the answer if necessary. Ends the call with an error if there is
  /// no memory to keep them until the client reads them.
  void send(std::string framed);
  /// Ends the call, with success or with `error`. Later calls are ignored.
  void finish(const Error* error);
  /// Like `finish`, with a status that no ErrorCode maps to.
  void finish_with(std::uint32_t status, std::string_view text);
  [[nodiscard]] bool finished() const { return finished_; }
  /// Ends the call with an error before it reaches the inference service, and counts it.
  void reject(const Error& error);

  [[nodiscard]] transport::Stream& stream() { return *stream_; }
  [[nodiscard]] MessageReader& reader() { return reader_; }
  [[nodiscard]] Caller& mutable_caller() { return caller_; }
  std::size_t bytes_in_ = 0;

 private:
  void use(const Result<void>& read);
  void grant();
  void end(transport::Fields status);

  const std::shared_ptr<transport::Stream> stream_;
  Caller caller_;
  MessageReader reader_;
  transport::Fields metadata_;
  transport::Fields trailers_;
  bool begun_ = false;
  bool finished_ = false;
  bool reading_ = false;                               ///< the reader is active
  bool ended_ = false;                                 ///< the client has sent everything
  bool told_ = false;                                  ///< half_closed was called
  bool too_large_ = false;                             ///< a message exceeded its limit
  std::uint64_t allowed_ = transport::kInitialWindow;  ///< bytes that the client may still send
};

/// A call's request and response. They can outlive the call: it may be answered at its deadline
/// while a run still reads the request.
template <class Request, class Response>
struct Messages {
  std::array<char, 2048> first_block;  ///< small messages need no heap allocation
  google::protobuf::Arena arena{first_block.data(), first_block.size()};
  Request* request = google::protobuf::Arena::CreateMessage<Request>(&arena);
  Response* response = google::protobuf::Arena::CreateMessage<Response>(&arena);
};

/// One request, one answer.
template <class Request, class Response>
class UnaryCall final : public Call {
 public:
  /// Must call `reply` or `refuse` exactly once, now or later, on any thread; the call lives until
  /// then.
  using Handle = std::function<void(UnaryCall&)>;

  /// `handle` must outlive the call.
  UnaryCall(CallEnvironment& shared, std::shared_ptr<transport::Stream> stream,
            const RpcMethod& method, const Handle& handle)
      : Call(shared, std::move(stream), method), handle_(handle) {}

  [[nodiscard]] Request& request() { return *messages_->request; }
  [[nodiscard]] Response& response() { return *messages_->response; }
  /// Keeps `request` alive.
  [[nodiscard]] std::shared_ptr<const void> messages() const { return messages_; }
  [[nodiscard]] const inference::Context& context() const { return caller().context(); }
  [[nodiscard]] inference::Service& service() const { return caller().service(); }

  /// Sends the response, or the error. @threads any
  void reply(const Result<void>& result) {
    if (!result) {
      return answer(fail(result.error()));
    }
    answer(frame(response(), compression_));
  }
  /// Ends the call with a status that no ErrorCode maps to. @threads any
  void reply_status(std::uint32_t status, std::string text) {
    stream().post([self = std::move(self_), status, text = std::move(text)] {
      self->finish_with(status, text);
    });
  }
  /// Compresses the answer; call before `reply`. The client must accept it
  /// (`grpc-accept-encoding`).
  void compress(transport::Coding compression) {
    compression_ = compression;
    add_metadata("grpc-encoding", std::string(name_of(compression)));
  }
  /// Whether the request was compressed.
  [[nodiscard]] bool was_compressed() const { return was_compressed_; }
  /// Answers with an error that is counted for no model.
  void refuse(const Error& error) {
    service().reject(context(), error.code);
    answer(fail(error));
  }

 private:
  void message(std::string_view bytes) override {
    if (std::exchange(has_request_, true)) {
      return reject({.code = ErrorCode::kInvalidArgument,
                     .message = "this method takes one message, and more came"});
    }
    mutable_caller().context().memory = reader().memory();
    was_compressed_ = reader().compressed();
    if (auto parsed = parse_message(bytes, request()); !parsed) {
      reject(parsed.error());
    }
  }
  void half_closed() override {
    if (!has_request_) {
      return reject({.code = ErrorCode::kInvalidArgument,
                     .message = "this method takes one message, and none came"});
    }
    self_ = std::static_pointer_cast<UnaryCall>(shared_from_this());
    handle_(*this);
  }
  void cancelled() override { mutable_caller().abandon(); }

  void answer(Result<std::string> framed) {
    const Error* const error = framed ? nullptr : &framed.error();
    caller().record(
        {.error = error, .bytes_in = bytes_in_, .bytes_out = framed ? framed->size() : 0},
        context());
    stream().post([self = std::move(self_), framed = std::move(framed)]() mutable {
      if (framed) {
        self->send(std::move(*framed));
        self->finish(nullptr);
      } else {
        self->finish(&framed.error());
      }
    });
  }

  const Handle& handle_;
  bool has_request_ = false;
  bool was_compressed_ = false;
  transport::Coding compression_ = transport::Coding::kIdentity;  ///< of the answer
  /// keeps this alive until the answer
  std::shared_ptr<UnaryCall> self_;
  const std::shared_ptr<Messages<Request, Response>> messages_ =
      std::make_shared<Messages<Request, Response>>();
};

}  // namespace podsense::grpc
