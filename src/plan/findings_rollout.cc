// Drains, rollouts, and how pods begin and end.

#include "plan/findings_case.h"

namespace podsense::plan {

using foresight::ContainerKind;
using foresight::DeployedContainer;
using foresight::DeployedPod;
using foresight::DisruptionBudget;

namespace {

/// How many of so many healthy pods may be evicted. Kubernetes rounds both percentages up.
std::int32_t allowed(const DisruptionBudget& budget, std::int32_t pods, std::int32_t healthy) {
  const std::int32_t needed = budget.min_available ? budget.min_available->of(pods, true)
                              : budget.max_unavailable
                                  ? pods - budget.max_unavailable->of(pods, true)
                                  : 0;
  return std::max(0, healthy - std::max(0, needed));
}

std::string rule_of(const DisruptionBudget& budget) {
  return budget.min_available     ? "minAvailable " + budget.min_available->text()
         : budget.max_unavailable ? "maxUnavailable " + budget.max_unavailable->text()
                                  : "no rule";
}

void check_unhealthy(const Case& one, const DisruptionBudget& budget, Findings& out) {
  if (budget.lets_unhealthy_go || one.pods.empty()) {
    return;
  }
  const auto pods = static_cast<std::int32_t>(
      std::ranges::count_if(one.pods, [](const DeployedPod* pod) { return !pod->is_deleted; }));
  const auto healthy = static_cast<std::int32_t>(std::ranges::count_if(
      one.pods, [](const DeployedPod* pod) { return !pod->is_deleted && pod->is_ready; }));
  if (healthy < pods && allowed(budget, pods, healthy) == 0) {
    out.push_back({.severity = Severity::kError,
                   .id = "budget-keeps-unhealthy",
                   .object = budget.name.text(),
                   .what = std::to_string(pods - healthy) + " of " + count_of(pods, "pod") +
                           (pods - healthy == 1 ? " is" : " are") + " not ready and " +
                           rule_of(budget) +
                           " lets 0 go: nodes with the broken pods cannot be drained either.",
                   .change = "set unhealthyPodEvictionPolicy: AlwaysAllow",
                   .figures = {{"not_ready", static_cast<double>(pods - healthy)},
                               {"pods", static_cast<double>(pods)}}});
  }
}

bool has_readiness(const Case& one) {
  return std::ranges::any_of(one.workload.pods.containers, [](const DeployedContainer& container) {
    return container.kind != ContainerKind::kInit && (container.readiness || container.startup);
  });
}

/// How long a container may take, and who ends it then.
struct Patience {
  std::string_view probe;
  Duration time{};
};
std::optional<Patience> patience_of(const DeployedContainer& container) {
  if (container.startup) {
    return Patience{.probe = "startup", .time = container.startup->patience()};
  }
  return container.liveness
             ? std::optional(Patience{.probe = "liveness", .time = container.liveness->patience()})
             : std::nullopt;
}

/// Pods that are running and were never restarted show that their probes let them; only a startup
/// probe ends when they are ready.
void check_patience(const Case& one, const DeployedContainer& container, const Patience& patience,
                    Findings& out) {
  const std::string probe =
      "its " + std::string(patience.probe) + " probe gives up after " + time_text(patience.time);
  const std::string change =
      "a startup probe with failureThreshold × periodSeconds of several times the start";
  const bool is_startup = patience.probe == "startup";
  const auto start = one.options.start_up      ? one.options.start_up
                     : one.start && is_startup ? one.start->running
                                               : std::nullopt;
  const std::vector<std::pair<std::string_view, double>> figures{
      {"start_seconds", start ? to_seconds(*start) : 0},
      {"patience_seconds", to_seconds(patience.time)}};
  if (start && *start >= patience.time) {
    out.push_back({.severity = Severity::kError,
                   .id = "probe-before-ready",
                   .object = one.workload.name.text(),
                   .what = "Container " + container.name + " takes " + time_text(*start) +
                           " to start, and " + probe + ": it is restarted before it serves.",
                   .change = change,
                   .figures = figures});
  } else if (start && is_startup && *start * 2 > patience.time) {
    out.push_back({.severity = Severity::kWarning,
                   .id = "probe-near-start",
                   .object = one.workload.name.text(),
                   .what = "Container " + container.name + " took " + time_text(*start) +
                           " to start, and " + probe +
                           ": a start half as fast, on a busy node, never ends.",
                   .change = change,
                   .figures = figures});
  }
  std::int32_t restarts = 0;
  for (const DeployedPod* const pod : one.pods) {
    restarts += pod->is_ready || pod->is_deleted ? 0 : pod->restarts;
  }
  if (restarts > 0) {
    out.push_back({.severity = Severity::kWarning,
                   .id = "pods-restart",
                   .object = one.workload.name.text(),
                   .what = "Pods that are not ready have been restarted " +
                           count_of(restarts, "time") + "; " + probe + " (container " +
                           container.name + ").",
                   .change = "kubectl describe pod says why; where the probe does it: " + change,
                   .figures = {{"restarts", static_cast<double>(restarts)},
                               {"patience_seconds", to_seconds(patience.time)}}});
  }
}

}  // namespace

void check_budgets(const Case& one, Findings& out) {
  std::vector<const DisruptionBudget*> own;
  for (const DisruptionBudget& budget : one.all.budgets) {
    if (budget.name.shares_namespace(one.workload.name) &&
        budget.selector.finds(one.workload.pods.labels)) {
      own.push_back(&budget);
    }
  }
  if (own.size() > 1) {
    out.push_back({.severity = Severity::kError,
                   .id = "two-budgets",
                   .object = one.workload.name.text(),
                   .what = "Its pods have " + std::to_string(own.size()) + " budgets (" +
                           own[0]->name.name + ", " + own[1]->name.name +
                           "): Kubernetes then refuses every eviction.",
                   .change = "keep one of them",
                   .figures = {{"budgets", static_cast<double>(own.size())}}});
  }
  for (const DisruptionBudget* const budget : own) {
    const std::int32_t at_least = allowed(*budget, one.least, one.least);
    const std::int32_t at_most = allowed(*budget, one.most, one.most);
    if (at_least == 0) {
      out.push_back({.severity = Severity::kError,
                     .id = "budget-blocks-drain",
                     .object = budget->name.text(),
                     .what = rule_of(*budget) + " of " + count_of(one.least, "pod") +
                             " lets 0 be evicted: kubectl drain and node upgrades wait for ever" +
                             (at_most == 0 ? ", at " + count_of(one.most, "pod") + " too."
                                           : " until there are more."),
                     .change = "set maxUnavailable: 1 instead, or have more pods at least",
                     .figures = {{"pods", static_cast<double>(one.least)}, {"evictable", 0}}});
    }
    check_unhealthy(one, *budget, out);
  }
}

void check_rollout(const Case& one, Findings& out) {
  const foresight::Workload& workload = one.workload;
  if (workload.name.kind != "Deployment") {
    return;
  }
  if (workload.is_recreated) {
    out.push_back(
        {.severity = Severity::kWarning,
         .id = "recreate",
         .object = workload.name.text(),
         .what = "strategy Recreate ends all pods before the first new one: a rollout "
                 "serves with 0 pods" +
                 (one.start ? " for " + time_text(one.start->median) + " and more." : "."),
         .change = "strategy RollingUpdate with maxUnavailable: 0",
         .figures = {{"pods_left", 0}}});
    return;
  }
  const std::int32_t surge = workload.max_surge.of(one.least, true);
  std::int32_t away = workload.max_unavailable.of(one.least, false);
  away = surge == 0 && away == 0 ? 1 : away;  // as the controller does
  const std::int32_t left = std::max(0, one.least - away);
  if (left == 0) {
    out.push_back({.severity = Severity::kError,
                   .id = "rollout-takes-last",
                   .object = workload.name.text(),
                   .what = "maxUnavailable " + workload.max_unavailable.text() + " and maxSurge " +
                           workload.max_surge.text() + " of " + count_of(one.least, "pod") +
                           ": a rollout may serve with 0 pods.",
                   .change = "maxUnavailable: 0 with maxSurge: 1",
                   .figures = {{"pods", static_cast<double>(one.least)}, {"pods_left", 0}}});
  } else if (surge == 0) {
    out.push_back({.severity = Severity::kWarning,
                   .id = "no-surge",
                   .object = workload.name.text(),
                   .what = "maxSurge 0: while a rollout goes on, " + std::to_string(left) + " of " +
                           count_of(one.least, "pod") + " serve, " +
                           share_text(static_cast<double>(left) / one.least) + " of the capacity.",
                   .change = "maxSurge: 1 with maxUnavailable: 0",
                   .figures = {{"pods", static_cast<double>(one.least)},
                               {"pods_left", static_cast<double>(left)}}});
  }
}

void check_stop(const Case& one, Findings& out) {
  const Duration grace = one.workload.pods.grace;
  for (const DeployedContainer& container : one.workload.pods.containers) {
    if (container.kind != ContainerKind::kMain) {
      continue;
    }
    const auto& drain = container.drain;
    const Duration after =
        drain ? drain->timeout : one.options.request_timeout.value_or(Duration::zero());
    const Duration needed = container.pre_stop + after;
    if (grace < needed || (drain && grace == needed)) {
      out.push_back({.severity = Severity::kError,
                     .id = "grace-too-short",
                     .object = one.workload.name.text(),
                     .what = "terminationGracePeriodSeconds is " + time_text(grace) +
                             ", and container " + container.name + " needs " + time_text(needed) +
                             (container.pre_stop > Duration::zero()
                                  ? " (preStop " + time_text(container.pre_stop) + ")"
                                  : "") +
                             " to end: requests under way are cut off.",
                     .change = "terminationGracePeriodSeconds of " +
                               time_text(needed + std::chrono::seconds(5)) + " or more",
                     .figures = {{"grace_seconds", to_seconds(grace)},
                                 {"needed_seconds", to_seconds(needed)}}});
    }
    if (drain && drain->delay + drain->request > drain->timeout) {
      out.push_back({.severity = Severity::kNote,
                     .id = "drain-cuts-longest",
                     .object = one.workload.name.text(),
                     .what = "A request may take " + time_text(drain->request) +
                             ". One that comes in the last moment of the drain delay (" +
                             time_text(drain->delay) + ") has " +
                             time_text(drain->timeout - drain->delay) +
                             " until shutdown.drain_timeout.",
                     .change = "where requests do take that long, raise drain_timeout, and "
                               "terminationGracePeriodSeconds with it",
                     .figures = {{"request_seconds", to_seconds(drain->request)},
                                 {"left_seconds", to_seconds(drain->timeout - drain->delay)}}});
    }
  }
}

void check_probes(const Case& one, Findings& out) {
  if (one.spec && !has_readiness(one) && !one.workload.pods.containers.empty()) {
    out.push_back({.severity = Severity::kWarning,
                   .id = "no-readiness",
                   .object = one.workload.name.text(),
                   .what = "Its containers have 0 readiness or startup probes: a pod gets requests "
                           "while it still starts, and the CPU of its start counts as load, which "
                           "adds more pods.",
                   .change = "add a readiness probe",
                   .figures = {{"probes", 0}}});
  }
  for (const DeployedContainer& container : one.workload.pods.containers) {
    if (const auto patience = patience_of(container);
        patience && container.kind != ContainerKind::kInit) {
      check_patience(one, container, *patience, out);
    }
  }
}

}  // namespace podsense::plan
