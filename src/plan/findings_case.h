#pragma once

/// One workload with what belongs to it, while it is examined. Private to this module.

#include <algorithm>

#include "plan/findings.h"

namespace podsense::plan {

/// How long its pods took to be ready.
struct StartTimes {
  Duration median{};
  std::size_t pods = 0;             ///< 0: it was given
  std::optional<Duration> running;  ///< from the container's start alone
};

struct Case {
  const foresight::Deployed& all;
  const FindingOptions& options;
  const foresight::Workload& workload;
  const foresight::DeployedAutoscaler* autoscaler = nullptr;
  std::optional<foresight::HpaSpec> spec;           ///< of the autoscaler, with its defaults
  std::vector<const foresight::DeployedPod*> pods;  ///< that are its own
  std::int32_t least = 1;                           ///< pods, without the way to zero
  std::int32_t most = 1;
  std::optional<StartTimes> start;
};

using Findings = std::vector<Finding>;

void check_metrics(const Case& one, Findings& out);
void check_reach(const Case& one, Findings& out);
void check_behavior(const Case& one, Findings& out);
void check_bounds(const Case& one, Findings& out);
void check_budgets(const Case& one, Findings& out);
void check_rollout(const Case& one, Findings& out);
void check_stop(const Case& one, Findings& out);
void check_probes(const Case& one, Findings& out);
void check_quotas(const Case& one, Findings& out);
void check_nodes(const Case& one, Findings& out);
void check_spread(const Case& one, Findings& out);
void check_times(const Case& one, Findings& out);

/// Tolerance on the way up.
double tolerance_up(const Case& one);
/// What a pod's use may come to, as a multiple of the metric's target; nothing where there is no
/// bound.
std::optional<double> reach_of(const Case& one, const foresight::MetricSpec& metric);

/// When, from `from` pods on, the autoscaler first wishes for all it may have, if each look finds
/// `times` the target on every pod there is; nothing where it never does.
struct Climb {
  Duration time{};  ///< from its first look on
  int looks = 0;    ///< that added pods
};
std::optional<Climb> climb(const Case& one, double times);

// Words.
std::string count_of(std::int64_t number, std::string_view noun);  ///< 1 pod, 2 pods
std::string share_text(double share);                              ///< 0.7 → 70 %
std::string times_text(double factor);                             ///< 1.43
std::string time_text(Duration time);                              ///< 90 s

inline Duration sync_of(const Case& one) {
  return one.options.settings.flags.sync_period;
}

}  // namespace podsense::plan
