#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>

#include "base/base64.h"
#include "base/cgroup.h"
#include "base/clock.h"
#include "base/data_type.h"
#include "base/digest.h"
#include "base/log.h"
#include "base/temp_folder_testing.h"
#include "base/text.h"
#include "base/thread_limit.h"

namespace podsense {
namespace {

namespace fs = std::filesystem;

std::string json(std::string_view text) {
  std::string out;
  append_json_string(out, text);
  return out;
}

TEST(Text, EscapesWhatJsonForbids) {
  EXPECT_EQ(json("a\"b\\c\n\t\x01"), R"("a\"b\\c\n\t\u0001")");
}

TEST(Text, KeepsUtf8AndReplacesWhatIsNot) {
  EXPECT_EQ(json("é€😀"), "\"é€😀\"");
  EXPECT_EQ(json("a\xFFz"), "\"a\xEF\xBF\xBDz\"");
  EXPECT_EQ(json("\xC0\xAF"), "\"\xEF\xBF\xBD\xEF\xBF\xBD\"");  // overlong
  EXPECT_EQ(json("\xED\xA0\x80").size(), 2 + 3 * 3);            // surrogate
  EXPECT_EQ(json("\xE2\x82"), "\"\xEF\xBF\xBD\xEF\xBF\xBD\"");  // cut off
}

TEST(Text, WritesShortestNumbers) {
  std::string out;
  append_json_number(out, 0.1F);
  out += ' ';
  append_json_number(out, 0.1);
  out += ' ';
  append_json_number(out, -7);
  out += ' ';
  append_json_number(out, std::nan(""));
  EXPECT_EQ(out, "0.1 0.1 -7 null");
}

TEST(Text, FindsTheNearestName) {
  constexpr std::string_view kNames[] = {"features", "model", "version"};
  EXPECT_EQ(nearest_name("feature", kNames), "features");
  EXPECT_EQ(nearest_name("Version", kNames), "version");
  EXPECT_EQ(nearest_name("quux", kNames), "");
  EXPECT_EQ(nearest_name("m", kNames), "");
}

TEST(Deadline, SaturatesAndKnowsWhenItPassed) {
  const TimePoint now{std::chrono::seconds(5)};
  EXPECT_FALSE(Deadline().passed(TimePoint::max() - Duration(1)));
  EXPECT_FALSE(Deadline::after(now, Duration::max()).reachable());
  const auto deadline = Deadline::after(now, std::chrono::seconds(1));
  EXPECT_FALSE(deadline.passed(now));
  EXPECT_TRUE(deadline.passed(now + std::chrono::seconds(1)));
  EXPECT_EQ(deadline.left(now + std::chrono::seconds(9)), Duration::zero());
}

TEST(Digest, IsTheSha256OfTheFile) {
  const TempFolder folder;
  const fs::path path = folder.write("digest", "abc");
  EXPECT_EQ(sha256_file(path).value(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(sha256_file(path.string() + ".none").error().code, ErrorCode::kNotFound);
}

TEST(Log, ParsesLevelsInAnyCase) {
  EXPECT_EQ(log::parse_level("WARN").value(), log::Level::kWarning);
  EXPECT_EQ(log::parse_level("info").value(), log::Level::kInfo);
  EXPECT_THAT(log::parse_level("loud").error().message, testing::HasSubstr("trace, debug"));
}

TEST(Log, WritesOneJsonObjectALine) {
  log::configure(log::Level::kInfo, log::Format::kJson);
  testing::internal::CaptureStdout();
  log::debug("hidden");
  log::info("shown", {{"text", "a\"b"}, {"count", 3}, {"seconds", 0.5}, {"drained", true}});
  const std::string out = testing::internal::GetCapturedStdout();
  EXPECT_THAT(out,
              testing::MatchesRegex(
                  R"re(\{"ts":"[-0-9T:.]+Z","level":"info","event":"shown",)re"
                  R"re("message":"shown","text":"a\\"b","count":3,"seconds":0.5,"drained":true\}
)re"));
}

/// A made-up /proc and /sys/fs/cgroup.
class Cgroup : public testing::Test {
 protected:
  void put(const std::string& path, const std::string& text) const { base_.write(path, text); }
  [[nodiscard]] cgroup::Roots roots() const {
    return {.proc = base_ / "proc", .sys = base_ / "sys"};
  }
  const TempFolder base_;
};

TEST_F(Cgroup, TakesTheSmallestQuotaOnTheWayUpV2) {
  put("proc/self/cgroup", "0::/kubepods/pod1/c1\n");
  put("sys/cgroup.controllers", "cpu memory");
  put("sys/kubepods/pod1/cpu.max", "50000 100000\n");
  put("sys/kubepods/pod1/c1/cpu.max", "max 100000\n");
  put("sys/kubepods/pod1/c1/cpu.stat",
      "usage_usec 1\nnr_periods 9\nnr_throttled 4\nthrottled_usec 7\n");
  const auto limit = cgroup::cpu_limit(roots());
  EXPECT_TRUE(limit.from_quota);
  EXPECT_DOUBLE_EQ(limit.cores, 0.5);
  EXPECT_EQ(limit.threads(), 1U);
  EXPECT_EQ(cgroup::cpu_throttling(roots())->periods, 4U);
  EXPECT_EQ(cgroup::cpu_throttling(roots())->time, std::chrono::microseconds(7));
}

TEST_F(Cgroup, ARefusedThreadNamesTheLimit) {
  put("proc/self/cgroup", "0::/pod1/c1\n");
  put("sys/cgroup.controllers", "pids");
  put("sys/pod1/pids.max", "20\n");
  put("sys/pod1/pids.current", "20\n");
  put("sys/pod1/c1/pids.max", "max\n");
  put("sys/pod1/c1/pids.current", "12\n");
  const std::system_error refused(std::make_error_code(std::errc::resource_unavailable_try_again));
  EXPECT_EQ(thread_refusal(refused, roots()),
            "Resource temporarily unavailable; the cgroup allows 20 tasks (pids.max) and has 20");
  put("sys/pod1/pids.max", "max\n");
  EXPECT_THAT(thread_refusal(refused, roots()), testing::HasSubstr("ulimit -u"));
}

TEST_F(Cgroup, ReadsV1InsideAContainer) {
  put("proc/self/cgroup", "4:cpu,cpuacct:/docker/abc\n3:memory:/docker/abc\n");
  put("sys/cpu,cpuacct/cpu.cfs_quota_us", "25000\n");
  put("sys/cpu,cpuacct/cpu.cfs_period_us", "100000\n");
  put("sys/memory/memory.limit_in_bytes", "1048576\n");
  put("sys/memory/memory.usage_in_bytes", "1000\n");
  put("sys/memory/memory.stat", "cache 1\ntotal_inactive_file 400\n");
  EXPECT_DOUBLE_EQ(cgroup::cpu_limit(roots()).cores, 0.25);
  const auto memory = cgroup::memory(roots());
  ASSERT_TRUE(memory);
  EXPECT_EQ(memory->limit_bytes, 1048576U);
  EXPECT_EQ(memory->working_set_bytes, 600U);
}

TEST_F(Cgroup, WithoutAQuotaCountsTheCoresItMayUse) {
  put("proc/self/cgroup", "0::/\n");
  put("sys/cgroup.controllers", "cpu");
  const auto limit = cgroup::cpu_limit(roots());
  EXPECT_FALSE(limit.from_quota);
  EXPECT_GE(limit.cores, 1.0);
  EXPECT_FALSE(cgroup::memory(roots()));
}

TEST(Base64, EncodesBytesOfEveryLength) {
  EXPECT_EQ(encode_base64(""), "");
  EXPECT_EQ(encode_base64("f"), "Zg==");
  EXPECT_EQ(encode_base64("fo"), "Zm8=");
  EXPECT_EQ(encode_base64("foo"), "Zm9v");
  EXPECT_EQ(encode_base64("fo", Padding::kNone), "Zm8");
  EXPECT_EQ(encode_base64("\xFF\xFE\xFD\xFC", Padding::kNone), "//79/A");
}

TEST(DataTypes, HaveTheProtocolsNames) {
  EXPECT_EQ(data_type_name(DataType::kBool), "BOOL");
  EXPECT_EQ(data_type_name(DataType::kUint8), "UINT8");
  EXPECT_EQ(data_type_name(DataType::kInt64), "INT64");
  EXPECT_EQ(data_type_name(DataType::kFp16), "FP16");
  EXPECT_EQ(data_type_name(DataType::kFp32), "FP32");
  EXPECT_EQ(data_type_name(DataType::kBytes), "BYTES");
  EXPECT_EQ(element_size(DataType::kFp64), 8U);
  EXPECT_EQ(element_size(DataType::kBf16), 2U);
  EXPECT_EQ(element_size(DataType::kBytes), 0U);
  for (const char* name : {"BOOL", "UINT16", "BF16", "FP64", "BYTES"}) {
    EXPECT_EQ(data_type_name(data_type_of(name).value()), name);
  }
  EXPECT_EQ(data_type_of("fp32"), std::nullopt);
}

}  // namespace
}  // namespace podsense
