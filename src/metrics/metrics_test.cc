#include "metrics/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace podsense::metrics {
namespace {

using std::chrono::milliseconds;
using testing::HasSubstr;
using testing::Not;

TEST(Metrics, ExposesOutcomesByModelAndCode) {
  Registry registry;
  const auto model = registry.for_model("m", "1");
  model->ok(Protocol::kHttp, milliseconds(4));
  model->failed(Protocol::kGrpc, ErrorCode::kOverloaded);
  registry.unrouted(Protocol::kHttp, ErrorCode::kNotFound);
  const std::string text = registry.expose();
  EXPECT_THAT(
      text,
      HasSubstr(R"(podsense_requests_total{code="OK",model="m",protocol="http",version="1"} 1)"));
  EXPECT_THAT(text, HasSubstr(R"(code="OVERLOADED",model="m",protocol="grpc",version="1"} 1)"));
  EXPECT_THAT(text, HasSubstr(R"(code="NOT_FOUND",model="",protocol="http",version=""} 1)"));
  EXPECT_THAT(text,
              HasSubstr(R"(podsense_request_seconds_bucket{model="m",version="1",le="0.005"} 1)"));
}

TEST(Metrics, GaugesAreAskedAtEachScrapeAndEndWithTheirHandle) {
  Registry registry;
  double value = 1;
  auto handle =
      registry.gauge("podsense_queue_depth", "h", {{"model", "m"}}, [&] { return value; });
  value = 7;
  EXPECT_THAT(registry.expose(), HasSubstr(R"(podsense_queue_depth{model="m"} 7)"));
  handle.reset();
  EXPECT_THAT(registry.expose(), Not(HasSubstr("podsense_queue_depth")));
}

TEST(Metrics, TheSameVersionKeepsItsHandles) {
  Registry registry;
  EXPECT_EQ(registry.for_model("m", "1"), registry.for_model("m", "1"));
  EXPECT_NE(registry.for_model("m", "1"), registry.for_model("m", "2"));
}

TEST(Metrics, TotalsCountFailuresAndSuccessesOfAllModels) {
  Registry registry;
  registry.for_model("a", "1")->ok(Protocol::kHttp, milliseconds(1));
  registry.for_model("b", "1")->ok(Protocol::kHttp, milliseconds(100));
  registry.for_model("b", "1")->failed(Protocol::kHttp, ErrorCode::kInternal);
  registry.unrouted(Protocol::kHttp, ErrorCode::kNotFound);
  const auto totals = registry.totals();
  EXPECT_EQ(totals.requests, 4U);
  EXPECT_EQ(totals.failed, 2U);
  EXPECT_EQ(totals.latency.total(), 2U);
}

TEST(LatencyBuckets, QuantilesInterpolateAndDifferencesForgetThePast) {
  const LatencyBuckets early{.bounds = {1, 2, 4}, .counts = {0, 10, 0, 0}};
  const LatencyBuckets late{.bounds = {1, 2, 4}, .counts = {0, 10, 10, 0}};
  EXPECT_DOUBLE_EQ(early.quantile(0.5), 1.5);
  EXPECT_DOUBLE_EQ(late.since(early).quantile(0.5), 3.0);
  EXPECT_DOUBLE_EQ((LatencyBuckets{.bounds = {1, 2, 4}, .counts = {0, 0, 0, 3}}).quantile(0.9), 4);
  EXPECT_DOUBLE_EQ((LatencyBuckets{.bounds = {1}, .counts = {0, 0}}).quantile(0.9), 0);
}

}  // namespace
}  // namespace podsense::metrics
