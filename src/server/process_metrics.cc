#include "server/process_metrics.h"

#include <chrono>
#include <functional>

#include "base/cgroup.h"
#include "inference/stats.h"

namespace podsense::server {
namespace {

/// Of this process, to a few milliseconds: taken when the program was loaded.
const double kStartTime =
    std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();

cgroup::CpuThrottling throttling() {
  return cgroup::cpu_throttling().value_or(cgroup::CpuThrottling{});
}

}  // namespace

std::vector<std::unique_ptr<metrics::Registry::Gauge>> watch_process(metrics::Registry& registry) {
  std::vector<std::unique_ptr<metrics::Registry::Gauge>> watched;
  const auto watch = [&](const char* name, std::function<double()> value) {
    watched.push_back(registry.watch(name, {}, std::move(value)));
  };
  watch("podsense_cpu_cores", [] { return cgroup::cpu_limit().cores; });
  watch("podsense_cpu_throttled_seconds_total", [] { return to_seconds(throttling().time); });
  watch("podsense_cpu_throttled_periods_total",
        [] { return static_cast<double>(throttling().periods); });
  watch("podsense_memory_working_set_bytes", [] {
    return static_cast<double>(cgroup::memory().value_or(cgroup::Memory{}).working_set_bytes);
  });
  if (const auto memory = cgroup::memory(); memory && memory->limit_bytes) {
    watch("podsense_memory_limit_bytes", [] {
      return static_cast<double>(
          cgroup::memory().value_or(cgroup::Memory{}).limit_bytes.value_or(0));
    });
  }
  watch("process_cpu_seconds_total", [] { return to_seconds(inference::process_now().cpu); });
  watch("process_resident_memory_bytes",
        [] { return static_cast<double>(inference::process_now().resident_bytes); });
  watch("process_open_fds",
        [] { return static_cast<double>(inference::process_now().descriptors); });
  watch("process_max_fds",
        [] { return static_cast<double>(inference::process_now().max_descriptors); });
  watch("process_start_time_seconds", [] { return kStartTime; });
  return watched;
}

}  // namespace podsense::server
