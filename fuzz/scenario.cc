// What `podsense simulate` reads: a scenario, with the autoscaler in it. What is accepted and small
// is played.

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "foresight/simulate.h"

namespace {

using namespace podsense;  // NOLINT(google-build-using-namespace): a program of one file

void check(bool good) {
  if (!good) {
    __builtin_trap();
  }
}

constexpr std::int32_t kPods = 20;

bool is_small(const foresight::Scenario& scenario) {
  const bool few_set = std::ranges::all_of(
      scenario.faults, [](const foresight::ScenarioFault& fault) { return fault.count <= kPods; });
  return scenario.replicas <= kPods && few_set &&
         (!scenario.autoscaler || scenario.autoscaler->spec.max_replicas <= kPods) &&
         scenario.clients.retries <= 3 && scenario.clients.connections <= 1000 &&
         scenario.clients.timeout <= std::chrono::minutes(1) &&
         scenario.arrivals.shape->due_by(5) <= 500;
}

void play(foresight::Scenario scenario) {
  scenario.length = std::min<Duration>(scenario.length, std::chrono::seconds(5));
  scenario.warm_up = std::min<Duration>(scenario.warm_up, scenario.length / 2);
  const auto twice = foresight::simulate(scenario, {.runs = 1, .dump_hpa = true});
  const auto again = foresight::simulate(scenario, {.runs = 1, .dump_hpa = true});
  check(foresight::simulation_json(scenario, twice) == foresight::simulation_json(scenario, again));
  check(twice.runs[0].hpa_case == again.runs[0].hpa_case);
  const foresight::RunResult& run = twice.runs[0];
  check(run.latency.count() == run.endings[0]);
  check(run.late <= run.requests() && run.pod_seconds >= 0);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto scenario = foresight::read_scenario(
      {.name = "s", .text = std::string(text), .overrides = {}},
      [&](const std::string& path) -> Result<std::string> {
        // Files are the scenario itself: what is in it may be an autoscaler or a trace.
        return path.empty() ? Result<std::string>(fail(ErrorCode::kInvalidArgument, "no file"))
                            : Result<std::string>(std::string(text));
      });
  if (!scenario) {
    check(!scenario.error().message.empty());
    return 0;
  }
  if (is_small(*scenario)) {
    play(*scenario);
  }
  return 0;
}
