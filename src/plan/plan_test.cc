#include "plan/plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <set>

namespace podsense::plan {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr const char* kScenario = R"(
length: 20s
arrivals: {shape: "constant:6"}
service: {run_cpu: {lognormal: {median: 20ms, sigma: 0.3}}}
pod: {cpu_request: 250m, memory_request: 128Mi}
start: {pull: 1s}
)";

Result<Problem> prepared(PlanRequest request) {
  if (request.scenario.text.empty()) {
    request.scenario = {.name = "s.yaml", .text = kScenario, .overrides = {}};
  }
  if (!request.files) {
    request.files = [](const std::string& name) -> Result<std::string> {
      return fail(ErrorCode::kInvalidArgument, "no file " + name);
    };
  }
  if (request.objective.empty()) {
    request.objective = "p90=500ms";
  }
  return prepare(std::move(request));
}
std::string fault(PlanRequest request) {
  const auto problem = prepared(std::move(request));
  return problem ? "accepted" : problem.error().message;
}

TEST(Problem, IsNotPlannedWithoutAStartUp) {
  foresight::ScenarioText text{.name = "s.yaml", .text = kScenario, .overrides = {}};
  text.overrides.push_back({.path = "start", .value = "{probe_period: 1s}"});
  EXPECT_THAT(fault({.scenario = text}), HasSubstr("--assume-start DURATION"));
  const auto assumed = prepared({.scenario = text, .assumed_start = std::chrono::seconds(5)});
  ASSERT_TRUE(assumed) << assumed.error().message;
  EXPECT_THAT(assumed->assumed.front(), HasSubstr("ready 5.00 s after"));
  EXPECT_EQ(assumed->base.start.load.at(0.5), std::chrono::seconds(5));
  EXPECT_THAT(fault({.assumed_start = std::chrono::seconds(5)}), HasSubstr("start-up"));
}

TEST(Problem, TrafficReplacesTheScenariosAndHasItsLength) {
  const std::string counts = "minute,count\n0,60\n1,120\n2,60\n";
  const auto problem =
      prepared({.traffic = {.shape = {}, .name = "/day.csv", .trace = counts}, .growth = 1.5});
  ASSERT_TRUE(problem) << problem.error().message;
  EXPECT_EQ(problem->base.length, std::chrono::minutes(3));
  EXPECT_NEAR(problem->demand.requests(), 360, 1e-6);
  EXPECT_EQ(problem->files.at("/day.csv"), counts);
  const auto shape = prepared({.traffic = {.shape = "constant:3", .name = {}, .trace = {}}});
  EXPECT_NEAR(shape->demand.requests(), 60, 1e-6);
  EXPECT_THAT(fault({.traffic = {.shape = {}, .name = "x.csv", .trace = "a,b\n1,x\n"}}),
              HasSubstr("arrivals.trace: x.csv: "));
}

TEST(Problem, WhatFailsFailsInTheBusiestMinute) {
  const auto pods = prepared({.survive = {.pods = 2}});
  const auto scenario = pods->scenario_of(pods->space.settings_of({}));
  ASSERT_TRUE(scenario) << scenario.error().message;
  ASSERT_EQ(scenario->faults.size(), 1U);
  EXPECT_EQ(scenario->faults.front().count, 2);
  EXPECT_NEAR(to_seconds(scenario->faults.front().at), pods->demand.peak().at, 0.01);
  const auto zone = prepared({.survive = {.share = 0.5}});
  EXPECT_DOUBLE_EQ(zone->scenario_of(zone->space.settings_of({}))->faults.front().share, 0.5);
}

TEST(Problem, TheDocumentIsTheScenario) {
  const auto problem = prepared({.growth = 2});
  problem->space.each([&](const Point& point) {
    if (point[static_cast<std::size_t>(SettingAxis::kMin)] != 1) {
      return;
    }
    const PlanSettings settings = problem->space.settings_of(point);
    const auto one = problem->scenario_of(settings);
    const auto again = foresight::read_scenario(
        {.name = "d", .text = problem->document_of(settings), .overrides = {}},
        problem->request.files);
    ASSERT_TRUE(one && again) << settings_text(settings);
    EXPECT_EQ(again->replicas, one->replicas);
    EXPECT_EQ(again->arrivals.text, one->arrivals.text);
    EXPECT_EQ(again->autoscaler.has_value(), one->autoscaler.has_value());
    if (one->autoscaler) {
      EXPECT_EQ(again->autoscaler->written, one->autoscaler->written);
    }
  });
}

TEST(Space, NamesFieldAndAcceptedValues) {
  const auto with = [](const std::string& allowed) { return fault({.allowed = {allowed}}); };
  EXPECT_THAT(with("min"), HasSubstr("must be FIELD=VALUE"));
  EXPECT_THAT(with("mini=1"), HasSubstr("accepted: cpu_request, cpu_limit"));
  EXPECT_THAT(with("min=0"), HasSubstr("min: '0' is not accepted; accepted: 1 to 100000 pods"));
  EXPECT_THAT(with("min=1.5"), HasSubstr("accepted: 1 to 100000 pods"));
  EXPECT_THAT(with("signal=rps"), HasSubstr("accepted: cpu, saturation, queue_depth"));
  EXPECT_THAT(with("signal=keda:cpu"), HasSubstr("keda:saturation"));
  EXPECT_THAT(with("cpu_target=70.5"), HasSubstr("whole percent"));
  EXPECT_THAT(with("down_window=2h"), HasSubstr("whole seconds up to 1h"));
  EXPECT_THAT(with("up=slow"), HasSubstr("chart, fast, steady"));
  EXPECT_THAT(fault({.spaces = {{"space.yaml", "min: [1, x]"}}}),
              HasSubstr("space.yaml: min: 'x' is not accepted"));
  EXPECT_THAT(fault({.spaces = {{"space.yaml", "min: ["}}}), HasSubstr("space.yaml: line 1"));
  EXPECT_EQ(with("signal=saturation+cpu"), "accepted");
}

TEST(Space, HasEachPointOnceAndOnlyWhatMakesSense) {
  const auto problem = prepared(
      {.allowed = {"cpu_request=250m,500m", "cpu_limit=none,request,300m", "signal=none,cpu",
                   "cpu_target=50,70", "min=1,3", "max=2,4", "up=chart", "down_window=60s"}});
  std::set<std::string> seen;
  problem->space.each([&](const Point& point) {
    const PlanSettings settings = problem->space.settings_of(point);
    EXPECT_TRUE(seen.insert(settings_text(settings)).second) << settings_text(settings);
    EXPECT_LE(settings.min, settings.max);
    EXPECT_TRUE(!settings.cpu_limit || *settings.cpu_limit >= settings.cpu_request);
    for (const Point& near : problem->space.neighbours(point)) {
      EXPECT_TRUE(problem->space.makes_sense(near));
      EXPECT_EQ(problem->space.reduced(near), near);
    }
  });
  // Five kinds of pods: two numbers of them fixed, or two targets with three pairs of bounds.
  EXPECT_EQ(seen.size(), 5U * (2 + 2 * 3));
}

TEST(Cost, IsOfRequestsOrOfWholeNodes) {
  const PodSize pod{.cores = 0.5, .memory_bytes = 1024.0 * 1024 * 1024};
  EXPECT_DOUBLE_EQ(pod_hour({.cpu_hour = 0.04, .memory_gib_hour = 0.005}, pod).value_or(0), 0.025);
  const auto node = parse_node("4cpu,16Gi,0.17");
  ASSERT_TRUE(node) << node.error().message;
  const Prices nodes{.node = *node};
  EXPECT_DOUBLE_EQ(pods_hour(nodes, pod, 8), 0.17);
  EXPECT_DOUBLE_EQ(pods_hour(nodes, pod, 9), 0.34);
  EXPECT_FALSE(pod_hour(nodes, {.cores = 5, .memory_bytes = 0}));
  EXPECT_FALSE(pod_hour(nodes, {.cores = 1, .memory_bytes = 1e12}));
  for (const char* const wrong :
       {"", "4,16Gi,1", "4cpu,16Gi", "4cpu,16Gi,0", "0cpu,1Gi,1", "4cpu,x,1"}) {
    EXPECT_FALSE(parse_node(wrong)) << wrong;
  }
}

Plan plan_of(const std::string& signal) {
  auto problem = prepared({.allowed = {"cpu_request=250m", "cpu_limit=request", "signal=" + signal,
                                       "cpu_target=60", "saturation_target=0.6", "queue_target=1",
                                       "min=2", "max=4", "up=chart", "down_window=60s"}});
  EXPECT_TRUE(problem) << problem.error().message;
  return make_plan(std::move(*problem), {.rungs = {4, 4, 4}});
}

TEST(Values, AreThoseOfTheChart) {
  const Plan hpa = plan_of("cpu+saturation");
  ASSERT_EQ(hpa.search.verdict, SearchVerdict::kHolds) << plan_text(hpa);
  const std::string values = values_yaml(hpa);
  EXPECT_THAT(values, HasSubstr("  minReplicas: 2\n"));
  EXPECT_THAT(values, HasSubstr("  targetCPUUtilizationPercentage: 60\n"));
  EXPECT_THAT(values, HasSubstr("  targetSaturation: \"600m\"\n"));
  EXPECT_THAT(values, HasSubstr("  targetQueueDepth: null\n"));
  EXPECT_THAT(values, HasSubstr("    memory: \"128Mi\"\n"));
  EXPECT_THAT(values, HasSubstr("    quantile: 0.9\n"));
  const std::string keda = values_yaml(plan_of("keda:saturation"));
  EXPECT_THAT(keda, HasSubstr("keda:\n  # the only value allowed\n  enabled: true\n"));
  EXPECT_THAT(keda, HasSubstr("    threshold: \"600m\"\n"));
  const std::string fixed = values_yaml(plan_of("none"));
  EXPECT_THAT(fixed, HasSubstr("replicaCount: 2\n"));
  EXPECT_THAT(fixed, Not(HasSubstr("minReplicas")));
}

TEST(Plan, SaysTheSameEverywhereAndHidesNothingAssumed) {
  const Plan plan = plan_of("cpu");
  const auto json = nlohmann::json::parse(plan_json(plan));
  EXPECT_EQ(json["chosen"]["min"], 2);
  EXPECT_EQ(json["values"]["autoscaling"]["minReplicas"], 2);
  EXPECT_EQ(json["predicted"]["runs"], 4);
  EXPECT_EQ(json["knee"].size(), 5U);
  EXPECT_GT(json["sensitivity"].size(), 3U);
  EXPECT_GT(json["histograms"]["run"]["buckets"].size(), 0U);
  EXPECT_THAT(plan_html(plan), Not(HasSubstr("@DATA@")));
}

}  // namespace
}  // namespace podsense::plan
