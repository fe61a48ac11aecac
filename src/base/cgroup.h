#pragma once

/// What this process may use, read from its cgroup (v1 and v2), never from the host.
/// @source kernel Documentation/admin-guide/cgroup-v2.rst (cpu.max, cpu.stat, memory.max), v1
/// cfs_quota_us

#include <cstdint>
#include <filesystem>
#include <optional>

#include "base/clock.h"

namespace podsense::cgroup {

/// `cores` is the quota in whole and part cores; without a quota, the cores of the affinity mask.
struct CpuLimit {
  double cores = 1.0;
  bool from_quota = false;
  /// Threads that can run at once: ceil(cores), at least 1, at most the affinity mask.
  [[nodiscard]] unsigned threads() const;
};

struct CpuThrottling {
  std::uint64_t periods = 0;  ///< enforcement intervals in which the group was throttled
  Duration time{};            ///< total time throttled
};

struct Memory {
  std::optional<std::uint64_t> limit_bytes;
  std::uint64_t current_bytes = 0;
  std::uint64_t working_set_bytes = 0;  ///< current less inactive file cache, as the kubelet counts
};

/// Processes and threads of the group.
struct Tasks {
  std::optional<std::uint64_t> limit;  ///< of the level that allows the least; unset: none
  std::uint64_t current = 0;           ///< of that level
};

/// Where to look; tests give folders of their own.
struct Roots {
  std::filesystem::path proc = "/proc";
  std::filesystem::path sys = "/sys/fs/cgroup";
};

CpuLimit cpu_limit(const Roots& roots = {});
std::optional<CpuThrottling> cpu_throttling(const Roots& roots = {});
std::optional<Memory> memory(const Roots& roots = {});
std::optional<Tasks> tasks(const Roots& roots = {});

}  // namespace podsense::cgroup
