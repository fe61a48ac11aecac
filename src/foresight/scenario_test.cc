#include "foresight/scenario.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

namespace podsense::foresight {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::HasSubstr;

constexpr const char* kLeast = "arrivals: {shape: constant:10}\nservice: {run_cpu: 25ms}\n";
constexpr const char* kAutoscaler = R"(
pod: {cpu_request: 250m}
hpa:
  apiVersion: autoscaling/v2
  kind: HorizontalPodAutoscaler
  metadata: {name: web}
  spec:
    scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}
    maxReplicas: 6
    metrics:
      - {type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 70}}}
)";

Result<Scenario> read(const std::string& text, std::vector<Override> overrides = {},
                      const std::map<std::string, std::string>& files = {}) {
  return read_scenario(
      {.name = "s.yaml", .text = text, .overrides = std::move(overrides)},
      [&](const std::string& path) -> Result<std::string> {
        const auto found = files.find(path);
        return found == files.end()
                   ? Result<std::string>(fail(ErrorCode::kInvalidArgument, "cannot read " + path))
                   : Result<std::string>(found->second);
      });
}

std::string fault(const std::string& text, std::vector<Override> overrides = {}) {
  const auto scenario = read(text, std::move(overrides));
  return scenario ? "accepted" : scenario.error().message;
}
std::string fault_of(const std::string& more) {
  return fault(kLeast + more);
}

TEST(Scenario, TheLeastIsArrivalsAndARun) {
  const auto scenario = read(kLeast);
  ASSERT_TRUE(scenario) << scenario.error().message;
  EXPECT_EQ(scenario->length, seconds(60));
  EXPECT_EQ(scenario->replicas, 1);
  EXPECT_FALSE(scenario->autoscaler);
  EXPECT_EQ(scenario->service.runs.front().cpu.at(0.3), milliseconds(25));
  EXPECT_EQ(executors_of(*scenario), 4U);
  EXPECT_TRUE(extrapolations(*scenario).empty());
}

constexpr std::string_view kProfile = R"({"format": "podsense-profile/1", "machine": {"x": 1},
 "runs": [{"rows": 1, "wall": {}, "cpu": {"unit_bits": 6, "sub_bits": 10, "min_ns": 20000000, "max_ns": 40000000,
   "sum_ns": 100000000, "buckets": [[9370, 3], [10393, 1]]}},
  {"rows": 4, "cpu": {"unit_bits": 10, "sub_bits": 6, "min_ns": 60000000, "max_ns": 60000000, "sum_ns": 60000000,
   "buckets": [[697, 1]]}}],
 "request_cpu": {"unit_bits": 6, "sub_bits": 10, "min_ns": 1000000, "max_ns": 1000000, "sum_ns": 1000000,
   "buckets": [[4856, 1]]},
 "starts": [{"ready_seconds": 3, "cpu_seconds": 1}, {"ready_seconds": 5, "cpu_seconds": 2}],
 "max_batch": 4, "memory_bytes": 100000000, "cautions": ["measured on a busy machine"]})";

TEST(Scenario, TakesAMeasuredProfile) {
  const std::map<std::string, std::string> files{{"p.json", std::string(kProfile)}};
  const auto scenario = read("profile: p.json\narrivals: {shape: constant:10}\n", {}, files);
  ASSERT_TRUE(scenario) << scenario.error().message;
  ASSERT_EQ(scenario->service.runs.size(), 2U);
  EXPECT_EQ(scenario->service.max_batch, 4U);
  EXPECT_EQ(scenario->pod.memory_bytes, 100'000'000);
  EXPECT_EQ(scenario->start.warm_up_cpu, milliseconds(1500));
  EXPECT_EQ(scenario->start.load.at(0.1), seconds(2));
  EXPECT_EQ(scenario->start.load.at(0.9), seconds(3));
  EXPECT_NEAR(to_seconds(scenario->service.request_cpu.at(0.5)), 0.001, 0.0001);
  ASSERT_FALSE(extrapolations(*scenario).empty());
  EXPECT_EQ(extrapolations(*scenario).front(), "the profile: measured on a busy machine");
  // What the scenario says itself takes its place; beyond what was measured is said.
  const auto other =
      read("profile: p.json\narrivals: {shape: constant:10}\nservice: {max_batch: 8}\n", {}, files);
  ASSERT_TRUE(other) << other.error().message;
  EXPECT_EQ(other->service.max_batch, 8U);
  EXPECT_THAT(extrapolations(*other).back(), HasSubstr("runs of more than 4 rows"));
}

TEST(Scenario, RefusesAFaultyProfile) {
  const auto with = [](const std::string& profile) {
    const auto scenario =
        read("profile: p.json\narrivals: {shape: constant:10}\n", {}, {{"p.json", profile}});
    return scenario ? "accepted" : scenario.error().message;
  };
  EXPECT_THAT(with("{"), HasSubstr("p.json: is not JSON"));
  EXPECT_THAT(with("{}"), HasSubstr("format '' is not accepted; accepted: podsense-profile/1"));
  EXPECT_THAT(with(R"({"format": "podsense-profile/1"})"),
              HasSubstr("runs must begin with an entry of 1 row"));
  EXPECT_THAT(with(R"({"runs": [{"rows": 1, "cpu": {"buckets": []}}]})"),
              HasSubstr("p.json: runs[0].cpu: must have a count above 0"));
  EXPECT_THAT(with(R"({"runs": [{"rows": 0}]})"), HasSubstr("runs[0].rows"));
  EXPECT_THAT(with("[]"), HasSubstr("must be what `podsense plan measure` wrote"));
  EXPECT_THAT(fault("profile: nowhere.json\narrivals: {shape: constant:10}\n"),
              HasSubstr("profile: cannot read nowhere.json"));
}

TEST(Scenario, ExecutorsComeFromTheQuotaAsServePlansThem) {
  for (const auto& [limit, executors] :
       {std::pair("250m", 1U), {"1", 1U}, {"1500m", 2U}, {"3", 3U}}) {
    const auto scenario = read(std::string(kLeast) + "pod: {cpu_limit: " + limit + "}\n");
    ASSERT_TRUE(scenario) << scenario.error().message;
    EXPECT_EQ(executors_of(*scenario), executors) << limit;
  }
}

TEST(Scenario, TheAutoscalerIsInTheFileOrInOneOfItsOwn) {
  const auto inside = read(std::string(kLeast) + kAutoscaler + "kubernetes: 1.35\n");
  ASSERT_TRUE(inside) << inside.error().message;
  ASSERT_TRUE(inside->autoscaler);
  EXPECT_EQ(inside->autoscaler->spec.max_replicas, 6);
  EXPECT_EQ(inside->autoscaler->settings.version, KubernetesVersion::k135);

  const auto beside =
      read(std::string(kLeast) + "hpa: h.yaml\n", {}, {{"h.yaml", "spec: {maxReplicas: x}"}});
  ASSERT_FALSE(beside);
  EXPECT_THAT(beside.error().message,
              HasSubstr("h.yaml: spec.maxReplicas: must be a whole number"));
}

TEST(Scenario, ATraceBringsItsOwnMoments) {
  const auto scenario = read("arrivals: {trace: t.csv}\nservice: {run_cpu: 1ms}\n", {},
                             {{"t.csv", "0.5\n0.75\n2\n"}});
  ASSERT_TRUE(scenario) << scenario.error().message;
  EXPECT_EQ(scenario->arrivals.process, arrivals::ArrivalProcess::kEven);
}

TEST(Scenario, ADistributionIsReadByItsName) {
  const auto at = [](const std::string& written, double u) {
    const auto scenario =
        read("arrivals: {shape: constant:1}\nservice: {run_cpu: " + written + "}\n");
    EXPECT_TRUE(scenario) << scenario.error().message;
    return scenario ? to_ms(scenario->service.runs.front().cpu.at(u)) : -1;
  };
  EXPECT_NEAR(at("{exponential: 10ms}", 0.5), 6.931, 0.001);
  EXPECT_NEAR(at("{uniform: [10ms, 20ms]}", 0.25), 12.5, 1e-6);
  EXPECT_NEAR(at("{lognormal: {median: 10ms, sigma: 0.5}}", 0.5), 10, 1e-6);
  EXPECT_NEAR(at("{lognormal: {median: 10ms, sigma: 0.5}}", 0.975), 26.644, 0.001);
  EXPECT_NEAR(at("{lognormal: {median: 10ms, sigma: 0.5}}", 0.025), 3.753, 0.001);
  EXPECT_EQ(at("{values: [[30ms, 1], [10ms, 3]]}", 0.74), 10);
  EXPECT_EQ(at("{values: [[30ms, 1], [10ms, 3]]}", 0.76), 30);
}

TEST(Scenario, BatchesBeyondWhatWasMeasuredAreNoted) {
  const auto scenario = read(
      "arrivals: {shape: constant:1}\n"
      "service: {max_batch: 8, run_cpu: [{rows: 1, cpu: 10ms}, {rows: 4, cpu: 16ms}]}\n");
  ASSERT_TRUE(scenario) << scenario.error().message;
  ASSERT_EQ(extrapolations(*scenario).size(), 1U);
  EXPECT_THAT(extrapolations(*scenario)[0], HasSubstr("more than 4 rows"));
}

TEST(Scenario, ASampleOfThePodsIsNoted) {
  const auto share = [](const std::string& more) {
    const auto scenario = read(std::string(kLeast) + "\nreplicas: 100\n" + more);
    EXPECT_TRUE(scenario) << scenario.error().message;
    return scenario ? std::pair(sampled_share(*scenario), extrapolations(*scenario).size())
                    : std::pair(0.0, std::size_t{99});
  };
  EXPECT_EQ(share(""), std::pair(1.0, std::size_t{0}));
  EXPECT_EQ(share("sample_pods: 100"), std::pair(1.0, std::size_t{0}));
  EXPECT_EQ(share("sample_pods: 25"), std::pair(0.25, std::size_t{1}));
  EXPECT_EQ(share("sample_pods: 25\nrouting: connection"), std::pair(0.25, std::size_t{1}));
  EXPECT_EQ(share("sample_pods: 25\nfaults: [{kind: set_replicas, at: 1s, count: 1000}]"),
            std::pair(0.025, std::size_t{1}));
}

TEST(Scenario, AnOverrideStandsInPlaceOfTheFile) {
  const auto scenario = read(kLeast, {{"pod.cpu_limit", "500m"}, {"length", "90s"}});
  ASSERT_TRUE(scenario) << scenario.error().message;
  EXPECT_EQ(scenario->length, seconds(90));
  EXPECT_EQ(scenario->pod.cpu_limit, 0.5);
  EXPECT_THAT(fault(kLeast, {{"length.x", "1"}}), HasSubstr("length: must be a duration"));
  EXPECT_THAT(fault(kLeast, {{"service.run_cpu.x", "1"}}), HasSubstr("is not a path of fields"));
  EXPECT_THAT(fault(kLeast, {{"lenght", "1s"}}), HasSubstr("did you mean length?"));
}

TEST(Scenario, EveryFaultNamesFieldAndWhatIsAccepted) {
  EXPECT_THAT(fault(""), HasSubstr("s.yaml: line 1: empty"));
  EXPECT_THAT(fault("- 1"), HasSubstr("must be an object"));
  EXPECT_THAT(fault("a: {b"), HasSubstr("s.yaml: line 1: not YAML"));
  EXPECT_THAT(fault("arrivals: {shape: constant:1}"), HasSubstr("service.run_cpu must be given"));
  EXPECT_THAT(fault("arrivals: {shape: constant:1}\nservice: {run_cpu: }"),
              HasSubstr("service.run_cpu must be given"));
  EXPECT_THAT(fault_of("faults: [{kind: , at: 1s}]"), HasSubstr("must have kind"));
  EXPECT_THAT(fault("service: {run_cpu: 1ms}"), HasSubstr("arrivals must have shape or trace"));
  EXPECT_THAT(fault("service: {run_cpu: 1ms}\narrivals: {shape: flat}"),
              HasSubstr("arrivals.shape: "));
  EXPECT_THAT(fault("service: {run_cpu: 1ms}\narrivals: {trace: none.csv}"),
              HasSubstr("arrivals.trace: cannot read none.csv"));
  EXPECT_THAT(fault_of("pods: {}"), HasSubstr("did you mean pod?"));
  EXPECT_THAT(fault_of("length: 1 fortnight"), HasSubstr("length: must be a duration such as"));
  EXPECT_THAT(fault_of("replicas: -1"), HasSubstr("accepted: 0 to 100000"));
  EXPECT_THAT(fault_of("routing: sticky"),
              HasSubstr("accepted: random, connection, round_robin, least_request"));
  EXPECT_THAT(fault_of("kubernetes: 1.20"), HasSubstr("accepted: 1.34, 1.35, 1.36, 1.37"));
  EXPECT_THAT(fault_of("pod: {cpu_limit: 1m}"), HasSubstr("from 10m to 1024 cores"));
  EXPECT_THAT(fault_of("warm_up: 2m"), HasSubstr("warm_up must be shorter than length"));
  EXPECT_THAT(fault_of("stop: {drain_delay: 40s}"), HasSubstr("stop.grace must be at least"));
  EXPECT_THAT(fault_of("faults: [{kind: fire, at: 1s}]"), HasSubstr("accepted: kill_pods, slow"));
  EXPECT_THAT(fault_of("faults: [{kind: slow, at: 1s}]"), HasSubstr("slow must have length"));
  EXPECT_THAT(fault_of("faults: [{kind: slow, at: 1s, length: 1s}]"),
              HasSubstr("slow must have factor"));
  EXPECT_THAT(fault_of("faults: [{kind: set_replicas, at: 1s}]"),
              HasSubstr("set_replicas must have count"));
  EXPECT_THAT(fault_of("faults: [{kind: no_scrapes, at: 1s, length: 1s, count: 2}]"),
              HasSubstr("no_scrapes has no count"));
  EXPECT_THAT(fault_of("faults: [{kind: controller_restart, at: 2m}]"),
              HasSubstr("faults[0].at must be before the end"));
  EXPECT_THAT(fault_of("replicas: 3\ncapacity: 2"), HasSubstr("more than capacity 2"));
  EXPECT_THAT(fault_of("faults: [{kind: kill_pods, at: 1s, count: 1, length: 1s}]"),
              HasSubstr("kill_pods has no length"));
  EXPECT_THAT(fault_of("sample_pods: -1"),
              HasSubstr("sample_pods: -1 is out of range; accepted: 0 to"));
  EXPECT_THAT(fault_of("sample_pods: 5\nrouting: round_robin"),
              HasSubstr("sample_pods is for routing random"));
  EXPECT_THAT(fault_of("sample_pods: 5\nrouting: least_request"),
              HasSubstr("with least_request what a pod gets depends on all other pods"));
  EXPECT_THAT(fault_of("sample_pods: 5\nrouting: connection\nclients: {connections: 9}"),
              HasSubstr("sample_pods is for requests with a connection each"));
  EXPECT_THAT(fault_of("metrics: {external: {q: temperature}}"),
              HasSubstr("accepted: podsense_saturation"));
}

TEST(Scenario, TrafficCanBeScaled) {
  const auto scenario = read(kLeast, {{.path = "arrivals.scale", .value = "1.5"}});
  ASSERT_TRUE(scenario) << scenario.error().message;
  EXPECT_DOUBLE_EQ(scenario->arrivals.shape->due_by(4), 60);
  EXPECT_DOUBLE_EQ(scenario->arrivals.shape->moment_of(30), 2);
  EXPECT_EQ(scenario->arrivals.text, "1.5 times constant:10");
  // Of recorded moments every second one comes twice.
  const auto trace = read(
      "length: 10s\nservice: {run_cpu: 1ms}\n"
      "arrivals: {trace: t.csv, scale: 1.5}",
      {}, {{"t.csv", "time\n0\n1\n2\n3\n"}});
  ASSERT_TRUE(trace) << trace.error().message;
  EXPECT_DOUBLE_EQ(trace->arrivals.shape->due_by(5), 6);
  EXPECT_FALSE(trace->arrivals.shape->is_rate());
  EXPECT_THAT(fault(kLeast, {{.path = "arrivals.scale", .value = "0"}}),
              HasSubstr("arrivals.scale: 0 is out of range; accepted: 0.001 to 1000"));
}

TEST(Scenario, TheDocumentHasTheOverridesAndReadsTheSame) {
  const auto document = scenario_document(
      {.name = "s", .text = kLeast, .overrides = {{.path = "pod.cpu_limit", .value = "500m"}}});
  ASSERT_TRUE(document) << document.error().message;
  EXPECT_EQ(*document, R"({"arrivals":{"shape":"constant:10"},"pod":{"cpu_limit":"500m"},)"
                       R"("service":{"run_cpu":"25ms"}})");
  EXPECT_DOUBLE_EQ(read(*document)->pod.cpu_limit.value_or(0), 0.5);
  EXPECT_FALSE(scenario_document({.name = "s", .text = "a: [", .overrides = {}}));
}

TEST(Scenario, PodsFailByCountOrByShare) {
  const auto scenario =
      read(std::string(kLeast) + "faults: [{kind: kill_pods, at: 1s, share: 0.34}]");
  ASSERT_TRUE(scenario) << scenario.error().message;
  EXPECT_DOUBLE_EQ(scenario->faults.front().share, 0.34);
  EXPECT_THAT(fault_of("faults: [{kind: kill_pods, at: 1s, share: 0.5, count: 1}]"),
              HasSubstr("kill_pods has count or share, not both"));
  EXPECT_THAT(fault_of("faults: [{kind: set_replicas, at: 1s, count: 1, share: 0.5}]"),
              HasSubstr("set_replicas has no share"));
  EXPECT_THAT(fault_of("faults: [{kind: kill_pods, at: 1s}]"),
              HasSubstr("kill_pods must have count"));
}

TEST(Scenario, AnAutoscalerThatCannotBeSimulatedIsRefused) {
  const auto with = [](const std::string& metric) {
    return fault_of("hpa: {maxReplicas: 3, metrics: [" + metric + "]}");
  };
  const std::string cpu = "target: {type: Utilization, averageUtilization: 70}";
  EXPECT_THAT(with("{type: Resource, resource: {name: cpu, " + cpu + "}}"),
              HasSubstr("pod.cpu_request must be given"));
  EXPECT_THAT(with("{type: Resource, resource: {name: gpu, " + cpu + "}}"),
              HasSubstr("accepted: cpu, memory"));
  EXPECT_THAT(with("{type: ContainerResource, containerResource: {name: cpu, container: x, "
                   "target: {type: AverageValue, averageValue: 1}}}"),
              HasSubstr("accepted: podsense"));
  EXPECT_THAT(with("{type: Pods, pods: {metric: {name: rps}, "
                   "target: {type: AverageValue, averageValue: 1}}}"),
              HasSubstr("podsense_saturation, podsense_queue_depth"));
  EXPECT_THAT(with("{type: External, external: {metric: {name: s0}, "
                   "target: {type: AverageValue, averageValue: 1}}}"),
              HasSubstr("metrics.external must say"));
  EXPECT_THAT(fault_of("hpa: {maxReplicas: 0}"), HasSubstr("maxReplicas"));
  EXPECT_THAT(fault_of("hpa: {maxReplicas: 100001}"), HasSubstr("accepted: up to 100000"));
  EXPECT_THAT(fault_of("hpa: {apiVersion: autoscaling/v1, spec: {maxReplicas: 1}}"),
              HasSubstr("apiVersion must be autoscaling/v2"));
  // The default metric is CPU utilization.
  EXPECT_THAT(fault_of("hpa: {maxReplicas: 2}"), HasSubstr("pod.cpu_request must be given"));
}

TEST(Scenario, TextBehindADocumentThatIsNoneEnds) {
  for (const std::string_view text :
       {", m[i:n1 2\xff\xff: [neas:oequest, 50pu_li:it: [none, 0s\n", "{}}\n", "a: 1\n]\n",
        "\"a\" b\n", "[1] 2\n", "%\n", "- a\nb\n"}) {
    EXPECT_FALSE(read_scenario({.name = "s", .text = std::string(text), .overrides = {}}, {}))
        << text;
  }
}

TEST(Scenario, YamlThatMayGrowOrHideIsRefused) {
  EXPECT_THAT(fault("a: &x 1\nb: *x"), HasSubstr("anchors and aliases are not accepted"));
  EXPECT_THAT(fault("a: !!python/object 1"), HasSubstr("tags are not accepted"));
  EXPECT_THAT(fault("a: 1\na: 2"), HasSubstr("line 2: 'a' is given twice"));
  EXPECT_THAT(fault("a: 1\nb: x\x9a"), HasSubstr("line 2: not UTF-8"));
  EXPECT_THAT(fault("{[a]: 1}"), HasSubstr("a key must be a text"));
  EXPECT_THAT(fault(std::string(100, '[') + std::string(100, ']')), HasSubstr("too deeply"));
  EXPECT_THAT(fault("a: 1\n---\na: 2"), HasSubstr("one YAML document"));
}

}  // namespace
}  // namespace podsense::foresight
