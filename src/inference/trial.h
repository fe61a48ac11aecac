#pragma once

/// The first opening of a model's file. It can crash the process, take all of its memory or never
/// end, so another process does it first, under limits, and tells what came of it; the server then
/// opens what survived. The caller, who gives a Trial, decides how that process is started.

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
    kRefused,   ///< opening gave a reason, as it would have here
    kFellOver,  ///< a crash, no end, or more memory than was allowed
    kNotTried,  ///< no process could be started
  };
  End end = End::kNotTried;
  std::string reason{};                   ///< one sentence; empty for kOpened
  std::optional<SavedProfile> profile{};  ///< of kOpened, where the warm-up measured something
};

/// Blocks until the trial has ended, or `stop` is requested. @threads any
using Trial = std::function<TrialReport(const model::Candidate& candidate, std::stop_token stop)>;

/// The other process's part: opens and warms up the candidate in this one.
/// @param memory bytes that opening may take, for the reason where that is not enough
/// @return text for read_report
std::string try_opening(const model::Backends& backends, const model::Candidate& candidate,
                        unsigned cores, std::uint64_t memory, const Clock& clock);
/// kFellOver where the text is none that try_opening makes.
TrialReport read_report(std::string_view text);

}  // namespace podsense::inference
