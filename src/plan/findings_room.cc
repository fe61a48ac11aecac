// Whether as many pods as wanted find a place: quotas, nodes, spreading.

#include <array>
#include <set>

#include "plan/findings_case.h"

namespace podsense::plan {

using foresight::ClusterNode;
using foresight::ContainerKind;
using foresight::DeployedContainer;
using foresight::DeployedPod;
using foresight::Int128;
using foresight::PodPhase;
using foresight::ResourceQuota;
using foresight::Workload;

namespace {

std::int64_t limits_of(const Workload& workload, std::string_view resource) {
  std::int64_t sum = 0;
  for (const DeployedContainer& container : workload.pods.containers) {
    const auto limit = container.limits.find(resource);
    if (container.kind != ContainerKind::kInit && limit != container.limits.end()) {
      sum += limit->second.milli();
    }
  }
  return sum;
}

struct QuotaKey {
  std::string_view key;
  std::string_view resource;
  bool is_limit = false;
};
constexpr std::array<QuotaKey, 6> kQuotaKeys{
    {{.key = "requests.cpu", .resource = "cpu"},
     {.key = "cpu", .resource = "cpu"},
     {.key = "requests.memory", .resource = "memory"},
     {.key = "memory", .resource = "memory"},
     {.key = "limits.cpu", .resource = "cpu", .is_limit = true},
     {.key = "limits.memory", .resource = "memory", .is_limit = true}}};

/// In milli-units; nothing where a pod has none.
std::optional<std::int64_t> need_of(const Workload& workload, const QuotaKey& key) {
  if (!key.is_limit) {
    return requested(workload.pods, key.resource);
  }
  const std::int64_t limits = limits_of(workload, key.resource);
  return limits > 0 ? std::optional(limits) : std::nullopt;
}

/// Bytes are read as GiB.
std::string amount(std::string_view resource, Int128 milli) {
  constexpr double kGiB = 1024.0 * 1024 * 1024;
  const double value = static_cast<double>(milli) / 1000;
  return resource == "memory" ? times_text(value / kGiB) + " GiB" : times_text(value) + " CPU";
}

bool may_count(const DeployedPod& pod) {
  return pod.phase != PodPhase::kSucceeded && pod.phase != PodPhase::kFailed;
}

/// What is left for this workload's own pods, in milli-units.
Int128 room_in(const Case& one, const ResourceQuota& quota, const std::string& key,
               std::int64_t each) {
  const std::int64_t hard = quota.hard.at(key).milli();
  const auto used = quota.used.find(key);
  if (used == quota.used.end()) {
    return hard;
  }
  const auto pods = static_cast<std::int64_t>(
      std::ranges::count_if(one.pods, [](const DeployedPod* pod) { return may_count(*pod); }));
  const std::int64_t own =
      one.pods.empty() && one.autoscaler != nullptr ? one.autoscaler->current.value_or(0) : pods;
  const Int128 others = Int128{used->second.milli()} - Int128{own} * each;
  return Int128{hard} - std::max<Int128>(others, 0);
}

std::int32_t surge_of(const Case& one) {
  return one.workload.is_recreated ? 0 : one.workload.max_surge.of(one.most, true);
}

void report_quota(const Case& one, const ResourceQuota& quota, const std::string& key,
                  std::int64_t fit, const std::string& figures, Findings& out) {
  const std::int32_t surge = surge_of(one);
  const bool is_short = fit < one.most;
  if (!is_short && fit >= one.most + surge) {
    return;
  }
  out.push_back({.severity = is_short ? Severity::kError : Severity::kWarning,
                 .id = is_short ? "quota-below-max" : "quota-below-surge",
                 .object = quota.name.text(),
                 .what = key + ": " + figures + " of it hold " + count_of(fit, "pod") + " of " +
                         one.workload.name.text() +
                         (is_short ? ", and " + std::to_string(one.most) + " are wanted at most."
                                   : ": all " + std::to_string(one.most) + ", but not the " +
                                         std::to_string(surge) + " more of a rollout."),
                 .change = "raise " + key + ", or lower maxReplicas or the pod's share",
                 .figures = {{"pods_that_fit", static_cast<double>(fit)},
                             {"pods_wanted", static_cast<double>(one.most)},
                             {"surge", static_cast<double>(surge)}}});
}

void check_quota(const Case& one, const ResourceQuota& quota, Findings& out) {
  for (const QuotaKey& known : kQuotaKeys) {
    const std::string key(known.key);
    if (!quota.hard.contains(key)) {
      continue;
    }
    const auto each = need_of(one.workload, known);
    const bool has_default =
        std::ranges::any_of(one.all.defaults, [&](const foresight::ContainerDefaults& some) {
          return some.name.shares_namespace(one.workload.name) &&
                 some.requests.contains(known.resource);
        });
    if (!each && !has_default) {
      out.push_back({.severity = Severity::kError,
                     .id = "quota-needs-value",
                     .object = quota.name.text(),
                     .what = "It counts " + key + ", of which a pod of " +
                             one.workload.name.text() + " has 0: such pods are refused.",
                     .change = "set resources." +
                               std::string(known.is_limit ? "limits." : "requests.") +
                               std::string(known.resource) + " of every container",
                     .figures = {{"pods_that_fit", 0}}});
    }
    if (each && *each > 0) {
      const Int128 room = room_in(one, quota, key, *each);
      report_quota(one, quota, key, static_cast<std::int64_t>(room / *each),
                   amount(known.resource, room) + " at " + amount(known.resource, *each) + " each",
                   out);
    }
  }
  for (const std::string key : {"pods", "count/pods"}) {
    if (quota.hard.contains(key)) {
      const Int128 room = room_in(one, quota, key, 1000);
      report_quota(one, quota, key, static_cast<std::int64_t>(room / 1000),
                   count_of(static_cast<std::int64_t>(room / 1000), "place"), out);
    }
  }
}

bool may_run_on(const Case& one, const ClusterNode& node) {
  const auto& wanted = one.workload.pods.node_selector;
  return node.is_schedulable && std::ranges::all_of(wanted, [&](const auto& label) {
           const auto found = node.labels.find(label.first);
           return found != node.labels.end() && found->second == label.second;
         });
}

bool is_own(const Case& one, const DeployedPod& pod) {
  return std::ranges::find(one.pods, &pod) != one.pods.end();
}

/// How many of its pods a node holds next to what else runs there.
std::int64_t fit_on(const Case& one, const ClusterNode& node) {
  std::int64_t fit = INT32_MAX;
  for (const std::string_view resource : {"cpu", "memory", "pods"}) {
    const bool is_pods = resource == "pods";
    const auto there = node.allocatable.find(resource);
    const auto each =
        is_pods ? std::optional<std::int64_t>(1000) : requested(one.workload.pods, resource);
    if (there == node.allocatable.end() || !each || *each <= 0) {
      continue;
    }
    Int128 room = there->second.milli();
    for (const DeployedPod& pod : one.all.pods) {
      if (pod.node == node.name && may_count(pod) && !is_own(one, pod)) {
        room -= is_pods ? 1000 : requested(pod.state, resource).value_or(0);
      }
    }
    fit = std::min(fit, static_cast<std::int64_t>(std::max<Int128>(room, 0) / *each));
  }
  return fit;
}

std::set<std::string> places(const Case& one, const std::string& key) {
  std::set<std::string> out;
  for (const ClusterNode& node : one.all.nodes) {
    const auto label = node.labels.find(key);
    if (may_run_on(one, node) && label != node.labels.end()) {
      out.insert(label->second);
    }
  }
  return out;
}

void check_rule(const Case& one, const foresight::SpreadRule& rule, Findings& out) {
  const auto found = static_cast<std::int32_t>(places(one, rule.key).size());
  const std::int64_t fit = found == 0 ? 0 : std::int64_t{rule.max_skew} * found;
  if (!rule.is_required || (found > 0 && found >= rule.min_domains) || fit >= one.most) {
    return;
  }
  out.push_back({.severity = Severity::kError,
                 .id = "spread-holds-fewer",
                 .object = one.workload.name.text(),
                 .what = "It must spread over " + rule.key + " (DoNotSchedule, maxSkew " +
                         std::to_string(rule.max_skew) + ", minDomains " +
                         std::to_string(rule.min_domains) + "), and the nodes have " +
                         count_of(found, "place") + ": " + count_of(fit, "pod") + " of " +
                         std::to_string(one.most) + " can be placed.",
                 .change = "whenUnsatisfiable: ScheduleAnyway, or nodes in more places",
                 .figures = {{"places", static_cast<double>(found)},
                             {"pods_that_fit", static_cast<double>(fit)}}});
}

}  // namespace

void check_quotas(const Case& one, Findings& out) {
  for (const ResourceQuota& quota : one.all.quotas) {
    if (quota.name.shares_namespace(one.workload.name)) {
      check_quota(one, quota, out);
    }
  }
}

void check_nodes(const Case& one, Findings& out) {
  if (one.all.nodes.empty()) {
    return;
  }
  std::int64_t fit = 0;
  std::int64_t nodes = 0;
  for (const ClusterNode& node : one.all.nodes) {
    if (may_run_on(one, node)) {
      fit += fit_on(one, node);
      ++nodes;
    }
  }
  const auto cpu = requested(one.workload.pods, "cpu");
  const auto memory = requested(one.workload.pods, "memory");
  if (fit >= one.most) {
    return;
  }
  out.push_back(
      {.severity = fit < one.least ? Severity::kError : Severity::kWarning,
       .id = "nodes-below-max",
       .object = one.workload.name.text(),
       .what = count_of(nodes, "node") + (nodes == 1 ? " holds " : " hold ") +
               count_of(fit, "pod") + " of " + (cpu ? amount("cpu", *cpu) : "no CPU request") +
               " and " + (memory ? amount("memory", *memory) : "no memory request") +
               " next to the other pods of these files, and " + std::to_string(one.most) +
               " are wanted at most.",
       .change = "more or larger nodes (a node autoscaler takes minutes), or a lower maxReplicas",
       .figures = {{"nodes", static_cast<double>(nodes)},
                   {"pods_that_fit", static_cast<double>(fit)},
                   {"pods_wanted", static_cast<double>(one.most)}}});
}

void check_spread(const Case& one, Findings& out) {
  if (one.all.nodes.empty()) {
    return;
  }
  for (const foresight::SpreadRule& rule : one.workload.pods.spreads) {
    check_rule(one, rule, out);
  }
  for (const std::string& key : one.workload.pods.apart) {
    const auto found = static_cast<std::int64_t>(places(one, key).size());
    if (found < one.most) {
      out.push_back({.severity = found < one.least ? Severity::kError : Severity::kWarning,
                     .id = "anti-affinity-holds-fewer",
                     .object = one.workload.name.text(),
                     .what = "No two of its pods may share a " + key +
                             " (required anti-affinity): " + count_of(found, "place") +
                             " hold as many pods, and " + std::to_string(one.most) +
                             " are wanted at most.",
                     .change = "preferred anti-affinity, or more nodes",
                     .figures = {{"places", static_cast<double>(found)},
                                 {"pods_wanted", static_cast<double>(one.most)}}});
    }
  }
}

}  // namespace podsense::plan
