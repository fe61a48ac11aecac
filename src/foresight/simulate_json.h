#pragma once

/// Parts of JSON that both reports have. For this module and for plan.

#include <nlohmann/json.hpp>
#include <string>

#include "foresight/simulate_figures.h"
#include "quantiles/histogram_json.h"

namespace podsense::foresight {

/// {"mean", "standard_error", "p5", "median", "p95"}; the error of a single run is null.
nlohmann::ordered_json spread_json(const Spread& spread);

/// The histograms of a run, or of several together, each as histogram_json.h has it.
template <class Run>
nlohmann::ordered_json histograms_json(const Run& run) {
  return {{"latency", quantiles::histogram_json(run.latency)},
          {"run", quantiles::histogram_json(run.run_time)},
          {"start_up", quantiles::histogram_json(run.start_up)},
          {"signal_age", quantiles::histogram_json(run.signal_age)}};
}

/// What is not UTF-8 in it becomes U+FFFD. @param indent blanks a level; -1: one line
std::string json_text(const nlohmann::ordered_json& json, int indent);

}  // namespace podsense::foresight
