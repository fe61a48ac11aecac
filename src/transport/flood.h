#pragma once

/// Flood protection: a budget for frames that only cause work, such as pings and resets. Answered
/// requests and body bytes earn some of it back. Pure. Private to this module.

#include <algorithm>

#include "base/clock.h"

namespace podsense::transport {

class FloodGuard {
 public:
  /// Such frames that a connection may send in a burst, and per second after that.
  static constexpr double kBurst = 1000;
  static constexpr double kPerSecond = 100;

  /// False: the budget is used up.
  bool spend(double cost, TimePoint now) {
    if (now > last_) {
      left_ = std::min(kBurst, left_ + to_seconds(now - last_) * kPerSecond);
      last_ = now;
    }
    left_ -= cost;
    return left_ >= 0;
  }
  void earn(double gain) { left_ = std::min(kBurst, left_ + gain); }

 private:
  double left_ = kBurst;
  TimePoint last_{};
};

}  // namespace podsense::transport
