#pragma once

/// The wall behind which models are opened for the first time: a child of this very binary that
/// opens one version under limits of memory, CPU time and time, and tells what came of it.
///
/// Both ends are here: `make_trial` for the server, `run_trial` for the child, whose arguments are
/// an affair between the two.

#include <cstdint>
#include <set>
#include <span>
#include <string>
#include <string_view>

#include "base/error.h"
#include "inference/trial.h"
#include "server/config.h"

namespace podsense::server {

/// The command line word that makes a process the child. Not for people.
inline constexpr std::string_view kTrialCommand = "open-model";

/// Empty where `models.load_timeout` is 0.
inference::Trial make_trial(const Config& config);

/// The child: opens what `arguments` say and writes the report to standard output. Ends the process
/// where the exit code would be anything but 0. Called once, before there are threads.
int run_trial(std::span<const char* const> arguments);

/// The hashes of a file that `podsense check --hashes` wrote; none for an empty path.
/// @errors kInvalidArgument: it cannot be read, or a line is no hash
Result<std::set<std::string>> read_known_models(const std::string& path);

/// Bytes that opening may take beyond what the process has: 1 GiB and four times the files, at most
/// what machine and cgroup have left; or the manifest's `limits.open_bytes`.
std::uint64_t opening_memory(const model::Candidate& candidate);

}  // namespace podsense::server
