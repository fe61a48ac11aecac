#pragma once

/// The first opening of a model's file can crash the process, take all of its memory or never end.
/// So another process does it first, under limits, and reports the result; the server opens only
/// files that passed. The caller's Trial function decides how that process is started.

#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "inference/saved_profiles.h"
#include "model/backend.h"
#include "model/repository.h"

namespace podsense::inference {

struct TrialReport {
  enum class End {
    kOpened,
    kRefused,   ///< opening failed with an error, as it would have here
    kFellOver,  ///< crash, timeout or memory limit
    kNotTried,  ///< no process could be started
  };
  End end = End::kNotTried;
  std::string reason{};                   ///< one sentence; empty for kOpened
  std::optional<SavedProfile> profile{};  ///< of kOpened, if the warm-up succeeded
};

/// Blocks until the trial has ended, or `stop` is requested. @threads any
using Trial = std::function<TrialReport(const model::Candidate& candidate, std::stop_token stop)>;

/// Runs in the other process: opens and warms up the candidate.
/// @param memory limit for opening in bytes, named in the reason if it is exceeded
/// @return text for read_report
std::string try_opening(const model::Backends& backends, const model::Candidate& candidate,
                        unsigned cores, std::uint64_t memory, const Clock& clock);
/// Parses the report; kFellOver if the text is not from try_opening.
TrialReport read_report(std::string_view text);

}  // namespace podsense::inference
