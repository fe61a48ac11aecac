#include "batching/scheduler_core.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>
#include <initializer_list>
#include <string>
#include <string_view>

namespace podsense::batching {
namespace {

using std::chrono::milliseconds;
using testing::ElementsAre;
using testing::IsEmpty;

/// A task as a simulation has it: a row of a table, neither virtual nor owned by the core.
struct Item : Ticket {
  std::string name;
  bool left = false;
  [[nodiscard]] bool abandoned() const { return left; }
};
using Core = SchedulerCore<Item*>;

std::string names(const std::vector<Item*>& items) {
  std::string all;
  for (const Item* item : items) {
    all += (all.empty() ? "" : " ") + item->name;
  }
  return all;
}

struct What {
  Duration deadline{};  ///< from now; zero: none
  Duration cost{};
  std::size_t rows = 1;
  std::uint64_t client = 0;
  std::uint32_t priority = kDefaultPriority;
  std::uint64_t size = 0;
  std::uint64_t shape = 0;
};

class SchedulerCoreTest : public testing::Test {
 protected:
  Item& make(std::string name, const What& what) {
    Item& item = items_.emplace_back();
    item.name = std::move(name);
    if (what.deadline != Duration::zero()) {
      item.deadline = Deadline::after(now_, what.deadline);
    }
    item.cost = what.cost;
    item.rows = what.rows;
    item.client = what.client;
    item.priority = what.priority;
    item.size = what.size;
    item.shape = what.shape;
    return item;
  }
  AdmissionVerdict submit(QueueId queue, std::string name, const What& what = {}) {
    Item* item = &make(std::move(name), what);
    return core_.submit(queue, item, now_);
  }
  bool admitted(QueueId queue, std::string name, const What& what = {}) {
    return submit(queue, std::move(name), what).admitted();
  }
  Core::Next next() { return core_.next(now_); }
  /// The batch that begins now, by its names.
  std::string begin() {
    Core::Next next = core_.next(now_);
    dropped_.clear();
    for (const Core::Dropped& dropped : next.dropped) {
      dropped_ += (dropped_.empty() ? "" : " ") + dropped.task->name;
    }
    if (!next.batch.empty()) {
      running_.push_back(next.run);
    }
    return names(next.batch);
  }
  /// Ends the run that began first after `elapsed` more.
  void end(Duration elapsed = milliseconds(10)) {
    now_ += elapsed;
    core_.finish(running_.front(), now_, {.elapsed = now_ - running_.front().started});
    running_.pop_front();
  }
  /// All batches until nothing waits, one after the other.
  std::vector<std::string> run_all(Duration each = milliseconds(10)) {
    std::vector<std::string> batches;
    for (std::string batch = begin(); !batch.empty(); batch = begin()) {
      batches.push_back(std::move(batch));
      end(each);
    }
    return batches;
  }

  TimePoint now_{std::chrono::hours(1)};
  std::deque<Item> items_;
  Core core_{{.executors = 1}};
  std::deque<ActiveRun> running_;
  std::string dropped_;
};

TEST_F(SchedulerCoreTest, HasNothingToRunAndNoTimeToAskAgainWhileNothingWaits) {
  core_.add_queue({});
  const Core::Next next = core_.next(now_);
  EXPECT_THAT(next.batch, IsEmpty());
  EXPECT_THAT(next.dropped, IsEmpty());
  EXPECT_EQ(next.again, TimePoint::max());
}

TEST_F(SchedulerCoreTest, ATaskIsStampedWhenItComesAndWhenItIsTaken) {
  const QueueId queue = core_.add_queue({.service = milliseconds(20)});
  ASSERT_TRUE(admitted(queue, "first"));
  EXPECT_EQ(begin(), "first");
  now_ += milliseconds(5);
  ASSERT_TRUE(admitted(queue, "second"));
  const Item& second = items_.back();
  EXPECT_EQ(second.enqueued, now_);
  EXPECT_EQ(second.cost, milliseconds(20)) << "the queue's estimate";
  EXPECT_EQ(second.expected_wait, milliseconds(10)) << "what runs counts half";
  end(milliseconds(15));
  EXPECT_EQ(begin(), "second");
  EXPECT_EQ(second.started, now_);
}

// Batches.

TEST_F(SchedulerCoreTest, AFreeExecutorTakesWhatWaitsUpToMaxBatchRows) {
  const QueueId queue = core_.add_queue({.max_batch = 4});
  for (const char* name : {"a", "b", "c", "d", "e"}) {
    ASSERT_TRUE(admitted(queue, name));
  }
  EXPECT_THAT(run_all(), ElementsAre("a b c d", "e"));
}

TEST_F(SchedulerCoreTest, ATaskOfMoreRowsThanABatchRunsAlone) {
  const QueueId queue = core_.add_queue({.max_batch = 4});
  ASSERT_TRUE(admitted(queue, "three", {.rows = 3}));
  ASSERT_TRUE(admitted(queue, "two", {.rows = 2}));
  ASSERT_TRUE(admitted(queue, "nine", {.rows = 9}));
  ASSERT_TRUE(admitted(queue, "one"));
  EXPECT_THAT(run_all(), ElementsAre("three", "two", "nine", "one"));
}

TEST_F(SchedulerCoreTest, ABatchThatIsNotFullWaitsForCompanyUntilMaxDelayAfterItsOldest) {
  const QueueId queue = core_.add_queue({.max_batch = 3, .max_delay = milliseconds(8)});
  ASSERT_TRUE(admitted(queue, "a"));
  const TimePoint due = now_ + milliseconds(8);
  EXPECT_EQ(next().again, due);
  now_ += milliseconds(5);
  ASSERT_TRUE(admitted(queue, "b"));
  EXPECT_THAT(next().batch, IsEmpty());
  EXPECT_EQ(next().again, due) << "the second does not put it off";
  now_ = due;
  EXPECT_EQ(begin(), "a b");
}

TEST_F(SchedulerCoreTest, AFullBatchWaitsForNobody) {
  const QueueId queue = core_.add_queue({.max_batch = 2, .max_delay = milliseconds(8)});
  ASSERT_TRUE(admitted(queue, "a"));
  ASSERT_TRUE(admitted(queue, "b"));
  EXPECT_EQ(begin(), "a b");
}

TEST_F(SchedulerCoreTest, AQueueThatWaitsForCompanyHoldsUpNoOther) {
  const QueueId delayed = core_.add_queue({.max_batch = 2, .max_delay = milliseconds(8)});
  const QueueId prompt = core_.add_queue({});
  ASSERT_TRUE(admitted(delayed, "delayed"));
  ASSERT_TRUE(admitted(prompt, "prompt"));
  EXPECT_EQ(begin(), "prompt");
  end(milliseconds(8));
  EXPECT_EQ(begin(), "delayed");
}

// Executors.

TEST_F(SchedulerCoreTest, NoMoreRunsAreUnderWayThanExecutorsNorOfAQueueThanItsInstances) {
  core_.resize(3);
  const QueueId two = core_.add_queue({.instances = 2});
  const QueueId any = core_.add_queue({.instances = 0});
  for (const char* name : {"a", "b", "c"}) {
    ASSERT_TRUE(admitted(two, name));
  }
  EXPECT_EQ(begin(), "a");
  EXPECT_EQ(begin(), "b");
  EXPECT_EQ(begin(), "") << "two instances";
  ASSERT_TRUE(admitted(any, "d"));
  ASSERT_TRUE(admitted(any, "e"));
  EXPECT_EQ(begin(), "d");
  EXPECT_EQ(begin(), "") << "three executors";
  EXPECT_EQ(core_.load(two).running, 2U);
  EXPECT_EQ(core_.load(any).waiting, 1U);
}

TEST_F(SchedulerCoreTest, FewerExecutorsTakeEffectAsRunsEndAndMoreAtOnce) {
  core_.resize(3);
  const QueueId queue = core_.add_queue({.instances = 0});
  for (const char* name : {"a", "b", "c", "d", "e", "f"}) {
    ASSERT_TRUE(admitted(queue, name));
  }
  for (const char* name : {"a", "b", "c"}) {
    EXPECT_EQ(begin(), name);
  }
  core_.resize(1);
  end();
  EXPECT_EQ(begin(), "") << "two are still under way";
  end();
  EXPECT_EQ(begin(), "");
  end();
  EXPECT_EQ(begin(), "d");
  EXPECT_EQ(begin(), "");
  core_.resize(2);
  EXPECT_EQ(begin(), "e");
}

TEST_F(SchedulerCoreTest, ThereIsAlwaysAnExecutor) {
  core_.resize(0);
  EXPECT_EQ(core_.executors(), 1U);
}

// Fairness.

TEST_F(SchedulerCoreTest, AFloodOfOneQueueDoesNotStarveAnother) {
  const QueueId flood = core_.add_queue({});
  const QueueId other = core_.add_queue({});
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE(admitted(flood, "f"));
  }
  ASSERT_TRUE(admitted(other, "o"));
  ASSERT_TRUE(admitted(other, "o"));
  EXPECT_THAT(run_all(), ElementsAre("f", "o", "f", "o", "f", "f", "f"));
}

TEST_F(SchedulerCoreTest, QueuesShareExecutorTimeByWeight) {
  const QueueId heavy = core_.add_queue({.weight = 3});
  const QueueId light = core_.add_queue({});
  for (int i = 0; i < 8; ++i) {
    ASSERT_TRUE(admitted(heavy, "h"));
    ASSERT_TRUE(admitted(light, "l"));
  }
  const auto order = run_all();
  EXPECT_EQ(std::count(order.begin(), order.begin() + 8, "h"), 6);
}

TEST_F(SchedulerCoreTest, AQueueThatWasIdleSavesNoTimeUp) {
  const QueueId busy = core_.add_queue({});
  const QueueId idle = core_.add_queue({});
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE(admitted(busy, "before"));
  }
  run_all();
  for (int i = 0; i < 4; ++i) {
    ASSERT_TRUE(admitted(busy, "b"));
    ASSERT_TRUE(admitted(idle, "i"));
  }
  const auto order = run_all();
  EXPECT_EQ(std::count(order.begin(), order.begin() + 4, "b"), 2);
}

TEST_F(SchedulerCoreTest, WhatComesFirstRunsFirstOfOneClientAndClientsTakeTurns) {
  const QueueId queue = core_.add_queue({});
  for (const char* name : {"a1", "a2", "a3"}) {
    ASSERT_TRUE(admitted(queue, name, {.cost = milliseconds(10), .client = 1}));
  }
  ASSERT_TRUE(admitted(queue, "b1", {.cost = milliseconds(10), .client = 2}));
  EXPECT_THAT(run_all(), ElementsAre("a1", "b1", "a2", "a3"));
}

TEST_F(SchedulerCoreTest, ANewcomersWaitCountsItsOwnClientsTasksAndAsMuchOfTheOthers) {
  const QueueId queue = core_.add_queue({.service = milliseconds(10)});
  ASSERT_TRUE(admitted(queue, "running"));
  ASSERT_EQ(begin(), "running");
  for (int i = 0; i < 4; ++i) {
    ASSERT_TRUE(admitted(queue, "flood", {.client = 1}));
  }
  const What soon{.deadline = milliseconds(40)};
  EXPECT_FALSE(admitted(queue, "flood", {.deadline = soon.deadline, .client = 1}));
  EXPECT_TRUE(admitted(queue, "other", {.deadline = soon.deadline, .client = 2}));
}

TEST_F(SchedulerCoreTest, UrgentTasksRunFirst) {
  const QueueId queue = core_.add_queue({});
  ASSERT_TRUE(admitted(queue, "usual"));
  ASSERT_TRUE(admitted(queue, "late", {.priority = kDefaultPriority + 1}));
  ASSERT_TRUE(admitted(queue, "urgent", {.priority = 1}));
  EXPECT_THAT(run_all(), ElementsAre("urgent", "usual", "late"));
}

// Deadlines and dropping.

TEST_F(SchedulerCoreTest, RefusesAtArrivalWhatCannotMeetItsDeadlineAndSaysWhenItCould) {
  const QueueId queue = core_.add_queue({.service = milliseconds(100)});
  ASSERT_TRUE(admitted(queue, "running"));
  ASSERT_EQ(begin(), "running");
  const AdmissionVerdict verdict = submit(queue, "refused", {.deadline = milliseconds(120)});
  EXPECT_EQ(verdict.refused, Refusal::kQueueTime);
  EXPECT_EQ(verdict.retry_after, std::chrono::microseconds(36'250));  // 50 × 9/8 + 100 - 120
  EXPECT_TRUE(admitted(queue, "waits", {.deadline = milliseconds(200)}));
  EXPECT_EQ(core_.load(queue).unserved.queue_time, 1U);
}

TEST_F(SchedulerCoreTest, WhatIsRefusedStaysAsItWas) {
  const QueueId queue = core_.add_queue({.max_waiting = 1, .service = milliseconds(10)});
  ASSERT_TRUE(admitted(queue, "waits"));
  Item* item = &make("refused", {});
  EXPECT_EQ(core_.submit(queue, item, now_).refused, Refusal::kQueueLength);
  ASSERT_NE(item, nullptr);
  EXPECT_EQ(item->cost, Duration::zero());
  EXPECT_EQ(core_.load(queue).unserved.queue_length, 1U);
}

TEST_F(SchedulerCoreTest, RefusesWhatIsPastItsDeadlineOrCannotFitBeforeIt) {
  const QueueId queue = core_.add_queue({});
  Item* late = &make("late", {});
  late->deadline = Deadline(now_);
  EXPECT_EQ(core_.submit(queue, late, now_).refused, Refusal::kPastDeadline);
  EXPECT_EQ(submit(queue, "long", {.deadline = milliseconds(5), .cost = milliseconds(6)}).refused,
            Refusal::kCost);
  const Unserved unserved = core_.load(queue).unserved;
  EXPECT_EQ(unserved.deadline, 1U);
  EXPECT_EQ(unserved.cost, 1U);
  EXPECT_EQ(unserved.crowded_out(), 0U) << "more executors would not have helped";
}

// Rows of different sizes.

constexpr std::uint64_t kSmall = 64;
constexpr std::uint64_t kLarge = 100 * kSmall;

TEST_F(SchedulerCoreTest, ALargeRequestIsNotAdmittedByTheEstimateOfASmallOne) {
  const QueueId queue = core_.add_queue({.service = milliseconds(1)});
  ASSERT_TRUE(admitted(queue, "small", {.size = kSmall}));
  EXPECT_EQ(begin(), "small");
  end(milliseconds(1));
  ASSERT_TRUE(admitted(queue, "running", {.size = kSmall}));
  ASSERT_EQ(begin(), "running");
  EXPECT_EQ(submit(queue, "large", {.deadline = milliseconds(50), .size = kLarge}).refused,
            Refusal::kQueueTime);
  EXPECT_TRUE(admitted(queue, "another small", {.deadline = milliseconds(50), .size = kSmall}));
  EXPECT_TRUE(admitted(queue, "large", {.deadline = milliseconds(300), .size = kLarge}));
  // What waits behind it waits for it.
  EXPECT_EQ(submit(queue, "behind", {.deadline = milliseconds(50), .size = kSmall}).refused,
            Refusal::kQueueTime);
}

TEST_F(SchedulerCoreTest, ALargeRequestDoesNotMakeSmallOnesDear) {
  const QueueId queue = core_.add_queue({.service = milliseconds(1)});
  for (int i = 0; i < 20; ++i) {
    ASSERT_TRUE(admitted(queue, "small", {.size = kSmall}));
    ASSERT_TRUE(admitted(queue, "large", {.size = kLarge}));
    EXPECT_EQ(begin(), "small");
    end(milliseconds(1));
    EXPECT_EQ(begin(), "large");
    end(milliseconds(200));
  }
  ASSERT_TRUE(admitted(queue, "small", {.size = kSmall}));
  EXPECT_EQ(items_.back().cost, milliseconds(1));
  ASSERT_TRUE(admitted(queue, "large", {.size = kLarge}));
  EXPECT_EQ(items_.back().cost, milliseconds(200));
  EXPECT_EQ(begin(), "small");
  // Two small ones are let in beside what runs, although most of the time went to large ones.
  EXPECT_TRUE(
      admitted(queue, "in time", {.deadline = milliseconds(10), .priority = 1, .size = kSmall}));
}

TEST_F(SchedulerCoreTest, RowsOfABatchShareItsTimeBySize) {
  const QueueId queue = core_.add_queue({.max_batch = 4});
  ASSERT_TRUE(admitted(queue, "two", {.rows = 2, .size = kSmall}));
  ASSERT_TRUE(admitted(queue, "one", {.rows = 1, .size = 4 * kSmall}));
  EXPECT_EQ(begin(), "two one");
  EXPECT_EQ(running_.front().size, 2 * kSmall) << "on average";
  end(milliseconds(6));
  ASSERT_TRUE(admitted(queue, "as large", {.size = 2 * kSmall}));
  EXPECT_EQ(items_.back().cost, milliseconds(2));
}

TEST_F(SchedulerCoreTest, TasksOfDifferentShapesShareNoBatch) {
  const QueueId queue = core_.add_queue({.max_batch = 4});
  ASSERT_TRUE(admitted(queue, "a", {.shape = 1}));
  ASSERT_TRUE(admitted(queue, "b", {.shape = 1}));
  ASSERT_TRUE(admitted(queue, "c", {.shape = 2}));
  ASSERT_TRUE(admitted(queue, "d", {.shape = 1}));
  EXPECT_THAT(run_all(), ElementsAre("a b", "c", "d"));
}

TEST_F(SchedulerCoreTest, DropsBeforeARunWhatCannotMeetItsDeadlineUnlessNothingElseWaits) {
  const QueueId queue = core_.add_queue({.service = milliseconds(20)});
  ASSERT_TRUE(admitted(queue, "running"));
  ASSERT_EQ(begin(), "running");
  ASSERT_TRUE(admitted(queue, "late", {.deadline = milliseconds(60)}));
  ASSERT_TRUE(admitted(queue, "last", {.deadline = milliseconds(60)}));
  end(milliseconds(50));  // 10 ms are left for 20 ms of work
  EXPECT_EQ(begin(), "last") << "the estimate may be wrong";
  EXPECT_EQ(dropped_, "late");
  EXPECT_EQ(core_.load(queue).unserved.late, 1U);
}

TEST_F(SchedulerCoreTest, DropsBeforeARunWhatNobodyWaitsForAnyMore) {
  const QueueId queue = core_.add_queue({.max_batch = 2});
  ASSERT_TRUE(admitted(queue, "a"));
  ASSERT_TRUE(admitted(queue, "left"));
  items_.back().left = true;
  ASSERT_TRUE(admitted(queue, "b"));
  EXPECT_EQ(begin(), "a b") << "it takes no place in the batch";
  EXPECT_EQ(dropped_, "left");
  EXPECT_EQ(core_.load(queue).unserved.client_disconnected, 1U);
}

TEST_F(SchedulerCoreTest, AQueueOfWhichAllIsDroppedLeavesTheExecutorToTheNext) {
  const QueueId left = core_.add_queue({});
  const QueueId other = core_.add_queue({});
  ASSERT_TRUE(admitted(left, "left"));
  items_.back().left = true;
  ASSERT_TRUE(admitted(other, "runs"));
  EXPECT_EQ(begin(), "runs");
  EXPECT_EQ(dropped_, "left");
  EXPECT_EQ(core_.running(left), 0U);
}

// Estimates and headroom.

TEST_F(SchedulerCoreTest, TheEstimateFollowsWhatRunsTake) {
  const QueueId queue = core_.add_queue({.max_batch = 2, .service = milliseconds(10)});
  for (int i = 0; i < 40; ++i) {
    ASSERT_TRUE(admitted(queue, "a"));
    ASSERT_TRUE(admitted(queue, "b"));
    ASSERT_EQ(begin(), "a b");
    end(milliseconds(60));
  }
  EXPECT_NEAR(to_ms(core_.load(queue).service), 30, 1) << "a row's share of its run";
}

TEST_F(SchedulerCoreTest, AWaitLongerThanExpectedLeavesNewcomersLessTime) {
  const QueueId queue = core_.add_queue({});
  const auto fill = [&] {
    for (int i = 0; i < 10; ++i) {
      ASSERT_TRUE(admitted(queue, "w", {.cost = milliseconds(10)}));
    }
  };
  // Ten wait 100 ms: with an eighth of headroom the newcomer needs 112.5 + 10 ms.
  const What newcomer{.deadline = milliseconds(130), .cost = milliseconds(10)};
  fill();
  EXPECT_TRUE(admitted(queue, "in time", newcomer));
  run_all(milliseconds(15));
  fill();
  EXPECT_FALSE(admitted(queue, "would be late", newcomer))
      << "the last waits took half as long again as expected";
}

TEST_F(SchedulerCoreTest, RunsAreCountedWithTheirMoments) {
  const QueueId queue = core_.add_queue({});
  for (const int ms : {10, 30}) {
    ASSERT_TRUE(admitted(queue, "a"));
    ASSERT_EQ(begin(), "a");
    end(milliseconds(ms));
  }
  const Runs runs = core_.runs(now_);
  EXPECT_EQ(runs.count, 2U);
  EXPECT_NEAR(runs.seconds, 0.040, 1e-9);
  EXPECT_NEAR(runs.square_seconds, 0.0010, 1e-9);
  EXPECT_NEAR(runs.busy_seconds, 0.040, 1e-9);
}

TEST_F(SchedulerCoreTest, ARunUnderWayCountsAsFarAsItHasCome) {
  core_.resize(2);
  const QueueId queue = core_.add_queue({.instances = 0});
  ASSERT_TRUE(admitted(queue, "a"));
  ASSERT_TRUE(admitted(queue, "b"));
  ASSERT_EQ(begin(), "a");
  now_ += milliseconds(10);
  ASSERT_EQ(begin(), "b");
  now_ += milliseconds(20);
  EXPECT_EQ(core_.runs(now_).count, 0U);
  EXPECT_NEAR(core_.runs(now_).busy_seconds, 0.050, 1e-9);
}

// Clients that leave.

TEST_F(SchedulerCoreTest, CountsTasksThatWereRunForNobody) {
  const QueueId queue = core_.add_queue({.max_batch = 4});
  for (const char* name : {"a", "b", "c", "d"}) {
    ASSERT_TRUE(admitted(queue, name));
  }
  ASSERT_EQ(begin(), "a b c d");
  now_ += milliseconds(40);
  core_.finish(running_.front(), now_, {.elapsed = milliseconds(40), .unreceived = 1});
  EXPECT_EQ(core_.load(queue).unreceived, 1U);
  EXPECT_NEAR(core_.runs(now_).unreceived_seconds, 0.010, 1e-9) << "its share of the run";
}

TEST_F(SchedulerCoreTest, RefusesWhatWouldWaitLongerThanMaxWaitAndSaysHowMuchLonger) {
  const QueueId queue =
      core_.add_queue({.max_wait = milliseconds(25), .service = milliseconds(10)});
  ASSERT_TRUE(admitted(queue, "running"));
  ASSERT_EQ(begin(), "running");
  for (const char* name : {"a", "b", "c"}) {
    ASSERT_TRUE(admitted(queue, name)) << "5, 15 and 25 ms are expected";
  }
  const AdmissionVerdict verdict = submit(queue, "d");
  EXPECT_EQ(verdict.refused, Refusal::kWaitBound);
  EXPECT_EQ(verdict.retry_after, milliseconds(10));
  EXPECT_EQ(core_.load(queue).unserved.wait_bound, 1U);
  EXPECT_EQ(core_.load(queue).wait_bound, milliseconds(25));
}

TEST_F(SchedulerCoreTest, DropsWhatWaitedTwiceTheBoundUnlessNothingElseWaits) {
  const QueueId queue =
      core_.add_queue({.max_wait = milliseconds(25), .service = milliseconds(10)});
  ASSERT_TRUE(admitted(queue, "running"));
  ASSERT_EQ(begin(), "running");
  ASSERT_TRUE(admitted(queue, "a"));
  ASSERT_TRUE(admitted(queue, "b"));
  end(milliseconds(51));
  EXPECT_EQ(begin(), "b");
  EXPECT_EQ(dropped_, "a");
  EXPECT_EQ(core_.load(queue).unserved.waited_too_long, 1U);
}

TEST_F(SchedulerCoreTest, RunsForNobodyShortenTheQueueAndAnswersThatArriveDoNot) {
  const QueueId queue = core_.add_queue({.service = milliseconds(10)});
  const auto serve = [&](int runs, const FinishedRun& outcome) {
    for (int i = 0; i < runs; ++i) {
      ASSERT_TRUE(admitted(queue, "a"));
      ASSERT_EQ(begin(), "a");
      now_ += milliseconds(10);
      core_.finish(running_.front(), now_, outcome);
      running_.pop_front();
    }
  };
  serve(100, {.elapsed = milliseconds(10)});
  EXPECT_EQ(core_.load(queue).wait_bound, Duration::zero());
  serve(6, {.elapsed = milliseconds(10),
            .unreceived = 1,
            .outwaited = 1,
            .patience = milliseconds(400)});
  EXPECT_EQ(core_.load(queue).wait_bound, milliseconds(100)) << "a quarter of their patience";
}

// Queues that go.

TEST_F(SchedulerCoreTest, AClosedQueueLetsGoOfWhatWaitsAndItsNumberIsUsedAgain) {
  const QueueId first = core_.add_queue({});
  const QueueId second = core_.add_queue({});
  ASSERT_TRUE(admitted(first, "running"));
  ASSERT_EQ(begin(), "running");
  ASSERT_TRUE(admitted(first, "a"));
  ASSERT_TRUE(admitted(first, "b"));
  EXPECT_EQ(names(core_.close_queue(first)), "a b");
  EXPECT_EQ(core_.running(first), 1U);
  end();
  EXPECT_EQ(core_.running(first), 0U);
  core_.remove_queue(first);
  ASSERT_TRUE(admitted(second, "c"));
  EXPECT_EQ(begin(), "c");
  EXPECT_EQ(core_.add_queue({}), first);
}

TEST_F(SchedulerCoreTest, DrainingLetsGoOfAllThatWaits) {
  const QueueId first = core_.add_queue({});
  const QueueId second = core_.add_queue({});
  ASSERT_TRUE(admitted(second, "b"));
  ASSERT_TRUE(admitted(first, "a"));
  EXPECT_EQ(names(core_.drain()), "a b");
  EXPECT_EQ(begin(), "");
}

TEST_F(SchedulerCoreTest, TheSameCallsGiveTheSameDecisions) {
  const auto history = [this] {
    core_ = Core({.executors = 2});
    const QueueId queues[] = {core_.add_queue({.max_batch = 3, .service = milliseconds(7)}),
                              core_.add_queue({.weight = 2, .instances = 0})};
    std::string decisions;
    std::uint32_t random = 1;
    for (int i = 0; i < 2000; ++i) {
      random = random * 1664525U + 1013904223U;
      const What what{.deadline = milliseconds(20 + random % 97),
                      .rows = 1 + random % 2,
                      .client = random % 5,
                      .priority = 7 + random % 3};
      decisions += admitted(queues[(random >> 16U) % 2], std::to_string(i), what) ? '+' : '-';
      decisions += begin() + '|' + dropped_;
      if (random % 3 != 0 && !running_.empty()) {
        end(milliseconds(random % 11));
      }
    }
    running_.clear();
    return decisions;
  };
  const std::string once = history();
  now_ = TimePoint(std::chrono::hours(1));
  EXPECT_EQ(once, history());
}

}  // namespace
}  // namespace podsense::batching
