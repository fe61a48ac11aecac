#pragma once

/// The CPU, memory and task limits of this process, read from its cgroup (v1 or v2), never from the
/// host.
/// @source kernel Documentation/admin-guide/cgroup-v2.rst (cpu.max, cpu.stat, memory.max), v1
/// cfs_quota_us

#include <cstdint>
#include <filesystem>
#include <optional>

#include "base/clock.h"

namespace podsense::cgroup {

/// `cores` is the CPU quota, possibly fractional; without a quota, the number of CPUs in the
/// affinity mask.
struct CpuLimit {
  double cores = 1.0;
  bool from_quota = false;
  /// Threads that can run at once: ceil(cores), at least 1, at most the affinity mask.
  [[nodiscard]] unsigned threads() const;
};

struct CpuThrottling {
  std::uint64_t periods = 0;  ///< periods in which the group was throttled
  Duration time{};            ///< total time throttled
};

struct Memory {
  std::optional<std::uint64_t> limit_bytes;
  std::uint64_t current_bytes = 0;
  std::uint64_t working_set_bytes = 0;  ///< current minus inactive file cache, as in the kubelet
};

/// Processes and threads (tasks) of the cgroup, compared with their limit.
struct Tasks {
  std::optional<std::uint64_t> limit;  ///< of the most restrictive level; unset: none
  std::uint64_t current = 0;           ///< tasks at that level
};

/// Where procfs and the cgroup hierarchy are mounted; tests use their own folders.
struct Roots {
  std::filesystem::path proc = "/proc";
  std::filesystem::path sys = "/sys/fs/cgroup";
};

CpuLimit cpu_limit(const Roots& roots = {});
std::optional<CpuThrottling> cpu_throttling(const Roots& roots = {});
std::optional<Memory> memory(const Roots& roots = {});
std::optional<Tasks> tasks(const Roots& roots = {});

}  // namespace podsense::cgroup
