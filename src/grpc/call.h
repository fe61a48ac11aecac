#pragma once

/// One call from its head to its status: who asks and until when, messages, accounting, log line.
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

/// What calls share. Everything here outlives them. @threads thread-safe
class CallEnvironment {
 public:
  CallEnvironment(GrpcOptions its_options, Sources its_sources)
      : options(std::move(its_options)), sources(std::move(its_sources)) {}

  /// False: as many calls are under way as may be.
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

/// What a method asks of its callers; kOpen: nothing, as for health.
enum class Access : std::uint8_t { kOpen, kInference, kControl };

struct RpcMethod {
  std::string_view name;  ///< "/package.Service/Method", static text
  Access access = Access::kInference;
  bool quiet = false;  ///< asked again and again by machines: not logged
};

/// What a log line says of a call, or of one request of a stream.
struct CallOutcome {
  const Error* error = nullptr;  ///< null: it went well
  std::size_t bytes_in = 0;
  std::size_t bytes_out = 0;
};

/// Who asks, and until when.
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
  /// Before anything is read. @errors kOverloaded; kUnauthenticated, kRateLimited: the guard's;
  /// kInvalidArgument: a timeout that is none
  Result<void> admit();
  /// For a further request of a stream.
  [[nodiscard]] Result<void> admit_next() const;
  void abandon() { gone_->leave(shared_.sources.clock.now()); }

  /// For one request of a stream: its time begins now.
  [[nodiscard]] inference::Context next_context() const;
  /// Logs what has ended and hands its trace on. @threads any
  void record(const CallOutcome& outcome, const inference::Context& context) const;
  /// Metadata that a client reads before an answer.
  [[nodiscard]] transport::Fields answer_metadata() const;
  /// Status and metadata behind an answer, or instead of one; null: it went well.
  /// `code`: instead of the error's own.
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
  Result<std::optional<Deadline>> limit_;  ///< the client's
  std::shared_ptr<inference::Departure> gone_ = std::make_shared<inference::Departure>();
  inference::Context context_;
};

/// @errors kInvalidArgument: the bytes are no such message
Result<void> parse_message(std::string_view bytes, google::protobuf::Message& message);

/// What every kind of call has: admission, messages in, status out.
class Call : public transport::StreamService, public std::enable_shared_from_this<Call> {
 public:
  Call(CallEnvironment& shared, std::shared_ptr<transport::Stream> stream, const RpcMethod& method);

  /// Admits the caller; nothing is read of one that is refused.
  void start();
  void on_data(std::string_view bytes) final;
  void on_end() final;
  void on_late() final;
  void on_closed() final;

  [[nodiscard]] const Caller& caller() const { return caller_; }
  /// What the client sent. @requires the stream is there
  [[nodiscard]] std::string_view metadata(std::string_view name) const {
    return stream_->request().header(name);
  }
  /// Before the answer. Names as transport::Fields has them; of a `-bin` one, the value in base64.
  void add_metadata(std::string_view name, std::string value) {
    metadata_.emplace_back(name, std::move(value));
  }
  /// Behind the answer, with its status.
  void add_trailer(std::string_view name, std::string value) {
    trailers_.emplace_back(name, std::move(value));
  }

 protected:
  virtual void begin() {}
  virtual void message(std::string_view bytes) = 0;
  /// The client will send no more messages.
  virtual void half_closed() = 0;
  /// The client has gone, or the stream has ended otherwise before its status.
  virtual void cancelled() {}
  /// Whether a further message is to be read now; see `read_on`.
  [[nodiscard]] virtual bool reads() const { return true; }

  /// `reads` may have become true.
  void read_on();
  /// What is framed goes out as it is. Begins the answer where that was not done. Ends the call
  /// where there is no memory to hold it until the client takes it.
  void send(std::string framed);
  /// Ends the call; with an error for `error`. What comes after is ignored.
  void finish(const Error* error);
  /// The same with a status that none of our errors has.
  void finish_with(std::uint32_t status, std::string_view text);
  [[nodiscard]] bool finished() const { return finished_; }
  /// Every call of the inference service that ends before it got there is counted.
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
  bool reading_ = false;                               ///< inside the reader
  bool ended_ = false;                                 ///< the client's side
  bool told_ = false;                                  ///< half_closed was called
  bool too_large_ = false;                             ///< a message was
  std::uint64_t allowed_ = transport::kInitialWindow;  ///< bytes that may still come
};

/// A call's request and response. A run may still read the request when its call was answered at
/// the deadline and is gone.
template <class Request, class Response>
struct Messages {
  std::array<char, 2048> first_block;  ///< small messages need no other memory
  google::protobuf::Arena arena{first_block.data(), first_block.size()};
  Request* request = google::protobuf::Arena::CreateMessage<Request>(&arena);
  Response* response = google::protobuf::Arena::CreateMessage<Response>(&arena);
};

/// One request, one answer.
template <class Request, class Response>
class UnaryCall final : public Call {
 public:
  /// Calls `reply` or `refuse` once, now or later, on any thread; the call lives until then.
  using Handle = std::function<void(UnaryCall&)>;

  /// `handle` outlives the call.
  UnaryCall(CallEnvironment& shared, std::shared_ptr<transport::Stream> stream,
            const RpcMethod& method, const Handle& handle)
      : Call(shared, std::move(stream), method), handle_(handle) {}

  [[nodiscard]] Request& request() { return *messages_->request; }
  [[nodiscard]] Response& response() { return *messages_->response; }
  /// What keeps `request` alive.
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
  /// Ends the call with a status that none of our errors has. @threads any
  void reply_status(std::uint32_t status, std::string text) {
    stream().post([self = std::move(self_), status, text = std::move(text)] {
      self->finish_with(status, text);
    });
  }
  /// Before `reply`. The client has to accept it: `grpc-accept-encoding`.
  void compress(transport::Coding compression) {
    compression_ = compression;
    add_metadata("grpc-encoding", std::string(name_of(compression)));
  }
  /// Whether the request came compressed.
  [[nodiscard]] bool was_compressed() const { return was_compressed_; }
  /// An error that no model was told of.
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
  std::shared_ptr<UnaryCall> self_;                               ///< while it is being answered
  const std::shared_ptr<Messages<Request, Response>> messages_ =
      std::make_shared<Messages<Request, Response>>();
};

}  // namespace podsense::grpc
