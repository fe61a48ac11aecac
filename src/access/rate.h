#pragma once

/// A token bucket: pure arithmetic over time. Private to this module.

#include <algorithm>

#include "base/clock.h"

namespace podsense::access {

/// Had `tokens` at time `at`; refills with `rate` tokens per second up to `burst`.
struct Bucket {
  double tokens = 0;
  TimePoint at;
};

/// Takes one token and returns zero, or takes none and returns how long to wait for one.
inline Duration take(Bucket& bucket, double rate, double burst, TimePoint now) {
  const double passed = to_seconds(std::max(Duration::zero(), now - bucket.at));
  bucket.tokens = std::min(burst, bucket.tokens + passed * rate);
  bucket.at = now;
  if (bucket.tokens >= 1) {
    bucket.tokens -= 1;
    return Duration::zero();
  }
  return std::max(Duration(1), from_seconds((1 - bucket.tokens) / rate));
}

}  // namespace podsense::access
