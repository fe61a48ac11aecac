#pragma once

/// What a plan has to hold, and whether runs hold it.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/error.h"

namespace podsense::plan {

/// So large a share of the requests is answered within the latency.
struct LatencyGoal {
  double quantile = 0.99;  ///< of all requests: one without an answer is late
  Duration latency{};
  [[nodiscard]] double allowed() const { return 1 - quantile; }
};

struct Objective {
  std::string text;
  std::vector<LatencyGoal> latencies;  ///< at least one
  std::optional<double> errors;        ///< largest share of requests without an answer
};

/// "p99=250ms,errors=0.1%": one or more of pNN=DURATION, and at most one of errors=SHARE.
/// @errors kInvalidArgument names the part and what is accepted
Result<Objective> parse_objective(std::string_view text);

/// A share over runs.
struct ShareEstimate {
  double mean = 0;   ///< of all requests of all runs
  double lower = 0;  ///< the true mean lies above it with 95 % confidence
  double upper = 0;  ///< and below this one
};
struct Counted {
  std::uint64_t bad = 0;
  std::uint64_t all = 0;
};
/// Bounds by Student's t over the runs' shares, as those of one run are far from independent; and
/// never so narrow that none in so few requests would count as none at all.
ShareEstimate share_of(const std::vector<Counted>& runs);

}  // namespace podsense::plan
