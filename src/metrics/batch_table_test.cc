#include "metrics/batch_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

namespace podsense::metrics {
namespace {

using std::chrono::microseconds;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

std::vector<std::uint64_t> sizes(const BatchTable& table) {
  std::vector<std::uint64_t> list;
  for (const auto& batch : table.all()) {
    list.push_back(batch.size);
  }
  return list;
}

TEST(BatchTable, SumsTheRunsOfEachSize) {
  BatchTable table;
  EXPECT_THAT(table.all(), IsEmpty());
  table.add(8, microseconds(3), microseconds(50));
  table.add(1, {}, microseconds(10));
  table.add(8, microseconds(4), microseconds(60));
  const auto all = table.all();
  ASSERT_THAT(all, SizeIs(2));
  EXPECT_EQ(all[0].size, 1U);
  EXPECT_EQ(all[0].runs, 1U);
  EXPECT_EQ(all[0].input, Duration::zero());
  EXPECT_EQ(all[0].compute, microseconds(10));
  EXPECT_EQ(all[1].size, 8U);
  EXPECT_EQ(all[1].runs, 2U);
  EXPECT_EQ(all[1].input, microseconds(7));
  EXPECT_EQ(all[1].compute, microseconds(110));
}

TEST(BatchTable, ListsLargeSizesInOrderToo) {
  BatchTable table;
  for (const std::size_t size : {4096U, 65U, 64U, 300U, 65U}) {
    table.add(size, {}, microseconds(1));
  }
  EXPECT_THAT(sizes(table), ElementsAre(64, 65, 300, 4096));
  EXPECT_EQ(table.all()[1].runs, 2U);
}

TEST(BatchTable, StaysBoundedAndKeepsSmallSizesWhateverComes) {
  BatchTable table;
  for (std::size_t size = 10'000; size > 0; --size) {
    table.add(size, {}, microseconds(1));
  }
  table.add(10'000, {}, microseconds(1));
  const auto all = sizes(table);
  EXPECT_THAT(all, SizeIs(BatchTable::kSmall + BatchTable::kLarge));
  EXPECT_EQ(all.front(), 1U);
  EXPECT_EQ(all[BatchTable::kSmall - 1], BatchTable::kSmall);
  EXPECT_EQ(all.back(), 10'000U);
  EXPECT_EQ(table.all().back().runs, 2U);
}

TEST(BatchTable, IgnoresWhatIsNoRun) {
  BatchTable table;
  table.add(0, {}, microseconds(1));
  EXPECT_THAT(table.all(), IsEmpty());
}

TEST(BatchTable, LosesNothingBetweenThreads) {
  constexpr std::size_t kThreads = 4;
  constexpr std::size_t kRounds = 2000;
  BatchTable table;
  {
    std::vector<std::jthread> threads;
    for (std::size_t i = 0; i < kThreads; ++i) {
      threads.emplace_back([&table] {
        for (std::size_t round = 0; round < kRounds; ++round) {
          table.add(100 + round % BatchTable::kLarge, {}, microseconds(1));
        }
      });
    }
  }
  std::uint64_t runs = 0;
  for (const auto& batch : table.all()) {
    runs += batch.runs;
  }
  EXPECT_THAT(table.all(), SizeIs(BatchTable::kLarge)) << "each size has one place";
  EXPECT_EQ(runs, kThreads * kRounds);
}

}  // namespace
}  // namespace podsense::metrics
