#pragma once

/// The chosen settings as values of the chart, one by one. Private to this module.

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "plan/plan.h"

namespace podsense::plan {

struct ValueLine {
  /// Chosen by the plan.
  ValueLine(std::string where, nlohmann::ordered_json what, SettingAxis choice)
      : path(std::move(where)), value(std::move(what)), axis(choice) {}
  /// Not chosen, where there is no axis: for this reason.
  ValueLine(std::string where, nlohmann::ordered_json what, std::optional<SettingAxis> choice,
            std::string why)
      : path(std::move(where)), value(std::move(what)), axis(choice), reason(std::move(why)) {}

  std::string path;  ///< "autoscaling.minReplicas"
  nlohmann::ordered_json value;
  std::optional<SettingAxis> axis;  ///< whose choice it is
  std::string reason;               ///< where it is none
};

std::vector<ValueLine> value_lines(const Plan& plan);
nlohmann::ordered_json values_json(const Plan& plan);
std::string reason_of(const Plan& plan, const ValueLine& line);

}  // namespace podsense::plan
