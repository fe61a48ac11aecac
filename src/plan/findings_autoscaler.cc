// What an autoscaler asks, and whether it can get an answer that helps.

#include <cmath>

#include "plan/findings_case.h"
#include "text/numbers.h"

namespace podsense::plan {

using foresight::ContainerKind;
using foresight::ContainerState;
using foresight::DeployedContainer;
using foresight::MetricSource;
using foresight::MetricSpec;
using foresight::SelectPolicy;
using foresight::TargetType;

namespace {

constexpr Duration kLongestClimb = std::chrono::hours(6);
/// Kubernetes' own default lets a look double.
constexpr double kDoubling = 2;
constexpr Duration kSlowClimb = std::chrono::minutes(5);

bool is_resource(const MetricSpec& metric) {
  return metric.source == MetricSource::kResource ||
         metric.source == MetricSource::kContainerResource;
}

std::string label(const MetricSpec& metric) {
  if (metric.target.average_utilization) {
    return "The target of " + std::to_string(*metric.target.average_utilization) + " % " +
           (metric.name == "cpu" ? "CPU" : metric.name);
  }
  const auto& value =
      metric.target.average_value ? metric.target.average_value : metric.target.value;
  return "The target of " + metric.name + " " +
         (value ? foresight::milli_text(value->milli()) : std::string("(none)"));
}

bool has_default(const Case& one, std::string_view resource) {
  return std::ranges::any_of(one.all.defaults, [&](const foresight::ContainerDefaults& some) {
    return some.name.shares_namespace(one.workload.name) && some.requests.contains(resource);
  });
}

/// Names a container without a request, or nothing.
std::string without_request(const foresight::PodState& pod, const MetricSpec& metric) {
  const bool is_one = metric.source == MetricSource::kContainerResource;
  if (!is_one && pod.pod_requests.contains(metric.name)) {
    return "";
  }
  for (const ContainerState& container : pod.containers) {
    if (container.kind != ContainerKind::kInit && (!is_one || container.name == metric.container) &&
        !container.requests.contains(metric.name)) {
      return container.name;
    }
  }
  return "";
}

void check_requests(const Case& one, const MetricSpec& metric, Findings& out) {
  std::string place = "of the template";
  std::string container =
      has_default(one, metric.name) ? "" : without_request(state_of(one.workload.pods), metric);
  for (const foresight::DeployedPod* const pod : one.pods) {
    if (!container.empty()) {
      break;
    }
    container = without_request(pod->state, metric);
    place = "of pod " + pod->name.name;
  }
  if (!container.empty()) {
    out.push_back({.severity = Severity::kError,
                   .id = "request-missing",
                   .object = one.autoscaler->name.text(),
                   .what = label(metric) + " is a share of requests, and container " + container +
                           " " + place + " requests 0 of it: the metric fails for all pods.",
                   .change = "set resources.requests." + metric.name + " of container " +
                             container + ", or use a ContainerResource metric",
                   .figures = {{"requested", 0}}});
  }
}

void check_container(const Case& one, const MetricSpec& metric, Findings& out) {
  const auto& containers = one.workload.pods.containers;
  if (metric.source == MetricSource::kContainerResource && !containers.empty() &&
      std::ranges::find(containers, metric.container, &DeployedContainer::name) ==
          containers.end()) {
    out.push_back({.severity = Severity::kError,
                   .id = "no-container",
                   .object = one.autoscaler->name.text(),
                   .what = "Its metric is of container " + metric.container +
                           ", which none of the " +
                           count_of(static_cast<std::int64_t>(containers.size()), "container") +
                           " of the template is called.",
                   .change = "correct the container's name",
                   .figures = {{"containers", static_cast<double>(containers.size())}}});
  }
}

struct CpuBound {
  std::int64_t request = 0;  ///< milli-units, as the next
  std::int64_t limit = 0;
  std::int64_t largest = 0;  ///< limit of the container with the most
  int containers = 0;
};

/// Of what a metric sums up; nothing where a container has no limit or no request.
std::optional<CpuBound> bound_of(const Case& one, const MetricSpec& metric) {
  CpuBound bound;
  for (const DeployedContainer& container : one.workload.pods.containers) {
    const bool counts =
        metric.source == MetricSource::kResource || container.name == metric.container;
    if (container.kind == ContainerKind::kInit || !counts) {
      continue;
    }
    const auto limit = container.limits.find(metric.name);
    const auto request = container.requests.find(metric.name);
    if (limit == container.limits.end() || request == container.requests.end()) {
      return std::nullopt;
    }
    bound.request += request->second.milli();
    bound.limit += limit->second.milli();
    bound.largest = std::max(bound.largest, limit->second.milli());
    ++bound.containers;
  }
  return bound.containers > 0 && bound.request > 0 ? std::optional(bound) : std::nullopt;
}

std::optional<double> per_target(const MetricSpec& metric, const CpuBound& bound,
                                 std::int64_t limit) {
  if (metric.target.average_utilization) {
    // In whole percent, cut, as the autoscaler reckons it.
    const std::int64_t percent = limit * 100 / bound.request;
    return static_cast<double>(percent) / *metric.target.average_utilization;
  }
  const auto& value = metric.target.average_value;
  return value && value->milli() > 0
             ? std::optional(static_cast<double>(limit) / static_cast<double>(value->milli()))
             : std::nullopt;
}

void report_reach(const Case& one, const MetricSpec& metric, double reach, bool is_alone,
                  Findings& out) {
  const auto bound = bound_of(one, metric);
  const double share = static_cast<double>(bound->limit) / static_cast<double>(bound->request);
  const std::string begin = label(metric) + " meets a limit of " + share_text(share) +
                            " of the request, beyond which use cannot show.";
  if (reach <= 1 + tolerance_up(one)) {
    out.push_back({.severity = is_alone ? Severity::kError : Severity::kWarning,
                   .id = "target-out-of-reach",
                   .object = one.autoscaler->name.text(),
                   .what = begin + " Full use is " + times_text(reach) +
                           " times the target, within the tolerance of " +
                           times_text(1 + tolerance_up(one)) + ": it never adds a pod.",
                   .change = "lower the target, or raise the CPU limit above the request",
                   .figures = {{"limit_of_request", share}, {"reach", reach}}});
    return;
  }
  const auto way = climb(one, reach);
  const std::int32_t next = static_cast<std::int32_t>(std::ceil(reach * one.least));
  out.push_back(
      {.severity = is_alone ? Severity::kWarning : Severity::kNote,
       .id = "limit-hides-overload",
       .object = one.autoscaler->name.text(),
       .what =
           begin + " Any overload looks like " + times_text(reach) +
           " times the target: " + count_of(one.least, "pod") + " may become " +
           std::to_string(std::min(next, one.most)) + " in a look" +
           (way ? ", all " + std::to_string(one.most) + " after " + count_of(way->looks, "look") +
                      " that add some, " + time_text(way->time) + " at least"
                : "") +
           ".",
       .change = "raise the CPU limit above the request (or have none), or scale on saturation",
       .figures = {{"limit_of_request", share},
                   {"reach", reach},
                   {"looks_to_max", way ? way->looks : -1.0},
                   {"seconds_to_max", way ? to_seconds(way->time) : -1.0}}});
}

void check_sidecars(const Case& one, const MetricSpec& metric, const CpuBound& bound,
                    Findings& out) {
  if (metric.source != MetricSource::kResource || bound.containers < 2) {
    return;
  }
  const auto main = per_target(metric, bound, bound.largest);
  const auto all = per_target(metric, bound, bound.limit);
  if (main && all && *main <= 1 + tolerance_up(one) && *all > 1 + tolerance_up(one)) {
    const double share = static_cast<double>(bound.largest) / static_cast<double>(bound.request);
    out.push_back({.severity = Severity::kWarning,
                   .id = "sidecar-dilutes",
                   .object = one.autoscaler->name.text(),
                   .what = label(metric) + " is of " + count_of(bound.containers, "container") +
                           " together: where the others idle, the largest at its limit shows " +
                           share_text(share) + " of all requests, too little to add a pod.",
                   .change = "use a ContainerResource metric of the container that serves",
                   .figures = {{"largest_of_requests", share}, {"reach", *main}}});
  }
}

/// Up to which load nothing happens, and from which on a pod goes.
void note_tolerance(const Case& one, const MetricSpec& metric, Findings& out) {
  const auto& target = metric.target;
  if (!target.average_utilization && !target.average_value) {
    return;
  }
  const double unit = target.average_utilization
                          ? *target.average_utilization
                          : static_cast<double>(target.average_value->milli()) / 1000;
  const std::string sign = target.average_utilization ? " %" : "";
  const double up = 1 + tolerance_up(one);
  // One more than the fewest, as those never go.
  const double rounding = one.least / (one.least + 1.0);
  const double down = std::min(1 - one.options.settings.flags.tolerance, rounding);
  const double hidden = tolerance_up(one) * one.most;
  std::string what =
      label(metric) + ": " + count_of(one.least, "pod") + " stay" + (one.least == 1 ? "s" : "") +
      " as many up to " + times_text(unit * up) + sign + " (tolerance), and " +
      std::to_string(one.least + 1) + " down to " + times_text(unit * down) + sign +
      (rounding < 1 - one.options.settings.flags.tolerance ? " (whole pods)." : " (tolerance).");
  if (hidden >= 1) {
    what += " At " + count_of(one.most, "pod") + " the tolerance hides load for " +
            times_text(hidden) + " more.";
  }
  out.push_back(
      {.severity = Severity::kNote,
       .id = "tolerance",
       .object = one.autoscaler->name.text(),
       .what = std::move(what),
       .change = "where that is too coarse, set behavior.scaleUp.tolerance (Kubernetes "
                 "1.35) or a lower target",
       .figures = {
           {"up_from", unit * up}, {"down_below", unit * down}, {"hidden_pods_at_max", hidden}}});
}

}  // namespace

double tolerance_up(const Case& one) {
  const auto& settings = one.options.settings;
  const auto& behavior = one.spec->behavior;
  const bool is_own =
      settings.gates.configurable_tolerance && behavior && behavior->up && behavior->up->tolerance;
  return is_own ? behavior->up->tolerance->approximate() : settings.flags.tolerance;
}

std::optional<double> reach_of(const Case& one, const MetricSpec& metric) {
  if (!is_resource(metric) || metric.name != "cpu") {
    return std::nullopt;
  }
  const auto bound = bound_of(one, metric);
  return bound ? per_target(metric, *bound, bound->limit) : std::nullopt;
}

std::optional<Climb> climb(const Case& one, double times) {
  const foresight::ControllerFlags& flags = one.options.settings.flags;
  foresight::HpaSpec spec = *one.spec;
  spec.min_replicas = one.least;
  spec.max_replicas = one.most;
  foresight::ScalingMemory memory;
  std::int32_t pods = one.least;
  Climb way;
  memory.begin(Duration::zero(), pods);
  for (Duration now{}; pods < one.most && now < kLongestClimb; now += flags.sync_period) {
    const bool is_still = times <= 1 + tolerance_up(one);
    const double wish = std::min(std::ceil(times * pods), 1e9);
    const auto rules =
        memory.apply(now, pods, is_still ? pods : static_cast<std::int32_t>(wish), spec, flags);
    if (rules.result != pods) {
      memory.record_rescale(now, pods, rules.result, spec);
      pods = rules.result;
      way.time = now;
      ++way.looks;
    }
  }
  return pods >= one.most ? std::optional(way) : std::nullopt;
}

void check_metrics(const Case& one, Findings& out) {
  if (!one.spec || one.autoscaler->is_keda) {
    return;
  }
  for (const MetricSpec& metric : one.spec->metrics) {
    if (is_resource(metric)) {
      check_container(one, metric, out);
      if (metric.target.type == TargetType::kUtilization) {
        check_requests(one, metric, out);
      }
    }
  }
  if (std::ranges::all_of(one.spec->metrics,
                          [](const MetricSpec& metric) {
                            return is_resource(metric) && metric.name == "memory";
                          }) &&
      !one.spec->metrics.empty()) {
    out.push_back({.severity = Severity::kWarning,
                   .id = "memory-alone",
                   .object = one.autoscaler->name.text(),
                   .what = "Memory is its 1 metric. A server's memory does not follow its load: "
                           "pods are neither added for it nor taken away after it.",
                   .change = "add CPU or saturation, and keep memory as a guard",
                   .figures = {{"metrics", 1}}});
  }
}

void check_reach(const Case& one, Findings& out) {
  if (!one.spec || one.autoscaler->is_keda || one.most <= one.least) {
    return;
  }
  const bool has_open = std::ranges::any_of(one.spec->metrics, [&](const MetricSpec& metric) {
    return !is_resource(metric) || (metric.name == "cpu" && !reach_of(one, metric));
  });
  for (const MetricSpec& metric : one.spec->metrics) {
    if (!is_resource(metric) || metric.name != "cpu") {
      continue;
    }
    const auto reach = reach_of(one, metric);
    if (reach && *reach < kDoubling) {
      report_reach(one, metric, *reach, !has_open, out);
    }
    if (const auto bound = bound_of(one, metric)) {
      check_sidecars(one, metric, *bound, out);
    }
  }
  if (!one.spec->metrics.empty()) {
    note_tolerance(one, one.spec->metrics.front(), out);
  }
}

void check_behavior(const Case& one, Findings& out) {
  if (!one.spec || !one.spec->behavior || one.most <= one.least) {
    return;
  }
  const std::string object = one.autoscaler->name.text();
  const foresight::ScalingRules up = one.spec->behavior->up.value_or(foresight::ScalingRules());
  const foresight::ScalingRules down = one.spec->behavior->down.value_or(foresight::ScalingRules());
  if (up.select == SelectPolicy::kDisabled) {
    out.push_back({.severity = Severity::kError,
                   .id = "scale-up-disabled",
                   .object = object,
                   .what =
                       "behavior.scaleUp.selectPolicy is Disabled: it adds 0 pods, whatever the "
                       "load.",
                   .change = "remove it, or set Max",
                   .figures = {{"pods_added", 0}}});
  } else if (const auto way = climb(one, 1000); !way || way->time > kSlowClimb) {
    const double seconds = way ? to_seconds(way->time) : to_seconds(kLongestClimb);
    out.push_back(
        {.severity = Severity::kWarning,
         .id = "slow-policies",
         .object = object,
         .what = "By its policies and window the way from " + count_of(one.least, "pod") + " to " +
                 std::to_string(one.most) + " takes " + (way ? "" : "more than ") +
                 text::format_duration(std::chrono::seconds(static_cast<std::int64_t>(seconds))) +
                 ", however high the load.",
         .change = "allow more in behavior.scaleUp.policies (Kubernetes' default: double, "
                   "or 4 pods, in 15 s), or shorten its window",
         .figures = {{"seconds_to_max", seconds}}});
  }
  if (down.select == SelectPolicy::kDisabled) {
    out.push_back({.severity = Severity::kWarning,
                   .id = "scale-down-disabled",
                   .object = object,
                   .what = "behavior.scaleDown.selectPolicy is Disabled: after one peak up to " +
                           count_of(one.most, "pod") + " stay for good.",
                   .change = "remove it, or set Max",
                   .figures = {{"pods_that_stay", static_cast<double>(one.most)}}});
  }
  if (up.window_seconds.value_or(0) > 0) {
    out.push_back({.severity = Severity::kNote,
                   .id = "scale-up-waits",
                   .object = object,
                   .what = "behavior.scaleUp waits until the load has lasted for " +
                           std::to_string(*up.window_seconds) + " s.",
                   .change = "set stabilizationWindowSeconds to 0, unless it is to pass over peaks",
                   .figures = {{"window_seconds", static_cast<double>(*up.window_seconds)}}});
  }
  const Duration window = std::chrono::seconds(down.window_seconds.value_or(300));
  if (down.select != SelectPolicy::kDisabled && window < 2 * sync_of(one)) {
    out.push_back({.severity = Severity::kWarning,
                   .id = "scale-down-at-once",
                   .object = object,
                   .what = "behavior.scaleDown has a window of " + time_text(window) +
                           ": pods go with every dip of the load, and their work with them.",
                   .change = "set stabilizationWindowSeconds to some minutes",
                   .figures = {{"window_seconds", to_seconds(window)}}});
  }
}

void check_bounds(const Case& one, Findings& out) {
  if (!one.spec) {
    return;
  }
  const std::string object = one.autoscaler->name.text();
  if (one.workload.sets_replicas) {
    const std::int32_t set = one.workload.replicas.value_or(1);
    out.push_back({.severity = Severity::kWarning,
                   .id = "replicas-set",
                   .object = one.workload.name.text(),
                   .what = "spec.replicas is in the manifest: each `kubectl apply` sets " +
                           count_of(set, "pod") + ", whatever " + object + " has decided.",
                   .change = "leave spec.replicas out",
                   .figures = {{"replicas", static_cast<double>(set)}}});
  }
  if (one.spec->min_replicas.value_or(1) >= one.most) {
    out.push_back({.severity = Severity::kWarning,
                   .id = "never-scales",
                   .object = object,
                   .what = "minReplicas and maxReplicas are both " + std::to_string(one.most) +
                           ": it never changes anything.",
                   .change = "raise maxReplicas, or remove the autoscaler",
                   .figures = {{"replicas", static_cast<double>(one.most)}}});
    return;
  }
  if (one.autoscaler->current && *one.autoscaler->current >= one.most) {
    using foresight::ConditionType;
    const auto& limited =
        one.autoscaler->conditions[static_cast<std::size_t>(ConditionType::kScalingLimited)];
    const bool wants_more = limited && limited->status && limited->reason == "TooManyReplicas";
    out.push_back({.severity = wants_more ? Severity::kError : Severity::kWarning,
                   .id = "at-maximum",
                   .object = object,
                   .what = "It has " + std::to_string(*one.autoscaler->current) +
                           " pods, as many as maxReplicas allows" +
                           (wants_more ? ", and wants more." : "."),
                   .change = "raise maxReplicas, and the quota with it",
                   .figures = {{"replicas", static_cast<double>(*one.autoscaler->current)}}});
  }
}

}  // namespace podsense::plan
