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

/// A reference to an event loop's batch that is only valid on that loop's thread.
class LoopBatchRef {
 public:
  LoopBatchRef() = default;
  /// `turn`: the batch of the calling thread's loop.
  explicit LoopBatchRef(LoopBatch& turn) : turn_(&turn), thread_(std::this_thread::get_id()) {}
  [[nodiscard]] LoopBatch* get() const {
    return thread_ == std::this_thread::get_id() ? turn_ : nullptr;
  }

 private:
  LoopBatch* turn_ = nullptr;
  std::thread::id thread_;
};

/// Whether and when a client has left. The time counts, so that the service is not blamed for
/// noticing it late.
/// @threads thread-safe
class Departure {
 public:
  /// Only the first call counts.
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

/// The circumstances of a request, without its content.
struct Context {
  TimePoint received;  ///< when its first byte was read
  Deadline deadline;
  metrics::Protocol protocol = metrics::Protocol::kHttp;
  std::string client;                          ///< the client's name, "key:NAME"; empty: anonymous
  std::string traceparent;                     ///< sent with fetches if not empty
  std::shared_ptr<trace::Request> trace;       ///< null: not traced
  std::shared_ptr<const Departure> departure;  ///< of the client; null: it cannot be detected
  /// Counts the request's bytes until they are no longer needed; null: too few to count.
  std::shared_ptr<MemoryBudget::Share> memory;
  /// The request id, truncated: for crash reports.
  std::array<char, 64> request_id{};
  void set_request_id(std::string_view id) {
    request_id = {};
    std::ranges::copy(id.substr(0, request_id.size() - 1), request_id.begin());
  }
  [[nodiscard]] bool abandoned() const { return departure && departure->left(); }
  /// How a request that ends now with `code` ended for its client: if the client left earlier, its
  /// wait ended then.
  [[nodiscard]] Ending ending(ErrorCode code, TimePoint now) const {
    const bool waits = code == ErrorCode::kDeadlineExceeded || code == ErrorCode::kCancelled;
    if (waits && abandoned()) {
      return {.code = ErrorCode::kCancelled, .elapsed = departure->at() - received};
    }
    return {.code = code, .elapsed = now - received};
  }
  /// If set, small requests may be answered at the end of this turn, on its thread. Otherwise a
  /// small request is answered before the call returns.
  LoopBatchRef turn;
};

/// Called exactly once, on the caller's thread or another; must not block.
template <class Answer>
using Done = std::move_only_function<void(Result<Answer>)>;

}  // namespace podsense::inference
