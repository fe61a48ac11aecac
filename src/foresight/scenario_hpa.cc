#include "foresight/hpa_read.h"
#include "foresight/scenario_fields.h"
#include "foresight/yaml_json.h"

namespace podsense::foresight {
namespace {

constexpr std::int32_t kMostPods = 100'000;

Result<void> check_metric(const JsonField& field, const MetricSpec& metric,
                          const Scenario& scenario) {
  const auto refuse = [&](const std::string& what) -> Result<void> {
    return field.refuse("metric " + metric.name + ": " + what);
  };
  switch (metric.source) {
    case MetricSource::kResource:
    case MetricSource::kContainerResource: {
      if (metric.name != "cpu" && metric.name != "memory") {
        return refuse("is not simulated; accepted: cpu, memory");
      }
      if (!metric.container.empty() && metric.container != scenario.pod.container) {
        return refuse("container " + metric.container + " is not the simulated one; accepted: " +
                      scenario.pod.container + " (pod.container)");
      }
      const PodPlan& pod = scenario.pod;
      const Quantity& request = metric.name == "cpu" ? pod.cpu_request : pod.memory_request;
      return metric.target.type == TargetType::kUtilization && request.sign() == 0
                 ? refuse("is a share of the request: pod." + metric.name +
                          "_request must be given")
                 : Result<void>();
    }
    case MetricSource::kPods:
      return std::ranges::find(kSignalNames, metric.name) == kSignalNames.end()
                 ? refuse(
                       "is not simulated; accepted of type Pods: podsense_saturation, "
                       "podsense_queue_depth, podsense_requests_in_flight")
                 : Result<void>();
    case MetricSource::kExternal:
      return scenario.metrics.external.contains(metric.name)
                 ? Result<void>()
                 : refuse("of type External: metrics.external must say what it is the sum of");
    case MetricSource::kObject:
      break;
  }
  return refuse(
      "type Object is not simulated; accepted: Resource, ContainerResource, Pods, External");
}

/// A tolerance as the API server stores it ("0.07" is "70m"), so that what is written down for a
/// replay means the same double.
void store_tolerance(nlohmann::json& spec, const char* direction) {
  const auto at =
      nlohmann::json::json_pointer(std::string("/behavior/") + direction + "/tolerance");
  if (!spec.contains(at)) {
    return;
  }
  nlohmann::json& written = spec[at];
  const auto quantity =
      Quantity::parse(written.is_string() ? written.get<std::string>() : written.dump());
  if (quantity && !(Quantity::of_milli(quantity->milli()) < *quantity) &&
      !(*quantity < Quantity::of_milli(quantity->milli()))) {
    const std::int64_t milli = quantity->milli();
    written = milli % 1000 == 0 ? std::to_string(milli / 1000) : std::to_string(milli) + "m";
  }
}

std::string stored(nlohmann::json spec) {
  store_tolerance(spec, "scaleUp");
  store_tolerance(spec, "scaleDown");
  return spec.dump();
}

/// A whole object as kubectl has it, or its spec alone.
Result<void> read_object_or_spec(const JsonField& field, const HpaSettings& settings,
                                 Scenario& out) {
  if (!field.value().is_object()) {
    return field.wrong_type("a HorizontalPodAutoscaler, or the name of its file");
  }
  const auto& value = field.value();
  const bool is_whole = value.contains("spec");
  if (value.contains("apiVersion") && value["apiVersion"] != "autoscaling/v2") {
    return field.refuse("apiVersion must be autoscaling/v2");
  }
  const JsonField inner(is_whole ? value["spec"] : value, field, "spec");
  const JsonField& spec = is_whole ? inner : field;
  auto read = read_spec(spec, is_whole ? Origin::kUser : Origin::kVector);
  if (!read) {
    return fail(read.error());
  }
  if (auto valid = validate(*read, settings.gates); !valid) {
    return spec.refuse(valid.error().message);
  }
  if (read->max_replicas > kMostPods) {
    return spec.refuse("maxReplicas " + std::to_string(read->max_replicas) +
                       " is more than can be simulated; accepted: up to " +
                       std::to_string(kMostPods));
  }
  const HpaSpec full = with_defaults(*read);
  for (const MetricSpec& metric : full.metrics) {
    if (auto done = check_metric(spec, metric, out); !done) {
      return done;
    }
  }
  out.autoscaler = {
      .settings = settings, .spec = std::move(*read), .written = stored(spec.value())};
  return {};
}

}  // namespace

Result<void> read_autoscaler(const JsonField& field, const FileReader& files,
                             const HpaSettings& settings, Scenario& out) {
  if (!field.value().is_string()) {
    return read_object_or_spec(field, settings, out);
  }
  const std::string path = field.value().get<std::string>();
  const auto text = files(path);
  if (!text) {
    return field.refuse(text.error().message);
  }
  const auto document = parse_yaml(*text);
  if (!document) {
    return fail(ErrorCode::kInvalidArgument, path + ": " + document.error().message);
  }
  const std::string begin = path + ": ";
  return read_object_or_spec(JsonField(*document, begin), settings, out);
}

}  // namespace podsense::foresight
