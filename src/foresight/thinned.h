#pragma once

/// The requests of a scenario that reach a part of its pods, where each goes to a random one: drawn
/// one by one, without the others. Private to this module.

#include <cstdint>
#include <memory>
#include <optional>

#include "foresight/random.h"
#include "foresight/scenario.h"

namespace podsense::foresight {

/// Take each request of a Poisson process with the same chance: what is taken is a Poisson process;
/// of requests with moments of their own, a geometric number is passed over each time. Both forget,
/// so that the chance may change at any moment.
/// @threads confined to one thread
class ThinnedSchedule {
 public:
  ThinnedSchedule(const Scenario& scenario, std::uint64_t seed);

  /// Requests due at `now` or later are taken with this chance; one that `next` gave for later is
  /// void. @param share 0..1
  void set_share(double share, Duration now);
  [[nodiscard]] double share() const { return share_; }
  /// Its index counts the requests taken.
  std::optional<arrivals::Schedule::Arrival> next();

  /// Variance over mean that is expected of the requests of all pods due in a second.
  [[nodiscard]] double expected_dispersion(Duration from) const;

 private:
  [[nodiscard]] bool is_poisson() const { return process_ == arrivals::ArrivalProcess::kPoisson; }
  /// How many requests, counted from the beginning, the next is behind the last.
  double gap();

  std::shared_ptr<const arrivals::ArrivalShape> shape_;
  arrivals::ArrivalProcess process_;
  Duration end_;
  RandomStream stream_;
  double share_ = 1;
  Duration since_{};   ///< when that was set
  double number_ = 0;  ///< where the last one was among all requests
  std::uint64_t taken_ = 0;
};

}  // namespace podsense::foresight
