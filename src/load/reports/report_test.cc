#include "load/reports/report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "load/measuring/threshold.h"

namespace podsense::load {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::HasSubstr;
using ::testing::Not;

/// What came of so many requests at the same moment.
void record(Results& results, int count, Duration latency, bool ok) {
  for (int i = 0; i < count; ++i) {
    ++results.counts.planned;
    ++results.counts.sent;
    ++(ok ? results.counts.ok : results.counts.failed);
    (ok ? results.latency : results.failed).record(latency);
    (ok ? results.service : results.failed_service).record(latency);
    results.first_byte.record(latency);
    results.send_lag.record({});
  }
  results.measured = results.last_answer = seconds(10);
}

/// 97 answers in 40 ms, and three requests that nobody answered within two seconds.
Results with_timeouts() {
  Results results;
  record(results, 97, milliseconds(40), true);
  record(results, 3, seconds(2), false);
  results.errors[static_cast<std::size_t>(ErrorKind::kTimeout)] = 3;
  return results;
}

TEST(Threshold, ATimeOutCountsAsLongAsItWaited) {
  const Results results = with_timeouts();
  for (const char* const text : {"p99>100ms", "p98>=1s", "max>1s", "mean>50ms", "service_p99>1s"}) {
    const auto verdict = LoadThreshold::parse(text)->check(results);
    EXPECT_TRUE(verdict.holds) << text;
    EXPECT_THAT(verdict.measured, HasSubstr("of all")) << text;
    EXPECT_THAT(verdict.measured, HasSubstr("of the answered (3 failed)")) << text;
  }
  const auto kept = LoadThreshold::parse("p95>100ms")->check(results);
  EXPECT_FALSE(kept.holds);
  EXPECT_THAT(kept.measured, HasSubstr("of the answered")) << "also where it is kept";
  EXPECT_FALSE(LoadThreshold::parse("p99>3s")->check(results).holds);
}

TEST(Threshold, FastFailuresDoNotMendLatency) {
  Results results;
  record(results, 20, milliseconds(400), true);
  record(results, 980, milliseconds(1), false);  // refused at once
  EXPECT_TRUE(LoadThreshold::parse("p50>100ms")->check(results).holds);
}

TEST(Threshold, SaysWhatWasNotSent) {
  Results results;
  record(results, 10, milliseconds(4), true);
  EXPECT_EQ(LoadThreshold::parse("p99>1s")->check(results).measured, "4.00 ms");
  results.counts.planned += 5;
  results.counts.dropped = 5;
  EXPECT_THAT(LoadThreshold::parse("p99>1s")->check(results).measured,
              HasSubstr("without 5 that were not sent"));
}

TEST(Threshold, SaysWhatWasNotFinished) {
  Results results;
  record(results, 10, milliseconds(4), true);
  results.counts.planned += 5;
  results.counts.canceled = 5;
  EXPECT_THAT(LoadThreshold::parse("p99>1s")->check(results).measured,
              HasSubstr("without 5 that were not finished"));
}

LoadReport report_of(Results results) {
  LoadReport report{.results = std::move(results)};
  report.circumstances.url = "http://h/";
  report.circumstances.method = "GET";
  return report;
}

TEST(Report, ShowsLatencyOfTheAnsweredAndOfAll) {
  const std::string text = text_report(report_of(with_timeouts()));
  EXPECT_THAT(text, HasSubstr("of all"));
  EXPECT_THAT(text, HasSubstr("≥ 2.00 s"));
  Results good;
  record(good, 50, milliseconds(40), true);
  EXPECT_THAT(text_report(report_of(good)), Not(HasSubstr("of all")));
}

TEST(Report, AnIntervalIsOpenWhereTooFewAreSlower) {
  Results results;
  record(results, 50, milliseconds(40), true);
  const LoadReport report = report_of(results);
  EXPECT_THAT(text_report(report), HasSubstr("≥ 40"));
  EXPECT_THAT(json_report(report), HasSubstr(R"("p99":[)"));
  EXPECT_THAT(json_report(report), HasSubstr(",null]"));
}

TEST(Report, ASliceWithoutAnswersHasNoLatency) {
  Results results;
  record(results, 1, milliseconds(40), true);
  results.slices.resize(2);
  results.slices[0].offered = results.slices[0].sent = 1;
  results.slices[0].latency.record(milliseconds(40));
  EXPECT_THAT(csv_report(report_of(results)), HasSubstr("1.000000,0,0,0,0,0,,,,,\n"));
}

TEST(Report, SaysWhereTheGeneratorWasTheLimit) {
  Results results;
  record(results, 50, milliseconds(40), true);
  results.generator = {.busy = 0.97, .waited = 0.5, .throttled = seconds(3)};
  results.errors[static_cast<std::size_t>(ErrorKind::kDescriptors)] = 7;
  const LoadReport report = report_of(results);
  std::vector<std::string> names;
  for (const GeneratorLimit& limit : generator_limits(report)) {
    names.push_back(limit.name);
  }
  EXPECT_EQ(names, (std::vector<std::string>{"descriptors", "cpu", "throttled", "cpu_wait"}));
  EXPECT_TRUE(text_report(report).starts_with("THE GENERATOR WAS THE LIMIT: 7 requests"));
  results.generator = {.busy = 0.5, .waited = 0.05, .throttled = milliseconds(5)};
  results.errors = {};
  EXPECT_TRUE(generator_limits(report_of(results)).empty());
}

TEST(Recorder, AShortageIsDroppedNotFailed) {
  Recorder recorder({.end = seconds(1)});
  const RequestTicket ticket;
  recorder.sent(ticket);
  recorder.finished({.ticket = ticket, .error = ErrorKind::kDescriptors, .sample = "none left"});
  const RequestCounts& counts = recorder.results().counts;
  EXPECT_EQ(counts.sent, 0U);
  EXPECT_EQ(counts.failed, 0U);
  EXPECT_EQ(counts.dropped, 1U);
  EXPECT_EQ(recorder.results().samples.at("descriptors"), "none left");
}

/// A request of every second, answered at once.
Results run_of(seconds length, Duration slice_width) {
  const TimePoint start{};
  Recorder recorder({.start = start, .end = length, .slice_width = slice_width});
  for (seconds at{}; at < length; ++at) {
    const RequestTicket ticket{.intended = start + at, .started = start + at};
    recorder.sent(ticket);
    recorder.finished(
        {.ticket = ticket, .ok = true, .status = 200, .finished = start + at + milliseconds(1)});
  }
  return recorder.results();
}

TEST(Recorder, ALongRunHasWiderSlicesNotAHeapInTheLast) {
  const Results results = run_of(seconds(3000), milliseconds(200));
  EXPECT_EQ(results.slice_width, Duration(milliseconds(3200)));  // 15,000 of 0.2 s, 938 of 3.2 s
  ASSERT_EQ(results.slices.size(), 938U);
  std::uint64_t sum = 0;
  for (const LoadSlice& slice : results.slices) {
    EXPECT_LE(slice.offered, 4U);
    EXPECT_EQ(slice.offered, slice.done);
    EXPECT_EQ(slice.offered, slice.latency.count());
    sum += slice.offered;
  }
  EXPECT_EQ(sum, 3000U);
}

TEST(MergeReports, SlicesOfOneMomentMeetThoughOneRunHadToWidenThem) {
  LoadReport narrow = report_of(run_of(seconds(150), milliseconds(200)));
  LoadReport wide = report_of(run_of(seconds(300), milliseconds(200)));
  ASSERT_NE(narrow.results.slice_width, wide.results.slice_width);
  for (const auto& pair : {std::vector{narrow, wide}, std::vector{wide, narrow}}) {
    const auto merged = merge_reports(pair);
    ASSERT_TRUE(merged) << merged.error().message;
    EXPECT_EQ(merged->results.slice_width, Duration(milliseconds(400)));
    Results plain = run_of(seconds(300), milliseconds(400));
    plain.merge(run_of(seconds(150), milliseconds(400)));
    ASSERT_EQ(merged->results.slices.size(), plain.slices.size());
    for (std::size_t i = 0; i < plain.slices.size(); ++i) {
      EXPECT_EQ(merged->results.slices[i].offered, plain.slices[i].offered) << i;
    }
  }
}

TEST(MergeReports, RefusesRunsThatDoNotGoTogether) {
  LoadReport one = report_of(run_of(seconds(60), milliseconds(500)));
  one.circumstances.seconds = 60;
  LoadReport longer = one;
  longer.circumstances.seconds = 90;
  LoadReport warmed = one;
  warmed.circumstances.warm_up_seconds = 10;
  LoadReport closed = one;
  closed.circumstances.open_loop = false;
  LoadReport odd = one;
  odd.results.slice_width = milliseconds(1500);
  EXPECT_TRUE(merge_reports({one, one}));
  for (const auto& [other, said] : {std::pair{longer, "60 s and 90 s"},
                                    {warmed, "60 s, warm-up 10 s"},
                                    {closed, "a closed loop"},
                                    {odd, "one length"}}) {
    const auto merged = merge_reports({one, other});
    ASSERT_FALSE(merged) << said;
    EXPECT_THAT(merged.error().message, HasSubstr(said));
  }
}

TEST(Report, SaysWhatASearchsGeneratorCouldNotDo) {
  Results results;
  record(results, 5, milliseconds(4), true);
  LoadReport report = report_of(results);
  report.search = Search{.objective = "p99=1s", .best = 100, .not_held = 200};
  report.search->steps = {{.rate = 100, .stable = true, .met = true},
                          {.rate = 200,
                           .p99 = seconds(2),
                           .p99_at_least = true,
                           .reason = "p99 is 2.00 s",
                           .generator_limit = "it was busy 99 % of the time"}};
  const std::string text = text_report(report);
  EXPECT_THAT(text, HasSubstr("≥ 2.00 s"));
  EXPECT_THAT(text, HasSubstr("was the limit: it was busy 99 % of the time"));
  EXPECT_THAT(json_report(report),
              HasSubstr(R"("generator_limit":"it was busy 99 % of the time")"));
}

TEST(Report, EachRateHasItsLength) {
  Results results;
  record(results, 1000, milliseconds(40), true);
  EXPECT_THAT(text_report(report_of(results)),
              HasSubstr("100/s offered, 100/s answered well, over 10 s\n"));
  results.last_answer = seconds(25);
  EXPECT_THAT(text_report(report_of(results)),
              HasSubstr("100/s offered, over 10 s; 40/s answered well, over 25 s, until the last"));
}

TEST(Report, NearlyAllIsNotAll) {
  Results results;
  record(results, 1, milliseconds(4), true);
  record(results, 99999, milliseconds(4), false);
  EXPECT_THAT(text_report(report_of(results)), HasSubstr("errors        > 99.9 % of"));
}

TEST(Report, SaysThatNothingWasMeasured) {
  Results results;
  results.counts.outside = 30;
  EXPECT_THAT(text_report(report_of(results)), HasSubstr("NOTHING WAS MEASURED: all 30 requests"));
}

TEST(MergeReports, RefusesDifferentTargets) {
  Results results;
  record(results, 5, milliseconds(4), true);
  LoadReport one = report_of(results);
  LoadReport other = one;
  other.circumstances.url = "http://other/";
  EXPECT_TRUE(merge_reports({one, one}));
  const auto merged = merge_reports({one, other});
  ASSERT_FALSE(merged);
  EXPECT_THAT(merged.error().message, HasSubstr("http://other/"));
}

}  // namespace
}  // namespace podsense::load
