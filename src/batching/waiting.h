#pragma once

/// The waiting tasks of one queue, in the order in which they will run: by priority, then fairly
/// between clients, and each client's tasks in the order of arrival. A client that sends many
/// requests delays only itself. Private to this module.
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
  /// Adds a task. Its cost must be set, as fairness is measured in cost.
  void push(Handle handle);
  /// Removes the next task to run. @requires not empty
  Handle pop();
  /// The task that `pop` would return. @requires not empty
  [[nodiscard]] const Ticket& next() const;
  std::vector<Handle> drain();

  [[nodiscard]] bool empty() const { return tasks_ == 0; }
  [[nodiscard]] std::size_t tasks() const { return tasks_; }
  [[nodiscard]] std::size_t rows() const { return rows_; }
  /// The arrival of the oldest waiting task. @requires not empty
  [[nodiscard]] TimePoint oldest() const;
  /// The cost of the tasks that would run before a new task.
  [[nodiscard]] Duration ahead_of(const Ticket& newcomer) const;

 private:
  struct Client {
    std::deque<Handle> tasks;
    Duration cost{};  ///< of `tasks`
    Duration had{};   ///< virtual time used, as for the level
  };
  struct Level {
    std::map<std::uint64_t, Client> clients;                ///< clients with waiting tasks
    std::set<std::pair<Duration, std::uint64_t>> by_share;  ///< (had, client)
    Duration cost{};
    Duration virtual_time{};  ///< `had` of the client being served: where new clients start
  };
  using Levels = std::map<std::uint32_t, Level>;
  using Clients = std::map<std::uint64_t, Client>;
  using Shares = std::set<std::pair<Duration, std::uint64_t>>;
  Level& level_of(std::uint32_t priority);
  Client& client_of(Level& level, std::uint64_t id);
  void add_share(Level& level, Duration had, std::uint64_t id);

  Levels levels_;  ///< levels with waiting tasks, by priority
  /// Nodes emptied last, for reuse: a queue that is often empty need not allocate for each task.
  typename Levels::node_type spare_level_;
  typename Clients::node_type spare_client_;
  Shares::node_type spare_share_;
  std::size_t tasks_ = 0;
  std::size_t rows_ = 0;
};

template <TaskHandle Handle>
typename Waiting<Handle>::Level& Waiting<Handle>::level_of(std::uint32_t priority) {
  const auto known = levels_.lower_bound(priority);
  if (known != levels_.end() && known->first == priority) {
    return known->second;
  }
  if (spare_level_.empty()) {
    return levels_.try_emplace(known, priority)->second;
  }
  spare_level_.key() = priority;
  spare_level_.mapped().cost = {};
  spare_level_.mapped().virtual_time = {};
  return levels_.insert(known, std::move(spare_level_))->second;
}

/// A new client starts at the virtual time of the client being served.
template <TaskHandle Handle>
typename Waiting<Handle>::Client& Waiting<Handle>::client_of(Level& level, std::uint64_t id) {
  const auto known = level.clients.lower_bound(id);
  if (known != level.clients.end() && known->first == id) {
    return known->second;
  }
  const auto made = [&] {
    if (spare_client_.empty()) {
      return level.clients.try_emplace(known, id);
    }
    spare_client_.key() = id;
    spare_client_.mapped().cost = {};
    return level.clients.insert(known, std::move(spare_client_));
  }();
  made->second.had = level.virtual_time;
  add_share(level, level.virtual_time, id);
  return made->second;
}

template <TaskHandle Handle>
void Waiting<Handle>::add_share(Level& level, Duration had, std::uint64_t id) {
  if (spare_share_.empty()) {
    level.by_share.emplace(had, id);
    return;
  }
  spare_share_.value() = {had, id};
  level.by_share.insert(std::move(spare_share_));
}

template <TaskHandle Handle>
void Waiting<Handle>::push(Handle handle) {
  const Ticket& task = *handle;
  Level& level = level_of(task.priority);
  Client& client = client_of(level, task.client);
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
  spare_share_ = level.by_share.extract(level.by_share.begin());
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
  // Even a task with zero cost uses a turn.
  client.had = had + std::max(task.cost, Duration(1));
  if (!client.tasks.empty()) {
    add_share(level, client.had, id);
  } else {
    spare_client_ = level.clients.extract(entry);
    if (level.clients.empty()) {
      spare_level_ = levels_.extract(top);
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
      // With fair turns, no other client gets more than this one before its new task runs.
      ahead += id == newcomer.client ? mine : std::min(client.cost, mine + newcomer.cost);
    }
  }
  return ahead;
}

}  // namespace podsense::batching
