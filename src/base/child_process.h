#pragma once

/// Runs another program to its end, with a time limit. Safe in a process with many threads: it uses
/// posix_spawn instead of fork. The child gets only stdin, stdout and stderr, no blocked signals,
/// and its own process group.

#include <cstddef>
#include <filesystem>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/error.h"

namespace podsense {

struct ChildOptions {
  /// Uses neither a shell nor PATH, so it works in images that contain only this binary.
  std::filesystem::path program = "/proc/self/exe";
  std::vector<std::string> arguments;  ///< without the program's own name
  Duration timeout = std::chrono::seconds(60);
  std::size_t max_output =
      64U << 10U;  ///< bytes of output kept; a child that writes more is killed
};

/// How a child ended. Exactly one of `timed_out`, `stopped`, `signal` and `exit_code` applies.
struct ChildEnd {
  std::string output;      ///< from stdout; stderr is discarded
  bool timed_out = false;  ///< killed at `timeout`
  bool stopped = false;    ///< killed because `stop` was requested
  int signal = 0;          ///< the signal that ended it, e.g. SIGSEGV; 0: none
  int exit_code = 0;
};

/// Blocks until the child has ended.
/// @errors kUnavailable: no such program, or the system cannot start a process
Result<ChildEnd> run_child(const ChildOptions& options, const std::stop_token& stop = {});

}  // namespace podsense
