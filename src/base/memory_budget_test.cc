#include "base/memory_budget.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace podsense {
namespace {

constexpr std::uint64_t kMegabyte = 1'000'000;

TEST(MemoryBudget, CountsByUseAndGivesBack) {
  MemoryBudget budget(100 * kMegabyte);
  {
    auto bodies = MemoryBudget::share(&budget, MemoryUse::kBodies);
    ASSERT_TRUE(bodies.grow_to(10 * kMegabyte));
    auto decoding = MemoryBudget::share(&budget, MemoryUse::kDecoding);
    ASSERT_TRUE(decoding.grow_to(20 * kMegabyte));
    EXPECT_EQ(budget.used(), 30 * kMegabyte);
    EXPECT_EQ(budget.used(MemoryUse::kDecoding), 20 * kMegabyte);
    ASSERT_TRUE(decoding.grow_to(5 * kMegabyte));
    EXPECT_EQ(budget.used(), 15 * kMegabyte);
    const MemoryBudget::Share moved = std::move(bodies);
    EXPECT_EQ(moved.bytes(), 10 * kMegabyte);
    EXPECT_EQ(budget.used(), 15 * kMegabyte);
  }
  EXPECT_EQ(budget.used(), 0U);
  EXPECT_EQ(budget.refused(), 0U);
}

TEST(MemoryBudget, WhatIsGivenBackBeforeItWasCountedRefusesNobody) {
  MemoryBudget budget(100 * kMegabyte);
  ASSERT_TRUE(budget.count(MemoryUse::kTensors, -static_cast<std::int64_t>(kMegabyte)));
  EXPECT_EQ(budget.used(), 0U);
  EXPECT_EQ(budget.used(MemoryUse::kTensors), 0U);
  auto bodies = MemoryBudget::share(&budget, MemoryUse::kBodies);
  EXPECT_TRUE(bodies.grow_to(10 * kMegabyte));
  ASSERT_TRUE(budget.count(MemoryUse::kTensors, kMegabyte));
  EXPECT_EQ(budget.used(), 10 * kMegabyte);
  EXPECT_EQ(budget.used(MemoryUse::kTensors), 0U);
}

TEST(MemoryBudget, AJoinedShareHoldsBoth) {
  MemoryBudget budget(100 * kMegabyte);
  MemoryBudget::Share all;
  for (int i = 0; i < 3; ++i) {
    auto part = MemoryBudget::share(&budget, MemoryUse::kAnswers);
    ASSERT_TRUE(part.grow_to(10 * kMegabyte));
    all.join(std::move(part));
  }
  EXPECT_EQ(all.bytes(), 30 * kMegabyte);
  EXPECT_EQ(budget.used(MemoryUse::kAnswers), 30 * kMegabyte);
  all.give_back();
  EXPECT_EQ(budget.used(), 0U);
}

TEST(MemoryBudget, WhatDoesNotFitNowIsAskedToComeAgain) {
  MemoryBudget budget(80 * kMegabyte);
  auto first = MemoryBudget::share(&budget, MemoryUse::kBodies);
  ASSERT_TRUE(first.grow_to(60 * kMegabyte));
  auto second = MemoryBudget::share(&budget, MemoryUse::kFetches);
  const auto refused = second.grow_to(20 * kMegabyte);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kOverloaded);
  EXPECT_GT(refused.error().retry_after.count(), 0);
  EXPECT_EQ(second.bytes(), 0U);
  EXPECT_EQ(budget.refused(MemoryUse::kFetches), 1U);
  first.give_back();
  EXPECT_TRUE(second.grow_to(20 * kMegabyte));
}

TEST(MemoryBudget, WhatCanNeverFitIsTooLarge) {
  MemoryBudget budget(80 * kMegabyte);
  auto share = MemoryBudget::share(&budget, MemoryUse::kDecoding);
  const auto refused = share.grow_to(71 * kMegabyte);  // seven eighths are 70
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kPayloadTooLarge);
  EXPECT_EQ(refused.error().message,
            "this request needs 71 MB of memory; this server has 70 MB for all requests together");
}

TEST(MemoryBudget, TheLastEighthIsForSmallShares) {
  MemoryBudget budget(80 * kMegabyte);
  auto large = MemoryBudget::share(&budget, MemoryUse::kBodies);
  ASSERT_TRUE(large.grow_to(70 * kMegabyte));
  EXPECT_FALSE(large.grow_to(70 * kMegabyte + 1));
  auto small = MemoryBudget::share(&budget, MemoryUse::kBodies);
  EXPECT_TRUE(small.grow_to(MemoryBudget::kSmall));
  EXPECT_FALSE(small.grow_to(MemoryBudget::kSmall + 1));
}

TEST(MemoryBudget, ALowerLimitTakesNothingAway) {
  MemoryBudget budget(80 * kMegabyte);
  auto share = MemoryBudget::share(&budget, MemoryUse::kBodies);
  ASSERT_TRUE(share.grow_to(50 * kMegabyte));
  budget.set_limit(10 * kMegabyte);
  EXPECT_EQ(share.bytes(), 50 * kMegabyte);
  EXPECT_FALSE(share.grow_to(50 * kMegabyte + 1));
  EXPECT_TRUE(share.grow_to(1));
  EXPECT_EQ(budget.used(), 1U);
}

TEST(MemoryBudget, WithoutOneEverythingFits) {
  auto share = MemoryBudget::share(nullptr, MemoryUse::kBodies);
  EXPECT_TRUE(share.grow_to(std::numeric_limits<std::uint64_t>::max()));
  EXPECT_EQ(share.bytes(), 0U);
}

TEST(MemoryBudget, ManyThreadsNeverHoldMoreThanTheLimit) {
  constexpr std::uint64_t kLimit = 64 * MemoryBudget::kSmall;
  MemoryBudget budget(kLimit);
  std::atomic<std::uint64_t> most{0};
  std::vector<std::jthread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int turn = 0; turn < 2'000; ++turn) {
        std::vector<MemoryBudget::Share> shares;
        for (int n = 0; n < 30; ++n) {
          shares.push_back(MemoryBudget::share(&budget, MemoryUse::kBodies));
          static_cast<void>(shares.back().grow_to(MemoryBudget::kSmall));
        }
        std::uint64_t seen = most.load();
        const std::uint64_t now = budget.used();
        while (seen < now && !most.compare_exchange_weak(seen, now)) {
        }
      }
    });
  }
  threads.clear();
  EXPECT_LE(most.load(), kLimit);
  EXPECT_EQ(budget.used(), 0U);
}

TEST(Memory, OfTheProcessAndTheMachineIsKnown) {
  EXPECT_GT(resident_bytes(), kMegabyte);
  EXPECT_GT(machine_memory_bytes(), resident_bytes());
}

}  // namespace
}  // namespace podsense
