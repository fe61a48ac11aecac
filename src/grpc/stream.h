#pragma once

/// A stream of requests and their answers, in the requests' order. Up to `stream_in_flight`
/// requests are worked on at a time; beyond, the stream is not read, and HTTP/2's flow control
/// makes the client wait.

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>

#include "grpc/call.h"

namespace podsense::grpc {

/// One request of a stream. A run may still read the request when the item was answered at the
/// deadline: who borrows from it keeps the item. @threads one after the other, as its handler hands
/// it on
template <class Request, class Response>
struct StreamItem : std::enable_shared_from_this<StreamItem<Request, Response>> {
  std::uint32_t index = 0;  ///< in the stream
  inference::Context context;
  Request request;
  Response response;
  std::size_t bytes_in = 0;
  bool answered = false;
};

/// Deletes itself when gRPC is done with it.
template <class Request, class Response>
class StreamCall final : public ::grpc::ServerBidiReactor<::grpc::ByteBuffer, ::grpc::ByteBuffer>,
                         private Stoppable {
 public:
  using Item = StreamItem<Request, Response>;
  using Done = std::move_only_function<void(Result<void>)>;
  struct Handlers {
    /// Fills in `response`, then calls `done` once, now or later, on any thread.
    void (*handle)(const Caller&, Item&, Done done);
    /// Writes what a client reads of an error into the item's response.
    void (*tell)(const Error&, Item&);
  };

  StreamCall(Shared& shared, ::grpc::CallbackServerContext& server, const Method& method,
             Handlers handlers)
      : caller_(shared, server, method), handlers_(handlers) {
    if (const auto admitted = caller_.admit(); !admitted) {
      caller_.service().reject(caller_.context(), admitted.error().code);
      caller_.error_metadata(admitted.error());
      finished_ = true;
      Finish(to_status(admitted.error()));
      return;
    }
    caller_.answer_metadata();
    StartSendInitialMetadata();
    step([] {});
    shared.add(*this);
    if (shared.closed) {
      stop();
    }
  }
  ~StreamCall() override { caller_.shared().remove(*this); }
  StreamCall(const StreamCall&) = delete;
  StreamCall& operator=(const StreamCall&) = delete;

 private:
  void OnReadDone(bool ok) override {
    if (!ok) {
      return step([this] {
        reading_ = false;
        no_more_ = true;
      });
    }
    auto owned = std::make_shared<Item>();
    Item& item = *owned;
    item.context = caller_.next_context();
    item.bytes_in = in_.Length();
    Result<void> parsed;
    if (next_index_ > 0) {  // the first was admitted with the stream
      parsed = caller_.admit_next();
    }
    if (parsed) {
      parsed = parse_message(in_, item.request);
    }
    in_.Clear();
    {
      const MutexLock lock(mutex_);
      item.index = next_index_++;
      items_.push_back(std::move(owned));
    }
    if (!parsed) {
      caller_.service().reject(item.context, parsed.error().code);
      answer(item, parsed);
    } else {
      handlers_.handle(caller_, item,
                       [this, &item](const Result<void>& result) { answer(item, result); });
    }
    step([this] { reading_ = false; });
  }

  /// The read that is under way, or the lack of one, keeps the call alive until `step`.
  void answer(Item& item, const Result<void>& result) {
    if (!result) {
      handlers_.tell(result.error(), item);
    }
    caller_.record({.error = result ? nullptr : &result.error(), .bytes_in = item.bytes_in},
                   item.context);
    step([&item] { item.answered = true; });
  }

  void OnWriteDone(bool ok) override {
    step([this, ok] {
      writing_ = false;
      items_.pop_front();
      if (!ok) {
        no_more_ = true;
      }
    });
  }

  void OnCancel() override {
    caller_.abandon();
    step([this] { no_more_ = true; });
  }
  void OnDone() override { delete this; }
  void stop() override {
    step([this] { stopping_ = true; });
  }

  /// Changes the state, then begins what the state asks for. What is begun calls back on another
  /// thread, so it may be begun under the lock; `Finish` may end the call, so it comes last.
  template <class Change>
  void step(const Change& change) {
    bool finish = false;
    {
      const MutexLock lock(mutex_);
      change();
      if (stopping_ && !no_more_ && items_.empty() && !said_farewell_ && !finished_) {
        say_farewell();
      }
      if (!writing_ && !items_.empty() && items_.front()->answered) {
        writing_ = true;
        out_.Clear();
        static_cast<void>(write_message(items_.front()->response, out_));
        StartWrite(&out_);
      }
      const bool ends = no_more_ || stopping_;
      if (!ends && !reading_ && items_.size() < caller_.shared().options.stream_in_flight) {
        reading_ = true;
        StartRead(&in_);
      }
      if (ends && items_.empty() && !finished_ && (!reading_ || stopping_)) {
        finished_ = finish = true;
      }
    }
    if (finish) {
      Finish(::grpc::Status::OK);
    }
  }

  /// The last answer of a stream that the server ends. The status is OK all the same: with an
  /// error clients drop the answers that they have not read yet.
  void say_farewell() {
    auto last = std::make_shared<Item>();
    last->index = next_index_;
    last->answered = true;
    handlers_.tell({.code = ErrorCode::kUnavailable,
                    .message = "the server is shutting down; open the stream again"},
                   *last);
    items_.push_back(std::move(last));
    said_farewell_ = true;
  }

  Caller caller_;
  const Handlers handlers_;
  ::grpc::ByteBuffer in_;
  ::grpc::ByteBuffer out_;
  Mutex mutex_;
  std::deque<std::shared_ptr<Item>> items_;
  std::uint32_t next_index_ = 0;
  bool reading_ = false;
  bool writing_ = false;
  bool no_more_ = false;  ///< the client has ended its side, or is gone
  bool stopping_ = false;
  bool said_farewell_ = false;
  bool finished_ = false;
};

}  // namespace podsense::grpc
