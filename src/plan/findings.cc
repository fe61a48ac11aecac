#include "plan/findings.h"

#include <array>
#include <cmath>
#include <iterator>
#include <set>

#include "base/text.h"
#include "plan/findings_case.h"
#include "text/numbers.h"

namespace podsense::plan {
namespace {

using foresight::Deployed;
using foresight::DeployedAutoscaler;
using foresight::DeployedPod;
using foresight::Workload;

constexpr Duration kLongestStart = std::chrono::minutes(30);

bool is_target(const DeployedAutoscaler& scaler, const Workload& workload) {
  return scaler.target.kind == workload.name.kind && scaler.target.name == workload.name.name &&
         scaler.target.shares_namespace(workload.name);
}

Duration middle(std::vector<Duration> values) {
  const auto at = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::ranges::nth_element(values, at);
  return *at;
}

/// Pods that were never restarted; one that was ready, failed and came back counts too long, so
/// the longest are left out.
std::optional<StartTimes> start_of(const Case& one) {
  if (one.options.start_up) {
    return StartTimes{.median = *one.options.start_up};
  }
  std::vector<Duration> from_creation;
  std::vector<Duration> from_start;
  for (const DeployedPod* const pod : one.pods) {
    if (!pod->is_ready || pod->restarts > 0 || !pod->created || !pod->ready_since ||
        *pod->ready_since - *pod->created > kLongestStart) {
      continue;
    }
    from_creation.push_back(*pod->ready_since - *pod->created);
    if (pod->running_since) {
      from_start.push_back(*pod->ready_since - *pod->running_since);
    }
  }
  if (from_creation.empty()) {
    return std::nullopt;
  }
  StartTimes out{.median = middle(from_creation), .pods = from_creation.size()};
  if (!from_start.empty()) {
    out.running = middle(from_start);
  }
  return out;
}

Case case_of(const Deployed& all, const FindingOptions& options, const Workload& workload) {
  Case one{.all = all, .options = options, .workload = workload};
  for (const DeployedAutoscaler& scaler : all.autoscalers) {
    // KEDA's object stands for the autoscaler that it makes, which has the metrics.
    if (is_target(scaler, workload) && (one.autoscaler == nullptr || one.autoscaler->is_keda)) {
      one.autoscaler = &scaler;
    }
  }
  for (const DeployedPod& pod : all.pods) {
    if (pod.name.shares_namespace(workload.name) && !workload.selector.rules.empty() &&
        workload.selector.finds(pod.labels)) {
      one.pods.push_back(&pod);
    }
  }
  one.least = one.most = workload.replicas.value_or(1);
  if (one.autoscaler != nullptr) {
    one.spec = one.autoscaler->is_keda ? one.autoscaler->spec
                                       : foresight::with_defaults(one.autoscaler->spec);
    one.least = one.spec->min_replicas.value_or(1);
    one.most = one.spec->max_replicas;
  }
  one.least = std::max(one.least, 1);
  one.most = std::max(one.most, one.least);
  one.start = start_of(one);
  return one;
}

/// Several autoscalers for one target; the one that KEDA itself made does not count.
void check_rivals(const Deployed& all, Findings& out) {
  for (std::size_t i = 0; i < all.autoscalers.size(); ++i) {
    for (std::size_t j = i + 1; j < all.autoscalers.size(); ++j) {
      const DeployedAutoscaler& a = all.autoscalers[i];
      const DeployedAutoscaler& b = all.autoscalers[j];
      const bool is_one_target = a.target.kind == b.target.kind && a.target.name == b.target.name &&
                                 a.target.shares_namespace(b.target);
      const bool is_made =
          (a.is_keda && b.made_by == a.name.name) || (b.is_keda && a.made_by == b.name.name);
      if (is_one_target && !is_made) {
        out.push_back({.severity = Severity::kError,
                       .id = "two-autoscalers",
                       .object = a.target.text(),
                       .what = a.name.text() + " and " + b.name.text() +
                               " both set its replicas: each undoes what the other did.",
                       .change = "keep one of them, with the metrics of both",
                       .figures = {{"autoscalers", 2}}});
      }
    }
  }
}

void check_targets(const Deployed& all, Findings& out) {
  for (const DeployedAutoscaler& scaler : all.autoscalers) {
    const bool is_known = scaler.target.kind == "Deployment" || scaler.target.kind == "StatefulSet";
    if (is_known && std::ranges::none_of(all.workloads, [&](const Workload& workload) {
          return is_target(scaler, workload);
        })) {
      out.push_back(
          {.severity = all.workloads.empty() ? Severity::kNote : Severity::kError,
           .id = "no-target",
           .object = scaler.name.text(),
           .what = "It scales " + scaler.target.text() + ", which is in none of the files.",
           .change = "give its file too, or correct scaleTargetRef",
           .figures = {}});
    }
  }
}

/// What a cluster says itself.
void check_conditions(const DeployedAutoscaler& scaler, Findings& out) {
  using foresight::ConditionType;
  for (const ConditionType type : {ConditionType::kAbleToScale, ConditionType::kScalingActive}) {
    const auto index = static_cast<std::size_t>(type);
    const auto& condition = scaler.conditions[index];
    if (!condition || condition->status) {
      continue;
    }
    const bool is_off = condition->reason == "ScalingDisabled";
    const auto message = scaler.messages.find(foresight::kConditionNames[index]);
    out.push_back({.severity = is_off ? Severity::kWarning : Severity::kError,
                   .id = is_off ? "target-at-zero" : "does-not-scale",
                   .object = scaler.name.text(),
                   .what = std::string(foresight::kConditionNames[index]) + " is False (" +
                           condition->reason + ")" +
                           (message == scaler.messages.end() ? "." : ": " + message->second),
                   .change = is_off ? "set the target's replicas to 1 or more"
                                    : "podsense simulate hpa says which metric it lacks "
                                      "(docs/how-to/why-did-my-hpa.md)",
                   .figures = {}});
  }
}

bool is_wanted(const Case& one) {
  const std::string& name = one.options.name;
  return name.empty() || one.workload.name.name == name ||
         (one.autoscaler != nullptr && one.autoscaler->name.name == name);
}

void check_case(const Case& one, Findings& out) {
  for (const auto check :
       {check_metrics, check_reach, check_behavior, check_bounds, check_budgets, check_rollout,
        check_stop, check_probes, check_quotas, check_nodes, check_spread, check_times}) {
    check(one, out);
  }
}

}  // namespace

Result<std::vector<Finding>> find_faults(const Deployed& all, const FindingOptions& options) {
  if (all.workloads.empty() && all.autoscalers.empty()) {
    return fail(ErrorCode::kInvalidArgument,
                "the files have neither a Deployment or StatefulSet nor an autoscaler");
  }
  Findings out;
  bool is_found = options.name.empty();
  for (const Workload& workload : all.workloads) {
    const Case one = case_of(all, options, workload);
    if (is_wanted(one)) {
      is_found = true;
      check_case(one, out);
    }
  }
  for (const DeployedAutoscaler& scaler : all.autoscalers) {
    if (options.name.empty() || scaler.name.name == options.name ||
        scaler.target.name == options.name) {
      is_found = true;
      check_conditions(scaler, out);
    }
  }
  if (!is_found) {
    return fail(ErrorCode::kInvalidArgument, "nothing in the files is called " + options.name);
  }
  check_rivals(all, out);
  check_targets(all, out);
  Findings sorted;
  for (const Severity severity : {Severity::kError, Severity::kWarning, Severity::kNote}) {
    std::ranges::copy_if(out, std::back_inserter(sorted),
                         [&](const Finding& one) { return one.severity == severity; });
  }
  return sorted;
}

std::string count_of(std::int64_t number, std::string_view noun) {
  return text::format_count(static_cast<std::uint64_t>(std::max<std::int64_t>(number, 0))) + " " +
         std::string(noun) + (number == 1 ? "" : "s");
}

std::string share_text(double share) {
  return text::format_share_tenths(share);
}

std::string times_text(double factor) {
  return text::format_rate(std::round(factor * 100) / 100);
}

std::string time_text(Duration time) {
  return text::format_rate(std::round(to_seconds(time) * 10) / 10) + " s";
}

std::string findings_text(const std::vector<Finding>& findings) {
  std::string out;
  std::array<std::size_t, kSeverityNames.size()> counts{};
  for (const Finding& one : findings) {
    const auto severity = static_cast<std::size_t>(one.severity);
    ++counts[severity];
    out += std::string(kSeverityNames[severity]) + "  " + one.object + "  [" + std::string(one.id) +
           "]\n  " + one.what + "\n  change: " + one.change + "\n\n";
  }
  out += count_of(static_cast<std::int64_t>(counts[0]), "error") + ", " +
         count_of(static_cast<std::int64_t>(counts[1]), "warning") + ", " +
         count_of(static_cast<std::int64_t>(counts[2]), "note") + "\n";
  return out;
}

std::string findings_json(const std::vector<Finding>& findings) {
  std::string out = "{\"findings\": [";
  std::array<std::size_t, kSeverityNames.size()> counts{};
  const auto member = [&out](std::string_view key, std::string_view value) {
    append_json_string(out, key);
    out += ": ";
    append_json_string(out, value);
  };
  for (const Finding& one : findings) {
    const auto severity = static_cast<std::size_t>(one.severity);
    out += counts == decltype(counts){} ? "\n  {" : ",\n  {";
    ++counts[severity];
    member("severity", kSeverityNames[severity]);
    for (const auto& [key, value] : {std::pair<std::string_view, std::string_view>("id", one.id),
                                     {"object", one.object},
                                     {"what", one.what},
                                     {"change", one.change}}) {
      out += ", ";
      member(key, value);
    }
    out += ", \"figures\": {";
    for (const auto& [key, value] : one.figures) {
      out += out.back() == '{' ? "" : ", ";
      append_json_string(out, key);
      out += ": ";
      append_json_number(out, value);
    }
    out += "}}";
  }
  out += "\n], \"errors\": ";
  append_json_number(out, counts[0]);
  out += ", \"warnings\": ";
  append_json_number(out, counts[1]);
  out += ", \"notes\": ";
  append_json_number(out, counts[2]);
  out += "}\n";
  return out;
}

}  // namespace podsense::plan
