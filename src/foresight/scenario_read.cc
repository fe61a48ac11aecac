#include <cmath>

#include "arrivals/arrival_trace.h"
#include "foresight/scenario_fields.h"
#include "foresight/yaml_json.h"
#include "text/numbers.h"
#include "text/split.h"

namespace podsense::foresight {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::size_t kMaxValues = 100000;
constexpr std::size_t kMaxFaults = 1000;

template <class Out, Duration Out::* Member, std::int64_t LeastMs = 0>
Result<void> duration_member(const JsonField& field, Out& out) {
  return put(read_duration(field, {.least = milliseconds(LeastMs)}), out.*Member);
}

template <class Out, Distribution Out::* Member>
Result<void> read_member(const JsonField& field, Out& out) {
  return put(read_distribution(field), out.*Member);
}

// --- parts

template <class Out, auto Member, std::int64_t Least, std::int64_t Most>
Result<void> read_whole(const JsonField& field, Out& out) {
  using Number = std::remove_cvref_t<decltype(out.*Member)>;
  return put(field.whole({.least = Least, .most = Most}).map([](std::int64_t value) {
    return static_cast<Number>(value);
  }),
             out.*Member);
}

constexpr FieldKey<ClientPlan> kClientKeys[] = {
    {"timeout", duration_member<ClientPlan, &ClientPlan::timeout, 1>},
    {"retries", read_whole<ClientPlan, &ClientPlan::retries, 0, 100>},
    {"backoff", read_member<ClientPlan, &ClientPlan::backoff>},
    {"connections", read_whole<ClientPlan, &ClientPlan::connections, 0, 1'000'000>},
    {"requests_per_connection",
     read_whole<ClientPlan, &ClientPlan::requests_per_connection, 0, 1'000'000'000>},
};

constexpr FieldKey<RunCost> kRunKeys[] = {
    {"rows", read_whole<RunCost, &RunCost::rows, 1, 4096>},
    {"cpu", read_member<RunCost, &RunCost::cpu>},
};

Result<void> read_runs(const JsonField& field, ServicePlan& out) {
  out.runs.clear();
  if (!field.value().is_array()) {
    out.runs.emplace_back();
    return read_member<RunCost, &RunCost::cpu>(field, out.runs.back());
  }
  auto done = field.each(kMaxValues, [&](const JsonField& child) -> Result<void> {
    const std::size_t before = out.runs.empty() ? 0 : out.runs.back().rows;
    out.runs.emplace_back();
    if (auto read = read_object(child, kRunKeys, out.runs.back()); !read) {
      return read;
    }
    return out.runs.back().rows > before
               ? Result<void>()
               : Result<void>(child.refuse("rows must ascend from one entry to the next"));
  });
  if (done && (out.runs.empty() || out.runs.front().rows != 1)) {
    return field.refuse("must begin with an entry of 1 row");
  }
  return done;
}

constexpr FieldKey<ServicePlan> kServiceKeys[] = {
    {"run_cpu", read_runs},
    {"request_cpu", read_member<ServicePlan, &ServicePlan::request_cpu>},
    {"max_batch", read_whole<ServicePlan, &ServicePlan::max_batch, 1, 4096>},
    {"max_delay", duration_member<ServicePlan, &ServicePlan::max_delay>},
    {"max_wait", duration_member<ServicePlan, &ServicePlan::max_wait>},
    {"deadline", duration_member<ServicePlan, &ServicePlan::deadline>},
    {"max_waiting", read_whole<ServicePlan, &ServicePlan::max_waiting, 1, 1'000'000>},
    {"executors", read_whole<ServicePlan, &ServicePlan::executors, 0, 1024>},
};

Result<double> read_cores(const JsonField& field) {
  auto quantity = field.quantity();
  if (!quantity) {
    return fail(quantity.error());
  }
  const double cores = quantity->approximate();
  return cores >= 0.01 && cores <= 1024
             ? Result<double>(cores)
             : Result<double>(field.refuse("must be from 10m to 1024 cores"));
}

Result<void> read_request(const JsonField& field, Quantity& out) {
  if (auto done = put(field.quantity(), out); !done) {
    return done;
  }
  return out.sign() > 0 ? Result<void>() : Result<void>(field.refuse("must be above 0"));
}

constexpr FieldKey<PodPlan> kPodKeys[] = {
    {"cpu_request",
     [](const JsonField& f, PodPlan& out) { return read_request(f, out.cpu_request); }},
    {"memory_request",
     [](const JsonField& f, PodPlan& out) { return read_request(f, out.memory_request); }},
    {"cpu_limit",
     [](const JsonField& f, PodPlan& out) { return put(read_cores(f), out.cpu_limit); }},
    {"node_cores",
     [](const JsonField& f, PodPlan& out) { return put(read_cores(f), out.node_cores); }},
    {"memory_used",
     [](const JsonField& f, PodPlan& out) -> Result<void> {
       const auto quantity = f.quantity();
       if (!quantity) {
         return fail(quantity.error());
       }
       const double bytes = quantity->approximate();
       if (!(bytes >= 0 && bytes <= 1e15)) {
         return f.refuse("must be from 0 to 1P bytes");
       }
       out.memory_bytes = std::llround(bytes);
       return {};
     }},
    {"container", [](const JsonField& f, PodPlan& out) { return put(f.text(), out.container); }},
};

constexpr FieldKey<StartPlan> kStartKeys[] = {
    {"schedule", read_member<StartPlan, &StartPlan::schedule>},
    {"pull", read_member<StartPlan, &StartPlan::pull>},
    {"load", read_member<StartPlan, &StartPlan::load>},
    {"extra", duration_member<StartPlan, &StartPlan::extra>},
    {"warm_up_cpu", duration_member<StartPlan, &StartPlan::warm_up_cpu>},
    {"probe_period", duration_member<StartPlan, &StartPlan::probe_period, 1>},
    {"propagation", read_member<StartPlan, &StartPlan::propagation>},
};

constexpr FieldKey<StopPlan> kStopKeys[] = {
    {"drain_delay", duration_member<StopPlan, &StopPlan::drain_delay>},
    {"grace", duration_member<StopPlan, &StopPlan::grace>},
};

constexpr FieldKey<MetricsPlan> kMetricsKeys[] = {
    {"kubelet",
     [](const JsonField& f, MetricsPlan& out) {
       return put_choice<KubeletStats>(f, kKubeletStatsNames, out.kubelet);
     }},
    {"resolution", duration_member<MetricsPlan, &MetricsPlan::resolution, 1000>},
    {"scrape", duration_member<MetricsPlan, &MetricsPlan::scrape, 100>},
    {"window", duration_member<MetricsPlan, &MetricsPlan::window, 100>},
    {"external",
     [](const JsonField& f, MetricsPlan& out) {
       return f.members([&](std::string_view name, const JsonField& child) {
         return put_choice<Signal>(child, kSignalNames, out.external[std::string(name)]);
       });
     }},
};

constexpr FieldKey<ControllerFlags> kControllerKeys[] = {
    {"sync_period", duration_member<ControllerFlags, &ControllerFlags::sync_period, 100>},
    {"downscale_stabilization",
     duration_member<ControllerFlags, &ControllerFlags::downscale_stabilization>},
    {"tolerance",
     [](const JsonField& f, ControllerFlags& out) {
       return put(f.real({.least = 0, .most = 100}), out.tolerance);
     }},
    {"cpu_initialization_period",
     duration_member<ControllerFlags, &ControllerFlags::cpu_initialization_period>},
    {"initial_readiness_delay",
     duration_member<ControllerFlags, &ControllerFlags::initial_readiness_delay>},
};

constexpr FieldKey<batching::LatencyObjective> kObjectiveKeys[] = {
    {"latency",
     duration_member<batching::LatencyObjective, &batching::LatencyObjective::latency, 1>},
    {"quantile",
     [](const JsonField& f, batching::LatencyObjective& out) {
       return put(f.real({.least = 0.5, .most = 0.9999}), out.quantile);
     }},
};

// --- faults

constexpr FieldKey<ScenarioFault> kFaultKeys[] = {
    {"kind", [](const JsonField& f,
                ScenarioFault& out) { return put_choice<FaultKind>(f, kFaultNames, out.kind); }},
    {"at", duration_member<ScenarioFault, &ScenarioFault::at>},
    {"length", duration_member<ScenarioFault, &ScenarioFault::length>},
    {"count", read_whole<ScenarioFault, &ScenarioFault::count, 0, 100'000>},
    {"share",
     [](const JsonField& f, ScenarioFault& out) {
       return put(f.real({.least = 0.001, .most = 1}), out.share);
     }},
    {"factor",
     [](const JsonField& f, ScenarioFault& out) {
       return put(f.real({.least = 0.01, .most = 1000}), out.factor);
     }},
};

/// An empty value counts as not given.
bool is_given(const JsonField& field, const char* key) {
  return field.value().contains(key) && !field.value()[key].is_null();
}

/// Which of the fields beside kind and at a fault has; it must have these and no other.
struct FaultFields {
  bool length = false;
  bool count = false;
  bool factor = false;
};
FaultFields fields_of(FaultKind kind) {
  switch (kind) {
    case FaultKind::kKillPods:
    case FaultKind::kSetReplicas:
      return {.count = true};
    case FaultKind::kSlow:
      return {.length = true, .factor = true};
    case FaultKind::kControllerRestart:
      return {};
    default:
      return {.length = true};
  }
}

Result<void> check_fault(const JsonField& field, FaultKind kind) {
  FaultFields wanted = fields_of(kind);
  const std::string name(kFaultNames[static_cast<std::size_t>(kind)]);
  if (is_given(field, "share")) {
    if (kind != FaultKind::kKillPods || is_given(field, "count")) {
      return field.refuse(kind == FaultKind::kKillPods ? name + " has count or share, not both"
                                                       : name + " has no share");
    }
    wanted.count = false;
  }
  for (const auto& [key, is_wanted] :
       {std::pair("length", wanted.length), {"count", wanted.count}, {"factor", wanted.factor}}) {
    if (is_wanted != is_given(field, key)) {
      return field.refuse(name + (is_wanted ? " must have " : " has no ") + key);
    }
  }
  return {};
}

Result<void> read_faults(const JsonField& field, std::vector<ScenarioFault>& out) {
  return field.each(kMaxFaults, [&](const JsonField& child) -> Result<void> {
    ScenarioFault fault;
    if (auto done = read_object(child, kFaultKeys, fault); !done) {
      return done;
    }
    for (const char* const needed : {"kind", "at"}) {
      if (!is_given(child, needed)) {
        return child.refuse(std::string("must have ") + needed);
      }
    }
    out.push_back(fault);
    return check_fault(child, fault.kind);
  });
}

// --- the whole

struct ArrivalText {
  std::string shape;
  std::string trace;
  double scale = 1;
  arrivals::ArrivalProcess process = arrivals::ArrivalProcess::kPoisson;
};
constexpr std::array<std::string_view, 2> kProcessNames{"even", "poisson"};
constexpr FieldKey<ArrivalText> kArrivalKeys[] = {
    {"shape", [](const JsonField& f, ArrivalText& out) { return put(f.text(), out.shape); }},
    {"trace", [](const JsonField& f, ArrivalText& out) { return put(f.text(), out.trace); }},
    {"process",
     [](const JsonField& f, ArrivalText& out) {
       return put_choice<arrivals::ArrivalProcess>(f, kProcessNames, out.process);
     }},
    {"scale",
     [](const JsonField& f, ArrivalText& out) {
       return put(f.real({.least = 0.001, .most = 1000}), out.scale);
     }},
};

/// A scenario while it is read: what depends on other parts comes last.
struct Reading {
  Scenario scenario;
  ArrivalText arrivals;
  ControllerFlags controller;
  KubernetesVersion version = kNewestVersion;
};

Result<void> read_version(const JsonField& field, Reading& out) {
  const auto& value = field.value();
  auto version = parse_version(value.is_string() ? value.get<std::string>() : value.dump());
  return version ? put(std::move(version), out.version)
                 : Result<void>(field.refuse(version.error().message));
}

constexpr FieldKey<Reading> kScenarioKeys[] = {
    {"name", [](const JsonField& f, Reading& out) { return put(f.text(), out.scenario.name); }},
    {"length",
     [](const JsonField& f, Reading& out) {
       return put(read_duration(f, {.least = seconds(1), .most = hours(24 * 14)}),
                  out.scenario.length);
     }},
    {"warm_up",
     [](const JsonField& f, Reading& out) {
       return put(read_duration(f, {.most = hours(24)}), out.scenario.warm_up);
     }},
    {"seed",
     [](const JsonField& f, Reading& out) {
       return read_whole<Scenario, &Scenario::seed, 0, INT64_MAX>(f, out.scenario);
     }},
    {"objective",
     [](const JsonField& f, Reading& out) {
       return read_object(f, kObjectiveKeys, out.scenario.objective);
     }},
    {"arrivals",
     [](const JsonField& f, Reading& out) { return read_object(f, kArrivalKeys, out.arrivals); }},
    {"clients", [](const JsonField& f,
                   Reading& out) { return read_object(f, kClientKeys, out.scenario.clients); }},
    {"service", [](const JsonField& f,
                   Reading& out) { return read_object(f, kServiceKeys, out.scenario.service); }},
    {"pod",
     [](const JsonField& f, Reading& out) { return read_object(f, kPodKeys, out.scenario.pod); }},
    {"start", [](const JsonField& f,
                 Reading& out) { return read_object(f, kStartKeys, out.scenario.start); }},
    {"stop",
     [](const JsonField& f, Reading& out) { return read_object(f, kStopKeys, out.scenario.stop); }},
    {"replicas",
     [](const JsonField& f, Reading& out) {
       return read_whole<Scenario, &Scenario::replicas, 0, 100'000>(f, out.scenario);
     }},
    {"capacity",
     [](const JsonField& f, Reading& out) {
       return read_whole<Scenario, &Scenario::capacity, 0, 100'000>(f, out.scenario);
     }},
    {"hpa", [](const JsonField& /*f*/, Reading& /*out*/) { return Result<void>(); }},
    {"profile", [](const JsonField& /*f*/, Reading& /*out*/) { return Result<void>(); }},
    {"kubernetes", read_version},
    {"controller", [](const JsonField& f,
                      Reading& out) { return read_object(f, kControllerKeys, out.controller); }},
    {"metrics", [](const JsonField& f,
                   Reading& out) { return read_object(f, kMetricsKeys, out.scenario.metrics); }},
    {"routing",
     [](const JsonField& f, Reading& out) {
       return put_choice<Routing>(f, kRoutingNames, out.scenario.routing);
     }},
    {"faults",
     [](const JsonField& f, Reading& out) { return read_faults(f, out.scenario.faults); }},
    {"sample_pods",
     [](const JsonField& f, Reading& out) {
       return read_whole<Scenario, &Scenario::sample_pods, 0, 100'000>(f, out.scenario);
     }},
};

/// So many times another: of moments, some are taken twice, or left out.
class Scaled final : public arrivals::ArrivalShape {
 public:
  Scaled(std::shared_ptr<const arrivals::ArrivalShape> shape, double factor)
      : shape_(std::move(shape)), factor_(factor) {}
  [[nodiscard]] double due_by(double at) const override { return factor_ * shape_->due_by(at); }
  [[nodiscard]] double moment_of(double number) const override {
    return shape_->moment_of(number / factor_);
  }
  [[nodiscard]] bool is_rate() const override { return shape_->is_rate(); }

 private:
  std::shared_ptr<const arrivals::ArrivalShape> shape_;
  double factor_;
};

Result<void> read_shape(const JsonField& root, const FileReader& files, const ArrivalText& text,
                        Scenario& out) {
  if (text.shape.empty() == text.trace.empty()) {
    return root.refuse("arrivals must have shape or trace, and not both");
  }
  out.arrivals = {.shape = nullptr,
                  .text = text.shape.empty() ? "trace " + text.trace : text.shape,
                  .scale = text.scale,
                  .process = text.process};
  if (!text.shape.empty()) {
    auto shape = arrivals::parse_shape(text.shape, out.length);
    if (!shape) {
      return root.refuse("arrivals.shape: " + shape.error().message);
    }
    out.arrivals.shape = std::move(*shape);
    return {};
  }
  const auto csv = files(text.trace);
  if (!csv) {
    return root.refuse("arrivals.trace: " + csv.error().message);
  }
  auto trace = arrivals::parse_arrival_trace(*csv, {});
  if (!trace) {
    return root.refuse("arrivals.trace: " + text.trace + ": " + trace.error().message);
  }
  out.arrivals.shape = std::move(trace->shape);
  if (!out.arrivals.shape->is_rate()) {
    out.arrivals.process = arrivals::ArrivalProcess::kEven;  // its moments are what was recorded
  }
  return {};
}

Result<void> read_arrivals(const JsonField& root, const FileReader& files, const ArrivalText& text,
                           Scenario& out) {
  auto done = read_shape(root, files, text, out);
  if (done && text.scale != 1) {
    ArrivalPlan& plan = out.arrivals;
    plan.shape = std::make_shared<Scaled>(std::move(plan.shape), text.scale);
    plan.text = text::format_rate(text.scale) + " times " + plan.text;
  }
  return done;
}

/// Before all other fields, which stand in place of what it says.
Result<void> read_profile(const JsonField& root, const FileReader& files, Scenario& out) {
  const auto& document = root.value();
  const auto profile = document.is_object() ? document.find("profile") : document.end();
  if (!document.is_object() || profile == document.end() || profile->is_null()) {
    return {};
  }
  const JsonField field(*profile, root, "profile");
  if (!profile->is_string()) {
    return apply_profile(field, out);
  }
  const std::string path = profile->get<std::string>();
  const auto text = files(path);
  if (!text) {
    return field.refuse(text.error().message);
  }
  const std::string begin = path + ": ";
  const auto read = parse_json(*text, begin);
  return read ? apply_profile(JsonField(*read, begin), out) : Result<void>(fail(read.error()));
}

/// A part of the pods gets a fair part of the requests only where each request is routed by itself.
Result<void> check_sample(const JsonField& root, const Scenario& scenario) {
  if (scenario.sample_pods == 0) {
    return {};
  }
  if (scenario.routing == Routing::kRoundRobin || scenario.routing == Routing::kLeastRequest) {
    return root.refuse(
        "sample_pods is for routing random (or connection, where clients keep none): with " +
        std::string(kRoutingNames[static_cast<std::size_t>(scenario.routing)]) +
        " what a pod gets depends on all other pods");
  }
  if (scenario.routing == Routing::kConnection && scenario.clients.connections > 0) {
    return root.refuse(
        "sample_pods is for requests with a connection each (clients.connections: 0): requests of "
        "kept connections depend on each other");
  }
  return {};
}

Result<void> check_whole(const JsonField& root, const Reading& reading) {
  const Scenario& scenario = reading.scenario;
  if (scenario.service.runs.empty()) {
    return root.refuse("service.run_cpu must be given: the CPU time of a run, such as 25ms");
  }
  if (scenario.warm_up >= scenario.length) {
    return root.refuse("warm_up must be shorter than length");
  }
  if (scenario.capacity != 0 && scenario.replicas > scenario.capacity) {
    return root.refuse("replicas " + std::to_string(scenario.replicas) +
                       " are more than capacity " + std::to_string(scenario.capacity));
  }
  for (std::size_t i = 0; i < scenario.faults.size(); ++i) {
    if (scenario.faults[i].at >= scenario.length) {
      return root.refuse("faults[" + std::to_string(i) + "].at must be before the end (length)");
    }
  }
  if (scenario.stop.grace < scenario.stop.drain_delay) {
    return root.refuse("stop.grace must be at least stop.drain_delay");
  }
  return check_sample(root, scenario);
}

/// "a.b.c: value"
Result<void> apply(const Override& change, nlohmann::json& document) {
  const auto refuse = [&](const std::string& what) -> Result<void> {
    return fail(ErrorCode::kInvalidArgument, change.path + ": " + what);
  };
  auto value = parse_yaml(change.value);
  if (!value) {
    return refuse("the value is " + value.error().message);
  }
  nlohmann::json* at = &document;
  for (const std::string_view part : text::split(change.path, '.')) {
    if (part.empty() || !(at->is_object() || at->is_null())) {
      return refuse("is not a path of fields such as arrivals.shape");
    }
    at = &(*at)[std::string(part)];
  }
  *at = std::move(*value);
  return {};
}

Result<nlohmann::json> whole_document(const ScenarioText& text) {
  auto document = parse_yaml(text.text);
  if (!document) {
    return fail(ErrorCode::kInvalidArgument, text.name + ": " + document.error().message);
  }
  for (const Override& change : text.overrides) {
    if (auto done = apply(change, *document); !done) {
      return fail(done.error());
    }
  }
  return document;
}

}  // namespace

Result<std::string> scenario_document(const ScenarioText& text) {
  return whole_document(text).map([](const nlohmann::json& document) { return document.dump(); });
}

Result<Scenario> read_scenario(const ScenarioText& text, const FileReader& files) {
  const auto document = whole_document(text);
  if (!document) {
    return fail(document.error());
  }
  const std::string begin = text.name + ": ";
  const JsonField root(*document, begin);
  Reading reading;
  auto done = read_profile(root, files, reading.scenario)
                  .and_then([&] { return read_object(root, kScenarioKeys, reading); })
                  .and_then([&] { return check_whole(root, reading); });
  if (done) {
    done = read_arrivals(root, files, reading.arrivals, reading.scenario);
  }
  if (const auto hpa = document->find("hpa"); done && hpa != document->end() && !hpa->is_null()) {
    done = read_autoscaler(JsonField(*hpa, root, "hpa"), files,
                           {.version = reading.version,
                            .gates = Gates::defaults(reading.version),
                            .flags = reading.controller},
                           reading.scenario);
  }
  if (!done) {
    return fail(done.error());
  }
  return std::move(reading.scenario);
}

unsigned executors_of(const Scenario& scenario) {
  if (scenario.service.executors != 0) {
    return scenario.service.executors;
  }
  const double cores = scenario.pod.cpu_limit.value_or(scenario.pod.node_cores);
  return std::max(1U, static_cast<unsigned>(std::ceil(cores)));
}

std::int32_t most_pods(const Scenario& scenario) {
  std::int32_t most =
      std::max(scenario.replicas, scenario.autoscaler ? scenario.autoscaler->spec.max_replicas : 0);
  for (const ScenarioFault& fault : scenario.faults) {
    most = std::max(most, fault.kind == FaultKind::kSetReplicas ? fault.count : 0);
  }
  return most;
}

double sampled_share(const Scenario& scenario) {
  const std::int32_t most = most_pods(scenario);
  return scenario.sample_pods == 0 || scenario.sample_pods >= most
             ? 1
             : static_cast<double>(scenario.sample_pods) / most;
}

std::vector<std::string> extrapolations(const Scenario& scenario) {
  std::vector<std::string> out = scenario.cautions;
  const ServicePlan& service = scenario.service;
  const std::size_t known = service.runs.back().rows;
  if (service.max_batch > known) {
    out.push_back(
        "runs of more than " + std::to_string(known) +
        " rows are not in service.run_cpu: their CPU time is taken to grow with the rows");
  }
  if (sampled_share(scenario) < 1) {
    out.push_back(
        "of each " + std::to_string(most_pods(scenario)) + " pods " +
        std::to_string(scenario.sample_pods) +
        " serve (sample_pods), at least one; counts of requests are scaled to all of them");
  }
  return out;
}

}  // namespace podsense::foresight
