#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "plan/plan.h"
#include "text/columns.h"
#include "text/numbers.h"

namespace podsense::plan {
namespace {

constexpr std::size_t kName = 34;

std::string row(std::string_view name, const std::string& text) {
  return text::left(name, std::max(kName, text::width_of(name) + 1)) + text + "\n";
}

std::string band_text(const foresight::Band& band, foresight::Unit unit) {
  const auto one = [unit](double value) {
    switch (unit) {
      case foresight::Unit::kSeconds:
        return text::format_duration(from_seconds(value));
      case foresight::Unit::kShare:
        return significant(100 * value) + " %";
      default:
        return significant(value);
    }
  };
  return one(band.median) + "   (" + one(band.low) + " .. " + one(band.high) + ")";
}

std::string figures_text(const Plan& plan) {
  std::string out;
  const std::vector<TrialRun>& runs = plan.runs();
  constexpr std::array<std::string_view, 6> kShown{"latency_p50_seconds", "latency_p95_seconds",
                                                   "latency_p99_seconds", "late_share",
                                                   "pods_most",           "pod_seconds"};
  for (std::size_t i = 0; i < foresight::kFigures.size(); ++i) {
    const foresight::Figure& figure = foresight::kFigures[i];
    if (std::ranges::find(kShown, figure.key) == kShown.end()) {
      continue;
    }
    std::vector<double> values(runs.size());
    std::ranges::transform(runs, values.begin(),
                           [i](const TrialRun& run) { return run.figures[i]; });
    out += row("  " + std::string(figure.text),
               band_text(foresight::band_of(std::move(values)), figure.unit));
  }
  std::vector<double> costs(runs.size());
  std::ranges::transform(runs, costs.begin(), &TrialRun::cost);
  return out + row("  cost an hour",
                   band_text(foresight::band_of(std::move(costs)), foresight::Unit::kNumber) +
                       ", " + prices_text(plan.problem.request.prices));
}

std::string verdict_text(const Plan& plan) {
  const std::string held = outcome_text(plan.problem, plan.runs());
  switch (plan.search.verdict) {
    case SearchVerdict::kHolds:
      return "holds " + plan.problem.objective.text + ": " + held + "\n";
    case SearchVerdict::kNoneHolds:
      return "nothing that was played holds " + plan.problem.objective.text +
             "; these come nearest: " + held + "\n";
    case SearchVerdict::kInterrupted:
      break;
  }
  return "interrupted; the best so far: " + held + "\n";
}

std::string what_ifs(const Plan& plan) {
  std::string out;
  for (const auto& [title, some] :
       {std::pair("As traffic grows:\n", &plan.knee),
        std::pair("Where an assumption is wrong:\n", &plan.sensitivity)}) {
    out += some->empty() ? "" : title;
    for (const WhatIf& one : *some) {
      const Judgement judged = judge(plan.problem.objective, one.runs);
      out += row("  " + one.text, (one.breaks.empty() ? "holds" : one.breaks) + "; cost " +
                                      significant(judged.cost));
    }
  }
  return out;
}

}  // namespace

std::string significant(double value) {
  if (value == 0 || std::abs(value) >= 1) {
    return text::format_number(value);
  }
  std::array<char, 32> text{};
  const auto [end, error] =
      std::to_chars(text.data(), text.data() + text.size(), value, std::chars_format::fixed,
                    2 - static_cast<int>(std::floor(std::log10(std::abs(value)))));
  std::string out(text.data(), end);
  while (out.ends_with('0')) {
    out.pop_back();
  }
  return out;
}

std::string plan_text(const Plan& plan) {
  if (!plan.search.best) {
    return "nothing was played\n";
  }
  const PlanTrial& best = plan.best();
  std::string out =
      plan.problem.base.arrivals.text + ", " + text::format_duration(plan.problem.base.length) +
      ", " + text::format_number(plan.problem.demand.peak().rate) +
      " a second in the busiest minute; " + text::format_count(plan.search.simulations) +
      " simulations of " +
      text::format_count(static_cast<std::uint64_t>(std::ranges::count_if(
          plan.search.trials, [](const auto& one) { return !one.second.runs.empty(); }))) +
      " settings, " + text::format_count(plan.search.refused) + " more refused by bounds; seed " +
      std::to_string(plan.problem.base.seed) + "\n";
  for (const std::string& one : plan.problem.assumed) {
    out += "ASSUMED: " + one + "\n";
  }
  for (const std::string& one : foresight::extrapolations(*best.scenario)) {
    out += "ASSUMED: " + one + "\n";
  }
  out += verdict_text(plan) + "\n" + settings_text(best.settings) + "\n";
  out += figures_text(plan);
  if (!plan.lines.empty()) {
    out += "Why:\n";
  }
  for (const Line& line : plan.lines) {
    if (!line.tried.empty()) {
      const auto axis = static_cast<std::size_t>(line.axis);
      const std::string value = plan.problem.space.values(line.axis)[best.point[axis]].text;
      out += row("  " + std::string(kAxisNames[axis]) + " " + value, line.reason);
    }
  }
  return out + what_ifs(plan);
}

}  // namespace podsense::plan
