#include <algorithm>
#include <cmath>
#include <functional>

#include "foresight/simulate_figures.h"
#include "text/columns.h"
#include "text/numbers.h"

namespace podsense::foresight {
namespace {

constexpr std::size_t kNameWidth = 28;
constexpr std::size_t kColumn = 13;

std::string shown(double value, Unit unit) {
  switch (unit) {
    case Unit::kCount:
      return value == std::floor(value) ? text::format_count(static_cast<std::uint64_t>(value))
                                        : text::format_number(value);
    case Unit::kSeconds:
      return text::format_duration(from_seconds(value));
    case Unit::kShare:
      return text::format_share(value);
    case Unit::kNumber:
      break;
  }
  return text::format_number(value);
}

void append_row(std::string& out, std::string_view name, const Spread& spread, Unit unit) {
  std::string row(name);
  row.resize(kNameWidth, ' ');
  out += row + text::right(shown(spread.band.median, unit), kColumn);
  if (!std::isnan(spread.error)) {
    out +=
        text::right(shown(spread.band.low, unit), kColumn) + " .. " + shown(spread.band.high, unit);
    out += "   (mean " + shown(spread.mean, unit) + " ± " + shown(2 * spread.error, unit) + ")";
  }
  out += '\n';
}

/// A difference of shares is in points.
std::string shown_difference(double value, Unit unit) {
  return unit == Unit::kShare ? text::format_number(value * 100) + " points" : shown(value, unit);
}

void append_difference(const Figure& figure, const std::vector<double>& before,
                       const std::vector<double>& after, std::string& out) {
  const auto is_zero = [](double value) { return value == 0; };
  if (std::ranges::all_of(before, is_zero) && std::ranges::all_of(after, is_zero)) {
    return;
  }
  std::vector<double> differences(before.size());
  std::ranges::transform(after, before, differences.begin(), std::minus<>());
  const Spread spread = spread_of(differences);
  std::string row(figure.text);
  row.resize(kNameWidth, ' ');
  out += row + text::right(shown(band_of(before).median, figure.unit), kColumn) +
         text::right(shown(band_of(after).median, figure.unit), kColumn) + "   " +
         (spread.mean < 0 ? "-" : "+") + shown_difference(std::abs(spread.mean), figure.unit);
  out += std::isnan(spread.error) ? "\n"
                                  : " ± " + shown_difference(2 * spread.error, figure.unit) + "\n";
}

std::string head(const Scenario& scenario, const Simulation& simulation) {
  std::string out = scenario.name.empty() ? "" : scenario.name + ": ";
  out +=
      text::format_duration(scenario.length) + " of " + scenario.arrivals.text +
      (scenario.arrivals.process == arrivals::ArrivalProcess::kPoisson ? ", poisson" : ", even") +
      "; " + std::to_string(simulation.runs.size()) +
      (simulation.runs.size() == 1 ? " run" : " runs") + " from seed " +
      std::to_string(scenario.seed) + "; ";
  if (!scenario.autoscaler) {
    return out + std::to_string(scenario.replicas) + (scenario.replicas == 1 ? " pod" : " pods") +
           ", no autoscaler\n";
  }
  const MetricsPlan& metrics = scenario.metrics;
  return out + "Kubernetes " + std::string(version_name(scenario.autoscaler->settings.version)) +
         ", kubelet statistics " +
         std::string(kKubeletStatsNames[static_cast<std::size_t>(metrics.kubelet)]) +
         ", metrics-server every " + text::format_duration(metrics.resolution) +
         ", Prometheus every " + text::format_duration(metrics.scrape) + ", looks every " +
         text::format_duration(scenario.autoscaler->settings.flags.sync_period) + "\n";
}

std::string objective_line(const Scenario& scenario, const Simulation& simulation) {
  const std::size_t good = runs_met(scenario, simulation);
  const std::size_t all = simulation.runs.size();
  return "objective " + text::format_duration(scenario.objective.latency) + " for " +
         text::format_number(scenario.objective.quantile * 100) + " %: " +
         (good == all ? "met"
          : good == 0 ? "MISSED"
                      : "met in some runs") +
         " (" + std::to_string(good) + " of " + std::to_string(all) + ")\n";
}

void append_decisions(const RunResult& run, std::string& out) {
  out += "\nThe autoscaler in the run of seed " + std::to_string(run.seed) + ":\n";
  bool is_first = true;
  for (const Decision& decision : run.decisions) {
    if (decision.words.empty() && decision.error.empty()) {
      continue;
    }
    is_first = false;
    out += text::right(text::format_duration(decision.at), 8) + "  " +
           std::to_string(decision.current) + " -> " + std::to_string(decision.desired);
    out += decision.error.empty() ? "\n" : "  " + decision.error + "\n";
    for (const std::string& sentence : decision.words) {
      out += "          " + sentence + "\n";
    }
  }
  out += is_first ? "  no change in " + std::to_string(run.decisions.size()) + " looks\n" : "";
}

}  // namespace

std::string comparison_text(const Played& first, const Played& second) {
  std::string out = "A  " + first.name + ": " + head(first.scenario, first.simulation) + "B  " +
                    second.name + ": " + head(second.scenario, second.simulation) +
                    std::string(kNameWidth, ' ') + text::right("A", kColumn) +
                    text::right("B", kColumn) + "   B - A, mean of runs\n";
  for (const Figure& figure : kFigures) {
    append_difference(figure, values_of(figure, first.simulation),
                      values_of(figure, second.simulation), out);
  }
  return out + "A  " + objective_line(first.scenario, first.simulation) + "B  " +
         objective_line(second.scenario, second.simulation);
}

bool all_met(const Scenario& scenario, const Simulation& simulation) {
  return runs_met(scenario, simulation) == simulation.runs.size();
}

std::string simulation_text(const Scenario& scenario, const Simulation& simulation) {
  if (simulation.runs.empty()) {
    return "no run was finished\n";
  }
  std::string out = head(scenario, simulation);
  for (const std::string& note : extrapolations(scenario)) {
    out += "note: " + note + "\n";
  }
  out += std::string(kNameWidth, ' ') + text::right("median", kColumn);
  out +=
      simulation.runs.size() > 1 ? text::right("5 % .. 95 % of runs", kColumn + 14) + "\n" : "\n";
  for (const Figure& figure : kFigures) {
    const Spread spread = spread_of(values_of(figure, simulation));
    const bool is_failure = figure.unit == Unit::kShare && figure.key != "late_share";
    if (!is_failure || spread.mean > 0) {
      append_row(out, figure.text, spread, figure.unit);
    }
  }
  if (const auto moments = second_ready(simulation); !moments.empty()) {
    append_row(out, "more pods ready after", spread_of(moments), Unit::kSeconds);
  }
  out += objective_line(scenario, simulation);
  if (scenario.autoscaler) {
    append_decisions(simulation.runs.front(), out);
  }
  return out;
}

}  // namespace podsense::foresight
