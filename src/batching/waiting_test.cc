#include "batching/waiting.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace podsense::batching {
namespace {

using std::chrono::milliseconds;
using testing::ElementsAre;

class Named final : public Task {
 public:
  explicit Named(std::string text) : name(std::move(text)) {}
  void drop(Error) override {}
  std::string name;
};

struct What {
  std::uint64_t client = 0;
  std::uint32_t priority = kDefaultPriority;
  int cost_ms = 10;
  std::size_t rows = 1;
};

std::unique_ptr<Named> task(const std::string& name, const What& what) {
  auto made = std::make_unique<Named>(name);
  made->client = what.client;
  made->priority = what.priority;
  made->cost = milliseconds(what.cost_ms);
  made->rows = what.rows;
  return made;
}

class WaitingTest : public testing::Test {
 protected:
  void push(const std::string& name, const What& what = {}) { waiting_.push(task(name, what)); }
  std::string pop() { return static_cast<Named&>(*waiting_.pop()).name; }
  std::vector<std::string> rest() {
    std::vector<std::string> names;
    while (!waiting_.empty()) {
      names.push_back(pop());
    }
    return names;
  }
  [[nodiscard]] Duration ahead(const What& what) const {
    return waiting_.ahead_of(*task("newcomer", what));
  }
  Waiting<> waiting_;
};

TEST_F(WaitingTest, OneClientsTasksRunAsTheyCame) {
  for (const char* name : {"a", "b", "c"}) {
    push(name);
  }
  EXPECT_EQ(waiting_.tasks(), 3U);
  EXPECT_THAT(rest(), ElementsAre("a", "b", "c"));
}

TEST_F(WaitingTest, LowerPrioritiesRunFirst) {
  push("late", {.priority = 9});
  push("usual");
  push("first", {.priority = 1});
  EXPECT_THAT(rest(), ElementsAre("first", "usual", "late"));
}

TEST_F(WaitingTest, AFloodingClientWaitsBehindItsOwnFlood) {
  for (int i = 0; i < 4; ++i) {
    push("flood", {.client = 1});
  }
  push("other", {.client = 2});
  EXPECT_EQ(pop(), "flood");
  EXPECT_EQ(pop(), "other");
  push("third", {.client = 3});
  EXPECT_EQ(pop(), "third") << "a newcomer begins where those now served are";
  EXPECT_THAT(rest(), ElementsAre("flood", "flood", "flood"));
}

TEST_F(WaitingTest, SharesAreCountedInCostNotInTasks) {
  for (int i = 0; i < 2; ++i) {
    push("heavy", {.client = 1, .cost_ms = 30});
  }
  for (int i = 0; i < 6; ++i) {
    push("light", {.client = 2, .cost_ms = 10});
  }
  EXPECT_THAT(rest(),
              ElementsAre("heavy", "light", "light", "light", "heavy", "light", "light", "light"));
}

TEST_F(WaitingTest, TasksWithoutCostTakeTurns) {
  push("a1", {.client = 1, .cost_ms = 0});
  push("a2", {.client = 1, .cost_ms = 0});
  push("b1", {.client = 2, .cost_ms = 0});
  EXPECT_THAT(rest(), ElementsAre("a1", "b1", "a2"));
}

TEST_F(WaitingTest, AheadOfANewcomerIsWhatRunsBeforeIt) {
  EXPECT_EQ(ahead({}), Duration::zero());
  push("urgent", {.priority = 1, .cost_ms = 5});
  push("later", {.priority = 9, .cost_ms = 500});
  for (int i = 0; i < 10; ++i) {
    push("flood", {.client = 1, .cost_ms = 10});
  }
  push("mine", {.client = 2, .cost_ms = 20});
  EXPECT_EQ(ahead({.client = 1}), milliseconds(5 + 100 + 20));
  EXPECT_EQ(ahead({.client = 2}), milliseconds(5 + 20 + 30)) << "of the flood, its own share";
  EXPECT_EQ(ahead({.client = 3}), milliseconds(5 + 10 + 10));
  EXPECT_EQ(ahead({.priority = 1}), milliseconds(5));
  EXPECT_EQ(ahead({.client = 9, .priority = 10}), milliseconds(5 + 500 + 100 + 20));
}

TEST_F(WaitingTest, CountsRowsAndKnowsTheOldest) {
  auto second = task("second", {.client = 1, .rows = 4});
  second->enqueued = TimePoint(milliseconds(20));
  auto first = task("first", {.client = 2, .rows = 2});
  first->enqueued = TimePoint(milliseconds(10));
  waiting_.push(std::move(second));
  waiting_.push(std::move(first));
  EXPECT_EQ(waiting_.rows(), 6U);
  EXPECT_EQ(waiting_.oldest(), TimePoint(milliseconds(10)));
  EXPECT_EQ(waiting_.drain().size(), 2U);
  EXPECT_EQ(waiting_.rows(), 0U);
  EXPECT_TRUE(waiting_.empty());
}

}  // namespace
}  // namespace podsense::batching
