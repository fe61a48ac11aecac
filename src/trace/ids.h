#pragma once

#include <cstdint>

namespace podsense::trace {

/// @threads thread-safe (a generator per thread)
std::uint64_t random_bits();

}  // namespace podsense::trace
