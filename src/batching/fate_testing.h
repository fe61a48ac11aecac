#pragma once

/// What a test's task tells of its end.

#include <atomic>
#include <future>
#include <optional>

#include "base/error.h"

namespace podsense::batching {

/// What became of one task.
struct Fate {
  std::promise<std::optional<ErrorCode>> promise;
  std::future<std::optional<ErrorCode>> future = promise.get_future();
  std::atomic<bool> gone{false};
};

}  // namespace podsense::batching
