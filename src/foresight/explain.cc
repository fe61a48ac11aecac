#include "foresight/explain.h"

#include <array>
#include <charconv>
#include <chrono>
#include <cmath>
#include <map>

namespace podsense::foresight {
namespace {

/// Four significant digits, without a trailing zero.
std::string number(double value) {
  if (std::isnan(value)) {
    return "0/0";
  }
  if (std::isinf(value)) {
    return "infinite";
  }
  std::array<char, 64> buffer{};
  const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value,
                                 std::chars_format::general, 4)
                       .ptr;
  return {buffer.data(), end};
}

std::string seconds(Duration time) {
  return number(std::chrono::duration<double>(time).count()) + " s";
}

std::string count(std::int64_t many, std::string_view one) {
  return std::to_string(many) + " " + std::string(one) + (many == 1 ? "" : "s");
}

std::string fate_text(PodFate fate) {
  constexpr std::array<std::string_view, 10> kTexts{
      "ready",
      "being deleted: ignored",
      "failed: ignored",
      "pending: unready",
      "without a sample: missing",
      "without a Ready condition: unready",
      "without a start time: unready",
      "not ready within the CPU initialization period: unready",
      "within the CPU initialization period, and its sample began before it was ready: unready",
      "never ready since its start: unready"};
  return std::string(kTexts[static_cast<std::size_t>(fate)]);
}

/// "2 pods (a, b) pending: unready; 1 pod (c) being deleted: ignored"
std::string other_pods(const std::vector<SortedPod>& pods) {
  constexpr std::size_t kNamed = 3;
  std::map<PodFate, std::vector<std::string_view>> by_fate;
  for (const SortedPod& pod : pods) {
    by_fate[pod.fate].push_back(pod.name);
  }
  std::string out;
  for (const auto& [fate, names] : by_fate) {
    out += (out.empty() ? "" : "; ") + count(static_cast<std::int64_t>(names.size()), "pod") + " (";
    for (std::size_t i = 0; i < names.size() && i < kNamed; ++i) {
      out += (i == 0 ? "" : ", ") + std::string(names[i]);
    }
    out += (names.size() > kNamed ? ", …) " : ") ") + fate_text(fate);
  }
  return out;
}

std::string target_text(const MetricSpec& metric, const MetricTrace& trace) {
  if (trace.is_utilization) {
    return std::to_string(trace.target) + " % of the request";
  }
  const bool is_average = metric.target.average_value && metric.target.type != TargetType::kValue;
  return milli_text(trace.target) + (is_average ? " a pod on average" : " in all");
}

std::string title(const MetricSpec& metric) {
  std::string out =
      std::string(kMetricSourceNames[static_cast<std::size_t>(metric.source)]) + " " + metric.name;
  if (!metric.container.empty()) {
    out += " of container " + metric.container;
  }
  return metric.object.empty() ? out : out + " of " + metric.object;
}

/// "400m of 200m requested = 200 %, 4 times the target"
std::string reckoning_text(const MetricTrace& trace, const Reckoning& one) {
  const std::string times = ", " + number(one.ratio) + " times the target";
  if (trace.is_utilization) {
    return milli_text(one.total) + " used of " + milli_text(one.requests) + " requested by " +
           count(one.samples, "pod") + " = " + std::to_string(one.current) + " %" + times;
  }
  return milli_text(one.total) + " over " + count(one.samples, "pod") + " = " +
         milli_text(one.current) + " each" + times;
}

std::string filled_text(const MetricTrace& trace) {
  const bool is_up = trace.measured.ratio > 1.0;
  std::string out = is_up ? "; on the way up missing and unready pods count as 0"
                          : "; on the way down missing pods count as " +
                                (trace.is_utilization
                                     ? std::to_string(std::max<std::int64_t>(100, trace.target)) +
                                           " % of their request"
                                     : std::string("the target"));
  if (trace.measured.ratio == 1.0) {
    out = "; exactly at the target missing pods are left out";
  }
  return out + ": " + reckoning_text(trace, *trace.filled);
}

std::string tolerance_text(const Tolerances& tolerances) {
  return number(1.0 - tolerances.down) + " to " + number(1.0 + tolerances.up);
}

std::string outcome_text(const MetricTrace& trace) {
  const std::string stays = "stays at " + std::to_string(trace.current);
  const std::string proposal = std::to_string(trace.proposal.value_or(0));
  const double ratio = (trace.filled ? *trace.filled : trace.measured).ratio;
  switch (trace.outcome) {
    case MetricOutcome::kWithinTolerance:
      return "within the tolerance (" + tolerance_text(trace.tolerances) + "): " + stays;
    case MetricOutcome::kByReadyPods:
      return "ceil(" + number(ratio) + " × " + count(trace.ready_pods, "ready pod") +
             ") = " + proposal;
    case MetricOutcome::kBySamples:
      return "ceil(" + number(ratio) + " × " + count(trace.filled->samples, "pod") +
             ") = " + proposal;
    case MetricOutcome::kTurnsAround:
      return "that is on the other side of the target: " + stays;
    case MetricOutcome::kMovesAgainst:
      return "the number that follows would move the other way: " + stays;
    case MetricOutcome::kFromZero:
      return "from 0 replicas: ceil(" + number(ratio) + ") = " + proposal;
    case MetricOutcome::kByTotal:
      return "ceil(" + milli_text(trace.measured.total) + " / " + milli_text(trace.target) +
             ") = " + proposal;
  }
  return {};
}

std::string whole_text(const MetricSpec& metric, const MetricTrace& trace) {
  const bool is_average = metric.target.average_value && metric.target.type != TargetType::kValue;
  std::string out = milli_text(trace.measured.total) + " in all";
  if (is_average) {
    out += ", over " + count(trace.current, "replica") + " (status.replicas)";
  }
  return out + ", " + number(trace.measured.ratio) + " times the target";
}

std::string metric_text(std::size_t index, const MetricSpec& metric, const MetricTrace& trace) {
  std::string out = "Metric " + std::to_string(index + 1) + ", " + title(metric);
  if (!trace.proposal) {
    return out + ", failed: " + trace.error + ".";
  }
  out += ", target " + target_text(metric, trace) + ": ";
  const bool is_whole =
      metric.source == MetricSource::kObject || metric.source == MetricSource::kExternal;
  out += is_whole ? whole_text(metric, trace) : reckoning_text(trace, trace.measured);
  if (!trace.other_pods.empty()) {
    out += "; " + other_pods(trace.other_pods);
  }
  if (trace.filled) {
    out += filled_text(trace);
  }
  return out + "; " + outcome_text(trace) + ".";
}

std::string stabilized_text(const RulesTrace& rules, std::int32_t current) {
  const std::string wish = std::to_string(rules.wish);
  const std::string result = std::to_string(rules.stabilized);
  if (!rules.has_behavior) {
    return "Wish " + wish + ". Without behavior the highest recommendation of the last " +
           seconds(rules.down_window) + " counts: " + result + ".";
  }
  return "Wish " + wish + ". Lowest recommendation of the last " +
         std::to_string(rules.up_window_seconds) + " s: " + std::to_string(rules.lowest) +
         "; highest of the last " + seconds(rules.down_window) + ": " +
         std::to_string(rules.highest) + "; " + std::to_string(current) +
         " replicas are moved just into that range: " + result + ".";
}

std::string policy_text(const PolicyTrace& one) {
  std::string out = std::to_string(one.policy.value) +
                    (one.policy.type == PolicyType::kPods ? " pods" : " %") + " in " +
                    std::to_string(one.policy.period_seconds) + " s";
  if (one.added != 0 || one.removed != 0) {
    out += " (within them " + std::to_string(one.added) + " came, " + std::to_string(one.removed) +
           " went)";
  }
  return out + " allows " + std::to_string(one.limit);
}

std::string policies_text(const RulesTrace& rules) {
  if (rules.select == SelectPolicy::kDisabled) {
    return "selectPolicy Disabled: no change in this direction";
  }
  std::string out;
  for (const PolicyTrace& one : rules.policies) {
    out += (out.empty() ? "" : ", ") + policy_text(one);
  }
  return out + (rules.select == SelectPolicy::kMin ? "; the smallest change counts"
                                                   : "; the largest change counts");
}

std::string limit_text(const Look& look, const HpaSpec& spec) {
  const RulesTrace& rules = *look.rules;
  const std::string bounds = "minReplicas " + std::to_string(*spec.min_replicas) +
                             ", maxReplicas " + std::to_string(spec.max_replicas);
  std::string out;
  if (rules.has_behavior) {
    out = rules.select ? "Policies: " + policies_text(rules) + ". Bounds: " + bounds
                       : "No policy applies without a change. Bounds: " + bounds;
  } else {
    out = "A look may bring " + std::to_string(look.current) + " to at most " +
          std::to_string(std::max(2.0 * look.current, 4.0) > spec.max_replicas ? spec.max_replicas
                                                                               : rules.bound) +
          " (twice as many, or 4, and no more than maxReplicas). Bounds: " + bounds;
  }
  return out + ". Result: " + std::to_string(rules.result) + ".";
}

std::string route_text(const Look& look, const HpaSpec& spec) {
  switch (look.route) {
    case DecisionRoute::kDisabled:
      return "The target has 0 replicas, and this autoscaler did not bring it there: it does "
             "nothing "
             "(ScalingDisabled).";
    case DecisionRoute::kAboveMaximum:
      return "More than maxReplicas " + std::to_string(spec.max_replicas) +
             ": metrics, windows and policies are skipped.";
    case DecisionRoute::kBelowMinimum:
      return "Fewer than minReplicas " + std::to_string(*spec.min_replicas) +
             ": metrics, windows and policies are skipped.";
    case DecisionRoute::kMetricsFailed:
      return "A metric failed, and the others do not ask for more replicas: nothing changes, and "
             "nothing is remembered.";
    case DecisionRoute::kMetrics:
      return {};
  }
  return {};
}

}  // namespace

std::string metrics_error(const Look& look, const HpaSpec& spec) {
  std::string out;
  for (std::size_t i = 0; i < look.metrics.size(); ++i) {
    if (!look.metrics[i].proposal) {
      out += (out.empty() ? "" : "; ") + title(spec.metrics[i]) + ": " + look.metrics[i].error;
    }
  }
  return out;
}

std::vector<std::string> explain(const Look& look, const Hpa& hpa) {
  const HpaSpec& spec = hpa.spec();
  std::vector<std::string> out;
  out.push_back("At " + seconds(look.at) + ", by the rules of Kubernetes " +
                std::string(version_name(hpa.settings().version)) + ": the target has " +
                count(look.current, "replica") + " (spec), " +
                std::to_string(look.status_replicas) + " (status).");
  for (std::size_t i = 0; i < look.metrics.size(); ++i) {
    out.push_back(metric_text(i, spec.metrics[i], look.metrics[i]));
  }
  if (const std::string text = route_text(look, spec); !text.empty()) {
    out.push_back(text);
  }
  if (look.rules) {
    out.push_back(stabilized_text(*look.rules, look.current));
    out.push_back(limit_text(look, spec));
  }
  if (look.raised_to_minimum) {
    out.push_back("Coming back from 0, it goes to minReplicas at least.");
  }
  out.push_back(look.rescaled ? "Rescaled from " + std::to_string(look.current) + " to " +
                                    std::to_string(look.desired) + "."
                              : "No change: " + std::to_string(look.desired) + ".");
  return out;
}

}  // namespace podsense::foresight
