#pragma once

/// Conditions on what a run measured: `p99>200ms`, `errors>0.1%`, `dropped>0`, `rps<950`. One
/// language for --fail-if (bad when it holds) and --slo (which turns `p99=50ms` into `p99>50ms`).
///
/// A latency condition is checked twice: on the requests that were answered, and on all that were
/// sent, where a failed request counts with the time it waited, which is the least it would have
/// taken. It holds when either does.

#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "load/measuring/results.h"

namespace podsense::load {

class LoadThreshold {
 public:
  /// METRIC OP VALUE; metrics: p50 … p99.99 min mean max (latency from the intended time),
  /// service_p… (from the actual time), lag_p… (send lag), errors and drops (a share, or a number
  /// without %), failed, dropped, sent, ok, rps, status_CODE; OP: > >= < <=
  /// @errors kInvalidArgument names what was wrong and what is accepted
  static Result<LoadThreshold> parse(std::string_view text);
  /// Comma-separated objectives METRIC=LIMIT, each meaning "at most".
  static Result<std::vector<LoadThreshold>> parse_objective(std::string_view text);

  struct Verdict {
    bool holds = false;    ///< the condition is true: a failure
    double value = 0;      ///< what was measured; seconds for a duration, a share for a percentage
    std::string measured;  ///< the same for people
  };
  /// A latency condition on a run without any answer holds: nothing shows that it was kept. Where
  /// requests failed or were dropped, `measured` says what the figure is of.
  [[nodiscard]] Verdict check(const Results& results) const;
  [[nodiscard]] const std::string& text() const { return text_; }
  [[nodiscard]] double limit() const { return limit_; }
  [[nodiscard]] const std::string& metric() const { return metric_; }
  /// For a latency percentile: which, 0..1; negative otherwise.
  [[nodiscard]] double quantile() const;

 private:
  enum class Kind { kDuration, kShare, kCount };
  enum class Op { kAbove, kAtLeast, kBelow, kAtMost };

  [[nodiscard]] double measure(const Results& results) const;
  [[nodiscard]] Verdict check_latency(const Results& results) const;
  [[nodiscard]] bool compare(double value) const;

  std::string text_;
  std::string metric_;
  Kind kind_ = Kind::kCount;
  Op op_ = Op::kAbove;
  double limit_ = 0;
};

/// A quantile, or another figure, of answered and failed requests together.
struct OfAll {
  Duration value{};
  bool at_least = false;  ///< failed requests are at or below it, and would have taken longer
};
OfAll quantile_of_all(const quantiles::DurationHistogram& answered,
                      const quantiles::DurationHistogram& failed, double q);
/// "≥ 20.0 s" or "48.1 ms"
std::string format_of_all(const OfAll& figure);

/// Of what was to be sent, failed and dropped requests have their share.
double error_share(const RequestCounts& counts);
/// Successful answers a second, until the last of them: an overloaded server answers long after the
/// last request was due.
double achieved_rate(const Results& results);
double offered_rate(const Results& results);

}  // namespace podsense::load
