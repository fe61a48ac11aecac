#pragma once

/// When requests are due. An ArrivalShape says how many are due by a moment, as a pure function of
/// the time since the start; a Schedule turns it into one moment per request. Nothing here reads a
/// clock.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/error.h"

namespace podsense::arrivals {

/// Immutable. Seconds since the start are double: a run is at most days, its error far below 1 µs.
class ArrivalShape {
 public:
  ArrivalShape() = default;
  ArrivalShape(const ArrivalShape&) = delete;
  ArrivalShape& operator=(const ArrivalShape&) = delete;
  virtual ~ArrivalShape() = default;
  /// Requests due in [0, seconds]; never falls.
  [[nodiscard]] virtual double due_by(double seconds) const = 0;
  /// The moment at which `due_by` reaches `number`; infinity if it never does. Where a rate is 0
  /// from then on for a while, the end of that: the request after those `number` is due no earlier.
  [[nodiscard]] virtual double moment_of(double number) const = 0;
  /// False where requests have moments of their own, so that random arrivals make no sense.
  [[nodiscard]] virtual bool is_rate() const { return true; }
};

/// A stretch of time whose rate goes in a straight line.
struct Stretch {
  double seconds = 0;
  double from = 0;  ///< requests per second at its begin
  double to = 0;    ///< and at its end
};

std::unique_ptr<ArrivalShape> constant_rate(double per_second);
/// After the last stretch nothing is due.
std::unique_ptr<ArrivalShape> stretches(std::vector<Stretch> parts);
/// mean + amplitude·sin(2π·t/period), with 0 ≤ amplitude ≤ mean.
struct Sine {
  double mean = 0;
  double amplitude = 0;
  double period = 0;  ///< seconds
};
std::unique_ptr<ArrivalShape> sine(Sine wave);
/// `size` at once at 0, `every` seconds, and so on.
struct Bursts {
  std::uint64_t size = 1;
  double every = 1;  ///< seconds
};
std::unique_ptr<ArrivalShape> bursts(Bursts burst);
/// Moments in seconds, ascending.
std::unique_ptr<ArrivalShape> moments(std::vector<double> seconds);

/// What a person writes:
///   constant:RATE | ramp:FROM..TO | steps:R1,R2,… (equal parts of the run)
///   sine:MEAN,AMPLITUDE,PERIOD | burst:SIZE,EVERY       durations as 500ms, 30s, 5m
/// @errors kInvalidArgument names what was wrong and what is accepted
Result<std::unique_ptr<ArrivalShape>> parse_shape(std::string_view text, Duration run);

enum class ArrivalProcess {
  kEven,    ///< at the moments the shape gives
  kPoisson  ///< a Poisson process with the shape's rate: gaps are independent and exponential
};

struct ScheduleOptions {
  ArrivalProcess arrivals = ArrivalProcess::kEven;
  std::uint64_t seed = 1;
  Duration end{};                   ///< what is due at or after it does not belong to the run
  std::uint64_t most = UINT64_MAX;  ///< so many requests at most
  unsigned part = 0;                ///< this schedule takes every `parts`-th request
  unsigned parts = 1;
};

/// The moments of one generator thread. The same options give the same moments, however late they
/// are asked for; the parts 0..parts-1 together are exactly the schedule with one part.
/// @threads confined to one
class Schedule {
 public:
  Schedule(std::shared_ptr<const ArrivalShape> shape, ScheduleOptions options)
      : shape_(std::move(shape)), options_(options), random_(options.seed) {}

  struct Arrival {
    Duration at{};
    std::uint64_t index = 0;  ///< among the requests of all parts, from 0
  };
  std::optional<Arrival> next();
  /// How many of this part are due before the end: counts them without using them up.
  [[nodiscard]] std::uint64_t remaining() const;

 private:
  double next_number();

  std::shared_ptr<const ArrivalShape> shape_;
  ScheduleOptions options_;
  std::uint64_t random_;
  std::uint64_t index_ = 0;
  double sum_ = 0;  ///< of the unit exponential gaps so far
};

}  // namespace podsense::arrivals
