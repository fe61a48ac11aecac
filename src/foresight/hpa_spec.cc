#include "foresight/hpa_spec.h"

#include <algorithm>

namespace podsense::foresight {
namespace {

constexpr std::int32_t kMaxWindowSeconds = 3600;
constexpr std::int32_t kMaxPeriodSeconds = 1800;
constexpr std::array<std::string_view, 4> kVersions{"1.34", "1.35", "1.36", "1.37"};

tl::unexpected<Error> refuse(const std::string& field, const std::string& what) {
  return fail(ErrorCode::kInvalidArgument, field + ": " + what);
}

tl::unexpected<Error> below(const std::string& field, std::int64_t value, std::int64_t least) {
  return refuse(field, std::to_string(value) + " is too small; accepted: " + std::to_string(least) +
                           " or more");
}

Result<void> within(const std::string& field, std::int32_t value, std::int32_t least,
                    std::int32_t most) {
  if (value >= least && value <= most) {
    return {};
  }
  return refuse(field, std::to_string(value) + " is out of range; accepted: " +
                           std::to_string(least) + " to " + std::to_string(most));
}

ScalingRules merged(const std::optional<ScalingRules>& given, ScalingRules defaults) {
  if (!given) {
    return defaults;
  }
  ScalingRules out = *given;
  out.window_seconds = given->window_seconds ? given->window_seconds : defaults.window_seconds;
  out.select = given->select ? given->select : defaults.select;
  out.policies = given->policies ? given->policies : defaults.policies;
  return out;
}

Result<void> positive(const std::string& field, const std::optional<Quantity>& value) {
  if (value && value->sign() != 1) {
    return refuse(field, "must be greater than 0");
  }
  return {};
}

Result<void> check_target(const std::string& field, const MetricTarget& target) {
  if (auto done = positive(field + ".value", target.value); !done) {
    return done;
  }
  if (auto done = positive(field + ".averageValue", target.average_value); !done) {
    return done;
  }
  if (target.average_utilization && *target.average_utilization < 1) {
    return below(field + ".averageUtilization", *target.average_utilization, 1);
  }
  return {};
}

Result<void> check_wanted(const std::string& field, const MetricSpec& metric) {
  const MetricTarget& target = metric.target;
  switch (metric.source) {
    case MetricSource::kResource:
    case MetricSource::kContainerResource:
      if (!target.average_utilization && !target.average_value) {
        return refuse(field, "must have averageUtilization or averageValue");
      }
      if (target.average_utilization && target.average_value) {
        return refuse(field, "must have only one of averageUtilization and averageValue");
      }
      return {};
    case MetricSource::kPods:
      return target.average_value ? Result<void>{}
                                  : Result<void>(refuse(field, "must have averageValue"));
    case MetricSource::kObject:
    case MetricSource::kExternal:
      if (!target.value && !target.average_value) {
        return refuse(field, "must have value or averageValue");
      }
      if (metric.source == MetricSource::kExternal && target.value && target.average_value) {
        return refuse(field, "must have only one of value and averageValue");
      }
      return {};
  }
  return {};
}

Result<void> check_metric(const std::string& field, const MetricSpec& metric) {
  constexpr std::array<std::string_view, 5> kFields{"resource", "containerResource", "pods",
                                                    "object", "external"};
  const std::string at =
      field + "." + std::string(kFields[static_cast<std::size_t>(metric.source)]);
  if (metric.name.empty()) {
    const bool is_resource = metric.source == MetricSource::kResource ||
                             metric.source == MetricSource::kContainerResource;
    return refuse(at + (is_resource ? ".name" : ".metric.name"), "must not be empty");
  }
  if (metric.source == MetricSource::kContainerResource && metric.container.empty()) {
    return refuse(at + ".container", "must name a container");
  }
  if (auto done = check_target(at + ".target", metric.target); !done) {
    return done;
  }
  return check_wanted(at + ".target", metric);
}

Result<void> check_rules(const std::string& field, const std::optional<ScalingRules>& rules) {
  if (!rules) {
    return {};
  }
  if (rules->window_seconds) {
    if (auto done = within(field + ".stabilizationWindowSeconds", *rules->window_seconds, 0,
                           kMaxWindowSeconds);
        !done) {
      return done;
    }
  }
  if (rules->policies && rules->policies->empty()) {
    return refuse(field + ".policies", "must have at least one policy, or be absent");
  }
  for (std::size_t i = 0; rules->policies && i < rules->policies->size(); ++i) {
    const ScalingPolicy& policy = (*rules->policies)[i];
    const std::string at = field + ".policies[" + std::to_string(i) + "]";
    if (policy.value < 1) {
      return below(at + ".value", policy.value, 1);
    }
    if (auto done = within(at + ".periodSeconds", policy.period_seconds, 1, kMaxPeriodSeconds);
        !done) {
      return done;
    }
  }
  if (rules->tolerance && rules->tolerance->sign() < 0) {
    return refuse(field + ".tolerance", "must be 0 or more");
  }
  return {};
}

Result<void> check_replicas(const HpaSpec& spec, const Gates& gates) {
  const std::int32_t least = gates.scale_to_zero ? 0 : 1;
  if (spec.min_replicas && *spec.min_replicas < least) {
    if (*spec.min_replicas == 0) {
      return refuse(
          "spec.minReplicas",
          "0 needs the feature gate HPAScaleToZero (on by default from 1.37); accepted: 1 "
          "or more");
    }
    return below("spec.minReplicas", *spec.min_replicas, least);
  }
  if (spec.max_replicas < 1) {
    return below("spec.maxReplicas", spec.max_replicas, 1);
  }
  if (spec.min_replicas && spec.max_replicas < *spec.min_replicas) {
    return refuse("spec.maxReplicas", std::to_string(spec.max_replicas) +
                                          " is below minReplicas; accepted: " +
                                          std::to_string(*spec.min_replicas) + " or more");
  }
  const bool from_outside = std::ranges::any_of(spec.metrics, [](const MetricSpec& metric) {
    return metric.source == MetricSource::kObject || metric.source == MetricSource::kExternal;
  });
  if (spec.min_replicas && *spec.min_replicas == 0 && !from_outside) {
    return refuse("spec.metrics", "minReplicas 0 needs at least one Object or External metric");
  }
  return {};
}

}  // namespace

std::string_view version_name(KubernetesVersion version) {
  return kVersions[static_cast<std::size_t>(version)];
}

std::string version_choices() {
  std::string all;
  for (const std::string_view version : kVersions) {
    all.append(all.empty() ? "" : "|").append(version);
  }
  return all;
}

Result<KubernetesVersion> parse_version(std::string_view text) {
  std::string_view wanted = text.starts_with('v') ? text.substr(1) : text;
  const std::size_t patch = wanted.find('.', std::min(wanted.find('.'), wanted.size() - 1) + 1);
  wanted = wanted.substr(0, patch);
  const auto* const found = std::ranges::find(kVersions, wanted);
  if (wanted.empty() || found == kVersions.end()) {
    return fail(ErrorCode::kInvalidArgument, "Kubernetes version '" + std::string(text) +
                                                 "' is unknown; accepted: 1.34, 1.35, 1.36, 1.37");
  }
  return static_cast<KubernetesVersion>(found - kVersions.begin());
}

Gates Gates::defaults(KubernetesVersion version) {
  return {.configurable_tolerance = version >= KubernetesVersion::k135,
          .scale_to_zero = version >= KubernetesVersion::k137,
          .pod_level_resources = true};
}

HpaSpec with_defaults(HpaSpec spec) {
  constexpr std::int32_t kCpuPercent = 80;
  spec.min_replicas = spec.min_replicas.value_or(1);
  if (spec.metrics.empty()) {
    spec.metrics.push_back({.source = MetricSource::kResource,
                            .name = "cpu",
                            .target = {.average_utilization = kCpuPercent}});
  }
  if (spec.behavior) {
    constexpr ScalingPolicy kFourPods{.type = PolicyType::kPods, .value = 4, .period_seconds = 15};
    constexpr ScalingPolicy kDouble{
        .type = PolicyType::kPercent, .value = 100, .period_seconds = 15};
    spec.behavior->up = merged(spec.behavior->up, {.window_seconds = 0,
                                                   .select = SelectPolicy::kMax,
                                                   .policies = std::vector{kFourPods, kDouble}});
    spec.behavior->down = merged(spec.behavior->down,
                                 {.select = SelectPolicy::kMax, .policies = std::vector{kDouble}});
  }
  return spec;
}

Result<void> validate(const HpaSpec& spec, const Gates& gates) {
  if (auto done = check_replicas(spec, gates); !done) {
    return done;
  }
  for (std::size_t i = 0; i < spec.metrics.size(); ++i) {
    if (auto done = check_metric("spec.metrics[" + std::to_string(i) + "]", spec.metrics[i]);
        !done) {
      return done;
    }
  }
  if (!spec.behavior) {
    return {};
  }
  if (auto done = check_rules("spec.behavior.scaleUp", spec.behavior->up); !done) {
    return done;
  }
  return check_rules("spec.behavior.scaleDown", spec.behavior->down);
}

}  // namespace podsense::foresight
