#pragma once

/// The tasks that wait in one queue, in the order they will run: by priority, within it the client
/// that has had the least first, and a client's own in the order they came. A client that floods
/// the queue waits behind its own flood, not the others. Private to this room.
/// @threads confined

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "batching/task.h"

namespace podsense::batching {

class Waiting {
 public:
  /// `task->cost` must be set: it is what fairness is counted in.
  void push(TaskPtr task);
  /// The next to run. @requires not empty
  TaskPtr pop();
  /// The one that `pop` would take. @requires not empty
  [[nodiscard]] const Task& next() const;
  std::vector<TaskPtr> drain();

  [[nodiscard]] bool empty() const { return tasks_ == 0; }
  [[nodiscard]] std::size_t tasks() const { return tasks_; }
  [[nodiscard]] std::size_t rows() const { return rows_; }
  /// When the one that has waited longest came. @requires not empty
  [[nodiscard]] TimePoint oldest() const;
  /// Cost of what would run before a task that came now.
  [[nodiscard]] Duration ahead_of(const Task& newcomer) const;

 private:
  struct Client {
    std::deque<TaskPtr> tasks;
    Duration cost{};  ///< of those
    Duration had{};   ///< virtual time, as the level's
  };
  struct Level {
    std::map<std::uint64_t, Client> clients;                ///< those with tasks
    std::set<std::pair<Duration, std::uint64_t>> by_share;  ///< (had, client)
    Duration cost{};
    Duration virtual_time{};  ///< what the client now served had had: where newcomers begin
  };
  std::map<std::uint32_t, Level> levels_;  ///< those with tasks, by priority
  std::size_t tasks_ = 0;
  std::size_t rows_ = 0;
};

}  // namespace podsense::batching
