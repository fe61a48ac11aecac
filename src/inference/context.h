#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>

#include "base/clock.h"
#include "base/error.h"
#include "metrics/metrics.h"
#include "trace/trace.h"

namespace podsense::inference {

class Turn;

/// What comes with a request beside its content.
struct Context {
  TimePoint received;  ///< when its first byte was read
  Deadline deadline;
  metrics::Protocol protocol = metrics::Protocol::kHttp;
  std::string client;                                  ///< who asks, "key:NAME"; empty: anybody
  std::string traceparent;                             ///< passed on to fetches when not empty
  std::shared_ptr<trace::Request> trace;               ///< null: not traced
  std::shared_ptr<const std::atomic<bool>> abandoned;  ///< turns true when the client has gone
  /// Of the loop on whose thread the call is made; small requests may then be answered when it
  /// ends, on that thread. Null: a small request is answered before the call returns.
  Turn* turn = nullptr;
};

/// Called exactly once, on the caller's thread or another; must not block.
template <class Answer>
using Done = std::move_only_function<void(Result<Answer>)>;

}  // namespace podsense::inference
