#pragma once

/// The current activity of this process for people: rates and percentiles of the last seconds,
/// computed from the same metrics that Prometheus scrapes.

#include <cstdint>
#include <deque>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/cgroup.h"
#include "base/clock.h"
#include "base/mutex.h"
#include "batching/saturation_window.h"
#include "batching/scheduler.h"
#include "inference/catalog.h"
#include "metrics/metrics.h"

namespace podsense::inference {

/// Over the last kWindow; rates over the last second.
struct RecentLoad {
  double rate = 0;  ///< answered requests a second
  metrics::LatencyBuckets latency;
  double cpu_cores = 0;   ///< used by this process
  double saturation = 0;  ///< over its own window, see batching/saturation_window.h
};

/// In seconds; NaN: nothing was answered.
struct Quantiles {
  double p50 = 0;
  double p90 = 0;
  double p99 = 0;
};
Quantiles quantiles_of(const metrics::LatencyBuckets& latency);

/// The values at one tick.
struct Moment {
  Duration age{};  ///< how long ago
  double rate = 0;
  Quantiles latency;
  std::size_t waiting = 0;
  std::size_t running = 0;
  double saturation = 0;
};

struct Process {
  std::optional<std::uint64_t> resident_bytes;  ///< unset: it cannot be read, also below
  std::optional<std::uint64_t> descriptors;
  Duration cpu{};
  std::uint64_t max_descriptors = 0;
};
/// @source /proc/self/statm, getrusage, /proc/self/fd, getrlimit
Process process_now(const std::filesystem::path& proc = "/proc");

/// The statistics of one model version since it was loaded.
struct ModelReport {
  std::string name, version;
  std::uint64_t requests = 0;
  metrics::LatencyBuckets latency;
  batching::Queue::Load queue;  ///< only the service time if the plan is inline
};

struct StatsReport {
  RecentLoad load;
  metrics::Registry::Totals totals;
  Process process;
  Duration uptime{};
  double cpu_cores = 0;  ///< by quota or affinity
  std::size_t waiting = 0;
  std::size_t running = 0;
  std::vector<ModelReport> models;
};

/// @threads thread-safe
class Stats {
 public:
  static constexpr std::size_t kWindow = 10;    ///< ticks
  static constexpr std::size_t kHistory = 120;  ///< ticks

  Stats(const metrics::Registry& registry, const batching::Scheduler& scheduler,
        const inference::Catalog& catalog, const batching::LatencyObjective& objective,
        const Clock& clock);

  /// Takes a sample; call it once per second.
  void tick();
  [[nodiscard]] RecentLoad load() const;
  /// Demand over the capacity of this pod within the latency objective, during the window.
  [[nodiscard]] double saturation() const { return load().saturation; }

  /// Warnings that are not faults, one sentence each: models with a run time of at least the
  /// latency objective, as of the last tick.
  [[nodiscard]] std::vector<std::string> warnings() const;
  /// The number of those models.
  [[nodiscard]] std::size_t out_of_reach() const;

  /// The totals of all models.
  struct Queues {
    std::size_t waiting = 0;
    std::size_t running = 0;
  };
  [[nodiscard]] Queues queues() const;

  [[nodiscard]] StatsReport report() const;
  /// The last kHistory ticks at most, oldest first.
  [[nodiscard]] std::vector<Moment> history() const;
  [[nodiscard]] Duration uptime() const { return clock_.now() - begun_; }

 private:
  struct Sample {
    TimePoint at;
    metrics::Registry::Totals totals;
    Duration cpu{};
  };
  /// Run time by name and version.
  using SlowModels = std::map<std::pair<std::string, std::string>, Duration>;
  /// A consistent sample of everything.
  struct Look {
    Sample sample;
    batching::SaturationSample saturation;
    SlowModels slow;
  };
  [[nodiscard]] Look look() const;
  void take(Look look) REQUIRES(mutex_);
  void remember(TimePoint at);

  const metrics::Registry& registry_;
  const batching::Scheduler& scheduler_;
  const inference::Catalog& catalog_;
  const batching::LatencyObjective objective_;
  const Clock& clock_;
  const TimePoint begun_;
  mutable Mutex mutex_;
  std::deque<Sample> samples_ GUARDED_BY(mutex_);
  struct Past {
    TimePoint at;
    Moment moment;
  };
  std::deque<Past> history_ GUARDED_BY(mutex_);
  batching::SaturationWindow window_ GUARDED_BY(mutex_);
  SlowModels slow_ GUARDED_BY(mutex_);
};

}  // namespace podsense::inference
