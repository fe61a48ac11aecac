#include <chrono>
#include <ratio>
#include <set>
#include <utility>

#include "foresight/hpa_read.h"
#include "foresight/json_field.h"
#include "foresight/vectors.h"

namespace podsense::foresight {
namespace {

constexpr std::size_t kMaxTicks = 1000000;
constexpr std::size_t kMaxPods = 100000;
constexpr std::size_t kMaxValues = 100000;
constexpr JsonWholeRange kReplicas{.least = 0, .most = INT32_MAX};
constexpr std::array<std::string_view, 2> kModes{"loop", "direct"};
constexpr std::array<std::string_view, 5> kPhases{"Pending", "Running", "Succeeded", "Failed",
                                                  "Unknown"};
constexpr std::array<std::string_view, 3> kReadyNames{"True", "False", "Unknown"};
constexpr std::array<std::string_view, 4> kApis{"resource", "custom", "object", "external"};

Result<void> read_resources(const JsonField& field, Resources& out) {
  return field.members([&](std::string_view name, const JsonField& child) {
    return put(child.quantity(), out[std::string(name)]);
  });
}

/// A pod as a case has it, with its sample.
struct PodReading {
  PodState pod;
  bool no_ready = false;
  Resources main;
  std::optional<Resources> sidecar;
  std::optional<Resources> restartable_init;
  std::optional<Resources> init;
  std::optional<Resources> usage;
  std::optional<Resources> sidecar_usage;
  std::optional<Duration> usage_at;
  Duration window{};
};

constexpr FieldKey<PodReading> kPodKeys[] = {
    {"name", [](const JsonField& f, PodReading& out) { return put(f.text(), out.pod.name); }},
    {"phase", [](const JsonField& f,
                 PodReading& out) { return put_choice<PodPhase>(f, kPhases, out.pod.phase); }},
    {"ready",
     [](const JsonField& f, PodReading& out) -> Result<void> {
       const auto ready = f.boolean();
       if (!ready) {
         return fail(ready.error());
       }
       out.pod.ready = *ready ? ReadyCondition::kTrue : ReadyCondition::kFalse;
       return {};
     }},
    {"readyStatus",
     [](const JsonField& f, PodReading& out) -> Result<void> {
       const auto index = f.choice(kReadyNames);
       if (!index) {
         return fail(index.error());
       }
       constexpr std::array kStatus{ReadyCondition::kTrue, ReadyCondition::kFalse,
                                    ReadyCondition::kUnknown};
       out.pod.ready = kStatus[*index];
       return {};
     }},
    {"noReady", [](const JsonField& f, PodReading& out) { return put(f.boolean(), out.no_ready); }},
    {"start",
     [](const JsonField& f, PodReading& out) { return put(f.seconds(kSeconds), out.pod.start); }},
    {"readyAt", [](const JsonField& f,
                   PodReading& out) { return put(f.seconds(kSeconds), out.pod.ready_since); }},
    {"deleted",
     [](const JsonField& f, PodReading& out) { return put(f.boolean(), out.pod.deleted); }},
    {"request", [](const JsonField& f, PodReading& out) { return read_resources(f, out.main); }},
    {"sidecar",
     [](const JsonField& f, PodReading& out) { return read_resources(f, out.sidecar.emplace()); }},
    {"restartableInit",
     [](const JsonField& f, PodReading& out) {
       return read_resources(f, out.restartable_init.emplace());
     }},
    {"init",
     [](const JsonField& f, PodReading& out) { return read_resources(f, out.init.emplace()); }},
    {"podRequest",
     [](const JsonField& f, PodReading& out) { return read_resources(f, out.pod.pod_requests); }},
    {"overhead",
     [](const JsonField& f, PodReading& out) { return read_resources(f, out.pod.overhead); }},
    {"usage",
     [](const JsonField& f, PodReading& out) { return read_resources(f, out.usage.emplace()); }},
    {"sidecarUsage",
     [](const JsonField& f, PodReading& out) {
       return read_resources(f, out.sidecar_usage.emplace());
     }},
    {"usageAt",
     [](const JsonField& f, PodReading& out) { return put(f.seconds(kSeconds), out.usage_at); }},
    {"window", [](const JsonField& f,
                  PodReading& out) { return put(f.seconds(kNotNegativeSeconds), out.window); }},
};

/// A tick while it is read; `at` and the samples' times come last.
struct TickReading {
  VectorTick tick;
  std::optional<Duration> at;
  std::optional<std::int32_t> status;
  std::vector<PodReading> pods;
  std::array<bool, kApis.size()> failing{};
};

Result<void> read_pods(const JsonField& field, TickReading& out) {
  return field.each(kMaxPods, [&](const JsonField& child) -> Result<void> {
    PodReading pod;
    if (auto done = read_object(child, kPodKeys, pod); !done) {
      return done;
    }
    if (pod.pod.name.empty()) {
      return child.refuse("must have a name");
    }
    out.pods.push_back(std::move(pod));
    return {};
  });
}

Result<void> read_fail(const JsonField& field, TickReading& out) {
  return field.each(kApis.size() * 2, [&](const JsonField& child) -> Result<void> {
    const auto index = child.choice(kApis);
    if (!index) {
      return fail(index.error());
    }
    out.failing[*index] = true;
    return {};
  });
}

Result<void> read_hpa_object(const JsonField& field, HpaSpec& spec, Conditions& conditions) {
  bool has_spec = false;
  auto done = field.members([&](std::string_view key, const JsonField& child) -> Result<void> {
    if (key == "spec") {
      has_spec = true;
      return put(read_spec(child, Origin::kVector), spec);
    }
    if (key == "status") {
      return put(read_conditions(child), conditions);
    }
    constexpr std::array<std::string_view, 5> kKnown{"spec", "status", "metadata", "apiVersion",
                                                     "kind"};
    const bool is_known = std::ranges::find(kKnown, key) != kKnown.end();
    return is_known ? Result<void>{} : Result<void>(field.unknown_key(key, kKnown));
  });
  return done && !has_spec ? Result<void>(field.refuse("must have a spec")) : done;
}

constexpr FieldKey<TickReading> kTickKeys[] = {
    {"at", [](const JsonField& f,
              TickReading& out) { return put(f.seconds(kNotNegativeSeconds), out.at); }},
    {"spec", [](const JsonField& f,
                TickReading& out) { return put(f.int32(kReplicas), out.tick.spec_replicas); }},
    {"status",
     [](const JsonField& f, TickReading& out) { return put(f.int32(kReplicas), out.status); }},
    {"pods", read_pods},
    {"custom",
     [](const JsonField& f, TickReading& out) {
       return f.members([&](std::string_view metric, const JsonField& pods) {
         auto& values = (*out.tick.view.metrics.pods)[std::string(metric)];
         return pods.members([&](std::string_view pod, const JsonField& value) {
           return put(value.quantity(), values[std::string(pod)]);
         });
       });
     }},
    {"object",
     [](const JsonField& f, TickReading& out) {
       return f.members([&](std::string_view metric, const JsonField& value) {
         return put(value.quantity(), (*out.tick.view.metrics.object)[std::string(metric)]);
       });
     }},
    {"external",
     [](const JsonField& f, TickReading& out) {
       return f.members([&](std::string_view metric, const JsonField& list) {
         auto& values = (*out.tick.view.metrics.external)[std::string(metric)];
         return list.each(kMaxValues, [&](const JsonField& value) {
           return put(value.quantity(), values.emplace_back());
         });
       });
     }},
    {"fail", read_fail},
    {"hpa",
     [](const JsonField& f, TickReading& out) {
       Conditions ignored;
       return read_hpa_object(f, out.tick.edit.emplace(), ignored);
     }},
};

void add_container(PodState& pod, std::string_view name, ContainerKind kind,
                   std::optional<Resources> requests) {
  if (requests) {
    pod.containers.push_back(
        {.name = std::string(name), .kind = kind, .requests = std::move(*requests)});
  }
}

/// From the short form of a case to what the API servers would show.
void build_pod(PodReading& in, Duration now, ClusterView& view) {
  if (in.no_ready) {
    in.pod.ready = ReadyCondition::kAbsent;
  }
  add_container(in.pod, "main", ContainerKind::kMain, std::move(in.main));
  add_container(in.pod, "sidecar", ContainerKind::kMain, std::move(in.sidecar));
  add_container(in.pod, "restartable-init", ContainerKind::kSidecar,
                std::move(in.restartable_init));
  add_container(in.pod, "init", ContainerKind::kInit, std::move(in.init));
  if (in.usage && view.metrics.resource) {
    PodSample sample{.pod = in.pod.name,
                     .at = in.usage_at.value_or(now),
                     .window = in.window > Duration::zero() ? in.window : std::chrono::minutes(1)};
    sample.containers.emplace_back("main", std::move(*in.usage));
    if (in.sidecar_usage) {
      sample.containers.emplace_back("sidecar", std::move(*in.sidecar_usage));
    }
    view.metrics.resource->push_back(std::move(sample));
  }
  view.pods.push_back(std::move(in.pod));
}

/// A case while it is read.
struct CaseReading {
  VectorCase result;
  std::vector<TickReading> ticks;
  const nlohmann::json* features = nullptr;
  bool has_hpa = false;
};

Result<VectorTick> finish_tick(const JsonField& field, TickReading& in, Duration at) {
  ClusterView& view = in.tick.view;
  in.tick.at = at;
  view.status_replicas = in.status.value_or(static_cast<std::int32_t>(in.pods.size()));
  view.metrics.resource.emplace();
  if (in.failing[0]) {
    view.metrics.resource.reset();
  }
  if (in.failing[1]) {
    view.metrics.pods.reset();
  }
  if (in.failing[2]) {
    view.metrics.object.reset();
  }
  if (in.failing[3]) {
    view.metrics.external.reset();
  }
  std::set<std::string_view> names;
  for (std::size_t i = 0; i < in.pods.size(); ++i) {
    if (!names.insert(in.pods[i].pod.name).second) {
      return field.refuse("pods[" + std::to_string(i) + "]: a second pod is named " +
                          in.pods[i].pod.name + "; names must differ");
    }
  }
  names.clear();
  view.pods.reserve(in.pods.size());
  for (PodReading& pod : in.pods) {
    build_pod(pod, at, view);
  }
  return std::move(in.tick);
}

Result<void> read_ticks(const JsonField& field, CaseReading& out) {
  return field.each(kMaxTicks, [&](const JsonField& child) -> Result<void> {
    TickReading& tick = out.ticks.emplace_back();
    tick.tick.view.metrics.pods.emplace();
    tick.tick.view.metrics.object.emplace();
    tick.tick.view.metrics.external.emplace();
    return read_object(child, kTickKeys, tick);
  });
}

constexpr FieldKey<ControllerFlags> kControllerKeys[] = {
    {"syncPeriod",
     [](const JsonField& f, ControllerFlags& out) {
       return put(f.seconds(kNotNegativeSeconds), out.sync_period);
     }},
    {"downscaleStabilization",
     [](const JsonField& f, ControllerFlags& out) {
       return put(f.seconds(kNotNegativeSeconds), out.downscale_stabilization);
     }},
    {"tolerance",
     [](const JsonField& f, ControllerFlags& out) {
       return put(f.real({.least = 0, .most = 1e9}), out.tolerance);
     }},
    {"cpuInitializationPeriod",
     [](const JsonField& f, ControllerFlags& out) {
       return put(f.seconds(kNotNegativeSeconds), out.cpu_initialization_period);
     }},
    {"initialReadinessDelay",
     [](const JsonField& f, ControllerFlags& out) {
       return put(f.seconds(kNotNegativeSeconds), out.initial_readiness_delay);
     }},
};

constexpr FieldKey<Gates> kGateKeys[] = {
    {"HPAConfigurableTolerance",
     [](const JsonField& f, Gates& out) { return put(f.boolean(), out.configurable_tolerance); }},
    {"HPAScaleToZero",
     [](const JsonField& f, Gates& out) { return put(f.boolean(), out.scale_to_zero); }},
    {"PodLevelResources",
     [](const JsonField& f, Gates& out) { return put(f.boolean(), out.pod_level_resources); }},
};

constexpr FieldKey<CaseReading> kCaseKeys[] = {
    {"name", [](const JsonField& f, CaseReading& out) { return put(f.text(), out.result.name); }},
    {"mode", [](const JsonField& f,
                CaseReading& out) { return put_choice<VectorMode>(f, kModes, out.result.mode); }},
    {"kubernetes",
     [](const JsonField& f, CaseReading& out) -> Result<void> {
       const auto text = f.text();
       const auto version = text ? parse_version(*text) : fail(text.error());
       if (!version) {
         return text ? f.refuse(version.error().message) : fail(text.error());
       }
       out.result.settings.version = *version;
       return {};
     }},
    {"features",
     [](const JsonField& f, CaseReading& out) -> Result<void> {
       out.features = &f.value();
       return {};
     }},
    {"controller",
     [](const JsonField& f, CaseReading& out) {
       return read_object(f, kControllerKeys, out.result.settings.flags);
     }},
    {"hpa",
     [](const JsonField& f, CaseReading& out) {
       out.has_hpa = true;
       return read_hpa_object(f, out.result.spec, out.result.conditions);
     }},
    {"replicas", [](const JsonField& f,
                    CaseReading& out) { return put(f.int32(kReplicas), out.result.replicas); }},
    {"ticks", read_ticks},
};

/// Gates, moments and pods, which need the whole case.
Result<void> finish(const JsonField& root, CaseReading& in) {
  VectorCase& out = in.result;
  if (!in.has_hpa) {
    return root.refuse("a case must have hpa");
  }
  ControllerFlags& flags = out.settings.flags;
  if (flags.sync_period == Duration::zero()) {
    flags.sync_period = ControllerFlags{}.sync_period;
  }
  out.settings.gates = Gates::defaults(out.settings.version);
  if (in.features != nullptr) {
    const JsonField features(*in.features, root, "features");
    if (auto done = read_object(features, kGateKeys, out.settings.gates); !done) {
      return done;
    }
  }
  if (auto done = validate(out.spec, out.settings.gates); !done) {
    return JsonField(root.value(), root, "hpa").refuse(done.error().message);
  }
  const std::int64_t sync = flags.sync_period.count();
  const std::int64_t most_ticks =
      std::int64_t{1000000000} * std::nano::den / std::max<std::int64_t>(sync, 1);
  const JsonField ticks(root.value(), root, "ticks");
  if (out.mode == VectorMode::kLoop && std::cmp_greater(in.ticks.size(), most_ticks)) {
    return ticks.refuse("last longer than 1e9 seconds");
  }
  Duration last{};
  for (std::size_t i = 0; i < in.ticks.size(); ++i) {
    const JsonField here(root.value(), ticks, i);
    TickReading& tick = in.ticks[i];
    const Duration at = out.mode == VectorMode::kDirect
                            ? tick.at.value_or(Duration::zero())
                            : flags.sync_period * static_cast<std::int64_t>(i + 1);
    if (at < last) {
      return JsonField(here.value(), here, "at").refuse("must not be before the tick before it");
    }
    last = at;
    if (tick.tick.edit) {
      if (auto done = validate(*tick.tick.edit, out.settings.gates); !done) {
        return here.refuse("hpa." + done.error().message);
      }
    }
    auto finished = finish_tick(here, tick, at);
    if (!finished) {
      return fail(finished.error());
    }
    out.ticks.push_back(std::move(*finished));
  }
  return {};
}

}  // namespace

Result<VectorCase> parse_case(std::string_view line, const VectorOptions& options) {
  const auto document = parse_json(line, "");
  if (!document) {
    return fail(document.error());
  }
  const JsonField root(*document);
  CaseReading reading;
  reading.result.settings.version = options.version;
  auto done = read_object(root, kCaseKeys, reading);
  if (done) {
    done = finish(root, reading);
  }
  if (!done) {
    return fail(done.error());
  }
  return std::move(reading.result);
}

}  // namespace podsense::foresight
