#pragma once

/// Saturation over the last seconds, from samples of what only grows. No clock: a sample says when
/// it was taken, by the server's ticker or by a simulation.
/// @threads confined

#include <algorithm>
#include <chrono>
#include <deque>

#include "base/clock.h"
#include "batching/saturation.h"

namespace podsense::batching {

/// Since start, but for `waiting`.
struct SaturationSample {
  TimePoint at;
  Runs runs;
  double crowded_out = 0;  ///< executor time of requests that found no room, seconds
  double waiting = 0;      ///< executor time of what waits now, seconds
  double cpu = 0;          ///< used by the whole process, seconds
};

class SaturationWindow {
 public:
  /// The window is 60 runs long within these: ten runs of a second each say little of how many
  /// come.
  static constexpr Duration kShortest = std::chrono::seconds(10);
  static constexpr Duration kLongest = std::chrono::seconds(120);
  static constexpr int kRuns = 60;

  explicit SaturationWindow(const LatencyObjective& objective) : objective_(objective) {}

  /// @requires later than the one before
  void add(const SaturationSample& sample) {
    samples_.push_back(sample);
    while (samples_.size() > 2 && sample.at - samples_[1].at >= kLongest) {
      samples_.pop_front();
    }
  }

  /// How far back it looks now.
  [[nodiscard]] Duration length() const {
    if (samples_.empty()) {
      return kShortest;
    }
    const Runs runs = since(samples_.front());
    const double mean = runs.count == 0 ? 0 : runs.seconds / static_cast<double>(runs.count);
    return std::clamp<Duration>(from_seconds(kRuns * mean), kShortest, kLongest);
  }

  [[nodiscard]] double saturation(const Means& means) const {
    if (samples_.empty()) {
      return 0;
    }
    const SaturationSample& first = begin();
    const SaturationSample& last = samples_.back();
    const Runs runs = since(first);
    const Demand demand{.window = last.at - first.at,
                        .done = runs.busy_seconds,
                        .unreceived = runs.unreceived_seconds,
                        .refused = std::max(0.0, last.crowded_out - first.crowded_out),
                        .grown = last.waiting - first.waiting,
                        .cpu = last.cpu - first.cpu};
    return batching::saturation(demand, means, runs, objective_);
  }

 private:
  /// The latest sample that is at least `length` old; the oldest there is while none is.
  [[nodiscard]] const SaturationSample& begin() const {
    const TimePoint from = samples_.back().at - length();
    const auto later = std::ranges::upper_bound(samples_, from, {}, &SaturationSample::at);
    return later == samples_.begin() ? samples_.front() : *std::prev(later);
  }
  [[nodiscard]] Runs since(const SaturationSample& first) const {
    const Runs& now = samples_.back().runs;
    const Runs& then = first.runs;
    return {.count = now.count - then.count,
            .seconds = now.seconds - then.seconds,
            .square_seconds = now.square_seconds - then.square_seconds,
            .busy_seconds = now.busy_seconds - then.busy_seconds,
            .unreceived_seconds = now.unreceived_seconds - then.unreceived_seconds};
  }

  const LatencyObjective objective_;
  std::deque<SaturationSample> samples_;
};

}  // namespace podsense::batching
