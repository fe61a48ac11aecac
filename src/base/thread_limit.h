#pragma once

/// Explains which limit was reached when the system refuses a new thread.

#include <string>
#include <system_error>

#include "base/cgroup.h"

namespace podsense {

/// The text of `error`, thrown by std::thread, and the limit that was reached, or all limits if
/// that is not known: "Resource temporarily unavailable; the cgroup allows 20 tasks (pids.max) and
/// has 20".
std::string thread_refusal(const std::system_error& error, const cgroup::Roots& roots = {});

}  // namespace podsense
