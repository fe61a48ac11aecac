#include "arrivals/arrivals.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "arrivals/arrival_trace.h"

namespace podsense::arrivals {
namespace {

using std::chrono::seconds;

std::shared_ptr<const ArrivalShape> shape_of(std::string_view text, Duration run = seconds(10)) {
  auto shape = parse_shape(text, run);
  EXPECT_TRUE(shape) << (shape ? "" : shape.error().message);
  return shape ? std::shared_ptr<const ArrivalShape>(std::move(*shape)) : nullptr;
}

std::vector<double> moments_of(std::shared_ptr<const ArrivalShape> shape, ScheduleOptions options) {
  std::vector<double> found;
  Schedule schedule(std::move(shape), options);
  while (const auto next = schedule.next()) {
    found.push_back(to_seconds(next->at));
  }
  return found;
}

TEST(Arrivals, ConstantRateSendsRateTimesSeconds) {
  const auto found = moments_of(shape_of("constant:30"), {.end = seconds(180)});
  ASSERT_EQ(found.size(), 5400U);
  EXPECT_EQ(found.front(), 0);
  EXPECT_NEAR(found[1], 1 / 30.0, 1e-9);
  EXPECT_NEAR(found.back(), 180 - 1 / 30.0, 1e-6);
}

TEST(Arrivals, NoRateSendsOneTooManyByRounding) {
  for (const auto& [rate, length, count] : {std::tuple{"1535.9", 60, 92154U},
                                            {"0.7", 10, 7U},
                                            {"2.3", 10, 23U},
                                            {"1.1", 30, 33U},
                                            {"4.1", 180, 738U},
                                            {"0.1", 60, 6U}}) {
    const auto found =
        moments_of(shape_of("constant:" + std::string(rate)), {.end = seconds(length)});
    EXPECT_EQ(found.size(), count) << rate << " for " << length << " s";
  }
}

TEST(Arrivals, MomentOfInvertsDueByForEveryShape) {
  for (const char* text : {"constant:7", "ramp:0..100", "ramp:80..3", "steps:5,50,1",
                           "sine:50,50,3s", "sine:20,5,700ms"}) {
    const auto shape = shape_of(text);
    for (double number = 0.5; number < shape->due_by(9.9); number += 1.7) {
      EXPECT_NEAR(shape->due_by(shape->moment_of(number)), number, 1e-6) << text << " " << number;
    }
  }
}

TEST(Arrivals, RampSendsMoreAndMore) {
  const auto found = moments_of(shape_of("ramp:0..100"), {.end = seconds(10)});
  ASSERT_EQ(found.size(), 500U);
  const auto first_half = std::ranges::count_if(found, [](double at) { return at < 5; });
  EXPECT_EQ(first_half, 125);
}

TEST(Arrivals, StepsTakeEqualPartsOfTheRun) {
  const auto found = moments_of(shape_of("steps:10,0,30", seconds(6)), {.end = seconds(6)});
  const auto between = [&](double low, double high) {
    return std::ranges::count_if(found, [&](double at) { return at >= low && at < high; });
  };
  EXPECT_EQ(between(0, 2), 20);
  EXPECT_EQ(between(2, 4), 0);
  EXPECT_EQ(between(4, 6), 60);
  EXPECT_EQ(found.size(), 80U);
}

TEST(Arrivals, NothingIsDueWhereTheRateIsZero) {
  // Sevenths are no binary fractions: sums of them do not meet whole numbers.
  for (const std::vector<int>& counts : {std::vector{0, 60},
                                         {60, 0, 60},
                                         {7, 0, 0, 7, 0},
                                         {0, 0, 13, 1, 0, 1},
                                         {1, 0, 1000003, 0, 7}}) {
    std::vector<Stretch> parts;
    for (const int count : counts) {
      parts.push_back({.seconds = 7, .from = count / 7.0, .to = count / 7.0});
    }
    const std::shared_ptr<const ArrivalShape> shape(stretches(std::move(parts)));
    const auto found = moments_of(shape, {.end = seconds(7 * counts.size())});
    for (std::size_t i = 0; i < counts.size(); ++i) {
      const auto due = std::ranges::count_if(
          found, [i](double at) { return std::floor(at / 7) == static_cast<double>(i); });
      EXPECT_EQ(due, counts[i]) << "stretch " << i << " of " << counts.size();
    }
  }
}

TEST(Arrivals, BurstsComeAtOnce) {
  const auto found = moments_of(shape_of("burst:3,2s"), {.end = seconds(5)});
  EXPECT_EQ(found, (std::vector<double>{0, 0, 0, 2, 2, 2, 4, 4, 4}));
}

TEST(Arrivals, PoissonGapsAreExponential) {
  const auto found =
      moments_of(shape_of("constant:1000"),
                 {.arrivals = ArrivalProcess::kPoisson, .seed = 3, .end = seconds(20)});
  EXPECT_NEAR(static_cast<double>(found.size()), 20000, 3 * std::sqrt(20000));
  double sum = 0;
  double squares = 0;
  for (std::size_t i = 1; i < found.size(); ++i) {
    const double gap = found[i] - found[i - 1];
    EXPECT_GE(gap, 0);
    sum += gap;
    squares += gap * gap;
  }
  const auto n = static_cast<double>(found.size() - 1);
  const double mean = sum / n;
  // An exponential distribution's deviation equals its mean.
  EXPECT_NEAR(std::sqrt(squares / n - mean * mean), mean, mean * 0.05);
}

TEST(Arrivals, OneSeedGivesOneSchedule) {
  const ScheduleOptions options{.arrivals = ArrivalProcess::kPoisson, .seed = 5, .end = seconds(1)};
  const auto shape = shape_of("constant:100");
  EXPECT_EQ(moments_of(shape, options), moments_of(shape, options));
  ScheduleOptions other = options;
  other.seed = 6;
  EXPECT_NE(moments_of(shape, options), moments_of(shape, other));
}

TEST(Arrivals, PartsTogetherAreTheWhole) {
  for (const ArrivalProcess arrivals : {ArrivalProcess::kEven, ArrivalProcess::kPoisson}) {
    const auto shape = shape_of("ramp:10..50");
    const ScheduleOptions whole{.arrivals = arrivals, .end = seconds(10)};
    std::vector<double> joined;
    for (unsigned part = 0; part < 3; ++part) {
      ScheduleOptions mine = whole;
      mine.part = part;
      mine.parts = 3;
      const auto found = moments_of(shape, mine);
      joined.insert(joined.end(), found.begin(), found.end());
    }
    std::ranges::sort(joined);
    EXPECT_EQ(joined, moments_of(shape, whole));
  }
}

TEST(Arrivals, RefusesWhatIsNoShapeAndSaysWhatIs) {
  for (const char* text : {"", "30", "ramp:1", "ramp:1..x", "steps:", "steps:1,,2", "sine:1,2,3",
                           "sine:10,20,5s", "burst:0,1s", "burst:1.5,1s", "burst:5", "constant:-1",
                           "constant:0", "wave:1", "sine:10,5,0s"}) {
    const auto shape = parse_shape(text, seconds(10));
    ASSERT_FALSE(shape) << text;
    EXPECT_EQ(shape.error().code, ErrorCode::kInvalidArgument) << text;
    EXPECT_NE(shape.error().message.find(text), std::string::npos) << text;
  }
}

ArrivalTrace trace_of(std::string_view csv, ArrivalTraceOptions options = {}) {
  auto trace = parse_arrival_trace(csv, options);
  EXPECT_TRUE(trace) << (trace ? "" : trace.error().message);
  return trace ? std::move(*trace) : ArrivalTrace{};
}

TEST(Trace, ReadsSecondsAsMoments) {
  ArrivalTrace trace = trace_of("timestamp,who\n0.5,a\n0.25,b\n2,c\n");
  const std::shared_ptr<const ArrivalShape> shape(std::move(trace.shape));
  EXPECT_EQ(moments_of(shape, {.end = trace.length}), (std::vector<double>{0, 0.25, 1.75}));
}

/// Moments of a trace in seconds, rounded to microseconds.
std::vector<double> moments_in(std::string_view csv, ArrivalTraceOptions options = {}) {
  ArrivalTrace trace = trace_of(csv, options);
  const std::shared_ptr<const ArrivalShape> shape(std::move(trace.shape));
  std::vector<double> moments = moments_of(shape, {.end = trace.length});
  for (double& moment : moments) {
    moment = std::round(moment * 1e6) / 1e6;
  }
  return moments;
}

TEST(Trace, ReadsFilesAsProgramsWriteThem) {
  const std::vector<double> wanted{0, 0.1, 0.4};
  for (const char* const csv : {
           "0.1\n0.2\n0.5\n",
           "\xEF\xBB\xBF"
           "0.1\n0.2\n0.5\n",
           "0.1\r\n0.2\r\n0.5\r\n",
           "0.1\r0.2\r0.5\r",
           "\"0.1\"\n\"0.2\"\n\"0.5\"",
           "\n0.1\n\n0.2\n0.5\n\n",
           "Time,x\n0.5,a\n0.1,b\n0.2,c\n",
           "id,TIMESTAMP\n7,0.5\n8,0.1\n9,0.2\n",
           "5000.1\n5000.2\n5000.5\n",
           "-0.1\n0\n0.3\n",
           "1611964800\n1611964800.1\n1611964800.4\n",
           "1611964800123\n1611964800223\n1611964800523\n",
           "1611964800123000\n1611964800223000\n1611964800523000\n",
           "1611964800123000000\n1611964800223000000\n1611964800523000000\n",
           "2021-01-31T00:00:05.1Z\n2021-01-31T00:00:05.2Z\n2021-01-31T00:00:05.5Z\n",
           "2021-01-31T00:00:05.1+01:00\n2021-01-30T23:00:05.2Z\n2021-01-31T04:45:05.5+0545\n",
           "2021-01-31 00:00:05,100\n2021-01-31 00:00:05,200\n2021-01-31 00:00:05,500\n",
           "2021-01-31 00:00:05,100 - INFO - a,b\n2021-01-31 00:00:05,200 - INFO\n"
           "2021-01-31 00:00:05,500 INFO\n",
           "2021-01-31T00:00:05,100Z\n2021-01-31T00:00:05,200Z INFO\n2021-01-31T00:00:05,500Z\n",
           "2021-01-31 00:00:05,100000+00:00\n2021-01-31 01:00:05,200000+01:00\n"
           "2021-01-31 00:00:05,500000000\n",
           "time,level\n2021-01-31 00:00:05,100,INFO\n2021-01-31 00:00:05,200,INFO\n"
           "2021-01-31 00:00:05,500,WARN\n",
           " 0.1 , a\n 0.2 , b\n 0.5 , c\n",
           "\"2021-01-31 00:00:05,100\",200\n\"2021-01-31 00:00:05,200\",200\n"
           "\"2021-01-31 00:00:05,500\",503\n",
       }) {
    EXPECT_EQ(moments_in(csv), wanted) << csv;
  }
}

TEST(Trace, HasNoFractionWhereColumnsHaveNames) {
  EXPECT_EQ(moments_in("time,status\n2021-01-31 00:00:05,200\n2021-01-31 00:00:07,503\n"),
            (std::vector<double>{0, 2}));
}

TEST(Trace, BeginsAtItsFirstMomentUnlessTold) {
  EXPECT_EQ(moments_in("5.5\n7\n"), (std::vector<double>{0, 1.5}));
  EXPECT_EQ(moments_in("5.5\n7\n", {.keep_offset = true}), (std::vector<double>{5.5, 7}));
  EXPECT_EQ(trace_of("minute,count\n600,5\n601,5\n").length, Duration(seconds(120)));
  EXPECT_EQ(trace_of("minute,count\n2,5\n", {.keep_offset = true}).length, Duration(seconds(180)));
  EXPECT_FALSE(parse_arrival_trace("2021-01-31T00:00:05Z\n", {.keep_offset = true}));
}

TEST(Trace, TakesTheFirstLineForWhatItIsSaidToBe) {
  EXPECT_EQ(moments_in("when,x\n0,1\n2,1\n", {.header = text::HeaderLine::kYes}),
            (std::vector<double>{0, 2}));
  EXPECT_FALSE(parse_arrival_trace("time\n0\n", {.header = text::HeaderLine::kNo}));
}

TEST(Trace, CountsHaveNamesOfAnyCase) {
  for (const char* const csv :
       {"Minute,Count\r\n0,60\r\n1,60\r\n", "\xEF\xBB\xBFminute,count\n0,60\n1,60\n",
        "COUNT,note,MINUTE\n60,\"a,b\",0\n60,,1\n"}) {
    const ArrivalTrace trace = trace_of(csv);
    EXPECT_EQ(trace.length, Duration(seconds(120))) << csv;
    EXPECT_DOUBLE_EQ(trace.shape->due_by(120), 120) << csv;
  }
}

TEST(Trace, ReadsDatesFromTheFirstOn) {
  ArrivalTrace trace = trace_of("2021-01-31T23:59:59Z\n2021-02-01 00:00:00.5\n");
  const std::shared_ptr<const ArrivalShape> shape(std::move(trace.shape));
  EXPECT_EQ(moments_of(shape, {.end = trace.length}), (std::vector<double>{0, 1.5}));
}

TEST(Trace, SpeedsUpAndScales) {
  ArrivalTrace fast = trace_of("0\n10\n", {.speed = 10});
  EXPECT_EQ(fast.shape->moment_of(2), 1);
  ArrivalTrace many = trace_of("minute,count\n0,60\n1,0\n2,120\n", {.scale = 2});
  EXPECT_EQ(many.length, Duration(seconds(180)));
  EXPECT_DOUBLE_EQ(many.shape->due_by(60), 120);
  EXPECT_DOUBLE_EQ(many.shape->due_by(120), 120);
  EXPECT_DOUBLE_EQ(many.shape->due_by(180), 360);
}

TEST(Trace, AddsUpTheFunctionsOfTheAzureDataset) {
  const ArrivalTrace trace = trace_of(
      "HashOwner,HashApp,HashFunction,Trigger,1,2,3\n"
      "a,b,c,http,6,0,60\n"
      "a,b,d,timer,0,12,0\n");
  EXPECT_EQ(trace.length, Duration(seconds(180)));
  EXPECT_DOUBLE_EQ(trace.shape->due_by(60), 6);
  EXPECT_DOUBLE_EQ(trace.shape->due_by(120), 18);
  EXPECT_DOUBLE_EQ(trace.shape->due_by(180), 78);
}

TEST(Trace, NamesLineAndColumnOfWhatItDoesNotKnow) {
  for (const auto& [csv, place] :
       {std::pair{"0.1;a\n0.2;b\n", "line 1, column 1"},
        {"when\n0.1\n", "line 1, column 1"},
        {"id,time\na,0.1\nb,later\n", "line 3, column 3"},
        {"0.1\n2021-01-31T00:00:05Z\n", "line 2, column 1"},
        {"0,1;a\n0,2;b\n", "line 1, column 3: '1;a' has a semicolon"},
        {"2021-01-31 00:00:05,200,GET\n", "line 1, column 21: '200' may"},
        {"2021-01-31 00:00:05,123CET\n2021\n", "line 2, column 1"},
        {"time,x\n0.1,a\n0.2,a,b\n", "line 3, column 7: the record has 3"},
        {"time,x\n0.1,a\n0.2\n", "line 3, column 4: the record has 1"},
        {"time,x\n0.1,\xE9\n", "line 2, column 5: a byte that is no text"},
        {"0.1\n\"0.2\n0.3\n", "line 2, column 1"},
        {"0.1\n\"0.2\"x\n", "line 2, column 6"},
        {"2021-13-31T00:00:05Z\n", "line 1, column 1"},
        {"2021-01-31T00:00:05+25:00\n", "line 1, column 1"},
        {"2021-01-31T00:00:05 CET\n", "line 1, column 1"},
        {"minute,count\n0,60\n1;60\n", "line 3, column 1"},
        {"minute,count\n0,60\n1,-5\n", "line 3, column 3"}}) {
    const auto trace = parse_arrival_trace(csv, {});
    ASSERT_FALSE(trace) << csv;
    EXPECT_NE(trace.error().message.find(place), std::string::npos) << csv << trace.error().message;
  }
}

TEST(Trace, RefusesRatesThatNobodyCanSend) {
  const auto trace = parse_arrival_trace("minute,count\n0,900000000\n", {});
  ASSERT_FALSE(trace);
  EXPECT_NE(trace.error().message.find("1,000,000 at most"), std::string::npos);
}

TEST(Trace, NamesTheLineThatIsWrong) {
  for (const auto& [csv, line] : {std::pair{"0\n1\nx\n", "line 3"},
                                  {"minute,count\n0,1\n1\n", "line 3"},
                                  {"minute,count\n-1,5\n", "line 2"},
                                  {"minute,count\n", "line 1"},
                                  {"h,1,2\nf,1,x\n", "line 2"},
                                  {"", "line 1"},
                                  {"time\n", "line 1"}}) {
    const auto trace = parse_arrival_trace(csv, {});
    ASSERT_FALSE(trace) << csv;
    EXPECT_NE(trace.error().message.find(line), std::string::npos) << trace.error().message;
  }
}

}  // namespace
}  // namespace podsense::arrivals
