#pragma once

/// Opens models for the first time in a child process of the same binary, with limits of memory,
/// CPU time and time. The child reports the result.
///
/// `make_trial` is the server's side, `run_trial` the child's. The arguments between them are
/// internal.

#include <cstdint>
#include <set>
#include <span>
#include <string>
#include <string_view>

#include "base/error.h"
#include "inference/trial.h"
#include "server/config.h"

namespace podsense::server {

/// The subcommand of the child process. Not for users.
inline constexpr std::string_view kTrialCommand = "open-model";

/// Creates the Trial function; empty if `models.load_timeout` is 0.
inference::Trial make_trial(const Config& config);

/// The child: opens the model given by `arguments` and writes the report to stdout. On an error it
/// ends the process instead of returning. Call it once, before other threads exist.
int run_trial(std::span<const char* const> arguments);

/// Reads the hashes written by `podsense check --hashes`; empty for an empty path.
/// @errors kInvalidArgument: it cannot be read, or a line is not a hash
Result<std::set<std::string>> read_known_models(const std::string& path);

/// The memory limit for opening a model, in bytes, in addition to the process's own memory: the
/// manifest's `limits.open_bytes`, or else 1 GiB plus four times the files' size, at most what
/// machine and cgroup have left.
std::uint64_t opening_memory(const model::Candidate& candidate);

}  // namespace podsense::server
