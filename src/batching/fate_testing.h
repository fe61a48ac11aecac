#pragma once

/// Reports to a test how its task ended.

#include <atomic>
#include <future>
#include <optional>

#include "base/error.h"

namespace podsense::batching {

/// How one task ended.
struct Fate {
  std::promise<std::optional<ErrorCode>> promise;
  std::future<std::optional<ErrorCode>> future = promise.get_future();
  std::atomic<bool> gone{false};
};

}  // namespace podsense::batching
