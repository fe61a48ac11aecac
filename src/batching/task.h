#pragma once

/// A request on its way through a queue.

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>

#include "base/clock.h"
#include "base/error.h"

namespace podsense::batching {

/// What tasks without a priority of their own have; 1 is the highest.
inline constexpr std::uint32_t kDefaultPriority = 8;

/// What the scheduler has to know of a task.
struct Ticket {
  Deadline deadline;
  Duration cost{};         ///< own service time where known beforehand; else the queue estimates it
  std::size_t rows = 1;    ///< of the batch that it takes, ≥ 1
  std::uint64_t size = 0;  ///< bytes of a row, where rows of its model differ in size; else 0
  std::uint64_t shape = 0;                    ///< tasks of another shape share no batch with it
  std::uint32_t priority = kDefaultPriority;  ///< lower runs first
  std::uint64_t client = 0;  ///< who shares fairly with whom; a hash, 0: nobody in particular
  TimePoint enqueued;        ///< set by submit
  Duration expected_wait{};  ///< set by submit
  TimePoint started;         ///< set when taken
  bool unreceived = false;   ///< set by what answers it: its client had left by then
};

class DeadlineTimer;
class Task;
/// Tasks that are answered at their deadlines, by these.
using Watched = std::multimap<TimePoint, Task*>;

class Task : public Ticket {
 public:
  using DeadlineAnswer = std::move_only_function<void()>;

  Task() = default;
  Task(const Task&) = delete;
  Task& operator=(const Task&) = delete;
  virtual ~Task() = default;

  /// Answers a task that will not run. Called once, outside any lock; must not block.
  virtual void drop(Error error) = 0;
  /// Nobody waits for the answer any more. @threads any
  [[nodiscard]] virtual bool abandoned() const { return false; }
  /// What gives the task's client its answer at the deadline, instead of `Run` and `drop`. The task
  /// may be gone when it is called, and may be running when this is: it may read only what no run
  /// changes. Empty: the client has to wait. @threads the timer's
  [[nodiscard]] virtual DeadlineAnswer answer_at_deadline() { return {}; }

 protected:
  /// True when the deadline has not been answered yet: the caller then has to answer. Call it once.
  [[nodiscard]] bool claim();

 private:
  friend class DeadlineTimer;
  friend class RunningTasks;
  DeadlineTimer* timer_ = nullptr;          ///< where it is watched
  std::optional<Watched::iterator> place_;  ///< guarded by the timer's lock
  Task* next_running_ = nullptr;            ///< of its run's tasks
};
using TaskPtr = std::unique_ptr<Task>;

/// What queues own and move about: `*handle` is a Ticket that can say whether it was abandoned. The
/// server's is a TaskPtr; a simulation may take a plain pointer into its own table.
template <class Handle>
concept TaskHandle = std::movable<Handle> && requires(const Handle& handle, Ticket* ticket) {
  ticket = &*handle;
  { (*handle).abandoned() } -> std::convertible_to<bool>;
};

}  // namespace podsense::batching
