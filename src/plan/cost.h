#pragma once

/// What pods cost: by what they request, or by the whole nodes that hold them.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "foresight/simulate.h"
#include "plan/plan_settings.h"

namespace podsense::plan {

struct PricedNode {
  double cores = 0;
  double memory_bytes = 0;
  double hour = 0;  ///< its price
};
/// "4cpu,16Gi,0.17": what pods may use of a node, and its price an hour.
/// @errors kInvalidArgument
Result<PricedNode> parse_node(std::string_view text);

struct Prices {
  double cpu_hour = 0.04;           ///< of a core
  double memory_gib_hour = 0.0045;  ///< of 2^30 bytes
  std::optional<PricedNode> node;   ///< then the others do not count
};
std::string prices_text(const Prices& prices);

/// What a pod requests.
struct PodSize {
  double cores = 0;
  double memory_bytes = 0;  ///< 0: not given
};
PodSize size_of(const foresight::Scenario& scenario);

/// Of one pod for an hour; of whole nodes its part of a full one. Nothing: no node holds one.
std::optional<double> pod_hour(const Prices& prices, const PodSize& pod);
/// The least for so many pods for an hour.
double pods_hour(const Prices& prices, const PodSize& pod, double pods);
/// Of a run; nodes are counted by the pods at each slice's end. @pre pod_hour has a value
double run_cost(const Prices& prices, const PodSize& pod, const foresight::RunResult& run,
                Duration slice);

}  // namespace podsense::plan
