#include "server/process_metrics.h"

#include <chrono>
#include <functional>
#include <limits>
#include <optional>

#include "base/cgroup.h"
#include "inference/stats.h"

namespace podsense::server {
namespace {

/// The start time of this process, within a few milliseconds: read when the program was loaded.
const double kStartTime =
    std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();

/// A value that cannot be read (no /proc, no cgroup) gives no sample.
constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();

template <class Number>
double known(const std::optional<Number>& number) {
  return number ? static_cast<double>(*number) : kUnknown;
}

}  // namespace

std::vector<std::unique_ptr<metrics::Registry::Gauge>> watch_process(metrics::Registry& registry) {
  std::vector<std::unique_ptr<metrics::Registry::Gauge>> watched;
  const auto watch = [&](const char* name, std::function<double()> value) {
    watched.push_back(registry.watch(name, {}, std::move(value)));
  };
  watch("podsense_cpu_cores", [] { return cgroup::cpu_limit().cores; });
  watch("podsense_cpu_throttled_seconds_total", [] {
    const auto throttling = cgroup::cpu_throttling();
    return throttling ? to_seconds(throttling->time) : kUnknown;
  });
  watch("podsense_cpu_throttled_periods_total", [] {
    const auto throttling = cgroup::cpu_throttling();
    return throttling ? static_cast<double>(throttling->periods) : kUnknown;
  });
  watch("podsense_memory_working_set_bytes", [] {
    const auto memory = cgroup::memory();
    return memory ? static_cast<double>(memory->working_set_bytes) : kUnknown;
  });
  if (const auto memory = cgroup::memory(); memory && memory->limit_bytes) {
    watch("podsense_memory_limit_bytes", [] {
      const auto now = cgroup::memory();
      return now ? known(now->limit_bytes) : kUnknown;
    });
  }
  watch("process_cpu_seconds_total", [] { return to_seconds(inference::process_now().cpu); });
  watch("process_resident_memory_bytes",
        [] { return known(inference::process_now().resident_bytes); });
  watch("process_open_fds", [] { return known(inference::process_now().descriptors); });
  watch("process_max_fds",
        [] { return static_cast<double>(inference::process_now().max_descriptors); });
  watch("process_start_time_seconds", [] { return kStartTime; });
  return watched;
}

}  // namespace podsense::server
