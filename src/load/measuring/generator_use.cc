#include "load/measuring/generator_use.h"

#include <algorithm>
#include <ctime>
#include <fstream>

#include "base/cgroup.h"

namespace podsense::load {
namespace {

/// Shares of a shorter run say nothing: the clocks behind them are too coarse.
constexpr Duration kShortest = std::chrono::milliseconds(100);

Duration clock_time(clockid_t clock) {
  timespec time{};
  clock_gettime(clock, &time);
  return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
}

double share(Duration part, Duration whole) {
  return whole < kShortest ? 0 : std::clamp(to_seconds(part) / to_seconds(whole), 0.0, 1.0);
}

std::optional<Duration> throttled_time() {
  const auto throttling = cgroup::cpu_throttling();
  return throttling ? std::optional(throttling->time) : std::nullopt;
}

}  // namespace

ThreadTime ThreadTime::now() {
  ThreadTime time{.ran = clock_time(CLOCK_THREAD_CPUTIME_ID)};
  std::ifstream file("/proc/thread-self/schedstat");
  std::int64_t ran = 0;
  if (std::int64_t waited = 0; file >> ran >> waited) {
    time.waited = std::chrono::nanoseconds(waited);
  }
  return time;
}

GeneratorUse use_of_thread(const ThreadTime& before, const ThreadTime& after, Duration run) {
  return {.busy = share(after.ran - before.ran, run),
          .waited = share(after.waited - before.waited, run)};
}

ProcessTime::ProcessTime()
    : began_(std::chrono::steady_clock::now()),
      ran_(clock_time(CLOCK_PROCESS_CPUTIME_ID)),
      throttled_(throttled_time()) {}

GeneratorUse ProcessTime::use() const {
  const Duration run = std::chrono::steady_clock::now() - began_;
  const double cores = std::max(0.01, cgroup::cpu_limit().cores);
  const Duration ran = clock_time(CLOCK_PROCESS_CPUTIME_ID) - ran_;
  const auto throttled = throttled_time();
  return {.busy = share(Duration(static_cast<Duration::rep>(to_seconds(ran) / cores * 1e9)), run),
          .throttled = throttled && throttled_
                           ? std::max(Duration::zero(), *throttled - *throttled_)
                           : Duration::zero()};
}

}  // namespace podsense::load
