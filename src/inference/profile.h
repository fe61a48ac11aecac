#pragma once

/// How long a model takes for how many rows: measured when it is loaded, on the thread that loads
/// it. The plan (inline or executor) and the batch size come from it.

#include <cstddef>
#include <span>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "model/model.h"

namespace podsense::inference {

struct ProfilePoint {
  std::size_t rows = 1;
  Duration time{};  ///< of one run, the median of those seen
};

/// The first point is one row; further ones only where a model takes batches.
using Profile = std::vector<ProfilePoint>;

/// Batches larger than this are not tried: they add waiting, and memory, for little.
inline constexpr std::size_t kMaxProfiledRows = 32;

/// Runs one row the manifest's number of times, then two, four, … rows as long as a row becomes
/// cheaper by 5 % each time, or trying costs next to nothing. Ends at the manifest's
/// warm-up limit, after one run at least.
/// @errors kInvalidArgument: a run failed
Result<Profile> measure(const model::Model& model, const Clock& clock);

/// One row's time, as `measure` takes it, within `limit`.
/// @errors kInvalidArgument: a run failed
Result<Duration> measure_one(const model::Model& model, const Clock& clock, Deadline limit);

/// A few runs of one row, so that the first request does not pay for allocation, and to see whether
/// `profile` still says what a run takes: within a factor of two. A start on a busy machine
/// measures badly, and what it saved must not stay.
/// @errors kInvalidArgument: a run failed
Result<bool> still_fits(const model::Model& model, const Profile& profile, const Clock& clock);

/// Rows of a batch that pay: the smallest size within a twentieth of the cheapest row, or 1 where
/// batching saves less than a tenth.
std::size_t best_batch(std::span<const ProfilePoint> profile);

}  // namespace podsense::inference
