#pragma once

/// A request in a queue.

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

/// The priority of tasks that set none; 1 is the highest.
inline constexpr std::uint32_t kDefaultPriority = 8;

/// The data that the scheduler needs about a task.
struct Ticket {
  Deadline deadline;
  Duration cost{};          ///< service time if known; zero: the queue estimates it
  std::size_t rows = 1;     ///< that it takes in a batch, ≥ 1
  std::uint64_t size = 0;   ///< bytes of a row if row sizes of its model vary; else 0
  std::uint64_t shape = 0;  ///< only tasks of the same shape share a batch
  std::uint32_t priority = kDefaultPriority;  ///< lower runs first
  std::uint64_t client = 0;  ///< for fairness between clients; a hash, 0: anonymous
  TimePoint enqueued;        ///< set by submit
  Duration expected_wait{};  ///< set by submit
  TimePoint started;         ///< set when taken
  bool unreceived = false;   ///< set when answered: its client had left
};

class DeadlineTimer;
class Task;
/// Tasks by the deadlines at which they are answered.
using Watched = std::multimap<TimePoint, Task*>;

class Task : public Ticket {
 public:
  using DeadlineAnswer = std::move_only_function<void()>;

  Task() = default;
  Task(const Task&) = delete;
  Task& operator=(const Task&) = delete;
  virtual ~Task() = default;

  /// Answers a task that will not run. Called once, without locks; must not block.
  virtual void drop(Error error) = 0;
  /// Whether the client has left. @threads any
  [[nodiscard]] virtual bool abandoned() const { return false; }
  /// A function that answers the client at the deadline, instead of `Run` or `drop`. Called while
  /// the task may be running, so it may only read what runs do not change. The returned function
  /// may be called after the task is destroyed. Empty: no answer at the deadline. @threads the
  /// timer's
  [[nodiscard]] virtual DeadlineAnswer answer_at_deadline() { return {}; }

 protected:
  /// True: the task was not answered at its deadline, so the caller must answer it. Call it once.
  [[nodiscard]] bool claim();

 private:
  friend class DeadlineTimer;
  friend class RunningTasks;
  DeadlineTimer* timer_ = nullptr;          ///< the timer that watches it
  std::optional<Watched::iterator> place_;  ///< guarded by the timer's lock
  Task* next_running_ = nullptr;            ///< next task of the same run
};
using TaskPtr = std::unique_ptr<Task>;

/// An owning or borrowing handle of a task in queues: `*handle` is a Ticket with `abandoned()`. The
/// server uses TaskPtr; a simulation may use plain pointers into its own table.
template <class Handle>
concept TaskHandle = std::movable<Handle> && requires(const Handle& handle, Ticket* ticket) {
  ticket = &*handle;
  { (*handle).abandoned() } -> std::convertible_to<bool>;
};

}  // namespace podsense::batching
