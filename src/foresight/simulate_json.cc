#include "foresight/simulate_json.h"

#include <cmath>
#include <optional>
#include <utility>

#include "foresight/simulate_page.h"
#include "text/html.h"

namespace podsense::foresight {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view kFormat = "podsense.simulate/1";

Json number(std::optional<double> value) {
  return value && !std::isnan(*value) ? Json(*value) : Json(nullptr);
}

Json endings_json(const Endings& endings) {
  Json json = Json::object();
  for (std::size_t i = 0; i < endings.size(); ++i) {
    json[std::string(kEndingNames[i])] = endings[i];
  }
  return json;
}

Json timeline_json(const RunResult& run, Duration width) {
  Json slices = Json::array();
  for (std::size_t i = 0; i < run.slices.size(); ++i) {
    const Slice& slice = run.slices[i];
    Json one{{"start", to_seconds(width) * static_cast<double>(i)},
             {"endings", endings_json(slice.endings)},
             {"late", slice.late},
             {"desired", slice.desired},
             {"pods", slice.pods},
             {"ready", slice.ready},
             {"draining", slice.draining},
             {"signal", number(slice.signal)},
             {"signal_seen", number(slice.seen)}};
    if (slice.latency.count() > 0) {
      one["p50"] = to_seconds(slice.latency.quantile(0.5));
      one["p90"] = to_seconds(slice.latency.quantile(0.9));
      one["p99"] = to_seconds(slice.latency.quantile(0.99));
      one["max"] = to_seconds(slice.latency.max());
    }
    one["latency"] = quantiles::histogram_json(slice.latency);
    slices.push_back(std::move(one));
  }
  return {{"slice_seconds", to_seconds(width)}, {"slices", std::move(slices)}};
}

Json decisions_json(const RunResult& run) {
  Json decisions = Json::array();
  for (const Decision& decision : run.decisions) {
    Json one{{"at", to_seconds(decision.at)},
             {"current", decision.current},
             {"desired", decision.desired},
             {"rescaled", decision.rescaled}};
    if (!decision.error.empty()) {
      one["error"] = decision.error;
    }
    if (!decision.words.empty()) {
      one["explain"] = decision.words;
    }
    decisions.push_back(std::move(one));
  }
  return decisions;
}

Json run_json(const RunResult& run, const Scenario& scenario, Duration width) {
  Json figures = Json::object();
  for (const Figure& figure : kFigures) {
    figures[std::string(figure.key)] = figure.of(run);
  }
  return {{"seed", run.seed},
          {"objective_met", met(run, scenario.objective)},
          {"figures", std::move(figures)},
          {"endings", endings_json(run.endings)},
          {"more_pods_ready_after",
           number(run.second_ready ? std::optional(to_seconds(*run.second_ready)) : std::nullopt)},
          {"histograms", histograms_json(run)},
          {"timeline", timeline_json(run, width)},
          {"decisions", decisions_json(run)}};
}

Json scenario_json(const Scenario& scenario) {
  Json json{{"name", scenario.name},
            {"seconds", to_seconds(scenario.length)},
            {"warm_up_seconds", to_seconds(scenario.warm_up)},
            {"arrivals", scenario.arrivals.text},
            {"process",
             scenario.arrivals.process == arrivals::ArrivalProcess::kPoisson ? "poisson" : "even"},
            {"seed", scenario.seed},
            {"objective",
             {{"latency_seconds", to_seconds(scenario.objective.latency)},
              {"quantile", scenario.objective.quantile}}},
            {"replicas", scenario.replicas},
            {"executors", executors_of(scenario)},
            {"routing", kRoutingNames[static_cast<std::size_t>(scenario.routing)]}};
  if (sampled_share(scenario) < 1) {
    json["sample_pods"] = scenario.sample_pods;
  }
  json["kubernetes"] = scenario.autoscaler
                           ? Json(version_name(scenario.autoscaler->settings.version))
                           : Json(nullptr);
  return json;
}

Json figures_json(const Simulation& simulation) {
  Json figures = Json::object();
  if (!simulation.runs.empty()) {
    for (const Figure& figure : kFigures) {
      figures[std::string(figure.key)] = spread_json(spread_of(values_of(figure, simulation)));
    }
  }
  return figures;
}

}  // namespace

nlohmann::ordered_json spread_json(const Spread& spread) {
  return {{"mean", spread.mean},
          {"standard_error", number(spread.error)},
          {"p5", spread.band.low},
          {"median", spread.band.median},
          {"p95", spread.band.high}};
}

std::string json_text(const nlohmann::ordered_json& json, int indent) {
  return json.dump(indent, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

std::string simulation_json(const Scenario& scenario, const Simulation& simulation) {
  Json runs = Json::array();
  RunResult all;
  for (const RunResult& run : simulation.runs) {
    all.latency.merge(run.latency);
    all.run_time.merge(run.run_time);
    all.start_up.merge(run.start_up);
    all.signal_age.merge(run.signal_age);
    runs.push_back(run_json(run, scenario, simulation.slice));
  }
  const Json json{{"format", kFormat},
                  {"scenario", scenario_json(scenario)},
                  {"notes", extrapolations(scenario)},
                  {"runs_met", runs_met(scenario, simulation)},
                  {"figures", figures_json(simulation)},
                  {"histograms", histograms_json(all)},
                  {"runs", std::move(runs)}};
  return json_text(json, 2) + "\n";
}

std::string simulation_html(const Scenario& scenario, const Simulation& simulation) {
  const RunResult& first = simulation.runs.front();
  Json run = run_json(first, scenario, simulation.slice);
  Json& slices = run["timeline"]["slices"];
  for (std::size_t i = 0; i < first.slices.size(); ++i) {
    slices[i].erase("latency");  // the page shows its percentiles only
    slices[i]["loads"] = first.slices[i].loads;
  }
  const Json json{
      {"scenario", scenario_json(scenario)}, {"notes", extrapolations(scenario)},
      {"runs", simulation.runs.size()},      {"runs_met", runs_met(scenario, simulation)},
      {"figures", figures_json(simulation)}, {"run", std::move(run)}};
  return text::page_with_data(simulate_page(), json_text(json, -1));
}

}  // namespace podsense::foresight
