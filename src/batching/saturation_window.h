#pragma once

/// Saturation over the last seconds, from samples of monotonic totals. Needs no clock: each sample
/// contains its time, from the server's ticker or a simulation.
/// @threads confined

#include <algorithm>
#include <chrono>
#include <deque>

#include "base/clock.h"
#include "batching/saturation.h"

namespace podsense::batching {

/// Totals since start, except `waiting`.
struct SaturationSample {
  TimePoint at;
  Runs runs;
  double crowded_out = 0;  ///< executor time of refused or dropped requests, seconds
  double waiting = 0;      ///< executor time of waiting requests, seconds
  double cpu = 0;          ///< used by the whole process, seconds
};

class SaturationWindow {
 public:
  /// The window spans about 60 runs, within these bounds: for example, ten runs of one second each
  /// are too few to estimate the arrival rate.
  static constexpr Duration kShortest = std::chrono::seconds(10);
  static constexpr Duration kLongest = std::chrono::seconds(120);
  static constexpr int kRuns = 60;

  explicit SaturationWindow(const LatencyObjective& objective) : objective_(objective) {}

  /// @requires a later time than the previous sample
  void add(const SaturationSample& sample) {
    samples_.push_back(sample);
    while (samples_.size() > 2 && sample.at - samples_[1].at >= kLongest) {
      samples_.pop_front();
    }
  }

  /// The current length of the window.
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
  /// The latest sample that is at least `length` old, or the oldest sample if none is.
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
