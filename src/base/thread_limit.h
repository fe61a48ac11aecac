#pragma once

/// Which limit it is where the system gives no more threads.

#include <string>
#include <system_error>

#include "base/cgroup.h"

namespace podsense {

/// "Resource temporarily unavailable; the cgroup allows 20 tasks (pids.max) and has 20": what
/// std::thread threw, and the limit that is reached, or those that there are.
std::string thread_refusal(const std::system_error& error, const cgroup::Roots& roots = {});

}  // namespace podsense
