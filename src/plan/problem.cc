#include "plan/problem.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "arrivals/arrival_trace.h"
#include "text/numbers.h"

namespace podsense::plan {
namespace {

using foresight::Override;
using Json = nlohmann::json;

tl::unexpected<Error> refuse(const std::string& what) {
  return fail(ErrorCode::kInvalidArgument, what);
}

std::string seconds_text(double seconds) {
  return text::format_rate(seconds) + "s";
}

/// So that many settings share one trace: it is put back after reading.
const Override kAnyArrivals{.path = "arrivals", .value = "{shape: 'constant:1'}"};

bool has_start(const foresight::StartPlan& start) {
  return start.schedule.mean_seconds() + start.pull.mean_seconds() + start.load.mean_seconds() >
             0 ||
         start.warm_up_cpu > Duration::zero() || start.extra > Duration::zero();
}

/// Puts the assumed one in place.
Result<void> check_start(const PlanRequest& request, foresight::Scenario& base,
                         foresight::ScenarioText& text, std::vector<std::string>& assumed) {
  if (request.assumed_start && has_start(base.start)) {
    return refuse("--assume-start: the scenario has a start-up (start.…) of its own");
  }
  if (request.assumed_start) {
    base.start.load = foresight::Distribution::constant(*request.assumed_start);
    text.overrides.push_back(
        {.path = "start.load", .value = seconds_text(to_seconds(*request.assumed_start))});
    assumed.push_back("pods are ready " + text::format_duration(*request.assumed_start) +
                      " after their creation: assumed, not measured");
    return {};
  }
  if (!has_start(base.start)) {
    return refuse(
        "start: how long pods take to start was not given, and decides what an autoscaler can do; "
        "accepted: start.schedule, start.pull, start.load and start.warm_up_cpu as measured "
        "(docs/how-to/plan.md says how), or --assume-start DURATION");
  }
  return {};
}

/// The trace that the document names, and how long it is.
struct NamedTrace {
  std::string name;
  std::string text;
  Duration length{};
};
Result<std::optional<NamedTrace>> trace_of(const Json& document,
                                           const foresight::FileReader& read) {
  const Json::json_pointer at("/arrivals/trace");
  if (!document.is_object() || !document.contains(at) || !document[at].is_string()) {
    return std::optional<NamedTrace>();
  }
  NamedTrace out{.name = document[at].get<std::string>(), .text = {}, .length = {}};
  auto text = read(out.name);
  if (!text) {
    return refuse("arrivals.trace: " + text.error().message);
  }
  out.text = std::move(*text);
  const auto trace = arrivals::parse_arrival_trace(out.text, {});
  if (!trace) {
    return refuse("arrivals.trace: " + out.name + ": " + trace.error().message);
  }
  out.length = trace->length;
  return std::optional(std::move(out));
}

void put_traffic(const PlanRequest& request, foresight::ScenarioText& text) {
  if (!request.traffic.is_given()) {
    return;
  }
  text.overrides.push_back(
      {.path = "arrivals.shape",
       .value = request.traffic.shape.empty() ? "null" : Json(request.traffic.shape).dump()});
  text.overrides.push_back(
      {.path = "arrivals.trace",
       .value = request.traffic.shape.empty() ? Json(request.traffic.name).dump() : "null"});
}

Result<Json> document_json(const foresight::ScenarioText& text) {
  return foresight::scenario_document(text).map(
      [](const std::string& document) { return Json::parse(document); });
}

void put_length(const PlanRequest& request, const Json& document,
                const std::optional<NamedTrace>& trace, foresight::ScenarioText& text) {
  const bool has_length = document.contains("length") && !document["length"].is_null();
  if (request.length) {
    text.overrides.push_back(
        {.path = "length", .value = seconds_text(to_seconds(*request.length))});
  } else if (trace && (!has_length || request.traffic.is_given())) {
    const double seconds = std::max(1.0, std::ceil(to_seconds(trace->length)));
    text.overrides.push_back({.path = "length", .value = seconds_text(seconds)});
  }
}

void put_objective(const PlanRequest& request, const Objective& objective, const Json& document,
                   foresight::ScenarioText& text) {
  const LatencyGoal& first = objective.latencies.front();
  text.overrides.push_back({.path = "objective",
                            .value = Json{{"latency", seconds_text(to_seconds(first.latency))},
                                          {"quantile", first.quantile}}
                                         .dump()});
  if (request.seed) {
    text.overrides.push_back({.path = "seed", .value = std::to_string(*request.seed)});
  }
  if (request.growth != 1) {
    const Json::json_pointer at("/arrivals/scale");
    const double before =
        document.contains(at) && document[at].is_number() ? document[at].get<double>() : 1;
    text.overrides.push_back(
        {.path = "arrivals.scale", .value = text::format_rate(before * request.growth)});
  }
}

void put_failure(const PlanRequest& request, const Json& document, const RequestDemand& demand,
                 foresight::ScenarioText& text) {
  const Survive& survive = request.survive;
  if (survive.pods == 0 && survive.share == 0) {
    return;
  }
  Json faults = document.contains("faults") && document["faults"].is_array() ? document["faults"]
                                                                             : Json::array();
  Json fault{{"kind", "kill_pods"},
             {"at", seconds_text(std::floor(demand.peak().at * 1000) / 1000)}};
  if (survive.pods > 0) {
    fault["count"] = survive.pods;
  } else {
    fault["share"] = survive.share;
  }
  faults.push_back(std::move(fault));
  text.overrides.push_back({.path = "faults", .value = faults.dump()});
}

/// From `from` to `to`, each a quarter more than the one before, or one more.
std::vector<std::string> counts(std::int32_t from, std::int32_t to, double growth) {
  std::vector<std::string> out;
  for (std::int32_t n = std::max(1, from);;) {
    out.push_back(std::to_string(n));
    if (n >= to) {
      return out;
    }
    n = std::min(to, std::max(n + 1, static_cast<std::int32_t>(std::ceil(n * growth))));
  }
}

std::vector<std::string> default_requests(const foresight::Scenario& base) {
  constexpr std::int64_t kLeast = 100;
  constexpr std::int64_t kUsual = 500;
  const std::int64_t given =
      base.pod.cpu_request.sign() > 0 ? std::max(kLeast, base.pod.cpu_request.milli()) : kUsual;
  std::vector<std::string> out{milli_quantity(given)};
  if (given / 2 >= kLeast) {
    out.push_back(milli_quantity(given / 2));
  }
  if (2 * static_cast<double>(given) <= 1000 * base.pod.node_cores) {
    out.push_back(milli_quantity(2 * given));
  }
  return out;
}

/// What a user would try, around what the scenario has.
Result<Space> default_space(const Problem& problem) {
  const foresight::Scenario& base = problem.base;
  Space space;
  std::vector<std::string> limits{"request", "none"};
  if (base.pod.cpu_limit) {
    limits.push_back(milli_quantity(std::llround(*base.pod.cpu_limit * 1000)));
  }
  std::vector<std::string> rows{std::to_string(base.service.max_batch)};
  for (std::size_t i = 1; i < base.service.runs.size(); ++i) {
    rows.push_back(std::to_string(base.service.runs[i].rows));
  }
  if (rows.size() > 1) {
    rows.emplace_back("1");
  }
  std::vector<std::pair<SettingAxis, std::vector<std::string>>> all{
      {SettingAxis::kCpuRequest, default_requests(base)},
      {SettingAxis::kCpuLimit, limits},
      {SettingAxis::kExecutors, {std::to_string(base.service.executors)}},
      {SettingAxis::kMaxBatch, rows},
      {SettingAxis::kMaxDelay, {"0", seconds_text(to_seconds(base.service.max_delay))}},
      {SettingAxis::kSignal,
       {"none", "cpu", "saturation", "queue_depth", "keda:saturation", "cpu+saturation"}},
      {SettingAxis::kCpuTarget, {"40", "50", "60", "70", "80", "90"}},
      {SettingAxis::kQueueTarget, {"500m", "1", "2", "4"}},
      {SettingAxis::kSaturationTarget, {"400m", "500m", "600m", "700m", "800m", "900m"}},
      {SettingAxis::kMin, {"1"}},
      {SettingAxis::kMax, {"1"}},
      {SettingAxis::kUp, {"chart", "fast"}},
      {SettingAxis::kDownWindow, {"60s", "120s", "300s"}},
      {SettingAxis::kTolerance, {"default"}}};
  for (const auto& [axis, texts] : all) {
    if (auto done = space.set(axis, texts); !done) {
      return fail(done.error());
    }
  }
  return space;
}

/// The pods that the busiest minute needs at least: of the smallest and of the largest pod.
Result<void> put_pod_counts(const Problem& problem, Space& space) {
  std::int32_t fewest = INT32_MAX;
  std::int32_t most = 1;
  Point point{};
  for (std::size_t cpu = 0; cpu < space.values(SettingAxis::kCpuRequest).size(); ++cpu) {
    for (std::size_t limit = 0; limit < space.values(SettingAxis::kCpuLimit).size(); ++limit) {
      point[0] = static_cast<std::uint16_t>(cpu);
      point[1] = static_cast<std::uint16_t>(limit);
      const auto scenario = problem.scenario_of(space.settings_of(point));
      if (!scenario) {
        return fail(scenario.error());
      }
      const std::int32_t pods = least_pods(*scenario, problem.demand, problem.objective);
      fewest = std::min(fewest, pods);
      most = std::max(most, pods);
    }
  }
  constexpr std::int32_t kMostPods = 50'000;
  const std::int32_t high = std::min(kMostPods, 2 * most + 2);
  return space.set(SettingAxis::kMin, counts(1, high, 1.25)).and_then([&] {
    return space.set(SettingAxis::kMax, counts(fewest, std::min(kMostPods, 3 * most + 2), 1.5));
  });
}

Result<void> put_space(Problem& problem) {
  auto space = default_space(problem);
  if (!space) {
    return fail(space.error());
  }
  const auto restrict_to = [&]() -> Result<void> {
    for (const auto& [name, text] : problem.request.spaces) {
      if (auto done = read_space(text, name, *space); !done) {
        return done;
      }
    }
    for (const std::string& allowed : problem.request.allowed) {
      if (auto done = read_allowed(allowed, *space); !done) {
        return fail(ErrorCode::kInvalidArgument, "--allow: " + done.error().message);
      }
    }
    return {};
  };
  // Twice: numbers of pods depend on the pods that may be, and may be given themselves.
  return restrict_to()
      .and_then([&] { return put_pod_counts(problem, *space); })
      .and_then(restrict_to)
      .map([&] { problem.space = std::move(*space); });
}

void note_assumptions(Problem& problem) {
  const foresight::Scenario& base = problem.base;
  if (base.service.runs.front().cpu.at(0.01) == base.service.runs.front().cpu.at(0.99)) {
    problem.assumed.emplace_back(
        "every run takes the same CPU time: service.run_cpu is one duration, not a measured "
        "distribution");
  }
  if (base.pod.memory_request.sign() == 0) {
    problem.assumed.emplace_back("memory costs nothing: pod.memory_request is not given");
  }
}

}  // namespace

Result<foresight::Scenario> Problem::scenario_of(const PlanSettings& settings,
                                                 const std::vector<Override>& more) const {
  foresight::ScenarioText one = text;
  const bool is_other_traffic = std::ranges::any_of(
      more, [](const Override& change) { return change.path.starts_with("arrivals."); });
  if (!is_other_traffic) {
    one.overrides.push_back(kAnyArrivals);
  }
  for (Override& change : overrides_of(settings)) {
    one.overrides.push_back(std::move(change));
  }
  one.overrides.push_back({.path = "replicas", .value = std::to_string(settings.min)});
  one.overrides.insert(one.overrides.end(), more.begin(), more.end());
  auto scenario = foresight::read_scenario(one, request.files);
  if (!scenario) {
    return scenario;
  }
  if (!is_other_traffic) {
    scenario->arrivals = base.arrivals;
  }
  // As many pods as there would be, had the first minute's traffic been there before.
  constexpr double kUse = 0.7;
  const double wanted = demand.first_rate() / pod_rate(*scenario).per_second / kUse;
  scenario->replicas = static_cast<std::int32_t>(
      std::clamp(std::ceil(wanted), settings.min * 1.0, settings.max * 1.0));
  return scenario;
}

std::string Problem::document_of(const PlanSettings& settings) const {
  foresight::ScenarioText one = text;
  for (Override& change : overrides_of(settings)) {
    one.overrides.push_back(std::move(change));
  }
  if (const auto scenario = scenario_of(settings)) {
    one.overrides.push_back({.path = "replicas", .value = std::to_string(scenario->replicas)});
  }
  return foresight::scenario_document(one).value_or("{}");
}

Result<Problem> prepare(PlanRequest request) {
  auto objective = parse_objective(request.objective);
  if (!objective) {
    return refuse("--objective: " + objective.error().message);
  }
  if (request.traffic.shape.empty() && !request.traffic.name.empty()) {
    request.files = [traffic = request.traffic, files = request.files](const std::string& name) {
      return name == traffic.name ? Result<std::string>(traffic.trace) : files(name);
    };
  }
  foresight::ScenarioText text = request.scenario;
  put_traffic(request, text);
  // Whatever autoscaler the scenario has, plans replace it.
  text.overrides.push_back({.path = "hpa", .value = "null"});
  const auto document = document_json(text);
  if (!document) {
    return fail(document.error());
  }
  auto trace = trace_of(*document, request.files);
  if (!trace) {
    return fail(trace.error());
  }
  put_length(request, *document, *trace, text);
  put_objective(request, *objective, *document, text);
  auto base = foresight::read_scenario(text, request.files);
  if (!base) {
    return fail(base.error());
  }
  std::vector<std::string> assumed;
  if (auto done = check_start(request, *base, text, assumed); !done) {
    return fail(done.error());
  }
  RequestDemand demand(*base);
  if (demand.requests() < 1) {
    return refuse("arrivals: there is less than one request to plan for");
  }
  put_failure(request, *document, demand, text);
  std::map<std::string, std::string> files;
  if (*trace) {
    files[(*trace)->name] = std::move((*trace)->text);
  }
  Problem problem{.request = std::move(request),
                  .objective = std::move(*objective),
                  .text = std::move(text),
                  .base = std::move(*base),
                  .demand = std::move(demand),
                  .space = {},
                  .assumed = std::move(assumed),
                  .files = std::move(files)};
  if (auto done = put_space(problem); !done) {
    return fail(done.error());
  }
  note_assumptions(problem);
  return problem;
}

}  // namespace podsense::plan
