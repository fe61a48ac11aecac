#include "foresight/snapshot.h"

#include <algorithm>
#include <deque>
#include <set>

#include "foresight/explain.h"
#include "foresight/hpa_read.h"

namespace podsense::foresight {
namespace {

using nlohmann::json;

constexpr std::size_t kMaxObjects = 200000;
constexpr std::size_t kMaxFileBytes = 256U << 20U;

/// A member, or JSON's null.
const json& member(const json& object, std::string_view key) {
  static const json nothing;
  const auto found = object.is_object() ? object.find(key) : object.end();
  return object.is_object() && found != object.end() ? *found : nothing;
}

std::string text_of(const json& object, std::string_view key) {
  const json& value = member(object, key);
  return value.is_string() ? value.get<std::string>() : "";
}

Result<std::optional<Duration>> time_of(const JsonField& parent, std::string_view key) {
  const json& value = member(parent.value(), key);
  if (value.is_null()) {
    return std::optional<Duration>();
  }
  const auto parsed = value.is_string() ? parse_rfc3339(value.get<std::string>()) : std::nullopt;
  if (!parsed) {
    return JsonField(value, parent, key)
        .refuse("must be a moment such as 2026-11-29T23:04:16Z, not " + value.dump());
  }
  return parsed;
}

Result<Resources> resources_of(const JsonField& parent, std::string_view key) {
  Resources out;
  const json& value = member(parent.value(), key);
  if (value.is_null()) {
    return out;
  }
  auto done =
      JsonField(value, parent, key).members([&](std::string_view name, const JsonField& child) {
        return put(child.quantity(), out[std::string(name)]);
      });
  return done ? Result<Resources>(std::move(out)) : Result<Resources>(fail(done.error()));
}

/// Calls `read` for each element of a list, which may be absent.
template <class Read>
Result<void> each_of(const JsonField& parent, std::string_view key, Read read) {
  const json& value = member(parent.value(), key);
  return value.is_null() ? Result<void>{} : JsonField(value, parent, key).each(kMaxObjects, read);
}

/// What `spec` of a pod says about its containers.
Result<void> read_containers(const JsonField& spec, PodState& pod) {
  for (const bool is_init : {false, true}) {
    auto done = each_of(
        spec, is_init ? "initContainers" : "containers", [&](const JsonField& one) -> Result<void> {
          const JsonField resources(member(one.value(), "resources"), one, "resources");
          auto requests = resources_of(resources, "requests");
          if (!requests) {
            return fail(requests.error());
          }
          const bool restarts = text_of(one.value(), "restartPolicy") == "Always";
          pod.containers.push_back({.name = text_of(one.value(), "name"),
                                    .kind = !is_init   ? ContainerKind::kMain
                                            : restarts ? ContainerKind::kSidecar
                                                       : ContainerKind::kInit,
                                    .requests = std::move(*requests)});
          return {};
        });
    if (!done) {
      return done;
    }
  }
  const JsonField own(member(spec.value(), "resources"), spec, "resources");
  if (auto done = put(resources_of(own, "requests"), pod.pod_requests); !done) {
    return done;
  }
  return put(resources_of(spec, "overhead"), pod.overhead);
}

Result<void> read_pod_status(const JsonField& status, PodState& pod) {
  const std::string phase = text_of(status.value(), "phase");
  pod.phase = phase == "Pending"     ? PodPhase::kPending
              : phase == "Succeeded" ? PodPhase::kSucceeded
              : phase == "Failed"    ? PodPhase::kFailed
              : phase == "Running"   ? PodPhase::kRunning
                                     : PodPhase::kUnknown;
  if (auto done = put(time_of(status, "startTime"), pod.start); !done) {
    return done;
  }
  pod.ready = ReadyCondition::kAbsent;
  return each_of(status, "conditions", [&](const JsonField& one) -> Result<void> {
    if (text_of(one.value(), "type") != "Ready") {
      return {};
    }
    const std::string is = text_of(one.value(), "status");
    pod.ready = is == "True"    ? ReadyCondition::kTrue
                : is == "False" ? ReadyCondition::kFalse
                                : ReadyCondition::kUnknown;
    const auto since = time_of(one, "lastTransitionTime");
    pod.ready_since = since ? since->value_or(Duration::zero()) : Duration::zero();
    return since ? Result<void>{} : Result<void>(fail(since.error()));
  });
}

Result<PodState> read_pod(const JsonField& field) {
  const json& metadata = member(field.value(), "metadata");
  PodState pod{.name = text_of(metadata, "name"),
               .deleted = !member(metadata, "deletionTimestamp").is_null()};
  if (auto done = read_containers(JsonField(member(field.value(), "spec"), field, "spec"), pod);
      !done) {
    return fail(done.error());
  }
  if (auto done = read_pod_status(JsonField(member(field.value(), "status"), field, "status"), pod);
      !done) {
    return fail(done.error());
  }
  return pod;
}

Result<PodSample> read_sample(const JsonField& field) {
  PodSample sample{.pod = text_of(member(field.value(), "metadata"), "name")};
  const auto at = time_of(field, "timestamp");
  if (!at) {
    return fail(at.error());
  }
  const std::string window = text_of(field.value(), "window");
  const auto parsed = parse_go_duration(window.empty() ? "0s" : window);
  if (!*at || !parsed) {
    return field.refuse("must have a timestamp, and a window such as 15s");
  }
  sample.at = **at;
  sample.window = *parsed;
  auto done = each_of(field, "containers", [&](const JsonField& one) -> Result<void> {
    auto usage = resources_of(one, "usage");
    if (usage) {
      sample.containers.emplace_back(text_of(one.value(), "name"), std::move(*usage));
    }
    return usage ? Result<void>{} : Result<void>(fail(usage.error()));
  });
  return done ? Result<PodSample>(std::move(sample)) : Result<PodSample>(fail(done.error()));
}

/// What the autoscaler scales, as its spec names it.
struct Target {
  std::string kind;
  std::string name;
  const json* labels = nullptr;  ///< spec.selector.matchLabels, where the target is among the files
};

/// By the target's selector, else by the owner: a Deployment's ReplicaSet has its name and a hash.
bool is_pod_of(const json& pod, const Target& target) {
  const json& metadata = member(pod, "metadata");
  if (target.labels != nullptr && target.labels->is_object()) {
    const json& own = member(metadata, "labels");
    return std::ranges::all_of(target.labels->items(), [&](const auto& one) {
      return member(own, one.key()) == one.value();
    });
  }
  const json& owners = member(metadata, "ownerReferences");
  return std::ranges::any_of(owners, [&](const json& owner) {
    const std::string kind = text_of(owner, "kind");
    const std::string name = text_of(owner, "name");
    const bool is_deployments = target.kind == "Deployment" && kind == "ReplicaSet" &&
                                name.substr(0, name.rfind('-')) == target.name;
    return is_deployments || (kind == target.kind && name == target.name);
  });
}

class Reader {
 public:
  explicit Reader(const SnapshotOptions& options) : options_(options) {}

  Result<void> add(const JsonField& field, std::string_view kind_of_list = "");
  Result<Snapshot> finish();

 private:
  Result<void> read_hpa();
  Result<void> find_target();
  Result<void> read_pods();
  Result<void> read_metrics();
  Result<void> read_values(const JsonField& field, bool is_external);
  Result<void> require_metrics() const;
  Result<void> set_now();

  const SnapshotOptions& options_;
  std::deque<std::string> names_;  ///< paths of items, which JsonField borrows
  std::vector<JsonField> hpas_;
  std::vector<JsonField> pods_;
  std::vector<JsonField> samples_;
  std::vector<JsonField> values_;
  std::vector<JsonField> external_;
  std::vector<JsonField> others_;
  std::set<std::string, std::less<>> lists_;
  Target target_;
  bool has_status_ = false;
  Snapshot out_;
};

Result<void> Reader::add(const JsonField& field, std::string_view kind_of_list) {
  if (!field.value().is_object()) {
    return field.wrong_type("an object of Kubernetes");
  }
  const std::string own = text_of(field.value(), "kind");
  const std::string kind = own.empty() ? std::string(kind_of_list) : own;
  if (kind.ends_with("List")) {
    lists_.insert(kind);
    const std::string of = kind.substr(0, kind.size() - 4);
    const json& items = member(field.value(), "items");
    for (std::size_t i = 0; items.is_array() && i < items.size(); ++i) {
      const std::string at = field.path();
      names_.push_back(at + (at.ends_with(' ') ? "" : ".") + "items[" + std::to_string(i) + "]");
      if (auto done = add(JsonField(items[i], names_.back()), of); !done) {
        return done;
      }
    }
    return {};
  }
  auto& to = kind == "HorizontalPodAutoscaler" ? hpas_
             : kind == "Pod"                   ? pods_
             : kind == "PodMetrics"            ? samples_
             : kind == "MetricValue"           ? values_
             : kind == "ExternalMetricValue"   ? external_
                                               : others_;
  to.push_back(field);
  return {};
}

Result<void> Reader::read_hpa() {
  std::vector<const JsonField*> found;
  std::string names;
  for (const JsonField& one : hpas_) {
    const std::string name = text_of(member(one.value(), "metadata"), "name");
    names += (names.empty() ? "" : ", ") + name;
    if (options_.hpa.empty() || options_.hpa == name) {
      found.push_back(&one);
    }
  }
  if (found.size() != 1) {
    return fail(ErrorCode::kInvalidArgument,
                hpas_.empty()
                    ? "no HorizontalPodAutoscaler in the files; kubectl get hpa -o json prints them"
                    : "one autoscaler has to be named; the files have: " + names);
  }
  const JsonField& hpa = *found.front();
  const std::string version = text_of(hpa.value(), "apiVersion");
  if (version != "autoscaling/v2") {
    return hpa.refuse("apiVersion '" + version + "' is not accepted; accepted: autoscaling/v2");
  }
  const JsonField spec(member(hpa.value(), "spec"), hpa, "spec");
  if (auto done = put(read_spec(spec, Origin::kCluster), out_.spec); !done) {
    return done;
  }
  if (auto done = validate(out_.spec, options_.gates); !done) {
    return hpa.refuse(done.error().message);
  }
  const JsonField status(member(hpa.value(), "status"), hpa, "status");
  if (auto done = put(read_conditions(status), out_.conditions); !done) {
    return done;
  }
  const json& metadata = member(hpa.value(), "metadata");
  const std::string space = text_of(metadata, "namespace");
  out_.name = (space.empty() ? "" : space + "/") + text_of(metadata, "name");
  const json& reference = member(spec.value(), "scaleTargetRef");
  target_ = {.kind = text_of(reference, "kind"), .name = text_of(reference, "name")};
  const json& current = member(status.value(), "currentReplicas");
  if (!current.is_null()) {
    if (auto done =
            put(JsonField(current, status, "currentReplicas").int32(), out_.view.spec_replicas);
        !done) {
      return done;
    }
  }
  const json& desired = member(status.value(), "desiredReplicas");
  return desired.is_null()
             ? Result<void>{}
             : put(JsonField(desired, status, "desiredReplicas").int32(), out_.status_desired);
}

Result<void> Reader::find_target() {
  for (const JsonField& one : others_) {
    const bool is_target = text_of(one.value(), "kind") == target_.kind &&
                           text_of(member(one.value(), "metadata"), "name") == target_.name;
    if (!is_target) {
      continue;
    }
    const JsonField spec(member(one.value(), "spec"), one, "spec");
    const JsonField status(member(one.value(), "status"), one, "status");
    target_.labels = &member(member(spec.value(), "selector"), "matchLabels");
    const json& wanted = member(spec.value(), "replicas");
    const json& are = member(status.value(), "replicas");
    if (!wanted.is_null()) {
      if (auto done = put(JsonField(wanted, spec, "replicas").int32(), out_.view.spec_replicas);
          !done) {
        return done;
      }
    }
    has_status_ = true;
    if (!are.is_null()) {
      return put(JsonField(are, status, "replicas").int32(), out_.view.status_replicas);
    }
  }
  return {};
}

Result<void> Reader::read_pods() {
  std::set<std::string, std::less<>> names;
  for (const JsonField& one : pods_) {
    if (!is_pod_of(one.value(), target_)) {
      continue;
    }
    auto pod = read_pod(one);
    if (!pod) {
      return fail(pod.error());
    }
    if (names.insert(pod->name).second) {
      out_.view.pods.push_back(std::move(*pod));
    }
  }
  if (!has_status_) {
    out_.view.status_replicas = static_cast<std::int32_t>(out_.view.pods.size());
  }
  out_.view.spec_replicas = options_.replicas.value_or(out_.view.spec_replicas);
  for (const JsonField& one : samples_) {
    // The API is asked with the target's selector.
    if (names.contains(text_of(member(one.value(), "metadata"), "name"))) {
      auto sample = read_sample(one);
      if (!sample) {
        return fail(sample.error());
      }
      out_.view.metrics.resource->push_back(std::move(*sample));
    }
  }
  return {};
}

Result<void> Reader::read_values(const JsonField& field, bool is_external) {
  const std::string old = text_of(field.value(), "metricName");
  const std::string name = old.empty() ? text_of(member(field.value(), "metric"), "name") : old;
  const auto value = JsonField(member(field.value(), "value"), field, "value").quantity();
  if (!value || name.empty()) {
    return value ? field.refuse("must name its metric") : fail(value.error());
  }
  MetricsView& metrics = out_.view.metrics;
  if (is_external) {
    (*metrics.external)[name].push_back(*value);
    return {};
  }
  const json& object = member(field.value(), "describedObject");
  if (text_of(object, "kind") == "Pod") {
    (*metrics.pods)[name][text_of(object, "name")] = *value;
  } else {
    (*metrics.object)[name] = *value;
  }
  return {};
}

Result<void> Reader::read_metrics() {
  for (const bool is_external : {false, true}) {
    for (const JsonField& one : is_external ? external_ : values_) {
      if (auto done = read_values(one, is_external); !done) {
        return done;
      }
    }
  }
  return require_metrics();
}

Result<void> Reader::require_metrics() const {
  for (const MetricSpec& metric : with_defaults(out_.spec).metrics) {
    const bool is_resource = metric.source == MetricSource::kResource ||
                             metric.source == MetricSource::kContainerResource;
    const bool is_external = metric.source == MetricSource::kExternal;
    const std::string_view list = is_resource   ? "PodMetricsList"
                                  : is_external ? "ExternalMetricValueList"
                                                : "MetricValueList";
    if (!lists_.contains(list)) {
      const std::string_view api =
          is_resource   ? "metrics.k8s.io/v1beta1/namespaces/NAMESPACE/pods"
          : is_external ? "external.metrics.k8s.io/v1beta1/namespaces/NAMESPACE/METRIC"
                        : "custom.metrics.k8s.io/v1beta2/namespaces/NAMESPACE/pods/*/METRIC";
      return fail(ErrorCode::kInvalidArgument,
                  "the metric " + metric.name + " needs a file with a " + std::string(list) +
                      ", from kubectl get --raw /apis/" + std::string(api));
    }
  }
  return {};
}

Result<void> Reader::set_now() {
  if (!options_.now.empty()) {
    const auto parsed = parse_rfc3339(options_.now);
    if (!parsed) {
      return fail(
          ErrorCode::kInvalidArgument,
          "--now: '" + options_.now + "' is not a moment; accepted: such as 2026-11-29T23:04:16Z");
    }
    out_.now = *parsed;
    return {};
  }
  for (const PodSample& sample : *out_.view.metrics.resource) {
    out_.now = std::max(out_.now, sample.at);
  }
  for (const PodState& pod : out_.view.pods) {
    out_.now = std::max({out_.now, pod.ready_since, pod.start.value_or(Duration::zero())});
  }
  return {};
}

Result<Snapshot> Reader::finish() {
  out_.view.metrics.resource.emplace();
  out_.view.metrics.pods.emplace();
  out_.view.metrics.object.emplace();
  out_.view.metrics.external.emplace();
  for (const auto step : {&Reader::read_hpa, &Reader::find_target, &Reader::read_pods,
                          &Reader::read_metrics, &Reader::set_now}) {
    if (auto done = (this->*step)(); !done) {
      return fail(done.error());
    }
  }
  return std::move(out_);
}

}  // namespace

Result<Snapshot> read_snapshot(std::span<const SnapshotFile> files,
                               const SnapshotOptions& options) {
  std::deque<json> documents;
  std::deque<std::string> names;
  Reader reader(options);
  for (const SnapshotFile& file : files) {
    names.push_back(file.name + ": ");
    if (file.text.size() > kMaxFileBytes) {
      return fail(ErrorCode::kInvalidArgument, names.back() + "is longer than 256 MiB");
    }
    auto document = parse_json(file.text, names.back());
    if (!document) {
      return fail(document.error());
    }
    documents.push_back(std::move(*document));
    if (auto done = reader.add(JsonField(documents.back(), names.back())); !done) {
      return fail(done.error());
    }
  }
  return reader.finish();
}

std::vector<std::string> explain_snapshot(const Snapshot& snapshot, const HpaSettings& settings) {
  Hpa fresh(settings, snapshot.spec, snapshot.conditions);
  const Look look = fresh.look(snapshot.now, snapshot.view);
  Hpa settled(settings, snapshot.spec, snapshot.conditions);
  const Duration long_ago = std::chrono::hours(2) + settings.flags.downscale_stabilization;
  settled.look(snapshot.now - long_ago, snapshot.view);
  const Look later = settled.look(snapshot.now, snapshot.view);

  std::vector<std::string> out = explain(look, fresh);
  out.front() = "Autoscaler " + snapshot.name + ", by the rules of Kubernetes " +
                std::string(version_name(settings.version)) + ": the target has " +
                std::to_string(look.current) + " replicas (spec), " +
                std::to_string(look.status_replicas) + " (status); " +
                std::to_string(snapshot.view.pods.size()) + " pods are its own.";
  out.back() = "So a controller that has just started: " + out.back();
  out.push_back("One that has seen the same for longer than its windows goes from " +
                std::to_string(later.current) + " to " + std::to_string(later.desired) + ".");
  if (snapshot.status_desired) {
    out.push_back(
        "The autoscaler's own status says: desired " + std::to_string(*snapshot.status_desired) +
        ". Where that differs, it remembers recommendations and rescales that no file has.");
  }
  return out;
}

}  // namespace podsense::foresight
