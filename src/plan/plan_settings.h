#pragma once

/// One choice of everything that a plan chooses.

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "foresight/scenario.h"

namespace podsense::plan {

enum class Scaler : std::uint8_t { kNone, kHpa, kKeda };
inline constexpr std::array<std::string_view, 3> kScalerNames{"none", "hpa", "keda"};
enum class SignalKind : std::uint8_t { kCpu, kQueueDepth, kSaturation };
inline constexpr std::array<std::string_view, 3> kSignalKindNames{"cpu", "queue_depth",
                                                                  "saturation"};

/// How fast it may go up: a name and the policies of `behavior.scaleUp` as JSON.
struct UpPolicy {
  std::string_view name;
  std::string_view json;
};
inline constexpr std::array<UpPolicy, 3> kUpPolicies{
    {{.name = "chart",
      .json = R"([{"type":"Percent","value":100,"periodSeconds":15},)"
              R"({"type":"Pods","value":4,"periodSeconds":15}])"},
     {.name = "fast",
      .json = R"([{"type":"Percent","value":400,"periodSeconds":15},)"
              R"({"type":"Pods","value":20,"periodSeconds":15}])"},
     {.name = "steady", .json = R"([{"type":"Pods","value":2,"periodSeconds":30}])"}}};
inline constexpr std::string_view kDownPolicies =
    R"([{"type":"Percent","value":50,"periodSeconds":60}])";

struct Aim {
  SignalKind signal = SignalKind::kCpu;
  std::int64_t milli = 0;  ///< of one: percent of the request for cpu, else a pod's value
};

struct PlanSettings {
  std::int64_t cpu_request = 0;           ///< thousandths of a core
  std::optional<std::int64_t> cpu_limit;  ///< the same
  unsigned executors = 0;                 ///< 0: as `podsense serve` plans them
  std::size_t max_batch = 1;
  Duration max_delay{};
  Scaler scaler = Scaler::kNone;
  std::vector<Aim> aims;  ///< none without a scaler
  std::int32_t min = 1;   ///< pods; without a scaler all of them
  std::int32_t max = 1;
  std::size_t up = 0;  ///< of kUpPolicies
  Duration down_window = std::chrono::seconds(300);
  std::optional<std::int64_t> tolerance;  ///< thousandths
};

/// "250m", "2"
std::string milli_quantity(std::int64_t milli);
std::string_view signal_name(SignalKind signal);
/// "cpu 70 % + saturation 0.7", "no autoscaler"
std::string aims_text(const PlanSettings& settings);
/// In one line, for tables.
std::string settings_text(const PlanSettings& settings);

/// What stands in place of a scenario's own fields; the number of pods at its begin is not in it.
std::vector<foresight::Override> overrides_of(const PlanSettings& settings);

}  // namespace podsense::plan
