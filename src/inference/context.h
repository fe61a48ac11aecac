#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <thread>

#include "base/clock.h"
#include "base/error.h"
#include "base/memory_budget.h"
#include "metrics/metrics.h"
#include "trace/trace.h"

namespace podsense::inference {

class LoopBatch;

/// The batch of the event loop that runs on this thread. On any other thread there is none.
class LoopBatchRef {
 public:
  LoopBatchRef() = default;
  /// `turn`: of the calling thread's loop.
  explicit LoopBatchRef(LoopBatch& turn) : turn_(&turn), thread_(std::this_thread::get_id()) {}
  [[nodiscard]] LoopBatch* get() const {
    return thread_ == std::this_thread::get_id() ? turn_ : nullptr;
  }

 private:
  LoopBatch* turn_ = nullptr;
  std::thread::id thread_;
};

/// Whether a client has gone, and when: that it was noticed later is no fault of the service.
/// @threads thread-safe
class Departure {
 public:
  /// The first time counts.
  void leave(TimePoint now) {
    TimePoint stays = TimePoint::max();
    left_.compare_exchange_strong(stays, now, std::memory_order_relaxed);
  }
  [[nodiscard]] bool left() const { return at() != TimePoint::max(); }
  /// TimePoint::max() while the client is there.
  [[nodiscard]] TimePoint at() const { return left_.load(std::memory_order_relaxed); }

 private:
  std::atomic<TimePoint> left_ = TimePoint::max();
};

/// How a request without an answer ended for its client.
struct Ending {
  ErrorCode code;
  Duration elapsed;  ///< since the request's first byte
};

/// What comes with a request beside its content.
struct Context {
  TimePoint received;  ///< when its first byte was read
  Deadline deadline;
  metrics::Protocol protocol = metrics::Protocol::kHttp;
  std::string client;                          ///< who asks, "key:NAME"; empty: anybody
  std::string traceparent;                     ///< passed on to fetches when not empty
  std::shared_ptr<trace::Request> trace;       ///< null: not traced
  std::shared_ptr<const Departure> departure;  ///< of the client; null: it cannot be seen
  /// In which the request's bytes are counted until nobody needs them any more; null: too few to
  /// count.
  std::shared_ptr<MemoryBudget::Share> memory;
  /// What the client calls the request, cut: for the trace that a crash leaves.
  std::array<char, 64> request_id{};
  void set_request_id(std::string_view id) {
    request_id = {};
    std::ranges::copy(id.substr(0, request_id.size() - 1), request_id.begin());
  }
  [[nodiscard]] bool abandoned() const { return departure && departure->left(); }
  /// Of a request that ends now with `code`. A client that has left waits for no deadline.
  [[nodiscard]] Ending ending(ErrorCode code, TimePoint now) const {
    const bool waits = code == ErrorCode::kDeadlineExceeded || code == ErrorCode::kCancelled;
    if (waits && abandoned()) {
      return {.code = ErrorCode::kCancelled, .elapsed = departure->at() - received};
    }
    return {.code = code, .elapsed = now - received};
  }
  /// Small requests may be answered when it ends, on its thread. None: a small request is answered
  /// before the call returns.
  LoopBatchRef turn;
};

/// Called exactly once, on the caller's thread or another; must not block.
template <class Answer>
using Done = std::move_only_function<void(Result<Answer>)>;

}  // namespace podsense::inference
