#include "metrics/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <set>

#include "metrics/descriptions.h"

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
  auto handle = registry.watch("podsense_queue_depth", {{"model", "m"}}, [&] { return value; });
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

TEST(Metrics, TheObjectiveIsABucketAndWhatMissesItCounts) {
  Registry registry({.latency_objective = milliseconds(120)});
  const auto model = registry.for_model("m", "1");
  model->ok(Protocol::kHttp, milliseconds(120));
  model->ok(Protocol::kHttp, milliseconds(121));
  const std::string text = registry.expose();
  EXPECT_THAT(text,
              HasSubstr(R"(podsense_request_seconds_bucket{model="m",version="1",le="0.12"} 1)"));
  EXPECT_THAT(
      text,
      HasSubstr(R"(podsense_slow_requests_total{model="m",outcome="answered",version="1"} 1)"));
}

TEST(Metrics, WhoGivesUpAfterTheObjectiveIsSlowAndWhoGivesUpBeforeIsNot) {
  Registry registry({.latency_objective = milliseconds(120)});
  const auto model = registry.for_model("m", "1");
  model->failed(Protocol::kHttp, ErrorCode::kCancelled, milliseconds(120));
  model->failed(Protocol::kHttp, ErrorCode::kCancelled, milliseconds(121));
  model->failed(Protocol::kGrpc, ErrorCode::kCancelled, milliseconds(500));
  model->failed(Protocol::kGrpc, ErrorCode::kDeadlineExceeded, milliseconds(500));
  model->failed(Protocol::kGrpc, ErrorCode::kOverloaded, milliseconds(500));
  const std::string text = registry.expose();
  EXPECT_THAT(text,
              HasSubstr(R"(_slow_requests_total{model="m",outcome="answered",version="1"} 0)"));
  EXPECT_THAT(text,
              HasSubstr(R"(_slow_requests_total{model="m",outcome="abandoned",version="1"} 2)"));
  EXPECT_THAT(text,
              HasSubstr(R"(_slow_requests_total{model="m",outcome="expired",version="1"} 1)"));
}

TEST(Metrics, WhatTheObjectivesCountBeginsAtZero) {
  // `rate` sees nothing of the first value of a series.
  Registry registry;
  const auto model = registry.for_model("m", "1");
  const std::string text = registry.expose();
  for (const char* protocol : {"http", "grpc"}) {
    for (const char* code :
         {"OK", "INTERNAL", "OVERLOADED", "UNAVAILABLE", "DEADLINE_EXCEEDED", "CANCELLED"}) {
      EXPECT_THAT(text, HasSubstr(std::string("podsense_requests_total{code=\"") + code +
                                  R"(",model="m",protocol=")" + protocol + R"(",version="1"} 0)"));
    }
    // Requests that reached no model can fail too: for want of memory, or of the model itself.
    EXPECT_THAT(text, HasSubstr(std::string(R"({code="UNAVAILABLE",model="",protocol=")") +
                                protocol + R"(",version=""} 0)"));
    EXPECT_THAT(text, Not(HasSubstr(R"({code="OK",model="")")));
  }
  EXPECT_THAT(text, HasSubstr(R"(podsense_connections_refused_total{reason="memory"} 0)"));
}

TEST(Metrics, SeriesOfAVersionEndWithItsLastHandleAndItsRequestsStayCounted) {
  Registry registry;
  auto gone = registry.for_model("m", "1");
  const auto stays = registry.for_model("m", "2");
  gone->ok(Protocol::kHttp, milliseconds(1));
  gone->failed(Protocol::kHttp, ErrorCode::kInvalidArgument);
  stays->ok(Protocol::kHttp, milliseconds(1));
  ASSERT_THAT(registry.expose(), HasSubstr(R"(version="1")"));
  gone.reset();
  EXPECT_THAT(registry.expose(), HasSubstr(R"(version="1")"));
  for (const Exposition form : {Exposition::kPrometheusText, Exposition::kOpenMetrics}) {
    const std::string text = registry.expose(form);
    EXPECT_THAT(text, Not(HasSubstr(R"(version="1")")));
    EXPECT_THAT(text, HasSubstr(R"(version="2")"));
  }
  EXPECT_EQ(registry.totals().requests, 3U);
  EXPECT_EQ(registry.totals().failed, 1U);
  EXPECT_EQ(registry.totals().latency.total(), 2U);
  registry.for_model("m", "1")->ok(Protocol::kHttp, milliseconds(1));
  EXPECT_THAT(
      registry.expose(),
      HasSubstr(R"(podsense_requests_total{code="OK",model="m",protocol="http",version="1"} 1)"));
}

TEST(Metrics, BucketsResolveWhatDefaultModelsTake) {
  // A quantile read from buckets is off by at most the width of its bucket.
  const LatencyBuckets buckets = Registry().for_model("m", "1")->latency();
  for (std::size_t i = 1; i < buckets.bounds.size(); ++i) {
    EXPECT_LE(buckets.bounds[i] / buckets.bounds[i - 1], 2.5) << buckets.bounds[i];
  }
}

TEST(Metrics, VersionsBeyondTheBoundShareOneSetOfLabels) {
  Registry registry({.max_model_versions = 2});
  const auto first = registry.for_model("m", "1");
  registry.for_model("m", "2")->ok(Protocol::kHttp, milliseconds(1));
  registry.for_model("m", "3")->ok(Protocol::kHttp, milliseconds(1));
  registry.for_model("m", "4")->ok(Protocol::kHttp, milliseconds(1));
  EXPECT_EQ(registry.for_model("m", "1"), first);
  const std::string text = registry.expose();
  EXPECT_THAT(text, Not(HasSubstr(R"(version="3")")));
  EXPECT_THAT(text, HasSubstr(R"x(model="(others)",protocol="http",version=""} 2)x"));
  EXPECT_EQ(registry.totals().requests, 3U);
}

TEST(OpenMetrics, NamesFamiliesUnitsAndTheEnd) {
  Registry registry;
  registry.for_model("m", "1")->failed(Protocol::kGrpc, ErrorCode::kOverloaded);
  const auto gauge = registry.watch("podsense_saturation", {}, [] { return 1.0; });
  const std::string text = registry.expose(Exposition::kOpenMetrics);
  EXPECT_THAT(text, HasSubstr("# TYPE podsense_requests counter\n"));
  EXPECT_THAT(text, HasSubstr("\npodsense_requests_total{code=\"OVERLOADED\",model=\"m\","
                              "protocol=\"grpc\",version=\"1\"} 1.0\n"));
  EXPECT_THAT(text, HasSubstr("# UNIT podsense_request_seconds seconds\n"));
  EXPECT_THAT(text, HasSubstr("\npodsense_saturation 1.0\n"));
  EXPECT_THAT(text, HasSubstr(R"(podsense_batch_size_bucket{model="m",version="1",le="+Inf"} 0)"));
  EXPECT_TRUE(text.ends_with("# EOF\n"));
}

TEST(Metrics, WhatCannotBeReadIsAbsentAndNotZero) {
  Registry registry;
  double value = std::numeric_limits<double>::quiet_NaN();
  const auto gauge = registry.watch("process_open_fds", {}, [&value] { return value; });
  EXPECT_THAT(registry.expose(), Not(HasSubstr("process_open_fds")));
  value = 7;
  EXPECT_THAT(registry.expose(), HasSubstr("\nprocess_open_fds 7\n"));
}

TEST(OpenMetrics, ATracedRequestIsTheExemplarOfItsBucketOnly) {
  Registry registry;
  const std::string trace = "4bf92f3577b34da6a3ce929d0e0e4736";
  const auto model = registry.for_model("m", "1");
  model->ok(Protocol::kHttp, milliseconds(4), trace);
  model->ok(Protocol::kHttp, milliseconds(40));
  const std::string text = registry.expose(Exposition::kOpenMetrics);
  EXPECT_THAT(text, HasSubstr("le=\"0.005\"} 1 # {trace_id=\"" + trace + "\"} 0.004 1"));
  EXPECT_EQ(text.find(trace), text.rfind(trace));
  EXPECT_THAT(registry.expose(), Not(HasSubstr(trace)));
}

TEST(OpenMetrics, EscapesLabelValues) {
  Registry registry;
  registry.for_model("a\"b\\c\nd", "1")->ok(Protocol::kHttp, milliseconds(1));
  EXPECT_THAT(registry.expose(Exposition::kOpenMetrics), HasSubstr(R"(model="a\"b\\c\nd")"));
}

TEST(Exposition, TheScraperGetsWhatItLikesBest) {
  // What Prometheus 2.42 sends without and with native histograms, and what 3.x sends.
  EXPECT_EQ(preferred_exposition("application/openmetrics-text;version=1.0.0,"
                                 "application/openmetrics-text;version=0.0.1;q=0.75,"
                                 "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"),
            Exposition::kOpenMetrics);
  EXPECT_EQ(preferred_exposition(
                "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;"
                "encoding=delimited,application/openmetrics-text;version=1.0.0;q=0.8,"
                "text/plain;version=0.0.4;q=0.3,*/*;q=0.1"),
            Exposition::kProtobuf);
  EXPECT_EQ(preferred_exposition(
                "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
                "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; "
                "encoding=delimited;q=0.3,text/plain;version=0.0.4;q=0.2,/;q=0.1"),
            Exposition::kOpenMetrics);
}

TEST(Exposition, TextIsForEveryoneElse) {
  for (const std::string_view accept :
       {"", "*/*", "text/html,*/*;q=0.8", ",", ";", ";;q=", "q=1",
        "application/openmetrics-text;q=0", "application/openmetrics-text;q=0.4,text/plain;q=0.5",
        "application/openmetrics-text;q=x",
        // Forms of protobuf that this is not.
        "application/vnd.google.protobuf", "application/vnd.google.protobuf;encoding=delimited",
        "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=text"}) {
    EXPECT_EQ(preferred_exposition(accept), Exposition::kPrometheusText) << accept;
  }
  EXPECT_EQ(preferred_exposition("Application/OpenMetrics-Text"), Exposition::kOpenMetrics);
}

TEST(Descriptions, NameEachMetricOnceAndCountersEndInTotal) {
  std::set<std::string_view> names;
  for (const Description& row : descriptions()) {
    EXPECT_TRUE(names.insert(row.name).second) << row.name;
    EXPECT_EQ(row.kind == Kind::kCounter, row.name.ends_with("_total")) << row.name;
    EXPECT_FALSE(row.help.empty()) << row.name;
    EXPECT_THAT(reference_markdown(), HasSubstr("| `" + std::string(row.name) + "` | "));
  }
}

TEST(DescriptionsDeathTest, OneThatIsMissingIsNamedAsTheProcessEnds) {
  EXPECT_DEATH(static_cast<void>(description("podsense_undescribed_total")),
               "'podsense_undescribed_total' has no description");
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
