#pragma once

/// Another program, run to its end under a time limit. Made for a process with many threads: the
/// child is a copy of nothing (posix_spawn), gets no descriptor but its standard three, no blocked
/// signals, and a process group of its own.

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
  /// No shell and no search path: works in an image that holds nothing else.
  std::filesystem::path program = "/proc/self/exe";
  std::vector<std::string> arguments;  ///< without the program's own name
  Duration timeout = std::chrono::seconds(60);
  std::size_t max_output =
      64U << 10U;  ///< bytes of output kept; a child that writes more is killed
};

/// How a child ended. Exactly one of `timed_out`, `stopped`, `signal` and `exit_code` says it.
struct ChildEnd {
  std::string output;      ///< of standard output; standard error goes nowhere
  bool timed_out = false;  ///< killed at `timeout`
  bool stopped = false;    ///< killed since nobody wants its answer any more
  int signal = 0;          ///< that ended it, e.g. SIGSEGV; 0: none
  int exit_code = 0;
};

/// Blocks until the child has ended.
/// @errors kUnavailable: the system starts no process, or there is no such program
Result<ChildEnd> run_child(const ChildOptions& options, const std::stop_token& stop = {});

}  // namespace podsense
