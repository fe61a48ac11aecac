// How near `podsense plan` comes to the best of a whole grid, and with how many of its simulations.
// Every point of the grid is played 30 times with the seeds that the search uses; the cheapest that
// holds by its upper bounds, and again with 100 fresh seeds, is what there is to find.
//
//   build/bench/plan_grid

#include <chrono>
#include <cstdio>
#include <thread>
#include <utility>
#include <vector>

#include "plan/plan.h"

namespace {

using namespace podsense;  // NOLINT(google-build-using-namespace): a program of one file

constexpr const char* kScenario = R"(
length: 60s
arrivals: {shape: "steps:6,18,10"}
service: {run_cpu: {lognormal: {median: 24ms, sigma: 0.3}}, request_cpu: 1500us}
pod: {cpu_request: 250m, memory_request: 128Mi, node_cores: 4}
start: {schedule: 200ms, pull: {uniform: [1s, 2s]}, load: 500ms, warm_up_cpu: 100ms, propagation: 300ms}
metrics: {resolution: 10s, scrape: 5s}
controller: {sync_period: 5s, cpu_initialization_period: 10s, initial_readiness_delay: 5s}
)";

const std::vector<std::string> kSpace{"cpu_request=250m,500m,1",
                                      "cpu_limit=request,none",
                                      "signal=cpu,saturation,queue_depth,none",
                                      "cpu_target=40,50,60,70,80",
                                      "saturation_target=400m,500m,600m,700m,800m",
                                      "queue_target=500m,1,2,4",
                                      "min=1,2,3,4,5,6",
                                      "max=4,6,9",
                                      "up=chart,steady",
                                      "down_window=10s,60s"};

plan::Problem problem() {
  auto made = plan::prepare({.scenario = {.name = "grid", .text = kScenario, .overrides = {}},
                             .files = {},
                             .objective = "p95=250ms,errors=0.1%",
                             .allowed = kSpace});
  if (!made) {
    std::fprintf(stderr, "%s\n", made.error().message.c_str());
    std::exit(1);
  }
  return std::move(*made);
}

struct Found {
  double cost = 0;
  std::string text;
  std::uint64_t points = 0;
  std::uint64_t simulations = 0;
  double fresh_cost = 0;
};

Found exhaustive(const plan::Problem& what, const plan::PlayOptions& options) {
  Found out;
  std::vector<plan::PlanTrial> good;
  what.space.each([&](const plan::Point& point) {
    plan::PlanTrial trial{.point = point,
                          .settings = what.space.settings_of(point),
                          .scenario = {},
                          .runs = {},
                          .refused = {}};
    auto scenario = what.scenario_of(trial.settings);
    if (!scenario) {
      return;
    }
    trial.scenario = std::make_shared<const foresight::Scenario>(std::move(*scenario));
    plan::play(what, {&trial}, plan::kRungs[1], options);
    ++out.points;
    out.simulations += plan::kRungs[1];
    if (plan::judge(what.objective, trial.runs).holds) {
      good.push_back(std::move(trial));
    }
  });
  std::ranges::sort(good, {}, [&](const plan::PlanTrial& one) {
    return plan::judge(what.objective, one.runs).cost;
  });
  for (const plan::PlanTrial& trial : good) {
    const auto fresh = plan::play_fresh(what, *trial.scenario, plan::kRungs[2], options);
    const auto judged = plan::judge(what.objective, fresh->runs);
    if (judged.holds) {
      out.cost = plan::judge(what.objective, trial.runs).cost;
      out.fresh_cost = judged.cost;
      out.text = plan::settings_text(trial.settings);
      break;
    }
  }
  return out;
}

double seconds_since(std::chrono::steady_clock::time_point begin) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

}  // namespace

int main() {
  const plan::Problem what = problem();
  const unsigned threads = std::max(1U, std::thread::hardware_concurrency());
  auto begin = std::chrono::steady_clock::now();
  const auto searched = plan::search(what, {.threads = threads});
  const double search_seconds = seconds_since(begin);
  const auto judged = plan::judge(what.objective, searched.fresh->runs);
  std::printf("search: %s, %s, cost %.5f an hour, %lu simulations, %.1f s\n",
              std::string(plan::kVerdictNames[static_cast<std::size_t>(searched.verdict)]).c_str(),
              plan::settings_text(searched.trials.at(*searched.best).settings).c_str(), judged.cost,
              static_cast<unsigned long>(searched.simulations), search_seconds);
  std::fflush(stdout);
  begin = std::chrono::steady_clock::now();
  const Found best = exhaustive(what, {.threads = threads});
  std::printf("grid:   %lu points, %s, cost %.5f an hour, %lu simulations, %.1f s\n",
              static_cast<unsigned long>(best.points), best.text.c_str(), best.fresh_cost,
              static_cast<unsigned long>(best.simulations), seconds_since(begin));
  const double dearer = 100 * (judged.cost / best.fresh_cost - 1);
  const double share =
      100 * static_cast<double>(searched.simulations) / static_cast<double>(best.simulations);
  std::printf("the search's is %.2f %% dearer (3 may), with %.1f %% of the simulations (10 may)\n",
              dearer, share);
  return dearer <= 3 && share <= 10 ? 0 : 1;
}
