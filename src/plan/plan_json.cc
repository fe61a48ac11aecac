#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "foresight/simulate_json.h"
#include "plan/plan.h"
#include "plan/plan_page.h"
#include "plan/values.h"
#include "text/html.h"
#include "text/numbers.h"

namespace podsense::plan {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view kFormat = "podsense.plan/1";

template <class Of>
Json spread_of(const std::vector<TrialRun>& runs, Of of) {
  std::vector<double> values(runs.size());
  std::ranges::transform(runs, values.begin(), of);
  return foresight::spread_json(foresight::spread_of(values));
}

Json figure_json(const std::vector<TrialRun>& runs, std::string_view key) {
  for (std::size_t i = 0; i < foresight::kFigures.size(); ++i) {
    if (foresight::kFigures[i].key == key) {
      return spread_of(runs, [i](const TrialRun& run) { return run.figures[i]; });
    }
  }
  return nullptr;
}

double error_share(const TrialRun& run) {
  return run.requests == 0 ? 0
                           : static_cast<double>(run.errors) / static_cast<double>(run.requests);
}

Json figures_json(const std::vector<TrialRun>& runs) {
  Json out = Json::object();
  for (const char* const key : {"requests", "latency_p50_seconds", "latency_p95_seconds",
                                "latency_p99_seconds", "late_share"}) {
    out[key] = figure_json(runs, key);
  }
  out["error_share"] = spread_of(runs, error_share);
  for (const char* const key :
       {"refused_share", "timed_out_share", "broken_share", "unfinished_share", "pods_most",
        "pod_seconds", "cpu_seconds", "throttled_seconds"}) {
    out[key] = figure_json(runs, key);
  }
  out["cost"] = spread_of(runs, [](const TrialRun& run) { return run.cost; });
  std::vector<double> ready;
  for (const TrialRun& run : runs) {
    if (run.more_ready) {
      ready.push_back(to_seconds(*run.more_ready));
    }
  }
  out["more_pods_ready_after_seconds"] =
      ready.empty() ? Json(nullptr) : foresight::spread_json(foresight::spread_of(ready));
  return out;
}

Json settings_json(const PlanSettings& settings) {
  Json signals = Json::array();
  for (const Aim& aim : settings.aims) {
    signals.push_back({{"name", signal_name(aim.signal)},
                       {"target", aim.signal == SignalKind::kCpu ? std::to_string(aim.milli / 1000)
                                                                 : milli_quantity(aim.milli)}});
  }
  const auto optional = [](const std::optional<std::int64_t>& milli) {
    return milli ? Json(milli_quantity(*milli)) : Json(nullptr);
  };
  return {{"cpu_request", milli_quantity(settings.cpu_request)},
          {"cpu_limit", optional(settings.cpu_limit)},
          {"executors", settings.executors},
          {"max_batch", settings.max_batch},
          {"max_delay_seconds", to_seconds(settings.max_delay)},
          {"scaler", kScalerNames[static_cast<std::size_t>(settings.scaler)]},
          {"signals", std::move(signals)},
          {"min", settings.min},
          {"max", settings.max},
          {"up", kUpPolicies[settings.up].name},
          {"down_window_seconds",
           std::chrono::duration_cast<std::chrono::seconds>(settings.down_window).count()},
          {"tolerance", optional(settings.tolerance)}};
}

Json judged_json(const Plan& plan, const Fresh& fresh) {
  const Judgement judged = judge(plan.problem.objective, fresh.runs);
  Json upper = Json::array();
  for (const ShareEstimate& share : judged.late) {
    upper.push_back(share.upper);
  }
  return {{"runs", fresh.runs.size()},
          {"seed", plan.problem.base.seed + kFreshSeeds},
          {"holds", judged.holds},
          {"late_upper", std::move(upper)},
          {"error_upper", judged.errors.upper},
          {"figures", figures_json(fresh.runs)}};
}

Json objective_json(const Objective& objective) {
  Json latency = Json::array();
  for (const LatencyGoal& goal : objective.latencies) {
    latency.push_back({{"quantile", goal.quantile}, {"seconds", to_seconds(goal.latency)}});
  }
  return {{"text", objective.text},
          {"latency", std::move(latency)},
          {"errors", objective.errors ? Json(*objective.errors) : Json(nullptr)}};
}

std::string survive_text(const Survive& survive) {
  if (survive.pods > 0) {
    return std::to_string(survive.pods) + (survive.pods == 1 ? " pod" : " pods");
  }
  return survive.share > 0 ? text::format_number(100 * survive.share) + " % of the pods" : "";
}

Json traffic_json(const Problem& problem) {
  return {
      {"text", problem.base.arrivals.text},
      {"process",
       problem.base.arrivals.process == arrivals::ArrivalProcess::kPoisson ? "poisson" : "even"},
      {"growth", problem.request.growth},
      {"survive", survive_text(problem.request.survive)},
      {"seconds", to_seconds(problem.base.length)},
      {"requests", problem.demand.requests()},
      {"peak_per_second", problem.demand.peak().rate}};
}

Json prices_json(const Prices& prices) {
  Json node = nullptr;
  if (prices.node) {
    node = {{"cores", prices.node->cores},
            {"memory_bytes", prices.node->memory_bytes},
            {"hour", prices.node->hour}};
  }
  return {{"text", prices_text(prices)},
          {"cpu_hour", prices.cpu_hour},
          {"memory_gib_hour", prices.memory_gib_hour},
          {"node", std::move(node)}};
}

Json lines_json(const Plan& plan) {
  Json out = Json::array();
  for (const ValueLine& line : value_lines(plan)) {
    Json tried = Json::array();
    const auto found =
        line.axis ? std::ranges::find(plan.lines, *line.axis, &Line::axis) : plan.lines.end();
    if (found != plan.lines.end()) {
      for (const Tried& one : found->tried) {
        tried.push_back({{"value", one.value}, {"outcome", one.outcome}});
      }
    }
    out.push_back({{"key", line.path},
                   {"value", line.value},
                   {"reason", reason_of(plan, line)},
                   {"tried", std::move(tried)}});
  }
  return out;
}

Json point_json(const Plan& plan, const PlanTrial& trial) {
  const Judgement judged = judge(plan.problem.objective, trial.runs);
  return {{"settings", settings_json(trial.settings)},
          {"runs", trial.runs.size()},
          {"late_share", judged.late.front().mean},
          {"error_share", judged.errors.mean},
          {"cost", judged.cost},
          {"holds", judged.holds},
          {"chosen", trial.point == *plan.search.best}};
}

Json what_if_json(const Plan& plan, const WhatIf& one) {
  return {{"holds", judge(plan.problem.objective, one.runs).holds},
          {"late_share", figure_json(one.runs, "late_share")},
          {"cost", spread_of(one.runs, [](const TrialRun& run) { return run.cost; })}};
}

Json search_json(const Plan& plan) {
  Json space = Json::object();
  for (std::size_t i = 0; i < kAxes; ++i) {
    Json values = Json::array();
    for (const AxisValue& value : plan.problem.space.values(static_cast<SettingAxis>(i))) {
      values.push_back(value.text);
    }
    space[std::string(kAxisNames[i])] = std::move(values);
  }
  std::uint64_t points = 0;
  constexpr double kCountable = 1e7;
  if (plan.problem.space.size() <= kCountable) {
    plan.problem.space.each([&points](const Point&) { ++points; });
  } else {
    points = static_cast<std::uint64_t>(std::min(plan.problem.space.size(), 1e18));
  }
  const auto simulated = std::ranges::count_if(
      plan.search.trials, [](const auto& one) { return !one.second.runs.empty(); });
  return {{"space", std::move(space)},
          {"points", points},
          {"pruned", plan.search.refused},
          {"simulated", simulated},
          {"simulations", plan.search.simulations},
          {"rungs", plan.rungs}};
}

Json assumed_json(const Plan& plan) {
  Json out = plan.problem.assumed;
  for (const std::string& one : foresight::extrapolations(*plan.best().scenario)) {
    out.push_back(one);
  }
  return out;
}

Json document(const Plan& plan) {
  Json front = Json::array();
  for (const PlanTrial* const trial : pareto(plan)) {
    front.push_back(point_json(plan, *trial));
  }
  Json knee = Json::array();
  for (const WhatIf& one : plan.knee) {
    Json growth{{"growth", one.growth}};
    growth.update(what_if_json(plan, one));
    growth["pods_most"] = figure_json(one.runs, "pods_most");
    growth["breaks"] = one.breaks;
    knee.push_back(std::move(growth));
  }
  Json sensitivity = Json::array();
  for (const WhatIf& one : plan.sensitivity) {
    Json assumption{{"assumption", one.text}};
    assumption.update(what_if_json(plan, one));
    sensitivity.push_back(std::move(assumption));
  }
  const Problem& problem = plan.problem;
  return {{"format", kFormat},
          {"verdict", kVerdictNames[static_cast<std::size_t>(plan.search.verdict)]},
          {"seed", problem.base.seed},
          {"objective", objective_json(problem.objective)},
          {"traffic", traffic_json(problem)},
          {"prices", prices_json(problem.request.prices)},
          {"assumed", assumed_json(plan)},
          {"scenario", Json::parse(problem.document_of(plan.best().settings))},
          {"files", problem.files},
          {"chosen", settings_json(plan.best().settings)},
          {"values", values_json(plan)},
          {"predicted", plan.search.fresh ? judged_json(plan, *plan.search.fresh) : Json(nullptr)},
          {"histograms",
           plan.search.fresh ? foresight::histograms_json(*plan.search.fresh) : Json(nullptr)},
          {"lines", lines_json(plan)},
          {"pareto", std::move(front)},
          {"knee", std::move(knee)},
          {"sensitivity", std::move(sensitivity)},
          {"search", search_json(plan)}};
}

/// The points of the search for the page: what they cost and how often they are late.
Json cloud_json(const Plan& plan) {
  Json out = Json::array();
  for (const auto& [point, trial] : plan.search.trials) {
    if (trial.runs.size() >= plan.rungs[0]) {
      const Judgement judged = judge(plan.problem.objective, trial.runs);
      out.push_back(
          {judged.cost, judged.late.front().mean, judged.holds, settings_text(trial.settings)});
    }
  }
  return out;
}

}  // namespace

std::string plan_json(const Plan& plan) {
  return foresight::json_text(document(plan), 2) + "\n";
}

std::string plan_html(const Plan& plan) {
  Json data = document(plan);
  data.erase("files");
  data.erase("histograms");
  data["objective_text"] = outcome_text(plan.problem, plan.runs());
  data["settings_text"] = settings_text(plan.best().settings);
  data["cloud"] = cloud_json(plan);
  data["day"] = nullptr;
  if (!plan.day.empty()) {
    Json day = Json::parse(plan.day);
    Json& run = day["runs"][0];
    run.erase("histograms");
    for (Json& slice : run["timeline"]["slices"]) {
      slice.erase("latency");
    }
    data["day"] = {{"scenario", day["scenario"]}, {"run", std::move(run)}};
  }
  return text::page_with_data(plan_page(), foresight::json_text(data, -1));
}

}  // namespace podsense::plan
