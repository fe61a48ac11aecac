#pragma once

/// Small requests that one turn of an event loop brought, run together at its end: one run of
/// several rows costs less than as many runs. The loop is never asked to wait: a turn ends when all
/// that was ready has been handled.
///
/// A turn's end costs the loop a look for new events, which a lone request must not pay. So a turn
/// in a while is only watched, and gathering begins when one brought several requests, and ends
/// when a few in a row brought one.
/// @threads confined to its loop's

#include <cstddef>
#include <functional>
#include <memory>
#include <vector>

#include "base/clock.h"
#include "batching/task.h"

namespace podsense::inference {

class RequestTask;
struct ServedModel;

class LoopBatch {
 public:
  /// Requests between two turns that are watched while nothing is gathered. A prime: so many
  /// clients in step would else have the last of their turn watched every time.
  static constexpr unsigned kWatchEvery = 31;
  /// So many turns in a row with one request each end the gathering.
  static constexpr unsigned kLoneTurns = 4;

  /// `at_end`: has `end` called when the turn ends, after the handlers that are ready now.
  explicit LoopBatch(std::move_only_function<void()> at_end);
  ~LoopBatch();
  LoopBatch(const LoopBatch&) = delete;
  LoopBatch& operator=(const LoopBatch&) = delete;

  /// Takes `task` where this turn gathers and the model's runs get cheaper by it; else leaves it
  /// alone, to be run at once. What is taken is answered by `end`.
  void offer(const ServedModel& served, std::unique_ptr<RequestTask>& task);
  /// Requests that wait for `end`.
  [[nodiscard]] std::size_t size() const { return size_; }
  /// Runs what was taken, a batch per model, or several of at most its largest batch.
  void end(const Clock& clock);

 private:
  struct Group {
    const ServedModel* served;  ///< kept alive by the tasks
    std::size_t rows;
    std::vector<batching::TaskPtr> tasks;
  };
  void count();

  std::move_only_function<void()> at_end_;
  std::vector<Group> groups_;
  std::size_t size_ = 0;
  bool gathers_ = false;
  bool watched_ = false;     ///< `end` will come
  unsigned brought_ = 0;     ///< requests of a watched turn
  unsigned unwatched_ = 0;   ///< requests since one was
  unsigned lone_turns_ = 0;  ///< in a row
};

}  // namespace podsense::inference
