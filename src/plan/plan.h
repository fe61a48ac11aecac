#pragma once

/// From traffic and an objective to Helm values: prepare a Problem, make a Plan of it, write it as
/// values, text, JSON (docs/reference/plan.schema.json) or a page.

#include <string>
#include <vector>

#include "plan/problem.h"
#include "plan/search.h"

namespace podsense::plan {

/// Another value of one setting, all others as chosen.
struct Tried {
  std::string value;
  std::string outcome;  ///< in words: what it costs, or why it does not hold
  bool is_cheaper = false;
};
/// One of the settings and why it is as it is.
struct Line {
  SettingAxis axis = SettingAxis::kMin;
  std::vector<Tried> tried;
  std::string reason;
};

/// The chosen settings in other circumstances.
struct WhatIf {
  std::string text;   ///< of an assumption
  double growth = 1;  ///< of the knee: times the planned traffic
  std::vector<TrialRun> runs;
  std::string breaks;  ///< what gives way first; empty: it holds
};

struct Plan {
  Problem problem;
  Rungs rungs = kRungs;
  SearchResult search;
  std::vector<Line> lines;
  std::vector<WhatIf> knee;
  std::vector<WhatIf> sensitivity;
  std::string day;  ///< report of `podsense simulate` of the first fresh run; empty: none

  /// @pre there is one
  [[nodiscard]] const PlanTrial& best() const { return search.trials.at(*search.best); }
  /// Of the fresh runs, or where there are none of the search's.
  [[nodiscard]] const std::vector<TrialRun>& runs() const {
    return search.fresh ? search.fresh->runs : best().runs;
  }
};

/// Searches, and then asks what else was possible and what may go wrong.
Plan make_plan(Problem problem, const SearchOptions& options);

/// Points of the search that no other point is both cheaper and less often late than; by cost.
/// Those of the first rung at least, and without those that use more CPU than they request.
std::vector<const PlanTrial*> pareto(const Plan& plan);

/// What a judgement says of the objective: "p99 311 ms (bound 250 ms): 1.9 % late, 1 % allowed".
std::string outcome_text(const Problem& problem, const std::vector<TrialRun>& runs);

/// Three digits of any size: 0.00125.
std::string significant(double value);

/// @pre there is a best, for these
std::string values_yaml(const Plan& plan);
std::string plan_json(const Plan& plan);
std::string plan_html(const Plan& plan);
/// For a terminal; also where nothing was played.
std::string plan_text(const Plan& plan);

}  // namespace podsense::plan
