#include "foresight/pod_signals.h"

#include <algorithm>

namespace podsense::foresight {

Duration PodSignals::sample(CpuPoint now) {
  const bool is_equal = sampled_ && sampled_->used == now.used;
  gap_ = is_equal ? std::min(2 * gap_, kLongestGap) : kShortestGap;
  sampled_ = now;
  return from_seconds(to_seconds(gap_) * (1 + gaps_.uniform()));
}

void PodSignals::ask(std::optional<CpuPoint> fresh, Duration resolution) {
  const std::optional<CpuPoint> point = fresh ? fresh : sampled_;
  if (!point || (last_ && point->at <= last_->at)) {
    return;
  }
  if (last_) {
    before_ = last_;
  } else if (const Duration age = point->at - started_;
             age >= std::chrono::seconds(10) && age < resolution) {
    // A container younger than the resolution gets a first point at its start.
    before_ = {.at = started_, .used = Duration::zero()};
  }
  last_ = point;
}

std::optional<PodSignals::Usage> PodSignals::usage() const {
  if (!before_ || !last_) {
    return std::nullopt;
  }
  const Duration window = last_->at - before_->at;
  const double cores = to_seconds(last_->used - before_->used) / to_seconds(window);
  return Usage{
      .at = last_->at, .window = window, .nanocores = static_cast<std::int64_t>(cores * 1e9)};
}

std::optional<TimePoint> PodSignals::scraped_at(TimePoint now, Duration window) const {
  return scraped_ && now - scraped_->at <= window ? std::optional(scraped_->at) : std::nullopt;
}

std::optional<std::int64_t> PodSignals::milli(Signal signal, TimePoint now, Duration window) const {
  if (!scraped_ || now - scraped_->at > window) {
    return std::nullopt;
  }
  return static_cast<std::int64_t>(scraped_->values[static_cast<std::size_t>(signal)] * 1000);
}

}  // namespace podsense::foresight
