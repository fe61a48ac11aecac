#include "plan/cost.h"

#include <algorithm>
#include <cmath>

#include "foresight/quantity.h"
#include "text/numbers.h"
#include "text/split.h"

namespace podsense::plan {
namespace {

constexpr double kGib = 1024.0 * 1024 * 1024;
constexpr double kHour = 3600;

std::optional<double> positive_quantity(std::string_view text) {
  const auto quantity = foresight::Quantity::parse(text);
  return quantity && quantity->sign() > 0 ? std::optional(quantity->approximate()) : std::nullopt;
}

double pods_on(const PricedNode& node, const PodSize& pod) {
  const double by_cores = std::floor(node.cores / pod.cores * (1 + 1e-9));
  return pod.memory_bytes > 0 ? std::min(by_cores, std::floor(node.memory_bytes / pod.memory_bytes))
                              : by_cores;
}

double pod_price(const Prices& prices, const PodSize& pod) {
  return pod.cores * prices.cpu_hour + pod.memory_bytes / kGib * prices.memory_gib_hour;
}

}  // namespace

Result<PricedNode> parse_node(std::string_view text) {
  const auto parts = text::split(text, ',');
  const std::string_view cores = parts.size() == 3 ? text::trim(parts[0]) : std::string_view();
  const auto cpu = cores.ends_with("cpu") ? positive_quantity(cores.substr(0, cores.size() - 3))
                                          : std::optional<double>();
  const auto memory = cpu ? positive_quantity(text::trim(parts[1])) : std::optional<double>();
  const auto price = memory ? text::parse_number(text::trim(parts[2])) : std::optional<double>();
  if (!price || *price <= 0) {
    return fail(ErrorCode::kInvalidArgument,
                "'" + std::string(text.substr(0, 60)) +
                    "' is no node; accepted: CORES cpu, memory and price an hour, all above 0: "
                    "4cpu,16Gi,0.17");
  }
  return PricedNode{.cores = *cpu, .memory_bytes = *memory, .hour = *price};
}

std::string prices_text(const Prices& prices) {
  if (prices.node) {
    return "nodes of " + text::format_rate(prices.node->cores) + " cores and " +
           text::format_number(prices.node->memory_bytes / kGib) + " GiB at " +
           text::format_rate(prices.node->hour) + " an hour";
  }
  return text::format_rate(prices.cpu_hour) + " a core and hour, " +
         text::format_rate(prices.memory_gib_hour) + " a GiB and hour";
}

PodSize size_of(const foresight::Scenario& scenario) {
  return {.cores = scenario.pod.cpu_request.approximate(),
          .memory_bytes = scenario.pod.memory_request.approximate()};
}

std::optional<double> pod_hour(const Prices& prices, const PodSize& pod) {
  if (!prices.node) {
    return pod_price(prices, pod);
  }
  const double pods = pods_on(*prices.node, pod);
  return pods < 1 ? std::nullopt : std::optional(prices.node->hour / pods);
}

double pods_hour(const Prices& prices, const PodSize& pod, double pods) {
  return prices.node ? std::ceil(pods / pods_on(*prices.node, pod)) * prices.node->hour
                     : pods * pod_price(prices, pod);
}

double run_cost(const Prices& prices, const PodSize& pod, const foresight::RunResult& run,
                Duration slice) {
  if (!prices.node) {
    return run.pod_seconds / kHour * pod_price(prices, pod);
  }
  double cost = 0;
  for (const foresight::Slice& one : run.slices) {
    cost += pods_hour(prices, pod, one.pods + one.draining) * to_seconds(slice) / kHour;
  }
  return cost;
}

}  // namespace podsense::plan
