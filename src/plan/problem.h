#pragma once

/// What is to be planned: traffic, objective, prices, and the settings that may be chosen.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "foresight/scenario.h"
#include "plan/bounds.h"
#include "plan/cost.h"
#include "plan/objective.h"
#include "plan/plan_settings.h"
#include "plan/space.h"

namespace podsense::plan {

/// What fails at the busiest moment.
struct Survive {
  std::int32_t pods = 0;
  double share = 0;  ///< of all pods: those of a zone
};

/// Requests over time, in place of the scenario's: from a file or a shape, or whatever made one.
struct Traffic {
  std::string shape;  ///< as `podsense load --shape`
  std::string name;   ///< of a trace
  std::string trace;  ///< its text, as `podsense load --trace` reads it
  [[nodiscard]] bool is_given() const { return !shape.empty() || !name.empty(); }
};

struct PlanRequest {
  foresight::ScenarioText scenario;
  foresight::FileReader files;
  std::string objective;
  Traffic traffic;
  std::optional<Duration> length;  ///< else the trace's, or the scenario's
  double growth = 1;
  Survive survive;
  Prices prices;
  std::vector<std::pair<std::string, std::string>> spaces;  ///< name and text of files
  std::vector<std::string> allowed;                         ///< "min=1,2"; stronger
  std::optional<Duration> assumed_start;                    ///< where the scenario has no start-up
  std::optional<std::uint64_t> seed;
};

struct Problem {
  PlanRequest request;
  Objective objective;
  foresight::ScenarioText text;  ///< with traffic, failures and objective in place
  foresight::Scenario base;
  RequestDemand demand;
  Space space;
  std::vector<std::string> assumed;          ///< sentences: what was not measured
  std::map<std::string, std::string> files;  ///< that the text names

  /// @param more  in place of what the settings say
  /// @errors kInvalidArgument: settings that the scenario's Kubernetes does not take
  [[nodiscard]] Result<foresight::Scenario> scenario_of(
      const PlanSettings& settings, const std::vector<foresight::Override>& more = {}) const;
  /// The same as a file.
  [[nodiscard]] std::string document_of(const PlanSettings& settings) const;
};

/// @errors kInvalidArgument, naming the field or flag and what is accepted
Result<Problem> prepare(PlanRequest request);

}  // namespace podsense::plan
