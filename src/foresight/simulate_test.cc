#include "foresight/simulate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <numeric>
#include <sstream>
#include <thread>

#include "foresight/vectors.h"

namespace podsense::foresight {
namespace {

using std::chrono::seconds;

Scenario scenario_of(const std::string& text) {
  auto scenario = read_scenario({.name = "s", .text = text, .overrides = {}},
                                [](const std::string& path) -> Result<std::string> {
                                  return fail(ErrorCode::kInvalidArgument, path);
                                });
  EXPECT_TRUE(scenario) << scenario.error().message;
  return std::move(scenario).value();
}

/// Mean time in the system less the service, in seconds, of independent runs; and how far its mean
/// over them may be off (four standard errors).
struct Wait {
  double mean = 0;
  double bound = 0;
};
Wait wait_of(const Scenario& scenario) {
  constexpr unsigned kRuns = 16;
  Scenario warm = scenario;
  warm.warm_up = seconds(20);
  const Simulation simulation = simulate(warm, {.runs = kRuns});
  std::vector<double> waits;
  for (const RunResult& run : simulation.runs) {
    EXPECT_EQ(run.late, run.requests() - run.latency.count_to(scenario.objective.latency));
    waits.push_back(to_seconds(run.latency.mean()) -
                    scenario.service.runs.front().cpu.mean_seconds());
  }
  const double mean = std::accumulate(waits.begin(), waits.end(), 0.0) / kRuns;
  double squares = 0;
  for (const double wait : waits) {
    squares += (wait - mean) * (wait - mean);
  }
  return {.mean = mean, .bound = 4 * std::sqrt(squares / (kRuns - 1) / kRuns)};
}

std::string queue(const std::string& run, double rate, int executors) {
  return "length: 200s\nclients: {timeout: 10m}\nobjective: {latency: 10s}\n"
         "arrivals: {shape: constant:" +
         std::to_string(rate) +
         "}\nservice: {deadline: 0, max_waiting: 1000000, executors: " + std::to_string(executors) +
         ", run_cpu: " + run + "}\n";
}

/// Of M/M/c: Erlang's C formula.
double waiting_chance(int servers, double load) {
  double term = 1;
  double sum = 1;
  for (int k = 1; k < servers; ++k) {
    term *= load / k;
    sum += term;
  }
  const double full = term * load / servers / (1 - load / servers);
  return full / (sum + full);
}

TEST(Simulate, WaitsAsInMmc) {
  for (const int servers : {1, 2, 5}) {
    for (const double use : {0.5, 0.8}) {
      const double rate = use * servers * 100;
      const Wait wait = wait_of(scenario_of(queue("{exponential: 10ms}", rate, servers)));
      const double expected = waiting_chance(servers, use * servers) / (servers * 100 - rate);
      EXPECT_NEAR(wait.mean, expected, wait.bound) << servers << " servers, load " << use;
      EXPECT_LT(wait.bound, expected / 2);
    }
  }
}

// Pollaczek and Khinchine: λ E[S²] / (2 (1 − ρ)).
TEST(Simulate, WaitsAsInMd1AndMg1) {
  for (const double use : {0.5, 0.8}) {
    const double rate = use * 100;
    const Wait fixed = wait_of(scenario_of(queue("10ms", rate, 1)));
    EXPECT_NEAR(fixed.mean, use * 0.01 / 2 / (1 - use), fixed.bound) << "M/D/1, load " << use;
    const Wait even = wait_of(scenario_of(queue("{uniform: [5ms, 15ms]}", rate, 1)));
    const double square = 0.01 * 0.01 + 0.01 * 0.01 / 12;
    EXPECT_NEAR(even.mean, rate * square / 2 / (1 - use), even.bound) << "M/G/1, load " << use;
    EXPECT_LT(even.bound, even.mean / 2);
  }
}

// Lindley's recursion over the same arrivals: not nearly, but to the nanosecond.
TEST(Simulate, AQueueOfOneServerIsLindleysRecursion) {
  const Scenario scenario = scenario_of(queue("10ms", 90, 1));
  const RunResult run = simulate(scenario, {}).runs.front();
  arrivals::Schedule schedule(
      scenario.arrivals.shape,
      {.arrivals = arrivals::ArrivalProcess::kPoisson, .seed = 1, .end = scenario.length});
  constexpr Duration kService = std::chrono::milliseconds(10);
  Duration free{};
  std::uint64_t sum = 0;
  while (const auto arrival = schedule.next()) {
    free = std::max(free, arrival->at) + kService;
    sum += static_cast<std::uint64_t>((free - arrival->at).count());
  }
  EXPECT_EQ(run.latency.sum_ns(), sum);
}

/// One overloaded pod that grows to six, with a metric of choice.
std::string growing(const std::string& metric, const std::string& more = "") {
  return R"(
name: growing
length: 90s
arrivals: {shape: "constant:16"}
clients: {timeout: 20s, retries: 2, backoff: {exponential: 1s}}
service: {run_cpu: {lognormal: {median: 25ms, sigma: 0.2}}, request_cpu: 1ms}
pod: {cpu_request: 250m, cpu_limit: 250m, memory_request: 128Mi, memory_used: 80Mi}
start: {schedule: 100ms, pull: {uniform: [1s, 2s]}, load: 1s, warm_up_cpu: 300ms, propagation: 200ms}
metrics: {resolution: 10s, scrape: 5s, external: {s0-podsense: podsense_saturation}}
controller: {sync_period: 5s, cpu_initialization_period: 10s, initial_readiness_delay: 5s}
kubernetes: 1.36
hpa:
  minReplicas: 1
  maxReplicas: 6
  metrics: [)" +
         metric + "]\n  behavior: {scaleDown: {stabilizationWindowSeconds: 10}}\n" + more;
}
constexpr const char* kCpu =
    "{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 70}}}";
constexpr const char* kContainer =
    "{type: ContainerResource, containerResource: {name: cpu, container: podsense, target: {type: "
    "Utilization, averageUtilization: 70}}}";
constexpr const char* kSaturation =
    "{type: Pods, pods: {metric: {name: podsense_saturation}, target: {type: AverageValue, "
    "averageValue: 700m}}}";
constexpr const char* kQueue =
    "{type: Pods, pods: {metric: {name: podsense_queue_depth}, target: {type: AverageValue, "
    "averageValue: 2}}}";
constexpr const char* kExternal =
    "{type: External, external: {metric: {name: s0-podsense}, target: {type: AverageValue, "
    "averageValue: 700m}}}";
constexpr const char* kFaults = R"(
faults:
  - {kind: kill_pods, at: 30s, count: 2}
  - {kind: slow, at: 35s, length: 10s, factor: 3}
  - {kind: no_resource_metrics, at: 40s, length: 15s}
  - {kind: no_custom_metrics, at: 40s, length: 15s}
  - {kind: no_external_metrics, at: 40s, length: 15s}
  - {kind: no_scrapes, at: 50s, length: 10s}
  - {kind: controller_restart, at: 52s}
  - {kind: set_replicas, at: 61s, count: 2}
)";

TEST(Simulate, EveryRequestHasOneEnding) {
  for (const char* const routing : {"random", "connection", "round_robin", "least_request"}) {
    for (const char* const faults : {"", kFaults}) {
      Scenario scenario =
          scenario_of(growing(kSaturation, faults) + "routing: " + routing + "\ncapacity: 5\n");
      scenario.clients.connections = 8;
      const Simulation simulation = simulate(scenario, {.runs = 5});
      for (const RunResult& run : simulation.runs) {
        arrivals::Schedule due(
            scenario.arrivals.shape,
            {.arrivals = scenario.arrivals.process, .seed = run.seed, .end = scenario.length});
        EXPECT_EQ(run.requests(), due.remaining());
        EXPECT_EQ(run.latency.count(),
                  run.endings[static_cast<std::size_t>(RequestEnding::kAnswered)]);
        EXPECT_GE(run.attempts, run.requests());
        Endings sum{};
        for (const Slice& slice : run.slices) {
          for (std::size_t i = 0; i < sum.size(); ++i) {
            sum[i] += slice.endings[i];
          }
        }
        sum[static_cast<std::size_t>(RequestEnding::kUnfinished)] =
            run.endings[static_cast<std::size_t>(RequestEnding::kUnfinished)];
        EXPECT_EQ(sum, run.endings);
      }
    }
  }
}

TEST(Simulate, KeepsRunTimesStartUpsAndTheAgeOfSignals) {
  Scenario scenario = scenario_of(growing(kSaturation));
  scenario.start.extra = seconds(2);
  const Simulation simulation = simulate(scenario, {.runs = 4});
  for (const RunResult& run : simulation.runs) {
    EXPECT_GT(run.run_time.count(), run.requests() / 2);
    EXPECT_GE(run.run_time.min(), std::chrono::milliseconds(9));
    ASSERT_GT(run.start_up.count(), 0U);
    EXPECT_GE(run.start_up.min(), seconds(4));
    EXPECT_GE(run.signal_age.count(), run.decisions.size());
    EXPECT_LE(run.signal_age.max(), std::chrono::milliseconds(61'000));
  }
}

TEST(Simulate, AShareOfPodsFailsTogether) {
  const Scenario scenario = scenario_of(
      "length: 20s\narrivals: {shape: constant:1}\nservice: {run_cpu: 10ms}\nreplicas: 6\n"
      "start: {load: 5s}\nfaults: [{kind: kill_pods, at: 10s, share: 0.34}]\n");
  const RunResult run = simulate(scenario, {}).runs.front();
  EXPECT_EQ(run.slices[8].ready, 6);
  EXPECT_EQ(run.slices[11].ready, 3);
  EXPECT_EQ(run.slices[19].ready, 6);
}

TEST(Simulate, UsesTheCpuThatRequestsNeed) {
  const Scenario scenario = scenario_of(
      "length: 100s\narrivals: {shape: constant:20}\n"
      "service: {run_cpu: 10ms, request_cpu: 2ms}\npod: {cpu_limit: 1}\nreplicas: 3\n");
  const RunResult run = simulate(scenario, {}).runs.front();
  ASSERT_EQ(run.late, 0U);
  EXPECT_NEAR(run.cpu_seconds, static_cast<double>(run.requests()) * 0.012, 1e-6);
  EXPECT_NEAR(run.pod_seconds, 300, 1e-6);
}

TEST(Simulate, TheSameSeedGivesTheSameBytesOnAnyNumberOfThreads) {
  const Scenario scenario = scenario_of(growing(kSaturation, kFaults));
  const auto bytes = [&](unsigned threads) {
    const Simulation simulation =
        simulate(scenario, {.runs = 6, .threads = threads, .explain = true, .dump_hpa = true});
    std::string all = simulation_json(scenario, simulation) + simulation_text(scenario, simulation);
    for (const RunResult& run : simulation.runs) {
      all += run.hpa_case;
    }
    return all;
  };
  const std::string first = bytes(1);
  EXPECT_GT(first.size(), 10'000U);
  for (const unsigned threads : {1U, 2U, 4U, 7U}) {
    EXPECT_TRUE(bytes(threads) == first) << threads << " threads";
  }
}

TEST(Simulate, AnotherSeedGivesAnotherRun) {
  const Simulation simulation = simulate(scenario_of(growing(kCpu)), {.runs = 2});
  EXPECT_NE(simulation.runs[0].latency.sum_ns(), simulation.runs[1].latency.sum_ns());
}

/// What `podsense simulate hpa --vectors` answers to the looks of a run.
std::vector<std::pair<int, int>> replayed(const RunResult& run) {
  std::istringstream in(run.hpa_case);
  std::ostringstream out;
  const auto done = replay_lines(in, "dump", {}, out);
  EXPECT_TRUE(done) << done.error().message;
  std::vector<std::pair<int, int>> decisions;
  std::istringstream lines(out.str());
  for (std::string line; std::getline(lines, line);) {
    const auto answer = nlohmann::json::parse(line);
    decisions.emplace_back(answer["current"], answer["desired"]);
  }
  return decisions;
}

TEST(Simulate, EveryDecisionIsThatOfTheVectors) {
  std::size_t rescales = 0;
  for (const char* const metric : {kCpu, kContainer, kSaturation, kQueue, kExternal}) {
    for (const std::string kubelet : {"cri", "cadvisor"}) {
      Scenario scenario = scenario_of(growing(metric, kFaults));
      scenario.metrics.kubelet = kubelet == "cri" ? KubeletStats::kCri : KubeletStats::kCadvisor;
      const Simulation simulation = simulate(scenario, {.runs = 4, .dump_hpa = true});
      for (const RunResult& run : simulation.runs) {
        std::vector<std::pair<int, int>> decisions;
        for (const Decision& one : run.decisions) {
          decisions.emplace_back(one.current, one.desired);
          rescales += one.rescaled ? 1 : 0;
        }
        EXPECT_EQ(replayed(run), decisions) << metric << ", seed " << run.seed;
      }
    }
  }
  EXPECT_GT(rescales, 50U);
}

TEST(Simulate, MissingMetricsLeaveThePodsAsTheyAre) {
  const Scenario scenario =
      scenario_of(growing(kCpu, "faults: [{kind: no_resource_metrics, at: 0s, length: 90s}]\n"));
  const RunResult run = simulate(scenario, {}).runs.front();
  ASSERT_FALSE(run.decisions.empty());
  for (const Decision& one : run.decisions) {
    EXPECT_EQ(one.desired, 1);
    EXPECT_THAT(one.error, testing::Not(testing::IsEmpty()));
  }
  EXPECT_EQ(run.most_pods, 1);
}

TEST(Simulate, APodIsReadyAfterItsStages) {
  const Scenario scenario = scenario_of(
      "length: 30s\narrivals: {shape: constant:1}\nservice: {run_cpu: 1ms}\n"
      "pod: {cpu_limit: 100m}\n"
      "start: {schedule: 500ms, pull: 2s, load: 3s, warm_up_cpu: 40ms, probe_period: 250ms}\n"
      "faults: [{kind: set_replicas, at: 10s, count: 2}]\n");
  const RunResult run = simulate(scenario, {}).runs.front();
  ASSERT_TRUE(run.second_ready);
  // 0.5 + 2 + 3 s; then 40 ms of CPU at 10 ms a period take 210 to 310 ms; then the next probe.
  EXPECT_GE(*run.second_ready, std::chrono::milliseconds(15'750));
  EXPECT_LE(*run.second_ready, std::chrono::milliseconds(16'000));
}

TEST(Simulate, DrainingPodsAnswerWhatTheyHaveTaken) {
  const Scenario scenario = scenario_of(
      "length: 60s\narrivals: {shape: constant:100}\nreplicas: 4\n"
      "service: {run_cpu: 5ms, executors: 1}\nstart: {propagation: 1s}\n"
      "stop: {drain_delay: 5s}\nfaults: [{kind: set_replicas, at: 20s, count: 2}]\n");
  const RunResult run = simulate(scenario, {}).runs.front();
  EXPECT_EQ(run.requests(), run.latency.count());
  EXPECT_EQ(run.slices.back().pods, 2);
  EXPECT_EQ(run.slices.back().draining, 0);
  EXPECT_EQ(run.slices[22].draining, 2);
}

// Where the listener closes before proxies know, requests break: that is what the delay is for.
TEST(Simulate, WithoutADrainDelayRequestsBreak) {
  const Scenario scenario = scenario_of(
      "length: 60s\narrivals: {shape: constant:100}\nreplicas: 4\n"
      "service: {run_cpu: 5ms, executors: 1}\nstart: {propagation: 1s}\n"
      "stop: {drain_delay: 0}\nfaults: [{kind: set_replicas, at: 20s, count: 2}]\n");
  const RunResult run = simulate(scenario, {}).runs.front();
  EXPECT_GT(run.endings[static_cast<std::size_t>(RequestEnding::kBroken)], 20U);
}

// cilium#12551 and others: kept connections stay where they are, and new pods idle.
TEST(Simulate, KeptConnectionsLeaveNewPodsIdle) {
  const auto late = [](const std::string& routing) {
    const Scenario scenario = scenario_of(
        "length: 60s\narrivals: {shape: constant:60}\nservice: {run_cpu: 25ms, executors: 1}\n"
        "clients: {connections: 20}\nfaults: [{kind: set_replicas, at: 5s, count: 4}]\nrouting: " +
        routing + "\n");
    return simulate(scenario, {}).runs.front().late;
  };
  EXPECT_GT(late("connection"), 5 * late("random"));
  EXPECT_LE(late("least_request"), late("random"));
}

TEST(Simulate, BatchesCarryMoreThanRunsOfOne) {
  const auto late = [](int rows) {
    const Scenario scenario = scenario_of(
        "length: 60s\narrivals: {shape: constant:150}\nreplicas: 1\n"
        "service: {executors: 1, max_batch: " +
        std::to_string(rows) + ", run_cpu: [{rows: 1, cpu: 10ms}, {rows: 8, cpu: 24ms}]}\n");
    return simulate(scenario, {}).runs.front().late;
  };
  EXPECT_GT(late(1), 1000U);
  EXPECT_EQ(late(8), 0U);
}

TEST(Simulate, PodsBeyondTheNodesStayPending) {
  const Scenario scenario = scenario_of(
      "length: 30s\narrivals: {shape: constant:1}\nservice: {run_cpu: 1ms}\ncapacity: 3\n"
      "faults: [{kind: set_replicas, at: 5s, count: 6}]\n");
  const RunResult run = simulate(scenario, {}).runs.front();
  EXPECT_EQ(run.slices.back().pods, 6);
  EXPECT_EQ(run.slices.back().ready, 3);
}

TEST(Simulate, StoppingEndsRunsUnderWay) {
  // Days of virtual time: it would take minutes.
  const Scenario scenario = scenario_of(
      "length: 300h\narrivals: {shape: constant:20000}\nservice: {run_cpu: 1ms}\nreplicas: 20\n");
  std::atomic<bool> stop = true;
  EXPECT_TRUE(simulate(scenario, {.runs = 3, .threads = 3, .stop = &stop}).runs.empty());
  stop = false;
  const std::jthread later([&] { stop = true; });
  EXPECT_TRUE(simulate(scenario, {.runs = 3, .threads = 3, .stop = &stop}).runs.empty());
}

/// Ten pods that grow and shrink with the load.
std::string crowd(const std::string& metric, const std::string& more) {
  return R"(
length: 400s
arrivals: {shape: "steps:400,800,600,300"}
service: {run_cpu: {lognormal: {median: 12ms, sigma: 0.4}}, request_cpu: 1ms, executors: 1}
pod: {cpu_request: 500m, cpu_limit: 1}
replicas: 10
start: {schedule: 100ms, pull: {uniform: [1s, 2s]}, load: 1s, warm_up_cpu: 300ms, propagation: 200ms}
metrics: {resolution: 10s, scrape: 5s, external: {s0-podsense: podsense_saturation}}
hpa:
  minReplicas: 4
  maxReplicas: 40
  metrics: [)" +
         metric + "]\n  behavior: {scaleDown: {stabilizationWindowSeconds: 60}}\n" + more;
}
constexpr const char* kCpuOfCrowd =
    "{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 120}}}";

/// Means over runs of what all pods and a sample of them say.
double mean_of(const Simulation& simulation, double (*figure)(const RunResult&)) {
  double sum = 0;
  for (const RunResult& run : simulation.runs) {
    sum += figure(run);
  }
  return sum / static_cast<double>(simulation.runs.size());
}
double late_share(const RunResult& run) {
  return static_cast<double>(run.late) / static_cast<double>(run.requests());
}

TEST(Simulate, ASampleOfThePodsSaysWhatAllSay) {
  for (const char* const metric : {kCpuOfCrowd, kSaturation, kExternal}) {
    const Simulation all = simulate(scenario_of(crowd(metric, "")), {.runs = 6});
    const Simulation part = simulate(scenario_of(crowd(metric, "sample_pods: 10\n")), {.runs = 6});
    const auto close = [&](double (*figure)(const RunResult&), double share, const char* what) {
      const double whole = mean_of(all, figure);
      EXPECT_NEAR(mean_of(part, figure), whole, whole * share) << what << ", " << metric;
    };
    close([](const RunResult& run) { return static_cast<double>(run.requests()); }, 0.02,
          "requests");
    close([](const RunResult& run) { return static_cast<double>(run.attempts); }, 0.02, "attempts");
    close([](const RunResult& run) { return run.pod_seconds; }, 0.06, "pod-seconds");
    close([](const RunResult& run) { return run.cpu_seconds; }, 0.03, "CPU-seconds");
    close([](const RunResult& run) { return run.dispersion; }, 0.25, "dispersion");
    close([](const RunResult& run) { return to_seconds(run.latency.quantile(0.5)); }, 0.1, "p50");
    EXPECT_NEAR(mean_of(part, late_share), mean_of(all, late_share), 0.03) << metric;
  }
}

TEST(Simulate, ASampleIsAsLargeAsThePodsItStandsFor) {
  const std::string pods =
      "length: 60s\narrivals: {shape: constant:400}\nreplicas: 40\nsample_pods: 10\n"
      "service: {run_cpu: 5ms, executors: 1}\nstart: {pull: 1s}\nstop: {drain_delay: 2s}\n"
      "faults: [{kind: set_replicas, at: 10s, count: 20}, {kind: set_replicas, at: 30s, count: 80},"
      " {kind: set_replicas, at: 45s, count: 1}]\n";
  const Simulation simulation = simulate(scenario_of(pods), {.pod_loads = true});
  const RunResult& run = simulation.runs.front();
  // Of 80 pods 10 serve. Until they are ready the others are simulated, too.
  for (const auto& [second, all, sampled] :
       {std::tuple(5, 40, 5U), {20, 20, 3U}, {40, 80, 10U}, {55, 1, 1U}}) {
    EXPECT_EQ(run.slices[static_cast<std::size_t>(second)].pods, all);
    EXPECT_EQ(run.slices[static_cast<std::size_t>(second)].loads.size(), sampled) << second;
  }
  EXPECT_NEAR(run.pod_seconds, 40 * 10 + 20 * 2 + 20 * 20 + 80 * 15 + 79 * 2 + 15, 2);
  EXPECT_EQ(run.endings[static_cast<std::size_t>(RequestEnding::kBroken)], 0U);
  EXPECT_NEAR(static_cast<double>(run.requests()), 400 * 60, 1500);
  EXPECT_THAT(simulation_text(scenario_of(pods), simulation),
              testing::HasSubstr("note: of each 80 pods 10 serve (sample_pods)"));
}

TEST(Simulate, ASampleSurvivesTheLossOfItsPods) {
  const Scenario scenario = scenario_of(
      "length: 60s\narrivals: {shape: constant:400}\nreplicas: 40\nsample_pods: 1\n"
      "service: {run_cpu: 5ms, executors: 1}\nstart: {pull: 100s}\n"
      "faults: [{kind: kill_pods, at: 10s, count: 30}]\n");
  const Simulation simulation = simulate(scenario, {.runs = 8});
  for (const RunResult& run : simulation.runs) {
    EXPECT_GT(run.slices[50].endings[static_cast<std::size_t>(RequestEnding::kAnswered)], 200U);
  }
}

TEST(Simulate, ASampleGivesTheSameBytesOnAnyNumberOfThreads) {
  const Scenario scenario =
      scenario_of(growing(kExternal, kFaults) + "sample_pods: 3\nrouting: connection\n");
  const auto bytes = [&](unsigned threads) {
    const Simulation simulation =
        simulate(scenario, {.runs = 6, .threads = threads, .explain = true, .dump_hpa = true});
    std::string all = simulation_json(scenario, simulation) + simulation_text(scenario, simulation);
    for (const RunResult& run : simulation.runs) {
      all += run.hpa_case;
      EXPECT_FALSE(replayed(run).empty());
    }
    return all;
  };
  const std::string first = bytes(1);
  EXPECT_THAT(first, testing::HasSubstr("\"sample_pods\": 3"));
  EXPECT_TRUE(bytes(4) == first);
}

TEST(Simulate, BandsAreValuesOfRuns) {
  std::vector<double> values(100);
  std::iota(values.begin(), values.end(), 1);
  const Band band = band_of(values);
  EXPECT_EQ(band.low, 5);
  EXPECT_EQ(band.median, 50);
  EXPECT_EQ(band.high, 95);
}

}  // namespace
}  // namespace podsense::foresight
