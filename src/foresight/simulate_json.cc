#include "foresight/simulate_json.h"

#include <cmath>
#include <optional>
#include <ostream>
#include <sstream>
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

Json slice_json(const Slice& slice, double start) {
  Json one{{"start", start},
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
  return one;
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

/// @param slices  of the timeline, or what stands for them
Json run_json(const RunResult& run, const Scenario& scenario, Duration width, Json slices) {
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
          {"timeline", {{"slice_seconds", to_seconds(width)}, {"slices", std::move(slices)}}},
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

namespace {

/// A report has thousands of slices with a histogram each: they are written one by one, in the
/// place that a document holds for them. The text is that of one document.
class ListInDocument {
 public:
  static constexpr std::string_view kPlace = "@LIST@";

  /// @param indent  of all of the document
  ListInDocument(std::ostream& out, const Json& document, std::size_t indent)
      : out_(out), text_(indented(document, indent)) {}

  /// @param at     where in the text the place is
  /// @param count  of items
  /// @param write  writes an item with all its lines but the first indented so
  template <class Write>
  void write(std::size_t at, std::size_t count, const Write& write) {
    const std::size_t line = text_.rfind('\n', at) + 1;
    const std::size_t indent = text_.find_first_not_of(' ', line) - line;
    out_ << std::string_view(text_).substr(0, at) << (count == 0 ? "[]" : "[");
    for (std::size_t i = 0; i < count; ++i) {
      out_ << (i == 0 ? "\n" : ",\n") << std::string(indent + 2, ' ');
      write(i, indent + 2);
    }
    out_ << (count == 0 ? "" : "\n" + std::string(indent, ' ') + "]")
         << std::string_view(text_).substr(at + mark().size());
  }
  [[nodiscard]] std::size_t first_place() const { return text_.find(mark()); }
  [[nodiscard]] std::size_t last_place() const { return text_.rfind(mark()); }

  static std::string indented(const Json& json, std::size_t indent) {
    std::string out;
    for (const char c : json_text(json, 2)) {
      out += c;
      if (c == '\n') {  // never within a string
        out.append(indent, ' ');
      }
    }
    return out;
  }

 private:
  static std::string mark() { return '"' + std::string(kPlace) + '"'; }

  std::ostream& out_;
  std::string text_;
};

void write_run(std::ostream& out, const RunResult& run, const Scenario& scenario, Duration width,
               std::size_t indent) {
  ListInDocument document(out, run_json(run, scenario, width, ListInDocument::kPlace), indent);
  // Texts, which might look like it, come after it.
  document.write(document.first_place(), run.slices.size(), [&](std::size_t i, std::size_t inner) {
    Json slice = slice_json(run.slices[i], to_seconds(width) * static_cast<double>(i));
    slice["latency"] = quantiles::histogram_json(run.slices[i].latency);
    out << ListInDocument::indented(slice, inner);
  });
}

}  // namespace

void write_simulation_json(std::ostream& out, const Scenario& scenario,
                           const Simulation& simulation) {
  RunResult all;
  for (const RunResult& run : simulation.runs) {
    all.latency.merge(run.latency);
    all.run_time.merge(run.run_time);
    all.start_up.merge(run.start_up);
    all.signal_age.merge(run.signal_age);
  }
  const Json json{{"format", kFormat},
                  {"scenario", scenario_json(scenario)},
                  {"notes", extrapolations(scenario)},
                  {"runs_met", runs_met(scenario, simulation)},
                  {"figures", figures_json(simulation)},
                  {"histograms", histograms_json(all)},
                  {"runs", ListInDocument::kPlace}};
  ListInDocument document(out, json, 0);
  document.write(document.last_place(), simulation.runs.size(),
                 [&](std::size_t i, std::size_t indent) {
                   write_run(out, simulation.runs[i], scenario, simulation.slice, indent);
                 });
  out << '\n';
}

std::string simulation_json(const Scenario& scenario, const Simulation& simulation) {
  std::ostringstream out;
  write_simulation_json(out, scenario, simulation);
  return std::move(out).str();
}

std::string simulation_html(const Scenario& scenario, const Simulation& simulation) {
  const RunResult& first = simulation.runs.front();
  Json slices = Json::array();
  for (std::size_t i = 0; i < first.slices.size(); ++i) {
    slices.push_back(
        slice_json(first.slices[i], to_seconds(simulation.slice) * static_cast<double>(i)));
    slices.back()["loads"] = first.slices[i].loads;
  }
  Json run = run_json(first, scenario, simulation.slice, std::move(slices));
  const Json json{
      {"scenario", scenario_json(scenario)}, {"notes", extrapolations(scenario)},
      {"runs", simulation.runs.size()},      {"runs_met", runs_met(scenario, simulation)},
      {"figures", figures_json(simulation)}, {"run", std::move(run)}};
  return text::page_with_data(simulate_page(), json_text(json, -1));
}

}  // namespace podsense::foresight
