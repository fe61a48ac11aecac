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
  Duration time{};   ///< of one run, the median of those seen
  double noise = 0;  ///< how far `time` may be off against one row's, as a share of it
};

/// The first point is one row; further ones only where a model takes batches.
using Profile = std::vector<ProfilePoint>;

/// Batches larger than this are not tried: they add waiting, and memory, for little.
inline constexpr std::size_t kMaxProfiledRows = 32;

/// Runs one row the manifest's number of times, then compares two, four, … rows with two runs of
/// half as many, taken in turns, so that what else the machine does befalls both alike; more often
/// where the two are close or the times differ. Goes on as long as a row becomes cheaper by 5 %
/// each time, or trying costs next to nothing. Ends at the manifest's warm-up limit,
/// after one run at least.
/// @errors kInvalidArgument: a run failed
Result<Profile> measure(const model::Model& model, const Clock& clock);

/// One row's time, as `measure` takes it, within `limit`.
/// @errors kInvalidArgument: a run failed
Result<Duration> measure_one(const model::Model& model, const Clock& clock, Deadline limit);

/// A few runs of one row, so that the first request does not pay for allocation, and to see whether
/// `profile` still says what a run takes: the fastest of them, since a busy machine only adds,
/// within a factor of two. A start on a busy machine measures badly, and what it saved must not
/// stay.
/// @errors kInvalidArgument: a run failed
Result<bool> still_fits(const model::Model& model, const Profile& profile, const Clock& clock);

/// How many rows a run should have, and how sure that is.
struct BatchChoice {
  std::size_t rows = 1;
  double gain = 0;   ///< share of a row's time that it saves; for 1: that the best size may save
  double noise = 0;  ///< of the gain: what `rows` says is beyond twice this
};

/// A larger size is taken where it saves a twentieth of a smaller one's row, and any at all where
/// it saves a tenth of a row alone; both by more than the noise.
BatchChoice choose_batch(std::span<const ProfilePoint> profile);
inline std::size_t best_batch(std::span<const ProfilePoint> profile) {
  return choose_batch(profile).rows;
}

}  // namespace podsense::inference
