#pragma once

/// What the autoscaler's controller sees at one look: the target, its pods, the metrics' APIs.
/// Times are durations since any fixed moment, the same one for all of them. On a real cluster the
/// API cuts them to whole seconds (`Duration window` excepted): `wire_time` does the same.

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "foresight/quantity.h"

namespace podsense::foresight {

/// Name of a resource ("cpu", "memory") → amount.
using Resources = std::map<std::string, Quantity, std::less<>>;

enum class PodPhase : std::uint8_t { kPending, kRunning, kSucceeded, kFailed, kUnknown };
/// Status of the pod's Ready condition; kAbsent: it has none.
enum class ReadyCondition : std::uint8_t { kAbsent, kTrue, kFalse, kUnknown };
enum class ContainerKind : std::uint8_t { kMain, kSidecar, kInit };  ///< kSidecar: restartable init

struct ContainerState {
  std::string name;
  ContainerKind kind = ContainerKind::kMain;
  Resources requests;
};

struct PodState {
  std::string name;
  PodPhase phase = PodPhase::kRunning;
  ReadyCondition ready = ReadyCondition::kTrue;
  Duration ready_since{};         ///< last transition of the Ready condition
  std::optional<Duration> start;  ///< status.startTime
  bool deleted = false;           ///< has a deletionTimestamp
  std::vector<ContainerState> containers;
  Resources pod_requests;  ///< spec.resources.requests
  Resources overhead;
};

/// One item of metrics.k8s.io.
struct PodSample {
  std::string pod;
  Duration at{};
  Duration window{};
  std::vector<std::pair<std::string, Resources>> containers;  ///< name, usage
};

/// Each member is absent where its API fails; a metric that is not in its map does not exist.
struct MetricsView {
  std::optional<std::vector<PodSample>> resource;
  /// custom.metrics.k8s.io: metric → pod → value
  std::optional<std::map<std::string, std::map<std::string, Quantity>, std::less<>>> pods;
  std::optional<std::map<std::string, Quantity, std::less<>>> object;
  std::optional<std::map<std::string, std::vector<Quantity>, std::less<>>> external;
};

struct ClusterView {
  std::int32_t spec_replicas = 0;    ///< of the target
  std::int32_t status_replicas = 0;  ///< of the target
  std::vector<PodState> pods;        ///< those that its selector finds; names are unique
  MetricsView metrics;
};

/// As metav1.Time is written: cut to whole seconds.
constexpr Duration wire_time(Duration time) {
  return std::chrono::floor<std::chrono::seconds>(time);
}

}  // namespace podsense::foresight
