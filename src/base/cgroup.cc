#include "base/cgroup.h"

#include <sched.h>

#include <cmath>
#include <fstream>
#include <limits>
#include <sstream>
#include <string>
#include <string_view>

namespace podsense::cgroup {
namespace {

namespace fs = std::filesystem;

std::optional<std::string> read_file(const fs::path& path) {
  std::ifstream file(path);
  if (!file) {
    return std::nullopt;
  }
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

std::optional<std::uint64_t> read_number(const fs::path& path) {
  const auto text = read_file(path);
  if (!text || text->empty() || (*text)[0] == '-' || text->starts_with("max")) {
    return std::nullopt;
  }
  std::uint64_t value = 0;
  std::istringstream(*text) >> value;
  return value;
}

std::optional<std::uint64_t> stat_value(const fs::path& path, std::string_view key) {
  std::istringstream lines(read_file(path).value_or(""));
  std::string name;
  std::uint64_t value = 0;
  while (lines >> name >> value) {
    if (name == key) {
      return value;
    }
  }
  return std::nullopt;
}

/// The cgroup path of this process for a v1 controller, or v2 with an empty name.
std::string own_path(const Roots& roots, std::string_view controller) {
  std::istringstream lines(read_file(roots.proc / "self/cgroup").value_or(""));
  for (std::string line; std::getline(lines, line);) {
    const auto first = line.find(':');
    const auto second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) {
      continue;
    }
    const std::string list = "," + line.substr(first + 1, second - first - 1) + ",";
    const bool found = controller.empty()
                           ? list == ",,"
                           : list.find("," + std::string(controller) + ",") != std::string::npos;
    if (found) {
      return line.substr(second + 1);
    }
  }
  return "/";
}

/// Visits every level from this process's cgroup up to the root, as each may set a limit. In a
/// container the cgroup's path is "/", and the mount starts at the cgroup; on a host the path is
/// relative to the mount.
template <class Visit>
void each_level(const fs::path& mount, const std::string& own, Visit visit) {
  fs::path path = fs::path(own).relative_path();
  if (!fs::exists(mount / path)) {
    path.clear();
  }
  for (;; path = path.parent_path()) {
    visit(mount / path);
    if (path.empty() || path == path.parent_path()) {
      break;
    }
  }
}

fs::path v1_mount(const Roots& roots, std::string_view controller) {
  for (const std::string& name : {std::string(controller), std::string("cpu,cpuacct")}) {
    if (fs::exists(roots.sys / name) && (name == controller || controller == "cpu")) {
      return roots.sys / name;
    }
  }
  return {};
}

bool is_v2(const Roots& roots) {
  return fs::exists(roots.sys / "cgroup.controllers");
}

double affinity_cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  return sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1.0;
}

double quota_v2(const fs::path& folder) {
  std::istringstream text(read_file(folder / "cpu.max").value_or("max"));
  std::string quota;
  double period = 100'000;
  text >> quota >> period;
  if (quota.empty() || quota == "max" || period <= 0) {
    return std::numeric_limits<double>::infinity();
  }
  return std::strtod(quota.c_str(), nullptr) / period;
}

double quota_v1(const fs::path& folder) {
  const auto quota = read_number(folder / "cpu.cfs_quota_us");
  const auto period = read_number(folder / "cpu.cfs_period_us");
  if (!quota || !period || *quota == 0 || *period == 0) {
    return std::numeric_limits<double>::infinity();
  }
  return static_cast<double>(*quota) / static_cast<double>(*period);
}

}  // namespace

unsigned CpuLimit::threads() const {
  return std::max(1U, static_cast<unsigned>(std::ceil(cores - 1e-9)));
}

CpuLimit cpu_limit(const Roots& roots) {
  double quota = std::numeric_limits<double>::infinity();
  if (is_v2(roots)) {
    each_level(roots.sys, own_path(roots, ""),
               [&](const fs::path& folder) { quota = std::min(quota, quota_v2(folder)); });
  } else if (const fs::path mount = v1_mount(roots, "cpu"); !mount.empty()) {
    each_level(mount, own_path(roots, "cpu"),
               [&](const fs::path& folder) { quota = std::min(quota, quota_v1(folder)); });
  }
  const double cores = affinity_cores();
  return quota < cores ? CpuLimit{.cores = quota, .from_quota = true} : CpuLimit{.cores = cores};
}

std::optional<CpuThrottling> cpu_throttling(const Roots& roots) {
  const bool v2 = is_v2(roots);
  const fs::path mount = v2 ? roots.sys : v1_mount(roots, "cpu");
  if (mount.empty()) {
    return std::nullopt;
  }
  std::optional<CpuThrottling> found;
  each_level(mount, own_path(roots, v2 ? "" : "cpu"), [&](const fs::path& folder) {
    const auto periods = stat_value(folder / "cpu.stat", "nr_throttled");
    if (found || !periods) {
      return;
    }
    const auto time = v2 ? stat_value(folder / "cpu.stat", "throttled_usec").value_or(0) * 1000
                         : stat_value(folder / "cpu.stat", "throttled_time").value_or(0);
    found = CpuThrottling{.periods = *periods, .time = Duration(time)};
  });
  return found;
}

std::optional<Memory> memory(const Roots& roots) {
  const bool v2 = is_v2(roots);
  const fs::path mount = v2 ? roots.sys : v1_mount(roots, "memory");
  if (mount.empty()) {
    return std::nullopt;
  }
  std::optional<Memory> found;
  each_level(mount, own_path(roots, v2 ? "" : "memory"), [&](const fs::path& folder) {
    const auto limit = read_number(folder / (v2 ? "memory.max" : "memory.limit_in_bytes"));
    const auto current = read_number(folder / (v2 ? "memory.current" : "memory.usage_in_bytes"));
    if (!found && current) {
      const auto inactive =
          stat_value(folder / "memory.stat", v2 ? "inactive_file" : "total_inactive_file");
      found = Memory{.current_bytes = *current,
                     .working_set_bytes = *current - std::min(*current, inactive.value_or(0))};
    }
    // v1 reports "no limit" as a number near 2^63.
    if (found && limit && *limit < (1ULL << 60U)) {
      found->limit_bytes = std::min(found->limit_bytes.value_or(*limit), *limit);
    }
  });
  return found;
}

std::optional<Tasks> tasks(const Roots& roots) {
  const bool v2 = is_v2(roots);
  const fs::path mount = v2 ? roots.sys : v1_mount(roots, "pids");
  if (mount.empty()) {
    return std::nullopt;
  }
  std::optional<Tasks> found;
  each_level(mount, own_path(roots, v2 ? "" : "pids"), [&](const fs::path& folder) {
    const auto current = read_number(folder / "pids.current");
    const auto limit = read_number(folder / "pids.max");
    if (current && (!found || (limit && *limit < found->limit.value_or(UINT64_MAX)))) {
      found = Tasks{.limit = limit, .current = *current};
    }
  });
  return found;
}

}  // namespace podsense::cgroup
