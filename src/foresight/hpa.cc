#include "foresight/hpa.h"

#include <algorithm>
#include <utility>

namespace podsense::foresight {
namespace {

constexpr std::array<std::string_view, 3> kAbleReasons{"ReadyForNewScale", "ScaleUpStabilized",
                                                       "ScaleDownStabilized"};
constexpr std::array<std::string_view, 5> kLimitReasons{
    "DesiredWithinRange", "ScaleUpLimit", "ScaleDownLimit", "TooManyReplicas", "TooFewReplicas"};
constexpr std::array<std::string_view, 5> kFailureReasons{
    "FailedGetResourceMetric", "FailedGetContainerResourceMetric", "FailedGetPodsMetric",
    "FailedGetObjectMetric", "FailedGetExternalMetric"};

}  // namespace

Hpa::Hpa(HpaSettings settings, HpaSpec spec, Conditions conditions)
    : settings_(settings),
      spec_(with_defaults(std::move(spec))),
      conditions_(std::move(conditions)) {}

void Hpa::change_spec(HpaSpec spec) {
  spec_ = with_defaults(std::move(spec));
}

void Hpa::set(ConditionType type, bool status, std::string_view reason) {
  conditions_[static_cast<std::size_t>(type)] = {.status = status, .reason = std::string(reason)};
}

bool Hpa::is_scaled_to_zero() const {
  const auto& condition = conditions_[static_cast<std::size_t>(ConditionType::kScaledToZero)];
  return settings_.gates.scale_to_zero && condition && condition->status;
}

bool Hpa::has_outside_metrics() const {
  return std::ranges::any_of(spec_.metrics, [](const MetricSpec& metric) {
    return metric.source == MetricSource::kObject || metric.source == MetricSource::kExternal;
  });
}

DecisionRoute Hpa::route(std::int32_t current) const {
  const std::int32_t least = *spec_.min_replicas;
  if (current == 0 && settings_.version >= KubernetesVersion::k136) {
    // Back from 0 only where this autoscaler itself went there.
    const bool may_compute = is_scaled_to_zero() && (least != 0 || has_outside_metrics());
    return may_compute ? DecisionRoute::kMetrics : DecisionRoute::kDisabled;
  }
  if (current == 0 && least != 0) {
    return DecisionRoute::kDisabled;
  }
  if (current > spec_.max_replicas) {
    return DecisionRoute::kAboveMaximum;
  }
  return current < least ? DecisionRoute::kBelowMinimum : DecisionRoute::kMetrics;
}

Tolerances Hpa::tolerances() const {
  Tolerances out{.down = settings_.flags.tolerance, .up = settings_.flags.tolerance};
  if (!spec_.behavior || !settings_.gates.configurable_tolerance) {
    return out;
  }
  if (const auto& own = spec_.behavior->down->tolerance) {
    out.down = own->approximate();
  }
  if (const auto& own = spec_.behavior->up->tolerance) {
    out.up = own->approximate();
  }
  return out;
}

Hpa::Best Hpa::ask_metrics(Duration now, const ClusterView& view, Look& look) const {
  Best best;
  for (std::size_t i = 0; i < spec_.metrics.size(); ++i) {
    look.metrics.push_back(propose(spec_.metrics[i], view, now, settings_, tolerances()));
    const auto& proposal = look.metrics.back().proposal;
    if (!proposal) {
      ++best.failed;
      best.first_failed = best.first_failed.value_or(i);
    } else if (best.replicas == 0 || *proposal > best.replicas) {
      best.replicas = *proposal;
    }
  }
  return best;
}

bool Hpa::decide_by_metrics(Duration now, const ClusterView& view, Look& look) {
  const Best best = ask_metrics(now, view, look);
  if (best.failed >= spec_.metrics.size() || (best.failed > 0 && best.replicas < look.current)) {
    const auto source = static_cast<std::size_t>(spec_.metrics[*best.first_failed].source);
    set(ConditionType::kScalingActive, false, kFailureReasons[source]);
    return false;
  }
  set(ConditionType::kScalingActive, true, "ValidMetricFound");
  const std::int32_t wish = std::max(0, best.replicas);
  look.rules = memory_.apply(now, look.current, wish, spec_, settings_.flags);
  note_rules(*look.rules);
  look.desired = look.rules->result;
  if (settings_.version >= KubernetesVersion::k136 && look.current == 0 &&
      look.desired < *spec_.min_replicas) {
    look.desired = *spec_.min_replicas;
    look.raised_to_minimum = true;
  }
  return true;
}

void Hpa::note_rules(const RulesTrace& rules) {
  set(ConditionType::kAbleToScale, true, kAbleReasons[static_cast<std::size_t>(rules.able)]);
  set(ConditionType::kScalingLimited, rules.result != rules.stabilized,
      kLimitReasons[static_cast<std::size_t>(rules.limited)]);
}

void Hpa::note_rescale(Duration now, const Look& look) {
  set(ConditionType::kAbleToScale, true, "SucceededRescale");
  memory_.record_rescale(now, look.current, look.desired, spec_);
  if (settings_.version < KubernetesVersion::k136) {
    return;
  }
  if (!settings_.gates.scale_to_zero) {
    conditions_[static_cast<std::size_t>(ConditionType::kScaledToZero)].reset();
    return;
  }
  const bool to_zero =
      look.current > 0 && look.desired == 0 && *spec_.min_replicas == 0 && has_outside_metrics();
  set(ConditionType::kScaledToZero, to_zero, to_zero ? "ScaledToZero" : "NotScaledToZero");
}

Look Hpa::look(Duration now, const ClusterView& view) {
  Look look{.at = now,
            .current = view.spec_replicas,
            .desired = view.spec_replicas,
            .status_replicas = view.status_replicas};
  set(ConditionType::kAbleToScale, true, "SucceededGetScale");
  memory_.begin(now, look.current);
  look.route = route(look.current);
  switch (look.route) {
    case DecisionRoute::kDisabled:
      set(ConditionType::kScalingActive, false, "ScalingDisabled");
      if (settings_.version >= KubernetesVersion::k136 && !settings_.gates.scale_to_zero) {
        conditions_[static_cast<std::size_t>(ConditionType::kScaledToZero)].reset();
      }
      return look;
    case DecisionRoute::kAboveMaximum:
      look.desired = spec_.max_replicas;
      break;
    case DecisionRoute::kBelowMinimum:
      look.desired = *spec_.min_replicas;
      break;
    case DecisionRoute::kMetrics:
    case DecisionRoute::kMetricsFailed:
      if (!decide_by_metrics(now, view, look)) {
        look.route = DecisionRoute::kMetricsFailed;
        return look;
      }
      break;
  }
  look.rescaled = look.desired != look.current;
  if (look.rescaled) {
    note_rescale(now, look);
  }
  return look;
}

}  // namespace podsense::foresight
