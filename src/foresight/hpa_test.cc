#include "foresight/hpa.h"

#include <gtest/gtest.h>

#include <chrono>
#include <fstream>
#include <sstream>

#include "foresight/explain.h"
#include "foresight/vectors.h"

namespace podsense::foresight {
namespace {

using std::chrono::seconds;

Quantity quantity(std::string_view text) {
  return *Quantity::parse(text);
}

HpaSpec cpu_at(std::int32_t percent) {
  return {.max_replicas = 100,
          .metrics = {{.name = "cpu", .target = {.average_utilization = percent}}}};
}

/// `count` old pods that request 100m and use `usage` each.
ClusterView pods(std::int32_t count, std::string_view usage) {
  ClusterView view{.spec_replicas = count, .status_replicas = count};
  view.metrics.resource.emplace();
  for (std::int32_t i = 0; i < count; ++i) {
    const std::string name = "p" + std::to_string(i);
    view.pods.push_back(
        {.name = name,
         .start = seconds(-1000),
         .containers = {{.name = "main", .requests = {{"cpu", quantity("100m")}}}}});
    view.metrics.resource->push_back(
        {.pod = name, .window = seconds(15), .containers = {{"main", {{"cpu", quantity(usage)}}}}});
  }
  return view;
}

TEST(Hpa, AnAbsentBehaviorIsNotAnEmptyOne) {
  HpaSpec spec = cpu_at(50);
  const ClusterView view = pods(1, "950m");  // asks for 19
  EXPECT_EQ(Hpa({}, spec).look(seconds(15), view).desired, 4);
  spec.behavior.emplace();
  EXPECT_EQ(Hpa({}, spec).look(seconds(15), view).desired, 5);
}

TEST(Hpa, WaitsWithTheWayDown) {
  Hpa hpa({}, cpu_at(50));
  std::int32_t replicas = 10;
  std::int32_t first_change = 0;
  for (std::int32_t at = 15; at <= 345 && first_change == 0; at += 15) {
    ClusterView view = pods(10, "10m");
    view.spec_replicas = replicas;
    replicas = hpa.look(seconds(at), view).desired;
    first_change = replicas == 10 ? 0 : at;
  }
  EXPECT_EQ(first_change, 330);
  EXPECT_EQ(replicas, 2);
}

TEST(Hpa, APercentPolicyCountsInDoubles) {
  HpaSpec spec = cpu_at(50);
  spec.behavior = Behavior{
      .up = ScalingRules{
          .policies = {{{.type = PolicyType::kPercent, .value = 10, .period_seconds = 60}}}}};
  EXPECT_EQ(Hpa({}, spec).look(seconds(15), pods(50, "100m")).desired, 56);
}

TEST(Hpa, OnlyItselfBringsItBackFromZeroFrom136On) {
  const HpaSpec spec{
      .min_replicas = 0,
      .max_replicas = 10,
      .metrics = {{.source = MetricSource::kExternal,
                   .name = "q",
                   .target = {.type = TargetType::kAverageValue, .average_value = quantity("1")}}}};
  ClusterView view = pods(0, "0");
  view.metrics.external = {{"q", {quantity("3")}}};
  HpaSettings settings{.version = KubernetesVersion::k135, .gates = {.scale_to_zero = true}};
  EXPECT_EQ(Hpa(settings, spec).look(seconds(15), view).desired, 3);
  settings.version = KubernetesVersion::k137;
  EXPECT_EQ(Hpa(settings, spec).look(seconds(15), view).desired, 0);
  Conditions conditions;
  conditions[static_cast<std::size_t>(ConditionType::kScaledToZero)] = {.status = true};
  EXPECT_EQ(Hpa(settings, spec, conditions).look(seconds(15), view).desired, 3);
}

TEST(Hpa, OneFailedPodWithoutARequestBlocksIt) {
  ClusterView view = pods(2, "100m");
  view.pods.push_back(
      {.name = "broken", .phase = PodPhase::kFailed, .containers = {{.name = "main"}}});
  Hpa hpa({}, cpu_at(50));
  const Look look = hpa.look(seconds(15), view);
  EXPECT_EQ(look.route, DecisionRoute::kMetricsFailed);
  EXPECT_EQ(look.desired, 2);
  EXPECT_NE(
      metrics_error(look, hpa.spec()).find("container main of pod broken has no request for cpu"),
      std::string::npos);
}

TEST(Hpa, ExplainsItsArithmetic) {
  Hpa hpa({}, cpu_at(50));
  const Look look = hpa.look(seconds(15), pods(4, "100m"));
  std::string words;
  for (const std::string& line : explain(look, hpa)) {
    words += line + "\n";
  }
  EXPECT_EQ(
      words,
      "At 15 s, by the rules of Kubernetes 1.37: the target has 4 replicas (spec), 4 (status).\n"
      "Metric 1, Resource cpu, target 50 % of the request: 0.4 used of 0.4 requested by 4 pods = "
      "100 %, 2 times the target; ceil(2 × 4 ready pods) = 8.\n"
      "Wish 8. Without behavior the highest recommendation of the last 300 s counts: 8.\n"
      "A look may bring 4 to at most 8 (twice as many, or 4, and no more than maxReplicas). "
      "Bounds: minReplicas 1, maxReplicas 100. Result: 8.\n"
      "Rescaled from 4 to 8.\n");
}

struct BadCase {
  std::string_view line;
  std::string_view fault;
};

class Refused : public testing::TestWithParam<BadCase> {};

TEST_P(Refused, NamesFieldAndWhatIsAccepted) {
  std::istringstream in{std::string(GetParam().line)};
  std::ostringstream out;
  const auto done = replay_lines(in, "cases", {}, out);
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().message.find('\n'), std::string::npos);
  EXPECT_NE(done.error().message.find(GetParam().fault), std::string::npos) << done.error().message;
}

INSTANTIATE_TEST_SUITE_P(
    Vectors, Refused,
    testing::Values(
        BadCase{"{", "cases line 1: is not JSON"}, BadCase{"[]", "must be an object, not a list"},
        BadCase{"{}", "a case must have hpa"},
        BadCase{R"({"hpa":{"spec":{}}})",
                "hpa: spec.maxReplicas: 0 is too small; accepted: 1 or more"},
        BadCase{R"({"hpa":{"spec":{"maxReplica":3}}})",
                "hpa.spec: unknown field \"maxReplica\"; did you mean maxReplicas?"},
        BadCase{R"({"hpa":{"spec":{"maxReplicas":3,"minReplicas":4}}})", "accepted: 4 or more"},
        BadCase{R"({"hpa":{"spec":{"maxReplicas":3.5}}})",
                "hpa.spec.maxReplicas: must be a whole number, not 3.5"},
        BadCase{R"({"hpa":{"spec":{"maxReplicas":3,"behavior":{"scaleUp":{"policies":[]}}}}})",
                "hpa: spec.behavior.scaleUp.policies: must have at least one policy"},
        BadCase{
            R"({"hpa":{"spec":{"maxReplicas":3,"behavior":{"scaleDown":{"stabilizationWindowSeconds":3601}}}}})",
            "3601 is out of range; accepted: 0 to 3600"},
        BadCase{R"({"hpa":{"spec":{"maxReplicas":3,"metrics":[{"type":"Cpu"}]}}})",
                "hpa.spec.metrics[0].type: \"Cpu\" is not accepted; accepted: Resource, "
                "ContainerResource, Pods, Object, External"},
        BadCase{R"({"hpa":{"spec":{"maxReplicas":3,"metrics":[{"type":"Pods","resource":{}}]}}})",
                "hpa.spec.metrics[0].resource: does not go with type Pods; accepted: pods"},
        BadCase{
            R"({"kubernetes":"1.12","hpa":{"spec":{"maxReplicas":3}}})",
            "kubernetes: Kubernetes version '1.12' is unknown; accepted: 1.34, 1.35, 1.36, 1.37"},
        BadCase{R"({"kubernetes":"1.35","hpa":{"spec":{"maxReplicas":3,"minReplicas":0}}})",
                "0 needs the feature gate HPAScaleToZero"},
        BadCase{
            R"({"hpa":{"spec":{"maxReplicas":3}},"ticks":[{"pods":[{"name":"a","usage":{"cpu":"1x"}}]}]})",
            "ticks[0].pods[0].usage.cpu: \"1x\" is not a quantity"},
        BadCase{
            R"({"hpa":{"spec":{"maxReplicas":3}},"ticks":[{"pods":[{"name":"a"},{"name":"a"}]}]})",
            "a second pod is named a"},
        BadCase{R"({"mode":"direct","hpa":{"spec":{"maxReplicas":3}},"ticks":[{"at":5},{"at":4}]})",
                "ticks[1].at: must not be before the tick before it"}));

TEST(Vectors, AnswerALookALine) {
  std::istringstream in(
      R"({"name":"a","kubernetes":"1.34","hpa":{"spec":{"maxReplicas":9}},"replicas":12,"ticks":[{}]})");
  std::ostringstream out;
  ASSERT_TRUE(replay_lines(in, "cases", {}, out));
  EXPECT_EQ(out.str(),
            R"({"case":"a","tick":0,"at":15,"current":12,"desired":9,"rescaled":true,"conditions":)"
            R"({"AbleToScale":"True SucceededRescale"}})"
            "\n");
}

}  // namespace
}  // namespace podsense::foresight
