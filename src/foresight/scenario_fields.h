#pragma once

/// Parts of a scenario that are read in files of their own. For this module and for plan.

#include "foresight/json_field.h"
#include "foresight/scenario.h"

namespace podsense::foresight {

struct DurationSpan {
  Duration least{};
  Duration most = std::chrono::hours(1000);
};
/// "250ms", "5m", or seconds as a number.
Result<Duration> read_duration(const JsonField& field, DurationSpan span = {});

/// A duration; or one of {exponential: MEAN}, {uniform: [LEAST, MOST]}, {lognormal: {median,
/// sigma}}, {values: [[DURATION, COUNT], …]}, {histogram: …} as reports have it.
Result<Distribution> read_distribution(const JsonField& field);

/// A histogram as reports have it; a value is the middle of its bucket.
Result<Distribution> read_histogram(const JsonField& field);

/// What `podsense plan measure` wrote: service, memory and start.
Result<void> apply_profile(const JsonField& field, Scenario& out);

/// A HorizontalPodAutoscaler, its spec alone, or the name of a file that has one.
/// @param out all but its autoscaler has been read
Result<void> read_autoscaler(const JsonField& field, const FileReader& files,
                             const HpaSettings& settings, Scenario& out);

}  // namespace podsense::foresight
