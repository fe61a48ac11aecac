#pragma once

/// A bidirectional stream: answers are sent in the order of the requests. Up to `stream_in_flight`
/// requests are processed concurrently. At that limit the stream is not read, so HTTP/2 flow
/// control makes the client wait.

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>

#include "grpc/call.h"

namespace podsense::grpc {

/// One request of a stream. A run may still read the request after it was answered at its deadline,
/// so code that borrows from the request must keep the item alive. @threads one at a time, as its
/// handler passes it on
template <class Request, class Response>
struct StreamItem : std::enable_shared_from_this<StreamItem<Request, Response>> {
  std::uint32_t index = 0;  ///< in the stream
  inference::Context context;
  Request request;
  Response response;
  std::size_t bytes_in = 0;
  bool answered = false;
  std::string framed;  ///< the serialised response, once answered
};

template <class Request, class Response>
class StreamCall final : public Call {
 public:
  using Item = StreamItem<Request, Response>;
  using Done = std::move_only_function<void(Result<void>)>;
  struct Handlers {
    /// Fills `response`, then calls `done` exactly once, now or later, on any thread.
    void (*handle)(const Caller&, Item&, Done done);
    /// Writes an error into the item's response.
    void (*tell)(const Error&, Item&);
  };

  StreamCall(CallEnvironment& shared, std::shared_ptr<transport::Stream> stream,
             const RpcMethod& method, const Handlers& handlers)
      : Call(shared, std::move(stream), method), handlers_(handlers) {}

 private:
  /// Unsent bytes of answers above which no further requests are read.
  static constexpr std::uint64_t kMostUnsent = 16U << 10U;

  void begin() override {
    stream().allow_slow_body();
    send({});  // some clients wait for the headers before they send
  }
  [[nodiscard]] bool reads() const override {
    return !ending_ && items_.size() < caller().shared().options.stream_in_flight &&
           unsent_ < kMostUnsent;
  }

  void message(std::string_view bytes) override {
    auto item = std::make_shared<Item>();
    item->context = caller().next_context();
    item->context.memory = reader().memory();
    item->bytes_in = bytes.size();
    item->index = next_index_++;
    items_.push_back(item);
    Result<void> parsed;
    if (item->index > 0) {  // the first request was admitted with the stream
      parsed = caller().admit_next();
    }
    if (parsed) {
      parsed = parse_message(bytes, item->request);
    }
    if (!parsed) {
      caller().service().reject(item->context, parsed.error().code);
      return answer(item, parsed);
    }
    auto self = std::static_pointer_cast<StreamCall>(shared_from_this());
    handlers_.handle(caller(), *item,
                     [self, item](const Result<void>& result) { self->answer(item, result); });
  }

  /// @threads any
  void answer(const std::shared_ptr<Item>& item, const Result<void>& result) {
    if (!result) {
      handlers_.tell(result.error(), *item);
    }
    if (auto framed = frame(item->response)) {
      item->framed = std::move(*framed);
    }
    caller().record({.error = result ? nullptr : &result.error(),
                     .bytes_in = item->bytes_in,
                     .bytes_out = item->framed.size()},
                    item->context);
    stream().post([self = std::static_pointer_cast<StreamCall>(shared_from_this()), item] {
      item->answered = true;
      self->send_answered();
    });
  }

  void send_answered() {
    while (!items_.empty() && items_.front()->answered) {
      send(std::move(items_.front()->framed));
      items_.pop_front();
    }
    unsent_ = stream().unsent();
    if (ending_ && items_.empty()) {
      return finish(nullptr);
    }
    read_on();
  }

  void on_sent() override {
    unsent_ = 0;
    read_on();
  }
  void half_closed() override {
    ending_ = true;
    send_answered();
  }
  void cancelled() override {
    mutable_caller().abandon();
    items_.clear();
  }

  /// Ends the stream after the answers under way. The status is OK, because with an error clients
  /// drop answers that they have not read yet.
  void on_stop() override {
    if (finished() || std::exchange(ending_, true)) {
      return;
    }
    auto last = std::make_shared<Item>();
    last->index = next_index_;
    handlers_.tell({.code = ErrorCode::kUnavailable,
                    .message = "the server is shutting down; open the stream again"},
                   *last);
    if (auto framed = frame(last->response)) {
      last->framed = std::move(*framed);
    }
    last->answered = true;
    items_.push_back(std::move(last));
    send_answered();
  }

  const Handlers handlers_;
  std::deque<std::shared_ptr<Item>> items_;
  std::uint32_t next_index_ = 0;
  std::uint64_t unsent_ = 0;
  bool ending_ = false;  ///< reads no more requests
};

}  // namespace podsense::grpc
