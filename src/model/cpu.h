#pragma once

/// The properties of the CPU by which engines choose their kernels.

#include <filesystem>
#include <string>

namespace podsense::model {

/// CPU model and flags, one per line.
std::string cpu_description(const std::filesystem::path& cpuinfo = "/proc/cpuinfo");

}  // namespace podsense::model
