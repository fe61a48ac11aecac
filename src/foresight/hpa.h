#pragma once

/// The HorizontalPodAutoscaler's whole decision, as kube-controller-manager takes it: pure, without
/// threads, clocks or input and output. One `Hpa` is one autoscaler with the controller's memory of
/// it; each `look` is one reconciliation. It is held to 0 differences against the real controllers
/// (tests/foresight/oracle).
///
/// KEDA's ScaledObject becomes an autoscaler with External metrics, so this is its decision from
/// one replica on; going from 0 to 1 and back is KEDA's own.
///
/// Not part of it: several autoscalers with one target, and a scale subresource that cannot be read
/// or written. Overflow is as on amd64.

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "foresight/hpa_metrics.h"
#include "foresight/hpa_rules.h"
#include "foresight/hpa_spec.h"
#include "foresight/hpa_view.h"

namespace podsense::foresight {

enum class ConditionType : std::uint8_t {
  kAbleToScale,
  kScalingActive,
  kScalingLimited,
  kScaledToZero
};
inline constexpr std::array<std::string_view, 4> kConditionNames{"AbleToScale", "ScalingActive",
                                                                 "ScalingLimited", "ScaledToZero"};

/// A condition of the autoscaler's status.
struct Condition {
  bool status = false;
  std::string reason;
};
/// By ConditionType; absent: the status has no such condition.
using Conditions = std::array<std::optional<Condition>, kConditionNames.size()>;

/// What the decision went by.
enum class DecisionRoute : std::uint8_t {
  kMetrics,
  kDisabled,       ///< the target has no replicas: nothing is done
  kAboveMaximum,   ///< metrics, windows and policies are skipped
  kBelowMinimum,   ///< the same
  kMetricsFailed,  ///< nothing is done, and nothing is remembered
};

/// One reconciliation.
struct Look {
  Duration at{};
  std::int32_t current = 0;  ///< spec.replicas of the target before
  std::int32_t desired = 0;  ///< and after
  std::int32_t status_replicas = 0;
  bool rescaled = false;
  DecisionRoute route = DecisionRoute::kMetrics;
  std::vector<MetricTrace> metrics;  ///< as in the spec
  std::optional<RulesTrace> rules;   ///< where metrics decided
  /// From 1.36 on: the wish was below minReplicas on the way from 0.
  bool raised_to_minimum = false;
};

/// @threads confined to one thread
class Hpa {
 public:
  /// @param spec valid; defaults are filled in here
  /// @param conditions of its status, where it is not new: ScaledToZero decides from 1.36 on
  Hpa(HpaSettings settings, HpaSpec spec, Conditions conditions = {});

  /// An edit of the spec; the memory stays.
  void change_spec(HpaSpec spec);

  /// @param now never before that of the look before
  Look look(Duration now, const ClusterView& view);

  [[nodiscard]] const Conditions& conditions() const { return conditions_; }
  [[nodiscard]] const HpaSpec& spec() const { return spec_; }
  [[nodiscard]] const HpaSettings& settings() const { return settings_; }

 private:
  struct Best {
    std::int32_t replicas = 0;
    std::size_t failed = 0;
    std::optional<std::size_t> first_failed;
  };

  void set(ConditionType type, bool status, std::string_view reason);
  [[nodiscard]] bool is_scaled_to_zero() const;
  [[nodiscard]] bool has_outside_metrics() const;
  [[nodiscard]] DecisionRoute route(std::int32_t current) const;
  [[nodiscard]] Tolerances tolerances() const;
  Best ask_metrics(Duration now, const ClusterView& view, Look& look) const;
  /// False where the metrics failed.
  bool decide_by_metrics(Duration now, const ClusterView& view, Look& look);
  void note_rules(const RulesTrace& rules);
  void note_rescale(Duration now, const Look& look);

  HpaSettings settings_;
  HpaSpec spec_;
  Conditions conditions_;
  ScalingMemory memory_;
};

}  // namespace podsense::foresight
