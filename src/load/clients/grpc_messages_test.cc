#include "load/clients/grpc_messages.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

namespace podsense::load {
namespace {

using std::chrono::hours;
using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using std::chrono::seconds;

constexpr Duration kLimit = seconds(1);

/// What an answer of these fields, data and trailers says.
struct Said {
  std::vector<HeaderField> head{{.name = ":status", .value = "200"},
                                {.name = "content-type", .value = "application/grpc+proto"}};
  std::vector<std::string> data;
  std::vector<HeaderField> trailers;

  [[nodiscard]] AnswerVerdict verdict(std::shared_ptr<std::string> kept = nullptr,
                                      Duration took = milliseconds(1)) const {
    GrpcAnswer answer(kLimit, std::move(kept));
    for (const auto& [name, value] : head) {
      answer.header(name, value);
    }
    for (const std::string& piece : data) {
      answer.data(piece);
    }
    for (const auto& [name, value] : trailers) {
      answer.header(name, value);
    }
    return answer.judge(took);
  }
};

TEST(GrpcMessages, AreBehindTheirLength) {
  EXPECT_EQ(grpc_frame(""), std::string(5, '\0'));
  EXPECT_EQ(grpc_frame("abc"), std::string("\0\0\0\0\3abc", 8));
  EXPECT_EQ(grpc_frame(std::string(0x12345, 'x')).substr(0, 5), std::string("\0\0\1\x23\x45", 5));
}

TEST(GrpcMessages, TimeoutsHaveEightDigitsAndRoundUp) {
  EXPECT_EQ(grpc_timeout(nanoseconds(1)), "1n");
  EXPECT_EQ(grpc_timeout(milliseconds(99)), "99000000n");
  EXPECT_EQ(grpc_timeout(milliseconds(100)), "100000u");
  EXPECT_EQ(grpc_timeout(milliseconds(1500)), "1500000u");
  EXPECT_EQ(grpc_timeout(seconds(99) + nanoseconds(1)), "99000001u");
  EXPECT_EQ(grpc_timeout(seconds(100)), "100000m");
  EXPECT_EQ(grpc_timeout(seconds(100) + microseconds(1)), "100001m");
  EXPECT_EQ(grpc_timeout(hours(1000)), "3600000S");
  EXPECT_EQ(grpc_timeout(Duration::zero()), "1n");
  EXPECT_EQ(grpc_timeout(Duration::max()), "99999999M");
}

TEST(GrpcMessages, TextIsPercentDecodedAsFarAsItCanBe) {
  EXPECT_EQ(decode_grpc_message("f%C3%bcll"), "f\xC3\xBCll");
  EXPECT_EQ(decode_grpc_message("100%"), "100%");
  EXPECT_EQ(decode_grpc_message("%4"), "%4");
  EXPECT_EQ(decode_grpc_message("%zz%41"), "%zzA");
  EXPECT_EQ(decode_grpc_message("%2525"), "%25");
}

TEST(GrpcAnswer, IsReadInWhateverPiecesItComes) {
  const std::string frame = grpc_frame("a message");
  for (std::size_t size = 1; size <= frame.size(); ++size) {
    Said said{.trailers = {{.name = "grpc-status", .value = "0"}}};
    for (std::size_t at = 0; at < frame.size(); at += size) {
      said.data.push_back(frame.substr(at, size));
    }
    const auto kept = std::make_shared<std::string>();
    const AnswerVerdict verdict = said.verdict(kept);
    EXPECT_TRUE(verdict.ok);
    EXPECT_EQ(verdict.status, kGrpcOk);
    EXPECT_EQ(verdict.message_bytes, 9U);
    EXPECT_EQ(*kept, "a message");
  }
}

TEST(GrpcAnswer, OkNeedsExactlyOneWholeMessage) {
  const std::vector<HeaderField> ok{{.name = "grpc-status", .value = "0"}};
  const int internal = kGrpcStatus + static_cast<int>(GrpcCode::kInternal);
  const std::string frame = grpc_frame("abc");
  const std::string compressed = std::string("\1\0\0\0\3abc", 8);
  for (const std::vector<std::string>& data : {std::vector<std::string>{},
                                               {frame, frame},
                                               {frame.substr(0, 7)},
                                               {frame, frame.substr(0, 3)},
                                               {frame.substr(0, 4)},
                                               {compressed}}) {
    const AnswerVerdict verdict = Said{.data = data, .trailers = ok}.verdict();
    EXPECT_FALSE(verdict.ok);
    EXPECT_EQ(verdict.status, internal);
    EXPECT_FALSE(verdict.sample.empty());
  }
}

TEST(GrpcAnswer, ClaimedLengthsTakeNoMemory) {
  const auto kept = std::make_shared<std::string>();
  const std::string huge("\0\xFF\xFF\xFF\xFF", 5);
  const AnswerVerdict verdict =
      Said{.data = {huge + "abc"}, .trailers = {{.name = "grpc-status", .value = "0"}}}.verdict(
          kept);
  EXPECT_FALSE(verdict.ok);
  EXPECT_EQ(*kept, "abc");
  EXPECT_LT(kept->capacity(), 1000U);
}

TEST(GrpcAnswer, StatusThatIsNoNumberIsUnknown) {
  for (const std::string text : {"", "x", "-1", "1x", "99999999999"}) {
    const AnswerVerdict verdict =
        Said{.trailers = {{.name = "grpc-status", .value = text}}}.verdict();
    EXPECT_EQ(status_name(verdict.status), "UNKNOWN") << text;
    EXPECT_FALSE(verdict.ok);
  }
}

TEST(GrpcAnswer, DeadlineThatPassedHereIsATimeout) {
  const Said late{.trailers = {{.name = "grpc-status", .value = "4"}}};
  EXPECT_EQ(late.verdict(nullptr, milliseconds(960)).error, ErrorKind::kTimeout);
  EXPECT_EQ(late.verdict(nullptr, milliseconds(900)).error, ErrorKind::kNone);
  EXPECT_EQ(status_name(late.verdict(nullptr, milliseconds(900)).status), "DEADLINE_EXCEEDED");
}

TEST(GrpcAnswer, ResetsHaveTheStatusThatGrpcGivesThem) {
  const std::vector<std::pair<std::uint32_t, std::string>> expected{
      {0, "INTERNAL"},           {1, "INTERNAL"},  {5, "UNKNOWN"},
      {7, "UNAVAILABLE"},        {8, "CANCELLED"}, {11, "RESOURCE_EXHAUSTED"},
      {12, "PERMISSION_DENIED"}, {99, "UNKNOWN"}};
  for (const auto& [code, name] : expected) {
    EXPECT_EQ(status_name(GrpcAnswer(kLimit).judge_reset(code, milliseconds(1)).status), name)
        << code;
  }
}

}  // namespace
}  // namespace podsense::load
