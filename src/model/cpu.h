#pragma once

/// The CPU, as far as engines choose their kernels by it.

#include <filesystem>
#include <string>

namespace podsense::model {

/// CPU model and flags, a line each.
std::string cpu_description(const std::filesystem::path& cpuinfo = "/proc/cpuinfo");

}  // namespace podsense::model
