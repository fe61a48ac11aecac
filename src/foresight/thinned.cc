#include "foresight/thinned.h"

#include <algorithm>
#include <cmath>

namespace podsense::foresight {

ThinnedSchedule::ThinnedSchedule(const Scenario& scenario, std::uint64_t seed)
    : shape_(scenario.arrivals.shape),
      process_(scenario.arrivals.process),
      end_(scenario.length),
      stream_(seed, Purpose::kThin, 0) {}

void ThinnedSchedule::set_share(double share, Duration now) {
  share_ = share;
  since_ = now;
  if (now <= Duration::zero()) {
    number_ = 0;
    return;
  }
  // What was due before now has been decided.
  const double due = shape_->due_by(to_seconds(now - Duration(1)));
  const double whole = std::floor(due) + (shape_->is_rate() ? 1 : 0);
  number_ = is_poisson() ? due : whole;
}

double ThinnedSchedule::gap() {
  const double drawn = -std::log(stream_.uniform());
  if (is_poisson()) {
    return drawn / share_;
  }
  return share_ >= 1 ? 1 : 1 + std::floor(drawn / -std::log1p(-share_));
}

std::optional<arrivals::Schedule::Arrival> ThinnedSchedule::next() {
  if (share_ <= 0) {
    return std::nullopt;
  }
  number_ += gap();
  // Of requests at a rate of their own the first is due at once, as number 0.
  const bool is_from_zero = !is_poisson() && shape_->is_rate();
  const double seconds = shape_->moment_of(is_from_zero ? number_ - 1 : number_);
  if (!(seconds < to_seconds(end_))) {
    return std::nullopt;
  }
  const Duration at = std::max(since_, Duration(std::llround(seconds * 1e9)));
  return at < end_ ? std::optional(arrivals::Schedule::Arrival{.at = at, .index = taken_++})
                   : std::nullopt;
}

double ThinnedSchedule::expected_dispersion(Duration from) const {
  double sum = 0;
  double squares = 0;
  double seconds = 0;
  const auto due_by = [&](double moment) {
    const double due = shape_->due_by(moment);
    return is_poisson() ? due : std::floor(due);
  };
  double before = from > Duration::zero() ? due_by(to_seconds(from)) : 0;
  for (double at = to_seconds(from); at < to_seconds(end_); ++seconds) {
    at = std::min(at + 1, to_seconds(end_));
    const double due = due_by(at);
    sum += due - before;
    squares += (due - before) * (due - before);
    before = due;
  }
  const double mean = sum / seconds;
  return mean > 0 ? (squares / seconds - mean * mean) / mean + (is_poisson() ? 1 : 0) : 0;
}

}  // namespace podsense::foresight
