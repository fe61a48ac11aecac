#pragma once

/// Collects the small requests of one turn of an event loop and runs them together at its end,
/// because one run of several rows is cheaper than many runs. The loop never waits for requests: a
/// turn ends when everything that was ready is handled.
///
/// Ending a turn costs the loop an additional poll for events, which a lone request should not pay.
/// So only some turns are watched. Gathering begins when a watched turn brings several requests,
/// and ends after a few consecutive turns with one request each.
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
  /// Requests between two watched turns while nothing is gathered. A prime: otherwise, with that
  /// many clients in lockstep, always the last request of a turn would be watched.
  static constexpr unsigned kWatchEvery = 31;
  /// This many consecutive turns with one request each end the gathering.
  static constexpr unsigned kLoneTurns = 4;

  /// `at_end`: schedules a call of `end` at the end of the turn, after the handlers that are ready
  /// now.
  explicit LoopBatch(std::move_only_function<void()> at_end);
  ~LoopBatch();
  LoopBatch(const LoopBatch&) = delete;
  LoopBatch& operator=(const LoopBatch&) = delete;

  /// Takes `task` if this turn gathers and the model benefits from larger runs; `end` then answers
  /// it. Otherwise leaves `task` unchanged, to be run at once.
  void offer(const ServedModel& served, std::unique_ptr<RequestTask>& task);
  /// The number of requests waiting for `end`.
  [[nodiscard]] std::size_t size() const { return size_; }
  /// Runs the collected tasks: one batch per model, or several if they exceed its largest batch.
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
  bool watched_ = false;     ///< `end` is scheduled
  unsigned brought_ = 0;     ///< requests in the watched turn
  unsigned unwatched_ = 0;   ///< requests since a turn was watched
  unsigned lone_turns_ = 0;  ///< consecutive turns with one request
};

}  // namespace podsense::inference
