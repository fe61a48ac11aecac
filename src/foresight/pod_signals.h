#pragma once

/// What the world outside knows of one pod, and since when: the kubelet's samples, the two points
/// that metrics-server keeps, the last value that Prometheus scraped.

#include <array>
#include <optional>

#include "foresight/random.h"
#include "foresight/scenario.h"

namespace podsense::foresight {

/// CPU time used since a container began.
struct CpuPoint {
  TimePoint at;
  Duration used{};
};

/// @threads confined to one thread
class PodSignals {
 public:
  /// @param started when its container began
  PodSignals(RandomStream gaps, TimePoint started) : gaps_(gaps), started_(started) {}

  /// cAdvisor looks at the container.
  /// @returns how long until it does again
  /// @source cAdvisor 0.52.1, manager/container.go: 10 s, jittered to up to twice that; a container
  ///         whose samples are equal is looked at less often, each time half as often, down to 15 s
  Duration sample(CpuPoint now);

  /// metrics-server asks the kubelet.
  /// @param fresh what CRI says now; nothing: cAdvisor's last sample
  /// @source metrics-server 0.7.2, pkg/storage/pod.go
  void ask(std::optional<CpuPoint> fresh, Duration resolution);

  struct Usage {
    TimePoint at;
    Duration window{};
    std::int64_t nanocores = 0;
  };
  /// What metrics.k8s.io answers; nothing: it does not list this pod.
  [[nodiscard]] std::optional<Usage> usage() const;

  using Values = std::array<double, kSignalNames.size()>;
  void scrape(TimePoint now, const Values& values) { scraped_ = {.at = now, .values = values}; }
  /// When that value was scraped.
  [[nodiscard]] std::optional<TimePoint> scraped_at(TimePoint now, Duration window) const;
  /// The last scraped value, in thousandths, cut; nothing: none within the window.
  [[nodiscard]] std::optional<std::int64_t> milli(Signal signal, TimePoint now,
                                                  Duration window) const;

 private:
  struct Scraped {
    TimePoint at;
    Values values{};
  };
  RandomStream gaps_;
  TimePoint started_;
  std::optional<CpuPoint> sampled_;
  Duration gap_ = kShortestGap;
  std::optional<CpuPoint> before_;
  std::optional<CpuPoint> last_;
  std::optional<Scraped> scraped_;

  static constexpr Duration kShortestGap = std::chrono::seconds(10);
  static constexpr Duration kLongestGap = std::chrono::seconds(15);
};

}  // namespace podsense::foresight
