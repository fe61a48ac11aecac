// What else was possible, and what may go wrong with what was chosen.

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "plan/plan.h"
#include "text/numbers.h"

namespace podsense::plan {
namespace {

using foresight::Override;

PlayOptions play_options(const SearchOptions& options, const SearchResult& search,
                         const std::string& now) {
  PlayOptions out{.threads = options.threads, .stop = options.stop, .progress = {}};
  if (options.progress) {
    out.progress = [&options, before = search.simulations, now](std::uint64_t done) {
      options.progress({.done = before + done, .most = 0, .now = now});
    };
  }
  return out;
}

double figure(const std::vector<TrialRun>& runs, std::string_view key) {
  for (std::size_t i = 0; i < foresight::kFigures.size(); ++i) {
    if (foresight::kFigures[i].key == key) {
      double sum = 0;
      for (const TrialRun& run : runs) {
        sum += run.figures[i];
      }
      return sum / static_cast<double>(runs.size());
    }
  }
  return 0;
}

// --- neighbours

/// With another value of one axis that is near the chosen one; another signal brings its targets.
std::vector<Point> others(const Space& space, const Point& best, SettingAxis axis) {
  std::vector<Point> out;
  for (const Point& point : space.neighbours(best)) {
    const auto i = static_cast<std::size_t>(axis);
    const bool is_alone =
        axis == SettingAxis::kSignal || space.moved(best, axis, point[i]) == point;
    if (point[i] != best[i] && is_alone) {
      out.push_back(point);
    }
  }
  return out;
}

/// The value as it is shown: of a signal the targets that come with it, too.
std::string value_text(const Plan& plan, const PlanTrial& trial, SettingAxis axis) {
  if (axis == SettingAxis::kSignal) {
    return aims_text(trial.settings);
  }
  return plan.problem.space.values(axis)[trial.point[static_cast<std::size_t>(axis)]].text;
}

Tried tried_of(const Plan& plan, const PlanTrial& other, SettingAxis axis, double chosen_cost) {
  Tried out{.value = value_text(plan, other, axis), .outcome = other.refused};
  if (!other.refused.empty()) {
    out.is_cheaper = true;
    return out;
  }
  const Judgement judged = judge(plan.problem.objective, other.runs);
  out.is_cheaper = judged.cost < chosen_cost;
  const double more = 100 * (judged.cost / chosen_cost - 1);
  const std::string price = std::abs(more) < 0.05 ? "costs the same"
                            : more > 0            ? "costs " + text::format_number(more) + " % more"
                                       : "is " + text::format_number(-more) + " % cheaper";
  out.outcome = judged.holds ? "holds, and " + price
                             : price + ", but " + outcome_text(plan.problem, other.runs);
  return out;
}

std::string reason_of(const std::vector<Tried>& tried, std::size_t values) {
  for (const Tried& one : tried) {
    if (one.is_cheaper) {
      return one.value + ": " + one.outcome;
    }
  }
  if (!tried.empty()) {
    return "nothing near it is cheaper";
  }
  return values == 1 ? "the only value allowed" : "no other value goes with the rest";
}

bool add_lines(Plan& plan, const SearchOptions& options) {
  const Point best = *plan.search.best;
  const unsigned runs = plan.rungs[1];
  const std::vector<TrialRun>& all = plan.best().runs;
  const std::vector<TrialRun> same(all.begin(),
                                   all.begin() + std::min<std::ptrdiff_t>(runs, std::ssize(all)));
  const double cost = judge(plan.problem.objective, same).cost;
  std::vector<PlanTrial*> missing;
  for (const Point& point : plan.problem.space.neighbours(best)) {
    auto [at, is_new] = plan.search.trials.try_emplace(point);
    if (is_new || (at->second.runs.empty() && at->second.refused.starts_with("costs"))) {
      at->second = new_trial(plan.problem, point);
    }
    if (at->second.refused.empty()) {
      missing.push_back(&at->second);
    }
  }
  std::uint64_t more = 0;
  for (const PlanTrial* const trial : missing) {
    more += runs - std::min<std::size_t>(runs, trial->runs.size());
  }
  if (!play(plan.problem, missing, runs,
            play_options(options, plan.search, "trying what is near the winner"))) {
    return false;
  }
  plan.search.simulations += more;
  for (std::size_t i = 0; i < kAxes; ++i) {
    Line line{.axis = static_cast<SettingAxis>(i), .tried = {}, .reason = {}};
    for (const Point& point : others(plan.problem.space, best, line.axis)) {
      line.tried.push_back(tried_of(plan, plan.search.trials.at(point), line.axis, cost));
    }
    line.reason = reason_of(line.tried, plan.problem.space.values(line.axis).size());
    plan.lines.push_back(std::move(line));
  }
  return true;
}

// --- other circumstances

/// What gives way where the objective is not held.
std::string breaks(const Plan& plan, const std::vector<TrialRun>& runs) {
  const Judgement judged = judge(plan.problem.objective, runs);
  if (judged.holds) {
    return {};
  }
  const PlanSettings& settings = plan.best().settings;
  const double most = figure(runs, "pods_most");
  const std::string failing = outcome_text(plan.problem, runs);
  if (settings.scaler == Scaler::kNone) {
    return "a fixed number of pods: " + failing;
  }
  if (most >= settings.max - 0.05) {
    return "maxReplicas " + std::to_string(settings.max) + " is reached: " + failing;
  }
  const double held =
      figure(runs, "throttled_seconds") / std::max(1.0, figure(runs, "pod_seconds"));
  if (held > 0.2) {
    return "the CPU limit holds pods " + text::format_number(100 * held) +
           " % of the time: " + failing;
  }
  return "pods come too late: " + failing;
}

struct Circumstance {
  std::string text;
  double growth = 1;
  std::vector<Override> changes;
};

bool play_circumstance(Plan& plan, const SearchOptions& options, const Circumstance& one,
                       std::vector<WhatIf>& out) {
  std::vector<Override> changes = one.changes;
  if (one.growth != 1) {
    changes.push_back({.path = "arrivals.scale",
                       .value = text::format_rate(plan.problem.base.arrivals.scale * one.growth)});
  }
  const auto scenario = plan.problem.scenario_of(plan.best().settings, changes);
  if (!scenario) {
    return true;  // what it changes is not in this scenario's Kubernetes
  }
  auto fresh = play_fresh(plan.problem, *scenario, plan.rungs[1],
                          play_options(options, plan.search, "what if " + one.text));
  if (!fresh) {
    return false;
  }
  plan.search.simulations += plan.rungs[1];
  WhatIf made{.text = one.text, .growth = one.growth, .runs = std::move(fresh->runs), .breaks = {}};
  made.breaks = breaks(plan, made.runs);
  out.push_back(std::move(made));
  return true;
}

std::vector<Circumstance> growths() {
  std::vector<Circumstance> out;
  for (const double growth : {1.0, 1.25, 1.5, 2.0, 3.0}) {
    out.push_back({.text = text::format_rate(growth) + " times the traffic",
                   .growth = growth,
                   .changes = {}});
  }
  return out;
}

std::vector<Circumstance> assumptions(const Plan& plan) {
  const foresight::Scenario& base = plan.problem.base;
  const PlanSettings& settings = plan.best().settings;
  const auto slow = [&](double factor) -> std::vector<Override> {
    nlohmann::json faults = nlohmann::json::array();
    const auto document = nlohmann::json::parse(plan.problem.document_of(settings));
    if (document.contains("faults") && document["faults"].is_array()) {
      faults = document["faults"];
    }
    faults.push_back(
        {{"kind", "slow"}, {"at", 0}, {"length", to_seconds(base.length)}, {"factor", factor}});
    return {{.path = "faults", .value = faults.dump()}};
  };
  std::vector<Circumstance> out{{.text = "runs take 1.1 times the CPU time", .changes = slow(1.1)},
                                {.text = "runs take 1.3 times the CPU time", .changes = slow(1.3)}};
  const auto seconds = [](Duration time) { return text::format_rate(to_seconds(time)) + "s"; };
  if (settings.scaler != Scaler::kNone) {
    out.push_back({.text = "pods start 10 s later",
                   .changes = {{.path = "start.extra",
                                .value = seconds(base.start.extra + std::chrono::seconds(10))}}});
    out.push_back({.text = "metrics come every 60 s only",
                   .changes = {{.path = "metrics.resolution", .value = "60s"},
                               {.path = "metrics.scrape", .value = "60s"},
                               {.path = "metrics.window",
                                .value = seconds(std::max<Duration>(base.metrics.window,
                                                                    std::chrono::minutes(2)))}}});
    const bool has_cpu =
        std::ranges::find(settings.aims, SignalKind::kCpu, &Aim::signal) != settings.aims.end();
    if (has_cpu && base.metrics.kubelet == foresight::KubeletStats::kCri) {
      out.push_back({.text = "CPU samples are cAdvisor's, up to 20 s older",
                     .changes = {{.path = "metrics.kubelet", .value = "cadvisor"}}});
    }
  }
  if (base.routing != foresight::Routing::kConnection && base.clients.connections == 0) {
    out.push_back({.text = "clients keep 20 connections, and these their pods",
                   .changes = {{.path = "routing", .value = "connection"},
                               {.path = "clients.connections", .value = "20"}}});
  }
  return out;
}

void add_day(Plan& plan, const SearchOptions& options) {
  foresight::Scenario scenario = *plan.best().scenario;
  scenario.seed += kFreshSeeds;
  const auto played = foresight::simulate(scenario, {.runs = 1, .stop = options.stop});
  if (!played.runs.empty()) {
    plan.day = foresight::simulation_json(scenario, played);
  }
}

}  // namespace

std::vector<const PlanTrial*> pareto(const Plan& plan) {
  struct One {
    const PlanTrial* trial = nullptr;
    double cost = 0;
    double late = 0;
  };
  std::vector<One> all;
  for (const auto& [point, trial] : plan.search.trials) {
    if (trial.runs.size() >= plan.rungs[0]) {
      const Judgement judged = judge(plan.problem.objective, trial.runs);
      if (judged.use > 1) {
        continue;  // nobody can be promised what others leave
      }
      all.push_back({.trial = &trial, .cost = judged.cost, .late = judged.late.front().mean});
    }
  }
  std::ranges::sort(all, [](const One& a, const One& b) {
    return std::pair(a.cost, a.late) < std::pair(b.cost, b.late);
  });
  std::vector<const PlanTrial*> out;
  double least = INFINITY;
  for (const One& one : all) {
    if (one.late < least) {
      least = one.late;
      out.push_back(one.trial);
    }
  }
  return out;
}

std::string outcome_text(const Problem& problem, const std::vector<TrialRun>& runs) {
  const Judgement judged = judge(problem.objective, runs);
  std::string out;
  const auto percent = [](double share) { return significant(100 * share) + " %"; };
  for (std::size_t i = 0; i < judged.late.size(); ++i) {
    const LatencyGoal& goal = problem.objective.latencies[i];
    const ShareEstimate& late = judged.late[i];
    if (judged.holds || late.upper > goal.allowed()) {
      out += (out.empty() ? "" : ", ") + percent(late.mean) + " (up to " + percent(late.upper) +
             ") above " + text::format_duration(goal.latency) + ", " + percent(goal.allowed()) +
             " may";
    }
  }
  if (problem.objective.errors &&
      (judged.holds || judged.errors.upper > *problem.objective.errors)) {
    out += (out.empty() ? "" : ", ") + percent(judged.errors.mean) + " (up to " +
           percent(judged.errors.upper) + ") without an answer, " +
           percent(*problem.objective.errors) + " may";
  }
  if (judged.use > 1) {
    out += (out.empty() ? "" : ", ") + std::string("pods use ") + text::format_number(judged.use) +
           " times the CPU that they request in the busiest minute, which nodes need not have";
  }
  return out;
}

Plan make_plan(Problem problem, const SearchOptions& options) {
  Plan plan{.problem = std::move(problem),
            .rungs = options.rungs,
            .search = {},
            .lines = {},
            .knee = {},
            .sensitivity = {},
            .day = {}};
  plan.search = search(plan.problem, options);
  if (plan.search.verdict == SearchVerdict::kInterrupted || !plan.search.best ||
      !add_lines(plan, options)) {
    return plan;
  }
  add_day(plan, options);
  for (const Circumstance& one : growths()) {
    if (!play_circumstance(plan, options, one, plan.knee)) {
      return plan;
    }
  }
  for (const Circumstance& one : assumptions(plan)) {
    if (!play_circumstance(plan, options, one, plan.sensitivity)) {
      return plan;
    }
  }
  return plan;
}

}  // namespace podsense::plan
