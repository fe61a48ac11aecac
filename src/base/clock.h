#pragma once

/// Time is injected: code that waits or measures takes a Clock, so tests can control the time.

#include <algorithm>
#include <atomic>
#include <chrono>
#include <limits>

namespace podsense {

using Duration = std::chrono::nanoseconds;
using TimePoint = std::chrono::time_point<std::chrono::steady_clock, Duration>;

/// @threads thread-safe
class Clock {
 public:
  Clock() = default;
  Clock(const Clock&) = delete;
  Clock& operator=(const Clock&) = delete;
  virtual ~Clock() = default;
  [[nodiscard]] virtual TimePoint now() const = 0;
};

class SteadyClock final : public Clock {
 public:
  [[nodiscard]] TimePoint now() const override { return std::chrono::steady_clock::now(); }
};

/// A clock that only moves when a test advances it.
class ManualClock final : public Clock {
 public:
  [[nodiscard]] TimePoint now() const override { return TimePoint(Duration(now_.load())); }
  void advance(Duration by) { now_ += by.count(); }

 private:
  std::atomic<Duration::rep> now_{
      std::chrono::duration_cast<Duration>(std::chrono::hours(1)).count()};
};

/// The time by which an answer is needed. Arithmetic saturates. A default Deadline is never
/// reached.
class Deadline {
 public:
  constexpr Deadline() = default;
  explicit constexpr Deadline(TimePoint at) : at_(at) {}
  static constexpr Deadline after(TimePoint now, Duration timeout) {
    return timeout > TimePoint::max() - now ? Deadline() : Deadline(now + timeout);
  }

  [[nodiscard]] constexpr bool reachable() const { return at_ != TimePoint::max(); }
  [[nodiscard]] constexpr bool passed(TimePoint now) const { return now >= at_; }
  /// The time left: never negative; Duration::max() if the deadline is unreachable.
  [[nodiscard]] constexpr Duration left(TimePoint now) const {
    return reachable() ? std::max(Duration::zero(), at_ - now) : Duration::max();
  }
  [[nodiscard]] constexpr TimePoint at() const { return at_; }
  friend constexpr auto operator<=>(const Deadline&, const Deadline&) = default;

 private:
  TimePoint at_ = TimePoint::max();
};

inline double to_ms(Duration d) {
  return std::chrono::duration<double, std::milli>(d).count();
}
inline double to_seconds(Duration d) {
  return std::chrono::duration<double>(d).count();
}

inline Duration from_seconds(double seconds) {
  return std::chrono::duration_cast<Duration>(std::chrono::duration<double>(seconds));
}

}  // namespace podsense
