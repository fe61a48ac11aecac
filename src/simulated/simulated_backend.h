#pragma once

/// A model that only burns CPU time, for autoscaling demonstrations and load tests. One input
/// `cpu_ms` (FP64 [1]: CPU time in milliseconds, 0 to 60000), one output `burned_ms` (FP64 [1]: the
/// CPU time that the run used).
/// @source clock_gettime(CLOCK_THREAD_CPUTIME_ID)

#include <memory>

#include "model/backend.h"

namespace podsense::simulated {

std::unique_ptr<model::Backend> make_backend();

}  // namespace podsense::simulated
