#include "cli/top_view.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

namespace podsense::cli {
namespace {

using testing::HasSubstr;
using testing::Not;

Scrape scrape_of(const char* pod, double seconds, const std::string& text) {
  auto samples = parse_metrics(text);
  EXPECT_TRUE(samples) << samples.error().message;
  return {.pod = pod, .error = {}, .seconds = seconds, .samples = *std::move(samples)};
}

std::string pod_text(int ok, int failed, double saturation) {
  const std::string n = std::to_string(ok);
  return "# HELP podsense_requests_total x\n"
         "podsense_requests_total{code=\"OK\",model=\"m\",protocol=\"http\",version=\"1\"} " +
         n + "\npodsense_requests_total{code=\"OVERLOADED\",model=\"m\",version=\"1\"} " +
         std::to_string(failed) +
         "\npodsense_request_seconds_bucket{model=\"m\",version=\"1\",le=\"0.01\"} " + n +
         "\npodsense_request_seconds_bucket{model=\"m\",version=\"1\",le=\"+Inf\"} " + n +
         "\npodsense_batch_size_sum{model=\"m\",version=\"1\"} " + std::to_string(2 * ok) +
         "\npodsense_batch_size_count{model=\"m\",version=\"1\"} " + n +
         "\npodsense_model_info{model=\"m\",version=\"1\",plan=\"executor\"} 1"
         "\npodsense_ready 1\npodsense_queue_depth{model=\"m\",version=\"1\"} 3"
         "\npodsense_memory_working_set_bytes 1.048576e+08\npodsense_memory_limit_bytes 2e+08"
         "\nprocess_resident_memory_bytes 3.145728e+08"
         "\npodsense_saturation " +
         std::to_string(saturation) + "\n";
}

TEST(ParseMetrics, ReadsLabelsEscapesAndSpecialNumbers) {
  const auto samples = parse_metrics(
      "# TYPE a counter\na{x=\"q\\\"b\\\\s\\nn\",y=\"2\",} 1.5e3 1700000000\nb NaN\nc +Inf\r\n\nd "
      "-2");
  ASSERT_TRUE(samples);
  ASSERT_EQ(samples->size(), 4U);
  EXPECT_EQ((*samples)[0].labels.at("x"), "q\"b\\s\nn");
  EXPECT_EQ((*samples)[0].value, 1500);
  EXPECT_TRUE(std::isnan((*samples)[1].value));
  EXPECT_TRUE(std::isinf((*samples)[2].value));
  EXPECT_EQ((*samples)[3].value, -2);
}

TEST(ParseMetrics, NamesTheLineThatIsNone) {
  for (const char* bad : {"<html>", "a{x=\"open} 1", "a{x} 1", "a", "a one", "{} 1"}) {
    const auto samples = parse_metrics(std::string("good 1\n") + bad);
    ASSERT_FALSE(samples) << bad;
    EXPECT_THAT(samples.error().message, HasSubstr(bad));
  }
}

TEST(TopFrame, ShowsRatesPercentilesAndModelsBetweenTwoMoments) {
  const std::vector<Scrape> before{scrape_of("pod-a", 10, pod_text(100, 5, 0.2))};
  const std::vector<Scrape> now{scrape_of("pod-a", 12, pod_text(300, 9, 0.75))};
  const std::string frame = top_frame(before, now);
  EXPECT_THAT(frame,
              HasSubstr("pod-a                      yes    102.0     2.0     5.00     9.90      3"
                        "        0   75%  0.00     100M\n"));
  EXPECT_THAT(
      frame, HasSubstr("m                              1     1    102.0     9.90      3    2.0\n"));
}

TEST(TopFrame, AddsUpModelsOverPodsAndSaysWhichPodDoesNotAnswer) {
  const auto begin = scrape_of("a", 0, pod_text(0, 0, 0));
  const auto end = scrape_of("a", 1, pod_text(10, 0, 0));
  Scrape gone{.pod = "c", .error = "cannot connect"};
  const std::string frame = top_frame({begin, begin, gone}, {end, end, gone});
  EXPECT_THAT(frame, HasSubstr("     2     20.0"));
  EXPECT_THAT(frame, HasSubstr("c                        cannot connect\n"));
}

TEST(TopFrame, ARestartedPodCountsFromZero) {
  const std::string frame =
      top_frame({scrape_of("a", 0, pod_text(1000, 0, 0))}, {scrape_of("a", 1, pod_text(10, 0, 0))});
  EXPECT_THAT(frame, HasSubstr("    10.0"));
  EXPECT_THAT(frame, Not(HasSubstr("-990")));
}

TEST(TopFrame, APodThatComesBackHasNoRateYet) {
  const Scrape gone{.pod = "a", .error = "cannot connect", .seconds = 0};
  const std::string frame = top_frame({gone}, {scrape_of("a", 1, pod_text(7000, 0, 0))});
  EXPECT_THAT(frame, HasSubstr("a                          yes      0.0     0.0        -"));
  EXPECT_THAT(frame, Not(HasSubstr("7000")));
}

TEST(TopFrame, StaysWithinTheTerminal) {
  const auto pod = scrape_of("a-very-long-name-of-a-pod-in-a-deployment", 0, pod_text(1, 0, 0));
  const std::string frame = top_frame({pod}, {pod}, {.columns = 40});
  for (std::size_t at = 0; at < frame.size();) {
    const std::size_t end = frame.find('\n', at);
    EXPECT_LE(end - at, 40U);
    at = end + 1;
  }
}

std::vector<std::string> lines_of(const std::string& frame) {
  std::vector<std::string> lines;
  for (std::size_t at = 0; at < frame.size();) {
    const std::size_t end = frame.find('\n', at);
    lines.push_back(frame.substr(at, end - at));
    at = end + 1;
  }
  return lines;
}

TEST(TopFrame, LeavesOutWhatMattersLeastWhereThereIsNoRoom) {
  const auto pod = scrape_of("10.0.0.1:8000", 0, pod_text(1, 0, 0));
  const auto head = [&](std::size_t columns) {
    return lines_of(top_frame({pod}, {pod}, {.columns = columns}))[0];
  };
  EXPECT_THAT(head(97), HasSubstr("CPU   MEMORY"));
  EXPECT_THAT(head(80), testing::AllOf(HasSubstr("p50"), HasSubstr("QUEUE"), HasSubstr("MEMORY"),
                                       Not(HasSubstr("CPU")), Not(HasSubstr("INFLIGHT"))));
  EXPECT_EQ(head(45), "POD           READY    REQ/S   p99 ms   SAT");
}

TEST(TopFrame, NamesKeepTheirEndsWhichTellPodsApart) {
  const auto pod = scrape_of("podsense-6c9f7d5b8-7k2xv:8000", 0, pod_text(1, 0, 0));
  EXPECT_THAT(top_frame({pod}, {pod}, {.columns = 50}), HasSubstr("\n~c9f7d5b8-7k2xv:8000   yes "));
}

TEST(TopFrame, SumsUpSeveralPods) {
  const auto begin = scrape_of("a", 0, pod_text(0, 0, 0));
  const auto low = scrape_of("a", 1, pod_text(10, 0, 0.2));
  const auto high = scrape_of("a", 1, pod_text(30, 2, 0.6));
  const Scrape gone{.pod = "c", .error = "cannot connect"};
  EXPECT_THAT(
      lines_of(top_frame({begin, begin, gone}, {low, high, gone})),
      testing::Contains("all                        2/3     42.0     2.0     5.00     9.90      6"
                        "        0   40%  0.00     200M"));
}

TEST(TopFrame, WithoutALimitMemoryIsTheProcessOwn) {
  const auto pod = scrape_of("a", 0,
                             "podsense_memory_working_set_bytes 9e9\n"
                             "process_resident_memory_bytes 1.048576e+08\n");
  EXPECT_THAT(top_frame({pod}, {pod}), HasSubstr("     100M\n"));
}

TEST(TopFrame, SaysHowManyLinesAreLeftOut) {
  std::vector<Scrape> pods(30, scrape_of("a", 0, pod_text(1, 0, 0)));
  const auto lines = lines_of(top_frame(pods, pods, {.columns = 80, .lines = 10}));
  EXPECT_EQ(lines.size(), 10U);
  EXPECT_THAT(lines, testing::Contains("and 26 more lines"));
  EXPECT_THAT(lines.back(), HasSubstr("m  "));
  for (std::size_t few = 0; few < 6; ++few) {
    EXPECT_EQ(lines_of(top_frame(pods, pods, {.columns = 80, .lines = few})).size(), few);
  }
}

}  // namespace
}  // namespace podsense::cli
