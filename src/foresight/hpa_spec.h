#pragma once

/// What a HorizontalPodAutoscaler (autoscaling/v2) says, with the API server's defaults and
/// validation, and what the controller is started with.
/// @source Kubernetes 1.34.4 to 1.37.2: pkg/apis/autoscaling/v2/defaults.go,
/// validation/validation.go

#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "foresight/quantity.h"

namespace podsense::foresight {

/// Versions whose behaviour is known. 1.33 behaves as 1.34.
enum class KubernetesVersion : std::uint8_t { k134, k135, k136, k137 };
inline constexpr KubernetesVersion kNewestVersion = KubernetesVersion::k137;
std::string_view version_name(KubernetesVersion version);
/// "1.34|1.35|…"
std::string version_choices();
/// "1.35", also "v1.35.4"; kInvalidArgument names what is accepted.
Result<KubernetesVersion> parse_version(std::string_view text);

/// Feature gates that change decisions.
struct Gates {
  bool configurable_tolerance = true;  ///< HPAConfigurableTolerance
  bool scale_to_zero = true;           ///< HPAScaleToZero
  bool pod_level_resources = true;     ///< PodLevelResources

  static Gates defaults(KubernetesVersion version);
};

/// Flags of kube-controller-manager; the defaults are its own.
struct ControllerFlags {
  Duration sync_period = std::chrono::seconds(15);
  Duration downscale_stabilization = std::chrono::minutes(5);
  double tolerance = 0.1;
  Duration cpu_initialization_period = std::chrono::minutes(5);
  Duration initial_readiness_delay = std::chrono::seconds(30);
};

enum class MetricSource : std::uint8_t { kResource, kContainerResource, kPods, kObject, kExternal };
inline constexpr std::array<std::string_view, 5> kMetricSourceNames{"Resource", "ContainerResource",
                                                                    "Pods", "Object", "External"};
enum class TargetType : std::uint8_t { kUtilization, kValue, kAverageValue };
inline constexpr std::array<std::string_view, 3> kTargetTypeNames{"Utilization", "Value",
                                                                  "AverageValue"};

struct MetricTarget {
  TargetType type = TargetType::kUtilization;
  std::optional<Quantity> value;
  std::optional<Quantity> average_value;
  std::optional<std::int32_t> average_utilization;  ///< percent of the request
};

struct MetricSpec {
  MetricSource source = MetricSource::kResource;
  std::string name;       ///< of the resource or metric
  std::string container;  ///< ContainerResource only
  std::string object;     ///< Object only: "Kind/name"
  MetricTarget target;
};

enum class PolicyType : std::uint8_t { kPods, kPercent };
inline constexpr std::array<std::string_view, 2> kPolicyTypeNames{"Pods", "Percent"};
enum class SelectPolicy : std::uint8_t { kMax, kMin, kDisabled };
inline constexpr std::array<std::string_view, 3> kSelectPolicyNames{"Max", "Min", "Disabled"};

struct ScalingPolicy {
  PolicyType type = PolicyType::kPods;
  std::int32_t value = 0;
  std::int32_t period_seconds = 0;
};

/// One direction of `behavior`. `with_defaults` fills all but the window of scaleDown, which is the
/// controller's flag, and the tolerance.
struct ScalingRules {
  std::optional<std::int32_t> window_seconds;
  std::optional<SelectPolicy> select;
  std::optional<std::vector<ScalingPolicy>> policies;
  std::optional<Quantity> tolerance;
};

struct Behavior {
  std::optional<ScalingRules> up;
  std::optional<ScalingRules> down;
};

struct HpaSpec {
  std::optional<std::int32_t> min_replicas;
  std::int32_t max_replicas = 0;
  std::vector<MetricSpec> metrics;
  /// Absent is not the same as empty: the controller then decides on another path.
  std::optional<Behavior> behavior;
};

/// As the API server stores it.
HpaSpec with_defaults(HpaSpec spec);

/// Whether the API server would take it, before or after defaults.
/// @errors kInvalidArgument, naming the first wrong field and what it accepts
Result<void> validate(const HpaSpec& spec, const Gates& gates);

}  // namespace podsense::foresight
