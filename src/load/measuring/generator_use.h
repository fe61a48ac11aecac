#pragma once

/// How much of a run the generator itself took: what makes it, and not the server, the limit.
/// Private to the module.

#include <optional>

#include "base/clock.h"
#include "load/measuring/results.h"

namespace podsense::load {

/// CPU time of the calling thread, and how long it was ready to run without a core.
/// @source kernel Documentation/scheduler/sched-stats.rst, /proc/PID/schedstat
struct ThreadTime {
  Duration ran{};
  Duration waited{};  ///< zero where the kernel does not keep it
  static ThreadTime now();
};

/// The whole process, from its making on.
/// @threads any
class ProcessTime {
 public:
  ProcessTime();
  /// What became of it since; the threads' own figures are not in it.
  [[nodiscard]] GeneratorUse use() const;

 private:
  TimePoint began_;
  Duration ran_;
  std::optional<Duration> throttled_;
};

/// Of a thread, over a run of this length.
GeneratorUse use_of_thread(const ThreadTime& before, const ThreadTime& after, Duration run);

}  // namespace podsense::load
