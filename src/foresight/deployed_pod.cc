// What a pod's template or a pod itself says.

#include <algorithm>

#include "foresight/deployed_fields.h"
#include "foresight/yaml_json.h"
#include "text/numbers.h"
#include "text/split.h"

namespace podsense::foresight {
namespace {

using nlohmann::json;

template <class Read>
Result<void> each_member(const JsonField& parent, std::string_view key, Read read) {
  const json& value = member_of(parent.value(), key);
  return value.is_null() ? Result<void>{} : JsonField(value, parent, key).each(kMaxObjects, read);
}

Result<void> read_seconds(const JsonField& parent, std::string_view key, Duration& out) {
  const json& value = member_of(parent.value(), key);
  return value.is_null() ? Result<void>{}
                         : put(JsonField(value, parent, key).seconds(kNotNegativeSeconds), out);
}

Result<void> read_probe(const JsonField& parent, std::string_view key,
                        std::optional<ProbeTimes>& out) {
  const json& value = member_of(parent.value(), key);
  if (value.is_null()) {
    return {};
  }
  const JsonField field(value, parent, key);
  ProbeTimes times;
  std::optional<std::int32_t> failures;
  for (const auto& [name, to] : {std::pair{"initialDelaySeconds", &times.initial_delay},
                                 std::pair{"periodSeconds", &times.period}}) {
    if (auto done = read_seconds(field, name, *to); !done) {
      return done;
    }
  }
  auto done = read_int32(field, "failureThreshold", failures);
  times.failures = failures.value_or(3);
  out = times;
  return done;
}

/// A hook that sleeps: `sleep: {seconds: 5}`, or a command that ends in `sleep 5`.
Duration sleep_of(const json& container) {
  const json& hook = member_of(member_of(container, "lifecycle"), "preStop");
  const json& seconds = member_of(member_of(hook, "sleep"), "seconds");
  if (seconds.is_number_integer()) {
    return std::chrono::seconds(
        std::clamp<std::int64_t>(seconds.get<std::int64_t>(), 0, 1'000'000));
  }
  const json& command = member_of(member_of(hook, "exec"), "command");
  std::string words;
  for (const json& word : command) {
    words += word.is_string() ? " " + word.get<std::string>() : "";
  }
  const std::size_t at = words.rfind("sleep ");
  return at == std::string::npos
             ? Duration::zero()
             : text::parse_duration(text::trim(std::string_view(words).substr(at + 6)))
                   .value_or(Duration::zero());
}

void set_duration(Duration& to, std::string_view text) {
  to = text::parse_duration(text).value_or(to);
}

/// A file of `podsense serve`; what is wrong in it the server itself says.
void apply_file(const std::string& text, DrainSettings& out) {
  const auto document = parse_yaml(text);
  if (!document) {
    return;
  }
  const json& shutdown = member_of(*document, "shutdown");
  set_duration(out.delay, text_member(shutdown, "drain_delay"));
  set_duration(out.timeout, text_member(shutdown, "drain_timeout"));
  set_duration(out.request, text_member(member_of(*document, "limits"), "request_timeout"));
}

struct DrainName {
  std::string_view flag;
  std::string_view variable;
  std::string_view short_name;
  Duration DrainSettings::* to;
};
constexpr DrainName kDrainNames[] = {
    {"drain-delay", "PODSENSE_DRAIN_DELAY", "", &DrainSettings::delay},
    {"drain-timeout", "PODSENSE_DRAIN_TIMEOUT", "", &DrainSettings::timeout},
    {"request-timeout", "PODSENSE_REQUEST_TIMEOUT", "REQUEST_TIMEOUT", &DrainSettings::request},
};

void apply_variable(std::string_view name, std::string_view value, DrainSettings& out) {
  for (const DrainName& known : kDrainNames) {
    if (name == known.variable || (!known.short_name.empty() && name == known.short_name)) {
      set_duration(out.*known.to, value);
    }
  }
}

void apply_arguments(const json& arguments, DrainSettings& out) {
  for (std::size_t i = 0; arguments.is_array() && i < arguments.size(); ++i) {
    const std::string word = arguments[i].is_string() ? arguments[i].get<std::string>() : "";
    for (const DrainName& known : kDrainNames) {
      const std::string flag = "--" + std::string(known.flag);
      if (word.starts_with(flag + "=")) {
        set_duration(out.*known.to, std::string_view(word).substr(flag.size() + 1));
      } else if (word == flag && i + 1 < arguments.size() && arguments[i + 1].is_string()) {
        set_duration(out.*known.to, arguments[i + 1].get_ref<const std::string&>());
      }
    }
  }
}

/// In the order of the server: file, environment from maps, environment, flags.
std::optional<DrainSettings> drain_of(const json& container, const json& spec,
                                      const std::string& space, const ConfigMaps& maps) {
  const json& arguments = member_of(container, "args");
  const std::string image = text_member(container, "image");
  const bool serves = (arguments.is_array() && !arguments.empty() && arguments[0] == "serve") ||
                      image.find("podsense:") != std::string::npos;
  if (!serves) {
    return std::nullopt;
  }
  DrainSettings out;
  const auto map_named = [&](const json& reference) {
    return maps.find(space + "/" + text_member(reference, "name"));
  };
  for (const json& volume : member_of(spec, "volumes")) {
    const auto map = map_named(member_of(volume, "configMap"));
    const auto file =
        map == maps.end() ? Labels::const_iterator() : map->second.find("podsense.yaml");
    if (map != maps.end() && file != map->second.end()) {
      apply_file(file->second, out);
    }
  }
  for (const json& source : member_of(container, "envFrom")) {
    const auto map = map_named(member_of(source, "configMapRef"));
    for (const auto& [name, value] : map == maps.end() ? Labels() : map->second) {
      apply_variable(name, value, out);
    }
  }
  for (const json& variable : member_of(container, "env")) {
    apply_variable(text_member(variable, "name"), text_member(variable, "value"), out);
  }
  apply_arguments(arguments, out);
  return out;
}

Result<void> read_container(const JsonField& field, DeployedContainer& out) {
  out.name = text_member(field.value(), "name");
  const JsonField resources(member_of(field.value(), "resources"), field, "resources");
  if (auto done = read_resources(resources, "limits", out.limits); !done) {
    return done;
  }
  if (auto done = read_resources(resources, "requests", out.requests); !done) {
    return done;
  }
  for (const auto& [name, limit] : out.limits) {
    out.requests.emplace(name, limit);
  }
  for (const auto& [name, to] :
       {std::pair{"startupProbe", &out.startup}, std::pair{"livenessProbe", &out.liveness},
        std::pair{"readinessProbe", &out.readiness}}) {
    if (auto done = read_probe(field, name, *to); !done) {
      return done;
    }
  }
  out.pre_stop = sleep_of(field.value());
  return {};
}

Result<void> read_spreads(const JsonField& spec, PodTemplate& out) {
  return each_member(spec, "topologySpreadConstraints", [&](const JsonField& one) -> Result<void> {
    SpreadRule rule{
        .key = text_member(one.value(), "topologyKey"),
        .is_required = text_member(one.value(), "whenUnsatisfiable") != "ScheduleAnyway"};
    std::optional<std::int32_t> skew;
    std::optional<std::int32_t> domains;
    if (auto done = read_int32(one, "maxSkew", skew); !done) {
      return done;
    }
    auto done = read_int32(one, "minDomains", domains);
    rule.max_skew = skew.value_or(1);
    rule.min_domains = domains.value_or(1);
    out.spreads.push_back(std::move(rule));
    return done;
  });
}

/// Required anti-affinity with pods that have its own labels.
Result<void> read_affinity(const JsonField& spec, PodTemplate& out) {
  const JsonField affinity(member_of(spec.value(), "affinity"), spec, "affinity");
  const JsonField anti(member_of(affinity.value(), "podAntiAffinity"), affinity, "podAntiAffinity");
  return each_member(anti, "requiredDuringSchedulingIgnoredDuringExecution",
                     [&](const JsonField& one) -> Result<void> {
                       LabelSelector selector;
                       auto done = read_selector(one, "labelSelector", selector);
                       if (done && selector.finds(out.labels)) {
                         out.apart.push_back(text_member(one.value(), "topologyKey"));
                       }
                       return done;
                     });
}

Result<void> read_times_and_places(const JsonField& spec, PodTemplate& out) {
  if (auto done = read_seconds(spec, "terminationGracePeriodSeconds", out.grace); !done) {
    return done;
  }
  if (auto done = read_labels(spec, "nodeSelector", out.node_selector); !done) {
    return done;
  }
  const JsonField resources(member_of(spec.value(), "resources"), spec, "resources");
  if (auto done = read_resources(resources, "requests", out.pod_requests); !done) {
    return done;
  }
  if (auto done = read_resources(spec, "overhead", out.overhead); !done) {
    return done;
  }
  if (auto done = read_spreads(spec, out); !done) {
    return done;
  }
  return read_affinity(spec, out);
}

Result<std::optional<Duration>> read_moment(const JsonField& parent, std::string_view key) {
  const json& value = member_of(parent.value(), key);
  if (value.is_null()) {
    return std::optional<Duration>();
  }
  const auto parsed = value.is_string() ? parse_rfc3339(value.get<std::string>()) : std::nullopt;
  return parsed ? Result<std::optional<Duration>>(parsed)
                : Result<std::optional<Duration>>(
                      JsonField(value, parent, key)
                          .wrong_type("a moment such as 2026-11-29T23:04:16Z"));
}

Result<void> read_pod_status(const JsonField& status, DeployedPod& out) {
  const std::string phase = text_member(status.value(), "phase");
  out.phase = phase == "Pending"     ? PodPhase::kPending
              : phase == "Succeeded" ? PodPhase::kSucceeded
              : phase == "Failed"    ? PodPhase::kFailed
              : phase == "Running"   ? PodPhase::kRunning
                                     : PodPhase::kUnknown;
  auto done = each_member(status, "containerStatuses", [&](const JsonField& one) -> Result<void> {
    std::optional<std::int32_t> count;
    if (auto read = read_int32(one, "restartCount", count); !read) {
      return read;
    }
    out.restarts += count.value_or(0);
    const JsonField state(member_of(one.value(), "state"), one, "state");
    const JsonField running(member_of(state.value(), "running"), state, "running");
    const auto began = read_moment(running, "startedAt");
    if (began && *began) {
      out.running_since = std::max(out.running_since.value_or(**began), **began);
    }
    return began ? Result<void>{} : Result<void>(fail(began.error()));
  });
  if (!done) {
    return done;
  }
  return each_member(status, "conditions", [&](const JsonField& one) -> Result<void> {
    if (text_member(one.value(), "type") != "Ready") {
      return {};
    }
    out.is_ready = text_member(one.value(), "status") == "True";
    return put(read_moment(one, "lastTransitionTime"), out.ready_since);
  });
}

}  // namespace

Result<PodTemplate> read_template(const JsonField& template_field, const std::string& space,
                                  const ConfigMaps& maps) {
  PodTemplate out;
  const JsonField metadata(member_of(template_field.value(), "metadata"), template_field,
                           "metadata");
  if (auto done = read_labels(metadata, "labels", out.labels); !done) {
    return fail(done.error());
  }
  const JsonField spec(member_of(template_field.value(), "spec"), template_field, "spec");
  for (const bool is_init : {false, true}) {
    auto done = each_member(
        spec, is_init ? "initContainers" : "containers", [&](const JsonField& one) -> Result<void> {
          DeployedContainer& container = out.containers.emplace_back();
          const bool restarts = text_member(one.value(), "restartPolicy") == "Always";
          container.kind = !is_init   ? ContainerKind::kMain
                           : restarts ? ContainerKind::kSidecar
                                      : ContainerKind::kInit;
          if (!is_init) {
            container.drain = drain_of(one.value(), spec.value(), space, maps);
          }
          return read_container(one, container);
        });
    if (!done) {
      return fail(done.error());
    }
  }
  auto done = read_times_and_places(spec, out);
  return done ? Result<PodTemplate>(std::move(out)) : Result<PodTemplate>(fail(done.error()));
}

Result<DeployedPod> read_deployed_pod(const JsonField& field) {
  DeployedPod out;
  const JsonField metadata(member_of(field.value(), "metadata"), field, "metadata");
  out.is_deleted = !member_of(metadata.value(), "deletionTimestamp").is_null();
  out.node = text_member(member_of(field.value(), "spec"), "nodeName");
  auto pods = read_template(field, "", {});
  if (!pods) {
    return fail(pods.error());
  }
  out.labels = pods->labels;
  out.state = state_of(*pods);
  if (auto done = put(read_moment(metadata, "creationTimestamp"), out.created); !done) {
    return fail(done.error());
  }
  auto done = read_pod_status(JsonField(member_of(field.value(), "status"), field, "status"), out);
  return done ? Result<DeployedPod>(std::move(out)) : Result<DeployedPod>(fail(done.error()));
}

}  // namespace podsense::foresight
