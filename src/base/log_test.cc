#include "base/log.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <memory>
#include <string>

#include "base/log_line.h"
#include "base/log_writer.h"

namespace podsense::log {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

/// A pipe that is read only when a test says so.
class Pipe {
 public:
  Pipe() {
    if (::pipe2(ends_.data(), O_CLOEXEC) != 0) {
      ADD_FAILURE() << "no pipe";
    }
  }
  ~Pipe() {
    close_reader();
    ::close(ends_[1]);
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;

  [[nodiscard]] int in() const { return ends_[1]; }
  std::string read(std::size_t size) {
    std::string text;
    std::array<char, 65536> some{};
    while (text.size() < size) {
      const ssize_t got = ::read(ends_[0], some.data(), std::min(some.size(), size - text.size()));
      if (got <= 0) {
        break;
      }
      text.append(some.data(), static_cast<std::size_t>(got));
    }
    return text;
  }
  void close_reader() {
    if (ends_[0] >= 0) {
      ::close(ends_[0]);
      ends_[0] = -1;
    }
  }

 private:
  std::array<int, 2> ends_{-1, -1};
};

Writer::Hooks hooks() {
  return {
      .dropped_line = [](std::uint64_t count) { return "dropped " + std::to_string(count) + "\n"; },
      .idle = nullptr};
}

TEST(LogWriter, WhenNobodyReadsLinesAreDroppedAndCountedAndOneLineSaysSo) {
  Pipe pipe;
  Writer writer(pipe.in(), 100'000);
  ASSERT_TRUE(writer.start(hooks()));
  const std::string line(999, 'x');
  for (int i = 0; i < 1000; ++i) {  // more than queue and pipe hold
    writer.add(line + "\n");
  }
  EXPECT_FALSE(writer.flush(std::chrono::milliseconds(1)));
  const std::uint64_t dropped = writer.dropped();
  EXPECT_GT(dropped, 500U);
  const std::string notice = "dropped " + std::to_string(dropped) + "\n";
  EXPECT_THAT(pipe.read((1000 - dropped) * 1000 + notice.size()), HasSubstr(notice));
  writer.add("on\n");
  EXPECT_EQ(pipe.read(3), "on\n");
  EXPECT_TRUE(writer.flush(std::chrono::seconds(60)));
  EXPECT_EQ(writer.dropped(), dropped);
}

TEST(LogWriter, WhenTheReaderIsGoneLinesAreDropped) {
  Pipe pipe;
  pipe.close_reader();
  signal(SIGPIPE, SIG_IGN);  // as the server does
  Writer writer(pipe.in());
  ASSERT_TRUE(writer.start(hooks()));
  writer.add("one\n");
  EXPECT_TRUE(writer.flush(std::chrono::seconds(60)));
  EXPECT_EQ(writer.dropped(), 1U);
}

TEST(LogRepeats, WritesAFewOfAKindASecondAndSumsUpTheRest) {
  Repeats repeats;
  int written = 0;
  for (int i = 0; i < 1000; ++i) {
    written += repeats.note("accept_failed\nno descriptors", 7).write ? 1 : 0;
  }
  EXPECT_EQ(written, static_cast<int>(Repeats::kMostOfKind));
  EXPECT_TRUE(repeats.note("accept_failed\nanother cause", 7).write);
  const auto next = repeats.note("accept_failed\nno descriptors", 8);
  EXPECT_TRUE(next.write);
  std::uint64_t held_back = 0;
  for (const auto& sum : next.ended) {
    EXPECT_THAT(sum.kind, StartsWith("accept_failed"));
    held_back += sum.count;
  }
  EXPECT_EQ(held_back, 1000 - Repeats::kMostOfKind);
  EXPECT_TRUE(repeats.ended(9).empty());
}

TEST(LogRepeats, AnEventWhoseCauseAlwaysDiffersIsSummedUpToo) {
  Repeats repeats;
  std::uint64_t written = 0;
  for (int i = 0; i < 5000; ++i) {
    written += repeats.note("odd\n" + std::to_string(i), 7).write ? 1 : 0;
  }
  EXPECT_EQ(written, Repeats::kMostOfEvent);
}

std::string logged(Format format, std::string_view value) {
  configure(Level::kInfo, format);
  testing::internal::CaptureStdout();
  info("event", {{"value", value}});
  std::string text = testing::internal::GetCapturedStdout();
  configure(Level::kInfo, Format::kJson);
  return text;
}

TEST(Log, ControlCharactersAreEscapedInEveryFormat) {
  constexpr std::string_view kValue("a\x1b[31m\r\n\tb\x7f\xc2\x9b\0d", 15);
  for (const Format format : {Format::kText, Format::kJson, Format::kGcp, Format::kEcs}) {
    const std::string line = logged(format, kValue);
    ASSERT_TRUE(line.ends_with('\n'));
    for (const char c : line.substr(0, line.size() - 1)) {
      EXPECT_GE(static_cast<unsigned char>(c), 0x20) << line;
      EXPECT_NE(c, '\x7f') << line;
    }
    EXPECT_THAT(line, HasSubstr(R"(a\u001b[31m\r\n\tb\u007f\u009b\u0000d)"));
  }
  // Nothing looks like another field.
  EXPECT_THAT(logged(Format::kText, "x level=error"), HasSubstr("value=\"x level=error\""));
  EXPECT_THAT(logged(Format::kText, "x=y"), HasSubstr("value=\"x=y\""));
}

TEST(Log, LongValuesAreCutAtACharacter) {
  std::string value(1023, 'x');
  value += "ééé";
  for (const Format format : {Format::kText, Format::kJson}) {
    const std::string line = logged(format, value);
    EXPECT_THAT(line, HasSubstr("xxx…"));
    EXPECT_LT(line.size(), 1200U);
  }
}

const std::chrono::system_clock::time_point kTime{std::chrono::milliseconds(1'500'000'000'125)};

std::string request_line(Format format) {
  return line_of({.format = format, .level = Level::kError, .event = "request", .time = kTime},
                 {{"request_id", "r1"},
                  {"peer", "10.0.0.1"},
                  {"method", "POST"},
                  {"path", "/predict"},
                  {"status", 500},
                  {"bytes_in", 3U},
                  {"bytes_out", 9U},
                  {"total_ms", 1.5},
                  {"trace_id", "4bf9"},
                  {"detail", ""}});
}

TEST(LogLine, JsonHasAMessageForEveryEvent) {
  EXPECT_EQ(request_line(Format::kJson),
            R"({"ts":"2017-07-14T02:40:00.125Z","level":"error","event":"request",)"
            R"("message":"request POST /predict 500","request_id":"r1","peer":"10.0.0.1",)"
            R"("method":"POST","path":"/predict","status":500,"bytes_in":3,"bytes_out":9,)"
            R"("total_ms":1.5,"trace_id":"4bf9"})"
            "\n");
  const Head head{.event = "model_refused", .time = kTime};
  EXPECT_THAT(line_of(head, {{"model", "mnist"}, {"version", "3"}, {"reason", "no input"}}),
              HasSubstr(R"("message":"model refused mnist 3: no input","model":"mnist")"));
  const std::string own = line_of(head, {{"model", "mnist"}, {"message", "said"}});
  EXPECT_THAT(own, HasSubstr(R"("message":"said","model":"mnist"})"));
}

TEST(LogLine, GcpIsWhatCloudLoggingReads) {
  EXPECT_EQ(request_line(Format::kGcp),
            R"({"time":"2017-07-14T02:40:00.125Z","severity":"ERROR",)"
            R"("message":"request POST /predict 500","event":"request",)"
            R"("httpRequest":{"requestMethod":"POST","requestUrl":"/predict","status":500,)"
            R"("requestSize":"3","responseSize":"9","remoteIp":"10.0.0.1","latency":"0.001500s"},)"
            R"("logging.googleapis.com/trace":"4bf9","request_id":"r1","peer":"10.0.0.1",)"
            R"("method":"POST","path":"/predict","status":500,"bytes_in":3,"bytes_out":9,)"
            R"("total_ms":1.5,"trace_id":"4bf9"})"
            "\n");
  EXPECT_THAT(line_of({.format = Format::kGcp, .level = Level::kTrace, .event = "x"}, {}),
              HasSubstr(R"("severity":"DEBUG","message":"x","event":"x"})"));
}

TEST(LogLine, EcsHasTheNamesOfTheElasticCommonSchema) {
  EXPECT_EQ(request_line(Format::kEcs),
            R"({"@timestamp":"2017-07-14T02:40:00.125Z","log.level":"error",)"
            R"("message":"request POST /predict 500","ecs.version":"8.11.0",)"
            R"("service.name":"podsense","event.action":"request","http.request.id":"r1",)"
            R"("client.address":"10.0.0.1","http.request.method":"POST","url.path":"/predict",)"
            R"("http.response.status_code":500,"http.request.bytes":3,"http.response.bytes":9,)"
            R"("event.duration":1500000,"trace.id":"4bf9"})"
            "\n");
  EXPECT_THAT(line_of({.format = Format::kEcs, .event = "x"}, {{"stuck", 2}, {"build", "1.0"}}),
              HasSubstr(R"("podsense.stuck":2,"service.version":"1.0"})"));
}

TEST(LogLine, SecretsOfUrlsAreMaskedInEveryFormat) {
  for (const Format format : {Format::kText, Format::kJson, Format::kGcp, Format::kEcs}) {
    const std::string line =
        line_of({.format = format, .level = Level::kInfo, .event = "x", .time = kTime},
                {{"reason", "no answer from http://me:word@host/?sig=key"}});
    EXPECT_THAT(line, HasSubstr("http://***@host/?sig=***"));
    EXPECT_THAT(line, testing::Not(testing::AnyOf(HasSubstr("word"), HasSubstr("key"))));
  }
}

TEST(LogLine, TimesBefore1970AreRight) {
  const std::chrono::system_clock::time_point before{std::chrono::milliseconds(-1)};
  EXPECT_THAT(line_of({.event = "x", .time = before}, {}), HasSubstr("1969-12-31T23:59:59.999Z"));
}

static_assert(kind_of_field("version") == Kind::kText);
static_assert(kind_of_field("status") == Kind::kNumber);
static_assert(!std::is_constructible_v<Field, Name<Kind::kText>, int>);

}  // namespace
}  // namespace podsense::log
