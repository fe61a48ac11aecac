#pragma once

/// What is deployed, or rendered for a deployment: autoscalers, what they scale, and what limits
/// them. From files of `kubectl get … -o json` and of `helm template`. Objects that are not listed
/// here are left out.

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "foresight/hpa.h"
#include "foresight/snapshot.h"

namespace podsense::foresight {

using Labels = std::map<std::string, std::string, std::less<>>;

/// A number of pods or a percentage of them, as Kubernetes' IntOrString.
struct PodsOrPercent {
  std::int32_t value = 0;
  bool is_percent = false;
  [[nodiscard]] std::int32_t of(std::int32_t pods, bool round_up) const;
  [[nodiscard]] std::string text() const;
};

enum class LabelOperator : std::uint8_t { kIn, kNotIn, kExists, kDoesNotExist };
struct LabelRule {
  std::string key;
  LabelOperator is = LabelOperator::kIn;
  std::vector<std::string> values;
};
/// matchLabels are rules with one value. Without rules it finds everything.
struct LabelSelector {
  std::vector<LabelRule> rules;
  [[nodiscard]] bool finds(const Labels& labels) const;
};

/// "Kind/name" in a namespace; which is empty where a file leaves it to `helm install -n`.
struct ObjectName {
  std::string kind;
  std::string space;
  std::string name;
  [[nodiscard]] std::string text() const;  ///< Deployment shop/web
  /// An unknown namespace is any.
  [[nodiscard]] bool shares_namespace(const ObjectName& other) const;
};

struct ProbeTimes {
  Duration initial_delay{};
  Duration period = std::chrono::seconds(10);
  std::int32_t failures = 3;
  /// From the container's start until it gives up on one that never answers.
  [[nodiscard]] Duration patience() const { return initial_delay + period * failures; }
};

/// Of `podsense serve`, as far as files say it.
struct DrainSettings {
  Duration delay = std::chrono::seconds(5);
  Duration timeout = std::chrono::seconds(25);
  Duration request = std::chrono::seconds(30);
};

struct DeployedContainer {
  std::string name;
  ContainerKind kind = ContainerKind::kMain;
  Resources requests;  ///< limits where there is none, as the API server fills them in
  Resources limits;
  std::optional<ProbeTimes> startup;
  std::optional<ProbeTimes> liveness;
  std::optional<ProbeTimes> readiness;
  Duration pre_stop{};                 ///< a hook that only sleeps
  std::optional<DrainSettings> drain;  ///< it runs podsense serve
};

struct SpreadRule {
  std::string key;
  std::int32_t max_skew = 1;
  std::int32_t min_domains = 1;
  bool is_required = false;  ///< DoNotSchedule
};

struct PodTemplate {
  Labels labels;
  std::vector<DeployedContainer> containers;
  Resources pod_requests;  ///< spec.resources
  Resources overhead;
  Duration grace = std::chrono::seconds(30);
  std::vector<SpreadRule> spreads;
  std::vector<std::string> apart;  ///< topology keys of required anti-affinity with its own pods
  Labels node_selector;
};

struct Workload {
  ObjectName name;
  bool is_rendered = false;  ///< from a file that no API server has stored
  std::optional<std::int32_t> replicas;
  bool sets_replicas = false;  ///< what was rendered, or applied last, has `replicas`
  bool is_recreated = false;   ///< strategy Recreate
  PodsOrPercent max_surge{.value = 25, .is_percent = true};
  PodsOrPercent max_unavailable{.value = 25, .is_percent = true};
  LabelSelector selector;
  PodTemplate pods;
};

struct DeployedAutoscaler {
  ObjectName name;
  ObjectName target;
  HpaSpec spec;  ///< as written; `with_defaults` fills it in
  bool is_keda = false;
  std::string made_by;  ///< the ScaledObject that owns it
  std::optional<std::int32_t> current;
  Conditions conditions;
  std::map<std::string, std::string, std::less<>> messages;  ///< condition → its message
};

struct DisruptionBudget {
  ObjectName name;
  LabelSelector selector;
  std::optional<PodsOrPercent> min_available;
  std::optional<PodsOrPercent> max_unavailable;
  bool lets_unhealthy_go = false;  ///< unhealthyPodEvictionPolicy: AlwaysAllow
};

struct DeployedPod {
  ObjectName name;
  Labels labels;
  std::string node;
  PodPhase phase = PodPhase::kRunning;
  bool is_ready = false;
  bool is_deleted = false;
  std::optional<Duration> created;
  std::optional<Duration> running_since;  ///< its last container began
  std::optional<Duration> ready_since;
  std::int32_t restarts = 0;
  PodState state;  ///< its requests
};

struct ResourceQuota {
  ObjectName name;
  Resources hard;
  Resources used;  ///< empty: nothing is known
};

struct ContainerDefaults {  ///< of a LimitRange
  ObjectName name;
  Resources requests;
};

struct ClusterNode {
  std::string name;
  Labels labels;
  bool is_schedulable = true;
  Resources allocatable;
};

struct Deployed {
  std::vector<DeployedAutoscaler> autoscalers;
  std::vector<Workload> workloads;
  std::vector<DisruptionBudget> budgets;
  std::vector<DeployedPod> pods;
  std::vector<ResourceQuota> quotas;
  std::vector<ContainerDefaults> defaults;
  std::vector<ClusterNode> nodes;
};

/// @param files  each a JSON or YAML document, or several of YAML
/// @errors kInvalidArgument, naming file and field
Result<Deployed> read_deployed(std::span<const SnapshotFile> files);

/// What a pod of the template requests of a resource, in milli-units, init containers included;
/// nothing where no container has any.
std::optional<std::int64_t> requested(const PodTemplate& pods, std::string_view resource);
std::optional<std::int64_t> requested(const PodState& pod, std::string_view resource);
/// As a pod's state: what the autoscaler reads of it.
PodState state_of(const PodTemplate& pods);

}  // namespace podsense::foresight
