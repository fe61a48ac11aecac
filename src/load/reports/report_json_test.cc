// Reports as files: written, read, merged.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "load/measuring/results_testing.h"
#include "load/reports/report.h"

namespace podsense::load {
namespace {

using ::testing::HasSubstr;

LoadReport report_with(std::uint64_t ok, Duration latency) {
  LoadReport report{.circumstances = {.tool = "t",
                                      .url = "http://h/",
                                      .method = "GET",
                                      .shape = "constant:1",
                                      .arrivals = "even",
                                      .started_at = "x"},
                    .results = results_with(ok, 3, latency)};
  report.results.slices.resize(2);
  report.results.slices[1].offered = ok;
  report.results.slices[1].latency.record(latency);
  report.results.samples["503"] = "busy";
  report.results.errors[2] = 4;
  return report;
}

TEST(Report, ComesBackFromJson) {
  const LoadReport report = report_with(100, std::chrono::milliseconds(20));
  const std::string json = json_report(report);
  const auto read = read_load_report(json);
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(json_report(*read), json);
}

TEST(Report, MergesExactly) {
  const auto merged = merge_reports({report_with(100, std::chrono::milliseconds(20)),
                                     report_with(50, std::chrono::milliseconds(90))});
  ASSERT_TRUE(merged);
  EXPECT_EQ(merged->results.counts.ok, 150U);
  EXPECT_EQ(merged->results.latency.count(), 150U);
  EXPECT_LT(merged->results.latency.at_rank(100), Duration(std::chrono::milliseconds(21)));
  EXPECT_EQ(merged->results.latency.at_rank(101), Duration(std::chrono::milliseconds(90)));
  EXPECT_EQ(merged->results.latency.max(), Duration(std::chrono::milliseconds(90)));
  EXPECT_EQ(merged->results.slices[1].offered, 150U);
  EXPECT_EQ(merged->circumstances.generators, 2U);
}

TEST(Report, RefusesFilesThatAreNone) {
  for (const char* text :
       {"", "[]", "{}", R"({"format": "podsense.load/1"})", R"({"format": 5})"}) {
    EXPECT_FALSE(read_load_report(text)) << text;
  }
}

TEST(Report, RefusesNumbersThatDoNotFitTheirPlace) {
  const std::string json = json_report(report_with(100, std::chrono::milliseconds(20)));
  for (const char* name : {"ok", "connections", "bytes_sent", "unit_bits", "sum_ns", "generators",
                           "slice_seconds", "measured_seconds", "timeout_seconds"}) {
    for (const char* value : {"1.16e90", "-1e300", "true", "\"1\"", "null"}) {
      std::string broken = json;
      const std::string key = "\"" + std::string(name) + "\":";
      ASSERT_NE(broken.find(key), std::string::npos) << name;
      const std::size_t at = broken.find(key) + key.size();
      broken.replace(at, broken.find_first_of(",}", at) - at, value);
      EXPECT_FALSE(read_load_report(broken)) << name << ": " << value;
    }
  }
}

TEST(Report, TellsFirstThatTheRateWasNotApplied) {
  LoadReport report = report_with(10, std::chrono::milliseconds(1));
  report.results.counts.dropped = 5;
  report.results.counts.planned += 5;
  EXPECT_TRUE(text_report(report).starts_with("RATE NOT APPLIED: 5 of 18"));
  EXPECT_THAT(json_report(report), HasSubstr(R"("rate_applied":false)"));
}

}  // namespace
}  // namespace podsense::load
