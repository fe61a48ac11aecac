#pragma once

/// The run times of a model by number of rows, measured at loading, on the loading thread. They
/// decide the plan (inline or executor) and the batch size.

#include <cstddef>
#include <span>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "model/model.h"

namespace podsense::inference {

struct ProfilePoint {
  std::size_t rows = 1;
  Duration time{};   ///< of one run, median
  double noise = 0;  ///< uncertainty of `time` relative to one row's, as a share of `time`
};

/// The first point is one row; further points exist only for models that take batches.
using Profile = std::vector<ProfilePoint>;

/// Larger batches are not tried: they add waiting time and memory for little gain.
inline constexpr std::size_t kMaxProfiledRows = 32;

/// Runs one row as often as the manifest says. Then compares two, four, … rows with two runs of
/// half as many, alternating, so that other load on the machine affects both equally; more often if
/// the two are close or the times vary. Continues while each doubling makes a row cheaper by 5 %,
/// or while measuring is cheap. Ends at the manifest's warm-up limit, but after at least one run.
/// @errors kInvalidArgument: a run failed
Result<Profile> measure(const model::Model& model, const Clock& clock);

/// The time of one row, measured as in `measure`, within `limit`.
/// @errors kInvalidArgument: a run failed
Result<Duration> measure_one(const model::Model& model, const Clock& clock, Deadline limit);

/// Runs one row a few times, so that the first request does not pay for allocation, and checks
/// whether `profile` still holds: the fastest run must be within a factor of two of it. (The
/// fastest, because other load only adds time.) A profile measured on a busy machine is wrong and
/// must not be kept.
/// @errors kInvalidArgument: a run failed
Result<bool> still_fits(const model::Model& model, const Profile& profile, const Clock& clock);

/// The best number of rows per run, and how certain that is.
struct BatchChoice {
  std::size_t rows = 1;
  double gain = 0;   ///< share of a row's time saved; for `rows` 1: what the best size might save
  double noise = 0;  ///< of the gain: `rows` was chosen by more than twice this
};

/// Chooses a larger size if it saves 5 % of the time per row of a smaller size. Chooses batching at
/// all only if it saves 10 % of the time of a single row. Both must exceed the noise.
BatchChoice choose_batch(std::span<const ProfilePoint> profile);
inline std::size_t best_batch(std::span<const ProfilePoint> profile) {
  return choose_batch(profile).rows;
}

}  // namespace podsense::inference
