#include "plan/measure.h"

#include <gtest/gtest.h>

#include <chrono>
#include <cmath>

#include "base/protobuf_wire.h"

namespace podsense::plan {
namespace {

using std::chrono::milliseconds;

WireMessage label(std::string_view name, std::string_view value) {
  WireMessage out;
  out.bytes(1, name);
  out.bytes(2, value);
  return out;
}

/// Schema 3, one span: these buckets from `first` on.
std::string family(std::string_view name, int first, const std::vector<std::int64_t>& deltas,
                   std::uint64_t count, double sum) {
  WireMessage span;
  span.signed_number(1, first);
  span.number(2, deltas.size());
  WireMessage histogram;
  histogram.number(1, count);
  histogram.real(2, sum);
  histogram.signed_number(5, 3);
  histogram.real(6, 1e-128);
  histogram.message(12, span);
  histogram.packed_signed(13, deltas);
  WireMessage metric;
  metric.message(1, label("model", "m"));
  metric.message(7, histogram);
  WireMessage out;
  out.bytes(1, name);
  out.message(4, metric);
  std::string delimited;
  WireMessage::append_varint(delimited, out.encoded().size());
  return delimited + out.encoded();
}

ServerReading state(std::string_view bytes, Duration ran, Duration waited) {
  auto metrics = parse_protobuf_metrics(bytes);
  EXPECT_TRUE(metrics) << metrics.error().message;
  return {.metrics = metrics.value_or(std::vector<MetricPoint>()), .ran = ran, .waited = waited};
}

// 2^(-43/8) s = 24 ms: index -42 holds 24.1 ms to 26.3 ms.
constexpr int kBucket = -42;

/// 100 runs of one row and 25 ms, of 2.6 s of CPU time in all.
Measured runs(Duration waited = {}) {
  Measured out;
  out.before = state(family("podsense_compute_seconds", kBucket, {10}, 10, 0.25), {}, {});
  out.after = state(family("podsense_compute_seconds", kBucket, {110}, 110, 2.75) +
                        family("podsense_batch_size", 0, {110}, 110, 110),
                    milliseconds(2600), waited);
  for (int i = 0; i < 100; ++i) {
    out.service.record(milliseconds(28));
  }
  return out;
}

TEST(NativeMetrics, ReadsWhatAServerWrites) {
  const auto metrics = parse_protobuf_metrics(family("a", -5, {3, -1, 0, 5}, 14, 1.5));
  ASSERT_TRUE(metrics);
  ASSERT_EQ(metrics->size(), 1U);
  const MetricPoint& point = metrics->front();
  EXPECT_EQ(point.name, "a");
  EXPECT_EQ(point.labels.at("model"), "m");
  EXPECT_EQ(point.histogram.buckets,
            (std::map<int, std::uint64_t>{{-5, 3}, {-4, 2}, {-3, 2}, {-2, 7}}));
  EXPECT_EQ(point.histogram.sum, 1.5);
  for (const std::string_view bad : {"\x05xx", "<html>", "\x02\x0a\x7f"}) {
    EXPECT_FALSE(parse_protobuf_metrics(bad)) << bad;
  }
}

TEST(NativeMetrics, DifferencesOfTwoSchemasAreOfTheCoarser) {
  NativeHistogram before{.schema = 2, .count = 3, .sum = 3, .buckets = {{1, 3}}};
  NativeHistogram after{.schema = 3, .count = 8, .sum = 9, .buckets = {{1, 2}, {2, 2}, {3, 4}}};
  const NativeHistogram since = after.since(before);
  EXPECT_EQ(since.schema, 2);
  EXPECT_EQ(since.count, 5U);
  EXPECT_EQ(since.buckets, (std::map<int, std::uint64_t>{{1, 1}, {2, 4}}));
  after.add(before);
  EXPECT_EQ(after.schema, 2);
  EXPECT_EQ(after.buckets, (std::map<int, std::uint64_t>{{1, 7}, {2, 4}}));
}

TEST(Measure, RunsHaveTheMeanThatSumsGiveExactly) {
  const auto run = run_of(runs(), "m", 1);
  ASSERT_TRUE(run) << run.error().message;
  EXPECT_EQ(run->wall.count(), 100U);
  EXPECT_NEAR(to_seconds(run->wall.mean()), 0.025, 1e-6);
  EXPECT_NEAR(to_seconds(run->cpu.mean()), 0.025, 1e-6);
  MeasuredProfile profile{.model = "m"};
  add_request(runs(), *run, profile);
  EXPECT_NEAR(to_seconds(profile.request_cpu.mean()), 0.001,
              1e-5);  // 26 ms a request, less the run
  EXPECT_NEAR(to_seconds(profile.rest.mean()), 0.003, 1e-4);
}

TEST(Measure, WaitsForACoreAreNoCpuTime) {
  // 2.6 s on a core, as long again waiting for one.
  const auto run = run_of(runs(milliseconds(2600)), "m", 1);
  ASSERT_TRUE(run);
  EXPECT_NEAR(run->stretch, 2, 1e-9);
  EXPECT_NEAR(to_seconds(run->wall.mean()), 0.025, 1e-6);
  // All runs took 25 ms: what waited was not the run.
  EXPECT_NEAR(to_seconds(run->cpu.mean()), 0.025, 1e-6);
  Measured uneven = runs(milliseconds(2600));
  uneven.after =
      state(family("podsense_compute_seconds", kBucket, {60, -50, 0, 0, 0, 0, 0, 40}, 120, 4.25),
            milliseconds(2600), milliseconds(2600));
  const auto disturbed = run_of(uneven, "m", 1);
  ASSERT_TRUE(disturbed);
  EXPECT_NEAR(disturbed->stretch, 2, 1e-9);
  EXPECT_LT(disturbed->cpu.mean(), disturbed->wall.mean());
}

TEST(Measure, RunsOfOtherRowsAreRefused) {
  Measured measured = runs();
  measured.rows = 4;
  const auto run = run_of(measured, "m", 1);
  ASSERT_FALSE(run);
  EXPECT_NE(run.error().message.find("runs had 1 rows on average, not 4"), std::string::npos)
      << run.error().message;
  EXPECT_FALSE(run_of(runs(), "another", 1));
}

TEST(Measure, SaysHowFarItCanBeTrusted) {
  MeasuredProfile profile{.model = "m"};
  profile.runs.push_back(*run_of(runs(), "m", 1));
  ASSERT_EQ(cautions_of(profile).size(), 1U);
  EXPECT_NE(cautions_of(profile)[0].find("only 100 runs"), std::string::npos);
  profile.calm.other_cores = 1.5;
  profile.threads = 4;
  profile.contention = 1.6;
  EXPECT_EQ(cautions_of(profile).size(), 4U);
  EXPECT_NE(cautions_of(profile)[0].find("busy machine: others use 1.5"), std::string::npos);
  EXPECT_EQ(busy_text({.other_cores = 0.05, .waited_share = 0.01}), "");
  EXPECT_NE(busy_text({.waited_share = 0.2}), "");
  EXPECT_NE(busy_text({.machine_cores = 2, .other_cores = 0.15}), "");
  EXPECT_EQ(busy_text({.machine_cores = 64, .other_cores = 3}), "");
  EXPECT_NE(profile_json(profile).find("\"is_calm\": false"), std::string::npos);
}

}  // namespace
}  // namespace podsense::plan
