#pragma once

/// The tasks that wait in one queue, in the order they will run: by priority, within it the client
/// that has had the least first, and a client's own in the order they came. A client that floods
/// the queue waits behind its own flood, not the others. Private to this module.
/// @threads confined

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "batching/task.h"

namespace podsense::batching {

template <TaskHandle Handle = TaskPtr>
class Waiting {
 public:
  /// The task's cost must be set: it is what fairness is counted in.
  void push(Handle handle);
  /// The next to run. @requires not empty
  Handle pop();
  /// The one that `pop` would take. @requires not empty
  [[nodiscard]] const Ticket& next() const;
  std::vector<Handle> drain();

  [[nodiscard]] bool empty() const { return tasks_ == 0; }
  [[nodiscard]] std::size_t tasks() const { return tasks_; }
  [[nodiscard]] std::size_t rows() const { return rows_; }
  /// When the one that has waited longest came. @requires not empty
  [[nodiscard]] TimePoint oldest() const;
  /// Cost of what would run before a task that came now.
  [[nodiscard]] Duration ahead_of(const Ticket& newcomer) const;

 private:
  struct Client {
    std::deque<Handle> tasks;
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

template <TaskHandle Handle>
void Waiting<Handle>::push(Handle handle) {
  const Ticket& task = *handle;
  Level& level = levels_[task.priority];
  const auto [entry, fresh] = level.clients.try_emplace(task.client);
  Client& client = entry->second;
  if (fresh) {
    client.had = level.virtual_time;
    level.by_share.emplace(client.had, entry->first);
  }
  client.cost += task.cost;
  level.cost += task.cost;
  ++tasks_;
  rows_ += task.rows;
  client.tasks.push_back(std::move(handle));
}

template <TaskHandle Handle>
Handle Waiting<Handle>::pop() {
  const auto top = levels_.begin();
  Level& level = top->second;
  const auto [had, id] = *level.by_share.begin();
  level.by_share.erase(level.by_share.begin());
  const auto entry = level.clients.find(id);
  Client& client = entry->second;
  Handle handle = std::move(client.tasks.front());
  const Ticket& task = *handle;
  client.tasks.pop_front();
  level.virtual_time = had;
  client.cost -= task.cost;
  level.cost -= task.cost;
  --tasks_;
  rows_ -= task.rows;
  // Even what costs nothing takes a turn.
  client.had = had + std::max(task.cost, Duration(1));
  if (!client.tasks.empty()) {
    level.by_share.emplace(client.had, id);
  } else {
    level.clients.erase(entry);
    if (level.clients.empty()) {
      levels_.erase(top);
    }
  }
  return handle;
}

template <TaskHandle Handle>
const Ticket& Waiting<Handle>::next() const {
  const Level& level = levels_.begin()->second;
  return *level.clients.at(level.by_share.begin()->second).tasks.front();
}

template <TaskHandle Handle>
std::vector<Handle> Waiting<Handle>::drain() {
  std::vector<Handle> all;
  all.reserve(tasks_);
  while (!empty()) {
    all.push_back(pop());
  }
  return all;
}

template <TaskHandle Handle>
TimePoint Waiting<Handle>::oldest() const {
  TimePoint first = TimePoint::max();
  for (const auto& [priority, level] : levels_) {
    for (const auto& [id, client] : level.clients) {
      first = std::min(first, (*client.tasks.front()).enqueued);
    }
  }
  return first;
}

template <TaskHandle Handle>
Duration Waiting<Handle>::ahead_of(const Ticket& newcomer) const {
  Duration ahead{};
  for (const auto& [priority, level] : levels_) {
    if (priority > newcomer.priority) {
      break;
    }
    if (priority < newcomer.priority) {
      ahead += level.cost;
      continue;
    }
    const auto own = level.clients.find(newcomer.client);
    const Duration mine = own == level.clients.end() ? Duration::zero() : own->second.cost;
    for (const auto& [id, client] : level.clients) {
      // Turn by turn, nobody has had more than this client when its newcomer's turn comes.
      ahead += id == newcomer.client ? mine : std::min(client.cost, mine + newcomer.cost);
    }
  }
  return ahead;
}

}  // namespace podsense::batching
