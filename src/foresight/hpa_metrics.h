#pragma once

/// From one metric to the number of replicas it asks for, with what was reckoned on the way.
/// @source pkg/controller/podautoscaler/replica_calculator.go, metrics/utilization.go,
/// metrics/client.go

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "foresight/hpa_spec.h"
#include "foresight/hpa_view.h"

namespace podsense::foresight {

/// How far a ratio may be from 1 without a change, each way.
struct Tolerances {
  double down = 0;
  double up = 0;
  [[nodiscard]] bool holds(double ratio) const { return 1.0 - down <= ratio && ratio <= 1.0 + up; }
};

struct HpaSettings {
  KubernetesVersion version = kNewestVersion;
  Gates gates = Gates::defaults(kNewestVersion);
  ControllerFlags flags;
};

/// Why a pod's sample does not count as it is.
enum class PodFate : std::uint8_t {
  kReady,
  kDeleted,           ///< ignored
  kFailed,            ///< ignored
  kPending,           ///< unready
  kNoSample,          ///< missing
  kNoReadyCondition,  ///< unready, as all below
  kNoStartTime,
  kNotReadyYet,     ///< not ready within the CPU initialization period
  kSampleTooEarly,  ///< within that period, and the sample began before the pod was ready
  kNeverReady,      ///< after that period
};

struct SortedPod {
  std::string name;
  PodFate fate = PodFate::kReady;
};

/// Sum over the samples, and its ratio to the target.
struct Reckoning {
  std::int64_t total = 0;     ///< milli-units
  std::int64_t requests = 0;  ///< milli-units; utilization only
  std::int64_t samples = 0;
  std::int64_t current = 0;  ///< percent (utilization), or average in milli-units
  double ratio = 0;
};

enum class MetricOutcome : std::uint8_t {
  kWithinTolerance,  ///< no change
  kByReadyPods,      ///< ceil(ratio × ready pods)
  kBySamples,        ///< ceil(ratio × samples), missing and unready ones filled in
  kTurnsAround,      ///< no change: with all pods filled in the ratio is on the other side of 1
  kMovesAgainst,     ///< no change: the number would move against the ratio
  kFromZero,         ///< ceil(ratio): there are no replicas yet
  kByTotal,          ///< ceil(total / target)
};

struct MetricTrace {
  std::optional<std::int32_t> proposal;  ///< absent: the metric failed
  std::string error;
  bool is_utilization = false;
  std::int64_t target = 0;   ///< percent, or milli-units
  std::int32_t current = 0;  ///< the replicas it is compared with
  std::int32_t ready_pods = 0;
  std::vector<SortedPod> other_pods;
  Reckoning measured;
  std::optional<Reckoning> filled;
  Tolerances tolerances;
  MetricOutcome outcome = MetricOutcome::kWithinTolerance;
};

MetricTrace propose(const MetricSpec& metric, const ClusterView& view, Duration now,
                    const HpaSettings& settings, const Tolerances& tolerances);

}  // namespace podsense::foresight
