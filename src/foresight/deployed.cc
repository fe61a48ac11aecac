#include "foresight/deployed.h"

#include <algorithm>
#include <deque>
#include <set>

#include "foresight/deployed_fields.h"
#include "foresight/hpa_read.h"
#include "foresight/pod_requests.h"
#include "foresight/yaml_json.h"

namespace podsense::foresight {
namespace {

using nlohmann::json;

constexpr std::size_t kMaxFileBytes = 256U << 20U;

ObjectName name_of(const json& object, std::string kind) {
  const json& metadata = member_of(object, "metadata");
  return {.kind = std::move(kind),
          .space = text_member(metadata, "namespace"),
          .name = text_member(metadata, "name")};
}

/// spec.replicas in what `kubectl apply` sent last.
bool was_applied_with_replicas(const json& metadata) {
  const std::string applied = text_member(member_of(metadata, "annotations"),
                                          "kubectl.kubernetes.io/last-applied-configuration");
  const auto document = parse_json(applied, "");
  return document && !member_of(member_of(*document, "spec"), "replicas").is_null();
}

Result<void> read_strategy(const JsonField& spec, Workload& out) {
  const JsonField strategy(member_of(spec.value(), "strategy"), spec, "strategy");
  out.is_recreated = text_member(strategy.value(), "type") == "Recreate";
  const JsonField rolling(member_of(strategy.value(), "rollingUpdate"), strategy, "rollingUpdate");
  std::optional<PodsOrPercent> surge;
  std::optional<PodsOrPercent> unavailable;
  if (auto done = read_share(rolling, "maxSurge", surge); !done) {
    return done;
  }
  auto done = read_share(rolling, "maxUnavailable", unavailable);
  out.max_surge = surge.value_or(out.max_surge);
  out.max_unavailable = unavailable.value_or(out.max_unavailable);
  return done;
}

/// Sorts objects by their kinds, then reads them.
class Reader {
 public:
  Result<void> add(const JsonField& field, std::string_view kind_of_list = "");
  Result<Deployed> finish();

 private:
  Result<void> read_one(const std::string& kind, const JsonField& field);
  Result<void> read_map(const JsonField& field);
  Result<void> read_workload(const std::string& kind, const JsonField& field);
  Result<void> read_autoscaler(const JsonField& field);
  Result<void> read_keda(const JsonField& field);
  Result<void> read_budget(const JsonField& field);
  Result<void> read_quota(const JsonField& field);
  Result<void> read_defaults(const JsonField& field);
  Result<void> read_node(const JsonField& field);

  std::deque<std::string> names_;  ///< paths of items, which JsonField borrows
  std::vector<std::pair<std::string, JsonField>> objects_;
  std::set<std::string> seen_;
  ConfigMaps maps_;
  Deployed out_;
};

Result<void> Reader::add(const JsonField& field, std::string_view kind_of_list) {
  if (!field.value().is_object()) {
    return field.wrong_type("an object of Kubernetes");
  }
  const std::string own = text_member(field.value(), "kind");
  const std::string kind = own.empty() ? std::string(kind_of_list) : own;
  if (kind.empty()) {
    return field.refuse("has no kind; accepted: objects and lists of Kubernetes");
  }
  if (!kind.ends_with("List")) {
    const ObjectName name = name_of(field.value(), kind);
    // Files overlap: pods of one namespace, and of all.
    if (name.name.empty() || seen_.insert(name.text()).second) {
      objects_.emplace_back(kind, field);
    }
    return {};
  }
  const json& items = member_of(field.value(), "items");
  for (std::size_t i = 0; items.is_array() && i < items.size(); ++i) {
    const std::string at = field.path();
    names_.push_back(at + (at.ends_with(' ') ? "" : ".") + "items[" + std::to_string(i) + "]");
    auto done =
        add(JsonField(items[i], names_.back()), std::string_view(kind).substr(0, kind.size() - 4));
    if (!done) {
      return done;
    }
  }
  return {};
}

Result<void> Reader::read_map(const JsonField& field) {
  const ObjectName name = name_of(field.value(), "ConfigMap");
  for (const auto& [key, value] : member_of(field.value(), "data").items()) {
    if (value.is_string()) {
      maps_[name.space + "/" + name.name][key] = value.get<std::string>();
    }
  }
  return {};
}

Result<void> Reader::read_workload(const std::string& kind, const JsonField& field) {
  Workload out{.name = name_of(field.value(), kind)};
  const json& metadata = member_of(field.value(), "metadata");
  const JsonField spec(member_of(field.value(), "spec"), field, "spec");
  out.is_rendered = member_of(metadata, "uid").is_null();
  if (auto done = read_int32(spec, "replicas", out.replicas); !done) {
    return done;
  }
  out.sets_replicas =
      out.is_rendered ? out.replicas.has_value() : was_applied_with_replicas(metadata);
  if (kind == "StatefulSet") {
    out.max_surge = {};
    out.max_unavailable = {.value = 1};
  } else if (auto done = read_strategy(spec, out); !done) {
    return done;
  }
  if (auto done = read_selector(spec, "selector", out.selector); !done) {
    return done;
  }
  const JsonField pods(member_of(spec.value(), "template"), spec, "template");
  if (auto done = put(read_template(pods, out.name.space, maps_), out.pods); !done) {
    return done;
  }
  out_.workloads.push_back(std::move(out));
  return {};
}

Result<void> Reader::read_autoscaler(const JsonField& field) {
  const std::string version = text_member(field.value(), "apiVersion");
  if (version != "autoscaling/v2") {
    return field.refuse("apiVersion '" + version + "' is not accepted; accepted: autoscaling/v2");
  }
  DeployedAutoscaler out{.name = name_of(field.value(), "HorizontalPodAutoscaler")};
  const JsonField spec(member_of(field.value(), "spec"), field, "spec");
  if (auto done = put(read_spec(spec, Origin::kUser), out.spec); !done) {
    return done;
  }
  if (auto done = validate(out.spec, Gates::defaults(kNewestVersion)); !done) {
    return field.refuse(done.error().message);
  }
  const json& reference = member_of(spec.value(), "scaleTargetRef");
  out.target = {.kind = text_member(reference, "kind"),
                .space = out.name.space,
                .name = text_member(reference, "name")};
  for (const json& owner : member_of(member_of(field.value(), "metadata"), "ownerReferences")) {
    out.made_by = text_member(owner, "kind") == "ScaledObject" ? text_member(owner, "name") : "";
  }
  const JsonField status(member_of(field.value(), "status"), field, "status");
  for (const json& one : member_of(status.value(), "conditions")) {
    out.messages[text_member(one, "type")] = text_member(one, "message");
  }
  if (auto done = read_int32(status, "currentReplicas", out.current); !done) {
    return done;
  }
  auto done = put(read_conditions(status), out.conditions);
  out_.autoscalers.push_back(std::move(out));
  return done;
}

/// The autoscaler that KEDA makes of it, without its metrics' names.
Result<void> Reader::read_keda(const JsonField& field) {
  DeployedAutoscaler out{.name = name_of(field.value(), "ScaledObject"), .is_keda = true};
  const JsonField spec(member_of(field.value(), "spec"), field, "spec");
  const json& reference = member_of(spec.value(), "scaleTargetRef");
  const std::string kind = text_member(reference, "kind");
  out.target = {.kind = kind.empty() ? "Deployment" : kind,
                .space = out.name.space,
                .name = text_member(reference, "name")};
  std::optional<std::int32_t> most;
  if (auto done = read_int32(spec, "minReplicaCount", out.spec.min_replicas); !done) {
    return done;
  }
  if (auto done = read_int32(spec, "maxReplicaCount", most); !done) {
    return done;
  }
  out.spec.min_replicas = out.spec.min_replicas.value_or(0);
  out.spec.max_replicas = most.value_or(100);
  out_.autoscalers.push_back(std::move(out));
  return {};
}

Result<void> Reader::read_budget(const JsonField& field) {
  DisruptionBudget out{.name = name_of(field.value(), "PodDisruptionBudget")};
  const JsonField spec(member_of(field.value(), "spec"), field, "spec");
  out.lets_unhealthy_go = text_member(spec.value(), "unhealthyPodEvictionPolicy") == "AlwaysAllow";
  if (auto done = read_selector(spec, "selector", out.selector); !done) {
    return done;
  }
  if (auto done = read_share(spec, "minAvailable", out.min_available); !done) {
    return done;
  }
  auto done = read_share(spec, "maxUnavailable", out.max_unavailable);
  out_.budgets.push_back(std::move(out));
  return done;
}

Result<void> Reader::read_quota(const JsonField& field) {
  ResourceQuota out{.name = name_of(field.value(), "ResourceQuota")};
  const JsonField spec(member_of(field.value(), "spec"), field, "spec");
  // One for a class of pods or of storage says nothing of these.
  if (!member_of(spec.value(), "scopes").is_null() ||
      !member_of(spec.value(), "scopeSelector").is_null()) {
    return {};
  }
  if (auto done = read_resources(spec, "hard", out.hard); !done) {
    return done;
  }
  auto done = read_resources(JsonField(member_of(field.value(), "status"), field, "status"), "used",
                             out.used);
  out_.quotas.push_back(std::move(out));
  return done;
}

Result<void> Reader::read_defaults(const JsonField& field) {
  const JsonField spec(member_of(field.value(), "spec"), field, "spec");
  const json& limits = member_of(spec.value(), "limits");
  for (std::size_t i = 0; limits.is_array() && i < limits.size(); ++i) {
    if (text_member(limits[i], "type") != "Container") {
      continue;
    }
    ContainerDefaults out{.name = name_of(field.value(), "LimitRange")};
    const JsonField one(limits[i], spec, "limits");
    for (const std::string_view key : {"default", "defaultRequest"}) {
      if (auto done = read_resources(one, key, out.requests); !done) {
        return done;
      }
    }
    out_.defaults.push_back(std::move(out));
  }
  return {};
}

Result<void> Reader::read_node(const JsonField& field) {
  ClusterNode out{.name = text_member(member_of(field.value(), "metadata"), "name")};
  const JsonField metadata(member_of(field.value(), "metadata"), field, "metadata");
  const json& spec = member_of(field.value(), "spec");
  out.is_schedulable = member_of(spec, "unschedulable") != true;
  for (const json& taint : member_of(spec, "taints")) {
    const std::string effect = text_member(taint, "effect");
    out.is_schedulable = out.is_schedulable && effect != "NoSchedule" && effect != "NoExecute";
  }
  if (auto done = read_labels(metadata, "labels", out.labels); !done) {
    return done;
  }
  auto done = read_resources(JsonField(member_of(field.value(), "status"), field, "status"),
                             "allocatable", out.allocatable);
  out_.nodes.push_back(std::move(out));
  return done;
}

Result<void> Reader::read_one(const std::string& kind, const JsonField& field) {
  if (kind == "Pod") {
    auto pod = read_deployed_pod(field);
    if (!pod) {
      return fail(pod.error());
    }
    pod->name = name_of(field.value(), kind);
    out_.pods.push_back(std::move(*pod));
    return {};
  }
  return kind == "Deployment" || kind == "StatefulSet" ? read_workload(kind, field)
         : kind == "HorizontalPodAutoscaler"           ? read_autoscaler(field)
         : kind == "ScaledObject"                      ? read_keda(field)
         : kind == "PodDisruptionBudget"               ? read_budget(field)
         : kind == "ResourceQuota"                     ? read_quota(field)
         : kind == "LimitRange"                        ? read_defaults(field)
         : kind == "Node"                              ? read_node(field)
                                                       : Result<void>{};
}

Result<Deployed> Reader::finish() {
  for (const auto& [kind, field] : objects_) {
    if (kind == "ConfigMap") {
      if (auto done = read_map(field); !done) {
        return fail(done.error());
      }
    }
  }
  for (const auto& [kind, field] : objects_) {
    if (auto done = read_one(kind, field); !done) {
      return fail(done.error());
    }
  }
  return std::move(out_);
}

Result<std::vector<json>> documents_of(const SnapshotFile& file, const std::string& begin) {
  if (file.text.size() > kMaxFileBytes) {
    return fail(ErrorCode::kInvalidArgument, begin + "is longer than 256 MiB");
  }
  const std::size_t first = file.text.find_first_not_of(" \t\r\n\xEF\xBB\xBF");
  if (first != std::string::npos && file.text[first] == '{') {
    auto document = parse_json(file.text, begin);
    return document ? Result<std::vector<json>>(std::vector<json>{std::move(*document)})
                    : Result<std::vector<json>>(fail(document.error()));
  }
  auto documents = parse_yaml_documents(file.text);
  return documents ? std::move(documents)
                   : Result<std::vector<json>>(
                         fail(ErrorCode::kInvalidArgument, begin + documents.error().message));
}

}  // namespace

std::int32_t PodsOrPercent::of(std::int32_t pods, bool round_up) const {
  if (!is_percent) {
    return value;
  }
  const std::int64_t hundredths = std::int64_t{value} * pods;
  return static_cast<std::int32_t>((hundredths + (round_up ? 99 : 0)) / 100);
}

std::string PodsOrPercent::text() const {
  return std::to_string(value) + (is_percent ? "%" : "");
}

bool LabelSelector::finds(const Labels& labels) const {
  return std::ranges::all_of(rules, [&](const LabelRule& rule) {
    const auto label = labels.find(rule.key);
    const bool has = label != labels.end();
    const bool is_listed =
        has && std::ranges::find(rule.values, label->second) != rule.values.end();
    switch (rule.is) {
      case LabelOperator::kIn:
        return is_listed;
      case LabelOperator::kNotIn:
        return !is_listed;
      case LabelOperator::kExists:
        return has;
      case LabelOperator::kDoesNotExist:
        return !has;
    }
    return false;
  });
}

std::string ObjectName::text() const {
  return kind + " " + (space.empty() ? "" : space + "/") + name;
}

bool ObjectName::shares_namespace(const ObjectName& other) const {
  return space.empty() || other.space.empty() || space == other.space;
}

Result<Deployed> read_deployed(std::span<const SnapshotFile> files) {
  std::deque<std::vector<json>> all;
  std::deque<std::string> names;
  Reader reader;
  for (const SnapshotFile& file : files) {
    names.push_back(file.name + ": ");
    auto documents = documents_of(file, names.back());
    if (!documents) {
      return fail(documents.error());
    }
    all.push_back(std::move(*documents));
    const std::string file_name = file.name;
    for (std::size_t i = 0; i < all.back().size(); ++i) {
      if (all.back()[i].is_null()) {
        continue;  // helm template: a file that rendered to nothing
      }
      names.push_back(all.back().size() == 1
                          ? file_name + ": "
                          : file_name + ": document " + std::to_string(i + 1) + ": ");
      if (auto done = reader.add(JsonField(all.back()[i], names.back())); !done) {
        return fail(done.error());
      }
    }
  }
  return reader.finish();
}

PodState state_of(const PodTemplate& pods) {
  PodState out{.name = "of the template"};
  for (const DeployedContainer& container : pods.containers) {
    out.containers.push_back(
        {.name = container.name, .kind = container.kind, .requests = container.requests});
  }
  out.pod_requests = pods.pod_requests;
  out.overhead = pods.overhead;
  return out;
}

std::optional<std::int64_t> requested(const PodTemplate& pods, std::string_view resource) {
  return total_request(state_of(pods), resource);
}

std::optional<std::int64_t> requested(const PodState& pod, std::string_view resource) {
  return total_request(pod, resource);
}

}  // namespace podsense::foresight
