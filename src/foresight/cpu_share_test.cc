#include "foresight/cpu_share.h"

#include <gtest/gtest.h>

namespace podsense::foresight {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr TimePoint kBegin{seconds(100)};

/// Runs until nothing is left; the moments of the ends since kBegin, in milliseconds.
std::vector<double> ends(CpuShare& cpu) {
  std::vector<double> moments;
  for (TimePoint next = cpu.next_end(); next != TimePoint::max(); next = cpu.next_end()) {
    const auto done = cpu.ended(next);
    EXPECT_FALSE(done.empty()) << "nothing ended when it was said";
    for (std::size_t i = 0; i < done.size(); ++i) {
      moments.push_back(to_ms(next - kBegin));
    }
  }
  return moments;
}

TEST(CpuShare, WithoutALimitEveryThreadRunsAtOnce) {
  CpuShare cpu(std::nullopt, kBegin);
  cpu.begin(1, milliseconds(25), kBegin);
  cpu.begin(2, milliseconds(40), kBegin);
  EXPECT_EQ(ends(cpu), (std::vector<double>{25, 40}));
  EXPECT_EQ(cpu.used(kBegin + seconds(1)), milliseconds(65));
  EXPECT_EQ(cpu.throttled(kBegin + seconds(1)), Duration::zero());
}

TEST(CpuShare, WhatFitsIntoTheQuotaIsNotHeld) {
  CpuShare cpu(0.25, kBegin);
  cpu.begin(1, milliseconds(25), kBegin);
  EXPECT_EQ(ends(cpu), std::vector<double>{25});
  EXPECT_EQ(cpu.throttled(kBegin + seconds(1)), Duration::zero());
}

// The jump that CPU usage does not show: 26 ms of CPU take 101.
TEST(CpuShare, WhatDoesNotFitStandsStillUntilTheNextPeriod) {
  CpuShare cpu(0.25, kBegin);
  cpu.begin(1, milliseconds(26), kBegin);
  EXPECT_EQ(ends(cpu), std::vector<double>{101});
  EXPECT_EQ(cpu.throttled(kBegin + seconds(1)), milliseconds(75));
  EXPECT_EQ(cpu.used(kBegin + seconds(1)), milliseconds(26));
}

TEST(CpuShare, ThreadsShareTheQuota) {
  CpuShare cpu(0.5, kBegin);
  cpu.begin(1, milliseconds(30), kBegin);
  cpu.begin(2, milliseconds(30), kBegin);
  // 25 ms each, then 5 ms each of the next period.
  EXPECT_EQ(ends(cpu), (std::vector<double>{105, 105}));
}

TEST(CpuShare, PeriodsAreCountedFromTheirOwnPhase) {
  CpuShare cpu(0.25, kBegin - milliseconds(60));
  cpu.begin(1, milliseconds(30), kBegin);
  // A full quota is there: 25 ms until 25, a new period at 40, 5 ms more.
  EXPECT_EQ(ends(cpu), std::vector<double>{45});
}

TEST(CpuShare, QuotaThatWasNotUsedIsNotSaved) {
  CpuShare cpu(0.25, kBegin);
  cpu.begin(1, milliseconds(50), kBegin + seconds(10));
  EXPECT_EQ(ends(cpu), std::vector<double>{10'125});
}

TEST(CpuShare, ALongJobGetsItsLimitOverTime) {
  CpuShare cpu(0.25, kBegin);
  cpu.begin(1, seconds(10), kBegin);
  const std::vector<double> moments = ends(cpu);
  ASSERT_EQ(moments.size(), 1U);
  EXPECT_NEAR(moments[0], 40'000, 100);
}

TEST(CpuShare, MoreQuotaThanThreadsHoldsNothing) {
  CpuShare cpu(2, kBegin);
  cpu.begin(1, milliseconds(950), kBegin);
  EXPECT_EQ(ends(cpu), std::vector<double>{950});
  EXPECT_EQ(cpu.throttled(kBegin + seconds(1)), Duration::zero());
}

}  // namespace
}  // namespace podsense::foresight
