#include "base/thread_limit.h"

#include <sys/resource.h>

#include <optional>

namespace podsense {
namespace {

/// The limit for all tasks of this user (`ulimit -u`), which does not apply to root.
std::optional<rlim_t> user_limit() {
  rlimit limit{};
  const bool finite = ::getrlimit(RLIMIT_NPROC, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY;
  return finite ? std::optional(limit.rlim_cur) : std::nullopt;
}

}  // namespace

std::string thread_refusal(const std::system_error& error, const cgroup::Roots& roots) {
  std::string text = error.what();
  const auto tasks = cgroup::tasks(roots);
  if (tasks && tasks->limit) {
    text += "; the cgroup allows " + std::to_string(*tasks->limit) + " tasks (pids.max) and has " +
            std::to_string(tasks->current);
    if (tasks->current + 1 >= *tasks->limit) {
      return text;  // this limit was reached
    }
  }
  if (const auto limit = user_limit()) {
    text += "; this user may have " + std::to_string(*limit) + " tasks (ulimit -u)";
  } else if (!tasks || !tasks->limit) {
    text +=
        "; there is no limit of tasks (pids.max, ulimit -u): memory for a thread's stack may be "
        "short";
  }
  return text;
}

}  // namespace podsense
