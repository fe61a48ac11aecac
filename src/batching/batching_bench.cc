/// Measures the cost of a decision, and of a task's way through queue and executor.

#include <benchmark/benchmark.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <semaphore>
#include <utility>
#include <vector>

#include "batching/policy.h"
#include "batching/scheduler.h"
#include "batching/waiting.h"

namespace podsense::batching {
namespace {

using std::chrono::milliseconds;

const TimePoint kNow{std::chrono::hours(1)};

class EmptyTask final : public Task {
 public:
  explicit EmptyTask(std::counting_semaphore<>* done = nullptr) : done_(done) {
    cost = Duration(1);
  }
  void drop(Error) override { finish(); }
  void finish() {
    if (done_ != nullptr) {
      done_->release();
    }
  }

 private:
  std::counting_semaphore<>* done_;
};

void policy_admit(benchmark::State& state) {
  QueueState queue{
      .rows = 3, .ahead = milliseconds(30), .running = milliseconds(20), .executor_free = false};
  const QueueCapacity capacity{.max_batch = 8, .executors = 2};
  for (auto _ : state) {
    benchmark::DoNotOptimize(queue);
    benchmark::DoNotOptimize(
        admit(kNow, queue, capacity, Deadline(kNow + milliseconds(30)), milliseconds(10)));
  }
}
BENCHMARK(policy_admit);

void policy_take(benchmark::State& state) {
  QueueState queue{.rows = 3, .oldest = kNow};
  const QueueCapacity capacity{.max_batch = 8, .max_delay = milliseconds(1)};
  for (auto _ : state) {
    benchmark::DoNotOptimize(queue);
    benchmark::DoNotOptimize(take(kNow, queue, capacity));
  }
}
BENCHMARK(policy_take);

/// One push and one pop in a queue with `waiting` tasks of `clients` clients.
void queue_push_pop(benchmark::State& state) {
  const auto clients = static_cast<std::uint64_t>(state.range(1));
  Waiting<> waiting;
  std::uint64_t next = 0;
  for (std::int64_t i = 0; i < state.range(0); ++i) {
    auto task = std::make_unique<EmptyTask>();
    task->client = next++ % clients;
    waiting.push(std::move(task));
  }
  TaskPtr task = std::make_unique<EmptyTask>();
  for (auto _ : state) {
    task->client = next++ % clients;
    waiting.push(std::move(task));
    task = waiting.pop();
  }
  benchmark::DoNotOptimize(waiting.drain());
}
BENCHMARK(queue_push_pop)
    ->ArgNames({"waiting", "clients"})
    ->Args({1, 1})
    ->Args({1000, 1})
    ->Args({1000, 100});

/// From `submit` to the answer by an executor, one task at a time: the cost of the hand-over.
void queue_round_trip(benchmark::State& state) {
  const SteadyClock clock;
  Scheduler scheduler({.executors = 1}, clock);
  std::counting_semaphore<> done{0};
  const auto queue = scheduler.add_queue(
      {.service = Duration(1000)}, [](std::span<TaskPtr> batch, const std::stop_token& /*stop*/) {
        for (const TaskPtr& task : batch) {
          static_cast<EmptyTask&>(*task).finish();
        }
      });
  for (auto _ : state) {
    TaskPtr task = std::make_unique<EmptyTask>(&done);
    if (!queue->submit(task)) {
      state.SkipWithError("refused");
      break;
    }
    done.acquire();
  }
}
BENCHMARK(queue_round_trip)->UseRealTime();

/// The same with `state.range(0)` concurrent tasks: what batches save.
void queue_throughput(benchmark::State& state) {
  const SteadyClock clock;
  Scheduler scheduler({.executors = 1}, clock);
  std::counting_semaphore<> done{0};
  const auto queue =
      scheduler.add_queue({.max_batch = 32, .service = Duration(1)},
                          [](std::span<TaskPtr> batch, const std::stop_token& /*stop*/) {
                            for (const TaskPtr& task : batch) {
                              static_cast<EmptyTask&>(*task).finish();
                            }
                          });
  const std::int64_t under_way = state.range(0);
  for (auto _ : state) {
    for (std::int64_t i = 0; i < under_way; ++i) {
      TaskPtr task = std::make_unique<EmptyTask>(&done);
      if (!queue->submit(task)) {
        state.SkipWithError("refused");
        return;
      }
    }
    for (std::int64_t i = 0; i < under_way; ++i) {
      done.acquire();
    }
  }
  state.SetItemsProcessed(state.iterations() * under_way);
}
BENCHMARK(queue_throughput)->Arg(8)->Arg(128)->UseRealTime();

}  // namespace
}  // namespace podsense::batching
