#include "plan/prometheus.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>

namespace podsense::plan {
namespace {

constexpr std::string_view kNothing =
    R"({"status":"success","data":{"resultType":"vector","result":[]}})";

std::string vector_of(std::string_view item) {
  return R"({"status":"success","data":{"result":[)" + std::string(item) + "]}}";
}

/// Answers by what a query has in it; the first that fits.
AskPrometheus answers(std::vector<std::pair<std::string, std::string>> known) {
  return [known = std::move(known)](const std::string& path) -> Result<std::string> {
    for (const auto& [part, body] : known) {
      if (path.find(part) != std::string::npos) {
        return body;
      }
    }
    return std::string(kNothing);
  };
}

const std::string kCounts =
    vector_of(R"({"metric":{},"values":[[940,"0"],[1000,"59.6"],[1060,"120.4"]]})");
const TrafficOptions kOptions{.selector = "",
                              .model = "",
                              .range = std::chrono::minutes(3),
                              .window = std::chrono::minutes(1),
                              .now = 1060};

TEST(Prometheus, ReadsArrivalsAndClassicBuckets) {
  const auto traffic = read_traffic(
      answers(
          {{"query_range", kCounts},
           {"podsense_compute_seconds_bucket",
            vector_of(
                R"({"metric":{"le":"0.01"},"value":[1,"0"]},{"metric":{"le":"0.025"},"value":[1,"30"]},)"
                R"({"metric":{"le":"+Inf"},"value":[1,"40"]})")},
           {"podsense_compute_seconds_sum", vector_of(R"({"metric":{},"value":[1,"0.8"]})")},
           {"podsense_compute_seconds_count", vector_of(R"({"metric":{},"value":[1,"40"]})")},
           {"process_cpu_seconds_total", vector_of(R"({"metric":{},"value":[1,"1"]})")},
           {"increase%28podsense_requests_total", vector_of(R"({"metric":{},"value":[1,"40"]})")},
           {"podsense_ready", vector_of(R"({"metric":{"pod":"a"},"value":[1,"12.5"]})")}}),
      kOptions);
  ASSERT_TRUE(traffic) << traffic.error().message;
  EXPECT_EQ(traffic->counts, (std::vector<std::uint64_t>{0, 60, 120}));
  EXPECT_EQ(traffic_csv(*traffic), "minute,count\n1,0\n2,60\n3,120\n");
  ASSERT_EQ(traffic->runs.size(), 2U);
  double mean = 0;
  for (const auto& [seconds, count] : traffic->runs) {
    mean += seconds * count / 40;
  }
  EXPECT_NEAR(mean, 0.02, 1e-12);
  EXPECT_NEAR(traffic->request_cpu, 0.005, 1e-12);  // 25 ms a request, of which 20 are the run's
  EXPECT_EQ(traffic->starts, (WeightedValues{{12.5, 1}}));
  const std::string scenario = traffic_scenario(*traffic, kOptions, "t.csv");
  EXPECT_NE(scenario.find("length: 3m\narrivals: {trace: \"t.csv\", process: poisson}\n"),
            std::string::npos)
      << scenario;
  EXPECT_NE(scenario.find("request_cpu: 5ms"), std::string::npos) << scenario;
  EXPECT_NE(scenario.find("load: {values: [[12500ms, 1]]}"), std::string::npos) << scenario;
  EXPECT_NE(scenario.find("# times of runs come from fixed buckets"), std::string::npos)
      << scenario;
}

TEST(Prometheus, RunsThatWereThrottledAreCutToTheirCpuTime) {
  const auto traffic = read_traffic(
      answers(
          {{"query_range", kCounts},
           {"increase%28podsense_compute_seconds%5B",
            vector_of(
                R"({"metric":{},"histogram":[1,{"count":"40","sum":"4","buckets":[[0,"0.09","0.1","40"]]}]})")},
           {"process_cpu_seconds_total", vector_of(R"({"metric":{},"value":[1,"1"]})")},
           {"increase%28podsense_requests_total", vector_of(R"({"metric":{},"value":[1,"40"]})")}}),
      kOptions);
  ASSERT_TRUE(traffic) << traffic.error().message;
  EXPECT_NEAR(traffic->runs.front().first, 0.025, 1e-9);
  EXPECT_EQ(traffic->request_cpu, 0);
  EXPECT_NE(traffic->notes.front().find("cut to that"), std::string::npos);
}

TEST(Prometheus, PrefersNativeHistograms) {
  const auto traffic = read_traffic(
      answers(
          {{"query_range", kCounts},
           {"increase%28podsense_compute_seconds%5B",
            vector_of(
                R"({"metric":{},"histogram":[1,{"count":"4","sum":"0.1","buckets":[[0,"0.02","0.0218","3"],[0,"0.0218","0.0238","1"]]}]})")},
           {"increase%28podsense_batch_size%5B",
            vector_of(R"({"metric":{},"histogram":[1,{"count":"4","sum":"8","buckets":[]}]})")}}),
      kOptions);
  ASSERT_TRUE(traffic) << traffic.error().message;
  ASSERT_EQ(traffic->runs.size(), 2U);
  EXPECT_NEAR((traffic->runs[0].first * 3 + traffic->runs[1].first) / 4, 0.025, 1e-12);
  EXPECT_EQ(traffic->rows, 2);
  EXPECT_NE(traffic->notes.front().find("runs had 2 rows"), std::string::npos)
      << traffic->notes.front();
}

std::vector<std::pair<std::string, std::string>> known_well() {
  return {
      {"query_range", kCounts},
      {"sort_desc",
       vector_of(
           R"({"metric":{"model":"cat"},"value":[1,"150"]},{"metric":{"model":"dog"},"value":[1,"50"]})")},
      {"requests_share_runs", vector_of(R"({"metric":{},"value":[1,"1"]})")},
      {"profile_seconds",
       vector_of(
           R"({"metric":{"rows":"1"},"value":[1,"0.01"]},{"metric":{"rows":"4"},"value":[1,"0.025"]})")},
      {"increase%28podsense_compute_seconds%7Bmodel%3D%22cat%22%7D%5B",
       vector_of(
           R"({"metric":{},"histogram":[1,{"count":"10","sum":"0.3","buckets":[[0,"0.028","0.032","10"]]}]})")},
      {"increase%28podsense_batch_size",
       vector_of(R"({"metric":{},"histogram":[1,{"count":"10","sum":"20","buckets":[]}]})")},
      {"working_set", vector_of(R"({"metric":{},"value":[1,"62914560"]})")},
      {"kube_pod_created", vector_of(R"({"metric":{"pod":"a"},"value":[1,"4"]})")},
      {"podsense_ready", vector_of(R"({"metric":{"pod":"a"},"value":[1,"2"]})")}};
}

TEST(Prometheus, TakesOneModelAndItsTimesByRows) {
  TrafficOptions options = kOptions;
  options.model = "cat";
  auto traffic = read_traffic(answers(known_well()), options);
  ASSERT_TRUE(traffic) << traffic.error().message;
  EXPECT_EQ(traffic->models,
            (std::vector<std::pair<std::string, double>>{{"cat", 150}, {"dog", 50}}));
  EXPECT_EQ(traffic->memory, 62914560);
  const auto scenario = recorded_scenario(*traffic, options, std::nullopt, false);
  ASSERT_TRUE(scenario) << scenario.error().message;
  // Runs of two rows took 30 ms, where the profile has 15: its times are doubled.
  EXPECT_NE(scenario->text.find("- {rows: 1, cpu: {values: [[20ms, 10]]}}"), std::string::npos)
      << scenario->text;
  EXPECT_NE(scenario->text.find("- {rows: 4, cpu: {values: [[50ms, 10]]}}"), std::string::npos)
      << scenario->text;
  EXPECT_NE(scenario->text.find("  max_batch: 4\n"), std::string::npos);
  EXPECT_NE(scenario->text.find("pull: {values: [[4000ms, 1]]}"), std::string::npos);
  EXPECT_NE(scenario->text.find("load: {values: [[2000ms, 1]]}"), std::string::npos);
  EXPECT_NE(scenario->text.find("memory_used: 60Mi"), std::string::npos);
  const auto read = foresight::read_scenario(
      *scenario, [&](const std::string&) { return Result<std::string>(traffic_csv(*traffic)); });
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->service.runs.size(), 2U);
  EXPECT_EQ(read->pod.memory_request.milli() / 1000, std::int64_t{80} * 1024 * 1024);
}

TEST(Prometheus, AScenarioOfOnesOwnTakesThePlaceOfWhatWasRecorded) {
  TrafficOptions options = kOptions;
  options.model = "cat";
  auto traffic = read_traffic(answers(known_well()), options);
  ASSERT_TRUE(traffic) << traffic.error().message;
  const auto scenario = recorded_scenario(
      *traffic, options,
      foresight::ScenarioText{.name = "own.yaml",
                              .text = "length: 9m\narrivals: {shape: 'constant:1'}\n"
                                      "pod: {memory_request: 1Gi}\nstart: {propagation: 300ms}\n",
                              .overrides = {}},
      false);
  ASSERT_TRUE(scenario) << scenario.error().message;
  const auto read = foresight::read_scenario(
      *scenario, [&](const std::string&) { return Result<std::string>(traffic_csv(*traffic)); });
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->length, Duration(std::chrono::minutes(3)));
  EXPECT_EQ(read->pod.memory_request.milli() / 1000, std::int64_t{1} << 30);
  EXPECT_EQ(read->start.propagation.mean_seconds(), 0.3);
  EXPECT_EQ(read->start.pull.mean_seconds(), 4);
}

TEST(Prometheus, NamesWhatIsMissingForAPlan) {
  const auto fault = [](std::string_view without, std::string model, std::string own) {
    auto known = known_well();
    std::erase_if(known,
                  [&](const auto& one) { return one.first.find(without) != std::string::npos; });
    TrafficOptions options = kOptions;
    options.model = std::move(model);
    auto traffic = read_traffic(answers(std::move(known)), options);
    const auto scenario = recorded_scenario(
        *traffic, options,
        foresight::ScenarioText{.name = "own.yaml", .text = std::move(own), .overrides = {}},
        false);
    return scenario ? "" : scenario.error().message;
  };
  EXPECT_EQ(fault("nothing", "cat", "{}"), "");
  EXPECT_NE(fault("nothing", "", "{}").find("several models: cat (75 %), dog (25 %)"),
            std::string::npos);
  EXPECT_NE(fault("podsense_ready", "cat", "{}").find("how long pods take to start is not known"),
            std::string::npos);
  EXPECT_EQ(fault("podsense_ready", "cat", "start: {load: 3s}"), "");
  EXPECT_NE(fault("compute_seconds", "cat", "{}").find("service: Prometheus has no run"),
            std::string::npos);
  EXPECT_EQ(fault("compute_seconds", "cat", "service: {run_cpu: 3ms}"), "");
  EXPECT_NE(fault("nothing", "cat", "[1]"), "");
}

TEST(Prometheus, KeepsTheBusiestMinutes) {
  RecordedTraffic traffic;
  traffic.counts = {50, 60, 1, 2, 9, 70, 3, 4, 5};
  keep_busiest(traffic, std::chrono::minutes(3));
  EXPECT_EQ(traffic.counts, (std::vector<std::uint64_t>{9, 70, 3}));
  EXPECT_EQ(traffic.notes.front(),
            "traffic: the 3 minutes with the busiest one (82 of 204 requests), which began "
            "300 s before the end");
  keep_busiest(traffic, std::chrono::hours(1));
  EXPECT_EQ(traffic.counts.size(), 3U);
}

TEST(Prometheus, SaysWhyThereIsNothing) {
  const auto fault = [](std::vector<std::pair<std::string, std::string>> known,
                        std::string selector = "") {
    TrafficOptions options = kOptions;
    options.selector = std::move(selector);
    const auto traffic = read_traffic(answers(std::move(known)), options);
    return traffic ? "accepted" : traffic.error().message;
  };
  EXPECT_EQ(fault({}),
            "Prometheus has no podsense_requests_total at all: does it scrape podsense?");
  EXPECT_EQ(fault({{"query?time=1060&query=count_over_time",
                    vector_of(R"({"metric":{"namespace":"shop"},"value":[1,"5"]})")}},
                  "{namespace=\"sohp\"}"),
            "Prometheus has no podsense_requests_total{namespace=\"sohp\"}; it has "
            "podsense_requests_total "
            "with namespace=\"shop\"");
  EXPECT_NE(fault({{"count%28count_over_time", vector_of(R"({"metric":{},"value":[1,"1"]})")}})
                .find("say --window 5m"),
            std::string::npos);
  EXPECT_EQ(fault({{"query", R"({"status":"error","error":"parse error"})"}}),
            "Prometheus says: parse error");
  for (const std::string_view odd :
       {"1", "{}", R"({"values":[[1]]})", R"({"values":[["x","1"]]})", R"({"values":7})"}) {
    EXPECT_NE(fault({{"query_range", vector_of(odd)}}), "accepted") << odd;
  }
  for (const std::string_view odd :
       {R"({"histogram":[1]})", R"({"histogram":[1,{"buckets":[[0]]}]})"}) {
    EXPECT_EQ(fault({{"query_range", kCounts}, {"podsense_compute_seconds%5B", vector_of(odd)}}),
              "what answers there is no Prometheus: its results have another form")
        << odd;
  }
  EXPECT_EQ(fault({{"query", "<html>"}}),
            "what answers there is no Prometheus: its answer has no status");
}

TEST(Prometheus, AsksForLongRangesInParts) {
  std::vector<std::string> asked;
  TrafficOptions options = kOptions;
  options.range = std::chrono::hours(24 * 14);
  options.now = 2'000'000'000;
  const auto traffic = read_traffic(
      [&](const std::string& path) -> Result<std::string> {
        if (path.find("query_range") != std::string::npos) {
          asked.push_back(path);
          return vector_of(R"({"metric":{},"values":[[2000000000,"6"]]})");
        }
        return std::string(kNothing);
      },
      options);
  ASSERT_TRUE(traffic) << traffic.error().message;
  EXPECT_EQ(asked.size(), 3U);
  EXPECT_EQ(traffic->counts.size(), 20160U);
  EXPECT_EQ(traffic->counts.back(), 6U);
}

TEST(Prometheus, ReadsRanges) {
  EXPECT_EQ(*parse_range("7d"), Duration(std::chrono::hours(168)));
  EXPECT_EQ(*parse_range("30m"), Duration(std::chrono::minutes(30)));
  for (const std::string_view text :
       {"", "7", "d", "0d", "15d", "1y", "-1h", "1h30m", "99999999999999999999d"}) {
    EXPECT_FALSE(parse_range(text)) << text;
  }
}

}  // namespace
}  // namespace podsense::plan
