#include <gtest/gtest.h>

#include <atomic>
#include <cmath>

#include "plan/plan.h"
#include "plan/search.h"

namespace podsense::plan {
namespace {

constexpr const char* kScenario = R"(
length: 20s
arrivals: {shape: "steps:4,12"}
service: {run_cpu: {lognormal: {median: 20ms, sigma: 0.3}}}
pod: {cpu_request: 250m, memory_request: 128Mi}
start: {pull: 1s, load: 500ms}
metrics: {resolution: 5s, scrape: 2s}
controller: {sync_period: 2s}
)";
const std::vector<std::string> kSmall{"cpu_request=250m,500m",
                                      "cpu_limit=request",
                                      "signal=none,cpu,saturation",
                                      "cpu_target=50,70",
                                      "saturation_target=0.5,0.8",
                                      "min=1,2,3",
                                      "max=3,4",
                                      "up=chart",
                                      "down_window=10s"};

Problem problem_of(const std::string& more = "", std::vector<std::string> allowed = kSmall,
                   const std::string& objective = "p90=300ms",
                   const std::string& traffic = "steps:4,12", std::optional<Duration> length = {}) {
  auto problem = prepare({.scenario = {.name = "s", .text = kScenario + more, .overrides = {}},
                          .files = [](const std::string& name) -> Result<std::string> {
                            return fail(ErrorCode::kInvalidArgument, "no file " + name);
                          },
                          .objective = objective,
                          .traffic = {.shape = traffic, .name = {}, .trace = {}},
                          .length = length,
                          .allowed = std::move(allowed)});
  EXPECT_TRUE(problem) << problem.error().message;
  return std::move(problem).value();
}

/// Few runs, so that a sanitizer has time for it.
constexpr Rungs kFew{4, 8, 16};

std::vector<double> costs_of(const SearchResult& found) {
  std::vector<double> out;
  for (const auto& [point, trial] : found.trials) {
    for (const TrialRun& run : trial.runs) {
      out.push_back(run.cost);
      out.push_back(static_cast<double>(run.late.front()));
    }
  }
  return out;
}

TEST(Search, IsTheSameOnAnyNumberOfThreads) {
  const Problem problem = problem_of();
  const SearchResult one = search(problem, {.rungs = kFew, .threads = 1});
  ASSERT_TRUE(one.best);
  for (const unsigned threads : {2U, 5U}) {
    const SearchResult many = search(problem, {.rungs = kFew, .threads = threads});
    EXPECT_EQ(many.best, one.best);
    EXPECT_EQ(many.simulations, one.simulations);
    EXPECT_EQ(costs_of(many), costs_of(one));
  }
}

TEST(Search, FindsTheCheapestThatHoldsWithOtherSeeds) {
  const Problem problem = problem_of();
  const SearchResult found = search(problem, {.rungs = kFew});
  ASSERT_EQ(found.verdict, SearchVerdict::kHolds);
  const Judgement winner = judge(problem.objective, found.fresh->runs);
  EXPECT_TRUE(winner.holds);
  problem.space.each([&](const Point& point) {
    PlanTrial trial = new_trial(problem, point);
    if (!trial.refused.empty()) {
      return;
    }
    ASSERT_TRUE(play(problem, {&trial}, kFew[1], {}));
    if (judge(problem.objective, trial.runs).holds) {
      EXPECT_GT(judge(problem.objective, trial.runs).cost, winner.cost * 0.9)
          << settings_text(trial.settings);
    }
  });
}

TEST(Search, SaysThatNothingHoldsAndWhatComesNearest) {
  const SearchResult found = search(
      problem_of("", {"cpu_request=250m", "cpu_limit=request", "signal=none", "min=1,2", "max=2"},
                 "p99=50ms"),
      {.rungs = kFew});
  EXPECT_EQ(found.verdict, SearchVerdict::kNoneHolds);
  ASSERT_TRUE(found.best);
  EXPECT_EQ(found.trials.at(*found.best).settings.min, 2);
}

TEST(Search, StopsWithWhatItHas) {
  const Problem problem = problem_of();
  std::atomic<bool> stop = false;
  std::atomic<int> seen = 0;
  const SearchResult found = search(
      problem,
      {.rungs = kFew, .stop = &stop, .progress = [&](const Progress&) { stop = ++seen > 40; }});
  EXPECT_EQ(found.verdict, SearchVerdict::kInterrupted);
  EXPECT_FALSE(found.fresh);
}

TEST(Search, DoesNotPayForRequestsThatPodsExceed) {
  // Without a limit one pod of 50m would do: it uses 240m.
  const SearchResult found = search(
      problem_of("", {"cpu_request=50m,300m", "cpu_limit=none", "signal=none", "min=1,2", "max=2"}),
      {.rungs = kFew});
  ASSERT_EQ(found.verdict, SearchVerdict::kHolds);
  EXPECT_EQ(found.trials.at(*found.best).settings.cpu_request, 300);
}

TEST(Bounds, NeverRefuseWhatASimulationAccepts) {
  for (const char* const more :
       {"", "clients: {timeout: 5s, retries: 1}\n", "routing: least_request\n",
        "warm_up: 5s\nstop: {drain_delay: 1s, grace: 2s}\n"}) {
    int refused = 0;
    for (const char* const objective : {"p50=60ms", "p90=300ms", "p99=1s"}) {
      const Problem problem =
          problem_of(more, kSmall, objective, "steps:4,30", std::chrono::seconds(80));
      problem.space.each([&](const Point& point) {
        PlanTrial trial = new_trial(problem, point);
        if (trial.refused.empty()) {
          return;
        }
        ++refused;
        ASSERT_TRUE(trial.scenario) << trial.refused;
        ASSERT_TRUE(play(problem, {&trial}, kFew[0], {}));
        EXPECT_FALSE(judge(problem.objective, trial.runs).might)
            << settings_text(trial.settings) << ": " << trial.refused;
      });
    }
    EXPECT_GT(refused, 0) << more;
  }
}

TEST(Bounds, ErlangC) {
  EXPECT_DOUBLE_EQ(erlang_c(1, 0.5), 0.5);
  EXPECT_NEAR(erlang_c(2, 1), 1.0 / 3, 1e-12);
  EXPECT_NEAR(erlang_c(10, 8), 0.40918, 1e-5);
  EXPECT_EQ(erlang_c(3, 3), 1);
  // M/M/1: e^{-(µ - λ)t} of those that wait.
  EXPECT_NEAR(waits_longer({.rate = 5, .servers = 1, .service = 0.1, .variation = 1}, 0.2),
              0.5 * std::exp(-1), 1e-12);
}

TEST(Bounds, LeastPodsGrowWithTraffic) {
  const Problem problem = problem_of();
  const auto scenario = problem.scenario_of(problem.space.settings_of({}));
  ASSERT_TRUE(scenario);
  const std::int32_t once = least_pods(*scenario, problem.demand, problem.objective);
  foresight::Scenario more = *scenario;
  more.arrivals.shape = arrivals::constant_rate(100);
  EXPECT_GE(once, 1);
  EXPECT_GE(least_pods(more, RequestDemand(more), problem.objective), 8);
}

TEST(Demand, KnowsItsBusiestMinute) {
  foresight::Scenario scenario = problem_of().base;
  scenario.length = std::chrono::minutes(10);
  scenario.arrivals.shape = arrivals::stretches({{.seconds = 300, .from = 1, .to = 1},
                                                 {.seconds = 60, .from = 10, .to = 10},
                                                 {.seconds = 240, .from = 2, .to = 2}});
  const RequestDemand demand(scenario);
  EXPECT_NEAR(demand.requests(), 1380, 1e-6);
  EXPECT_NEAR(demand.peak().at, 330, 1);
  EXPECT_NEAR(demand.peak().rate, 10, 1e-9);
  EXPECT_NEAR(demand.first_rate(), 1, 1e-9);
  // 600 in the minute, of which 5 a second are done, for a second longer; less four deviations.
  EXPECT_GT(demand.least_late(5, std::chrono::seconds(1)), 90);
  EXPECT_LE(demand.least_late(5, std::chrono::seconds(1)), 295);
  EXPECT_EQ(demand.least_late(10, std::chrono::seconds(1)), 0);
}

}  // namespace
}  // namespace podsense::plan
