#include "batching/waiting.h"

#include <algorithm>

namespace podsense::batching {

void Waiting::push(TaskPtr task) {
  Level& level = levels_[task->priority];
  const auto [entry, fresh] = level.clients.try_emplace(task->client);
  Client& client = entry->second;
  if (fresh) {
    client.had = level.virtual_time;
    level.by_share.emplace(client.had, entry->first);
  }
  client.cost += task->cost;
  level.cost += task->cost;
  ++tasks_;
  rows_ += task->rows;
  client.tasks.push_back(std::move(task));
}

TaskPtr Waiting::pop() {
  const auto top = levels_.begin();
  Level& level = top->second;
  const auto [had, id] = *level.by_share.begin();
  level.by_share.erase(level.by_share.begin());
  const auto entry = level.clients.find(id);
  Client& client = entry->second;
  TaskPtr task = std::move(client.tasks.front());
  client.tasks.pop_front();
  level.virtual_time = had;
  client.cost -= task->cost;
  level.cost -= task->cost;
  --tasks_;
  rows_ -= task->rows;
  // Even what costs nothing takes a turn.
  client.had = had + std::max(task->cost, Duration(1));
  if (!client.tasks.empty()) {
    level.by_share.emplace(client.had, id);
  } else {
    level.clients.erase(entry);
    if (level.clients.empty()) {
      levels_.erase(top);
    }
  }
  return task;
}

const Task& Waiting::next() const {
  const Level& level = levels_.begin()->second;
  return *level.clients.at(level.by_share.begin()->second).tasks.front();
}

std::vector<TaskPtr> Waiting::drain() {
  std::vector<TaskPtr> all;
  all.reserve(tasks_);
  while (!empty()) {
    all.push_back(pop());
  }
  return all;
}

TimePoint Waiting::oldest() const {
  TimePoint first = TimePoint::max();
  for (const auto& [priority, level] : levels_) {
    for (const auto& [id, client] : level.clients) {
      first = std::min(first, client.tasks.front()->enqueued);
    }
  }
  return first;
}

Duration Waiting::ahead_of(const Task& newcomer) const {
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
