#include "arrivals/arrivals.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

#include "text/numbers.h"
#include "text/split.h"

namespace podsense::arrivals {
namespace {

constexpr double kNever = std::numeric_limits<double>::infinity();
constexpr double kLongest = 1e9;  ///< seconds, in which nanoseconds are counted

class Constant final : public ArrivalShape {
 public:
  explicit Constant(double rate) : rate_(rate) {}
  [[nodiscard]] double due_by(double seconds) const override { return rate_ * seconds; }
  [[nodiscard]] double moment_of(double number) const override {
    return rate_ > 0 ? number / rate_ : kNever;
  }

 private:
  double rate_;
};

/// Within a stretch the number due is a·t + b·t²/2 with a = from, b = (to − from) / seconds.
class Stretches final : public ArrivalShape {
 public:
  explicit Stretches(std::vector<Stretch> parts) : parts_(std::move(parts)) {
    double moment = 0;
    double number = 0;
    for (const Stretch& part : parts_) {
      starts_.push_back({.moment = moment, .number = number});
      moment += part.seconds;
      number += (part.from + part.to) / 2 * part.seconds;
    }
    end_ = {.moment = moment, .number = number};
  }

  [[nodiscard]] double due_by(double seconds) const override {
    if (parts_.empty() || seconds >= end_.moment) {
      return end_.number;
    }
    const auto after = std::ranges::upper_bound(starts_, seconds, {}, &Start::moment);
    const auto i = static_cast<std::size_t>(after - starts_.begin()) - 1;
    const double t = seconds - starts_[i].moment;
    return starts_[i].number + parts_[i].from * t + growth(i) * t * t / 2;
  }

  [[nodiscard]] double moment_of(double number) const override {
    // Sums of many parts may fall short of the whole number they stand for by rounding.
    if (number > end_.number * (1 + 1e-12)) {
      return kNever;
    }
    if (parts_.empty()) {
      return 0;
    }
    const double reached = number * (1 + 1e-12) + 1e-9;
    const auto after = std::ranges::upper_bound(starts_, reached, {}, &Start::number);
    const auto i = static_cast<std::size_t>(after - starts_.begin()) - 1;
    const double missing = std::max(0.0, number - starts_[i].number);
    const double a = parts_[i].from;
    const double b = growth(i);
    // The root of a·t + b·t²/2 = missing in the form that does not cancel.
    const double root = std::sqrt(std::max(0.0, a * a + 2 * b * missing));
    const double t = a + root > 0 ? 2 * missing / (a + root) : b > 0 ? 0 : parts_[i].seconds;
    return starts_[i].moment + std::min(t, parts_[i].seconds);
  }

 private:
  struct Start {
    double moment = 0;
    double number = 0;
  };
  [[nodiscard]] double growth(std::size_t i) const {
    return (parts_[i].to - parts_[i].from) / parts_[i].seconds;
  }
  std::vector<Stretch> parts_;
  std::vector<Start> starts_;
  Start end_;
};

class SineWave final : public ArrivalShape {
 public:
  explicit SineWave(Sine wave) : wave_(wave), turn_(2 * std::numbers::pi / wave.period) {}

  [[nodiscard]] double due_by(double seconds) const override {
    return wave_.mean * seconds + wave_.amplitude / turn_ * (1 - std::cos(turn_ * seconds));
  }
  [[nodiscard]] double moment_of(double number) const override {
    if (wave_.mean <= 0) {
      return kNever;
    }
    // The wave adds between 0 and 2·amplitude/turn: that brackets the moment.
    double high = number / wave_.mean;
    double low = std::max(0.0, (number - 2 * wave_.amplitude / turn_) / wave_.mean);
    for (int i = 0; i < 100 && high - low > 1e-10; ++i) {
      const double middle = (low + high) / 2;
      (due_by(middle) < number ? low : high) = middle;
    }
    return high;
  }

 private:
  Sine wave_;
  double turn_;
};

class BurstTrain final : public ArrivalShape {
 public:
  explicit BurstTrain(Bursts burst) : burst_(burst) {}
  [[nodiscard]] double due_by(double seconds) const override {
    return static_cast<double>(burst_.size) * (std::floor(seconds / burst_.every) + 1);
  }
  [[nodiscard]] double moment_of(double number) const override {
    const double burst = std::ceil(number / static_cast<double>(burst_.size)) - 1;
    return std::max(0.0, burst) * burst_.every;
  }
  [[nodiscard]] bool is_rate() const override { return false; }

 private:
  Bursts burst_;
};

class Moments final : public ArrivalShape {
 public:
  explicit Moments(std::vector<double> seconds) : seconds_(std::move(seconds)) {}
  [[nodiscard]] double due_by(double seconds) const override {
    return static_cast<double>(std::ranges::upper_bound(seconds_, seconds) - seconds_.begin());
  }
  [[nodiscard]] double moment_of(double number) const override {
    const double index = std::max(0.0, std::ceil(number) - 1);
    return index < static_cast<double>(seconds_.size()) ? seconds_[static_cast<std::size_t>(index)]
                                                        : kNever;
  }
  [[nodiscard]] bool is_rate() const override { return false; }

 private:
  std::vector<double> seconds_;
};

constexpr std::string_view kAccepted =
    "accepted: constant:RATE, ramp:FROM..TO, steps:R1,R2,…, sine:MEAN,AMPLITUDE,PERIOD, "
    "burst:SIZE,EVERY; rates up to 1,000,000 a second, bursts of up to 1,000,000";
/// More a second nobody sends, and counting them would never end.
constexpr double kMostRate = 1e6;

tl::unexpected<Error> bad_shape(std::string_view text) {
  return fail(ErrorCode::kInvalidArgument,
              "'" + std::string(text) + "' is no shape of load; " + std::string(kAccepted));
}

Result<std::unique_ptr<ArrivalShape>> parse_ramp(std::string_view text, std::string_view rest,
                                                 double run) {
  const std::size_t dots = rest.find("..");
  if (dots == std::string_view::npos) {
    return bad_shape(text);
  }
  const auto from = text::parse_number(rest.substr(0, dots));
  const auto to = text::parse_number(rest.substr(dots + 2));
  if (!from || !to || *from < 0 || *to < 0 || std::max(*from, *to) > kMostRate) {
    return bad_shape(text);
  }
  return stretches({{.seconds = run, .from = *from, .to = *to}});
}

Result<std::unique_ptr<ArrivalShape>> parse_steps(std::string_view text, std::string_view rest,
                                                  double run) {
  std::vector<Stretch> parts;
  for (const std::string_view field : text::split(rest, ',')) {
    const auto rate = text::parse_number(field);
    if (!rate || *rate < 0 || *rate > kMostRate) {
      return bad_shape(text);
    }
    parts.push_back({.from = *rate, .to = *rate});
  }
  for (Stretch& part : parts) {
    part.seconds = run / static_cast<double>(parts.size());
  }
  return stretches(std::move(parts));
}

Result<std::unique_ptr<ArrivalShape>> parse_sine(std::string_view text, std::string_view rest) {
  const auto fields = text::split(rest, ',');
  if (fields.size() != 3) {
    return bad_shape(text);
  }
  const auto mean = text::parse_number(fields[0]);
  const auto amplitude = text::parse_number(fields[1]);
  const auto period = text::parse_duration(fields[2]);
  if (!mean || !amplitude || !period || *period <= Duration::zero() || *mean > kMostRate) {
    return bad_shape(text);
  }
  if (*mean <= 0 || *amplitude < 0 || *amplitude > *mean) {
    return fail(ErrorCode::kInvalidArgument,
                "'" + std::string(text) +
                    "': accepted: a mean above 0, and an amplitude from 0 to the mean");
  }
  return sine({.mean = *mean, .amplitude = *amplitude, .period = to_seconds(*period)});
}

Result<std::unique_ptr<ArrivalShape>> parse_burst(std::string_view text, std::string_view rest) {
  const auto fields = text::split(rest, ',');
  if (fields.size() != 2) {
    return bad_shape(text);
  }
  const auto size = text::parse_number(fields[0]);
  const auto every = text::parse_duration(fields[1]);
  if (!size || !every || *size < 1 || *size != std::floor(*size) || *size > kMostRate ||
      *every <= Duration::zero() || *size / to_seconds(*every) > kMostRate) {
    return bad_shape(text);
  }
  return bursts({.size = static_cast<std::uint64_t>(*size), .every = to_seconds(*every)});
}

std::uint64_t splitmix(std::uint64_t& state) {
  state += 0x9E3779B97F4A7C15U;
  std::uint64_t z = state;
  z = (z ^ (z >> 30U)) * 0xBF58476D1CE4E5B9U;
  z = (z ^ (z >> 27U)) * 0x94D049BB133111EBU;
  return z ^ (z >> 31U);
}

}  // namespace

std::unique_ptr<ArrivalShape> constant_rate(double per_second) {
  return std::make_unique<Constant>(per_second);
}
std::unique_ptr<ArrivalShape> stretches(std::vector<Stretch> parts) {
  return std::make_unique<Stretches>(std::move(parts));
}
std::unique_ptr<ArrivalShape> sine(Sine wave) {
  return std::make_unique<SineWave>(wave);
}
std::unique_ptr<ArrivalShape> bursts(Bursts burst) {
  return std::make_unique<BurstTrain>(burst);
}
std::unique_ptr<ArrivalShape> moments(std::vector<double> seconds) {
  return std::make_unique<Moments>(std::move(seconds));
}

Result<std::unique_ptr<ArrivalShape>> parse_shape(std::string_view text, Duration run) {
  const std::size_t colon = text.find(':');
  if (colon == std::string_view::npos) {
    return bad_shape(text);
  }
  const std::string_view kind = text.substr(0, colon);
  const std::string_view rest = text.substr(colon + 1);
  if (kind == "constant") {
    const auto rate = text::parse_number(rest);
    if (!rate || *rate <= 0 || *rate > kMostRate) {
      return bad_shape(text);
    }
    return constant_rate(*rate);
  }
  if (kind == "ramp") {
    return parse_ramp(text, rest, to_seconds(run));
  }
  if (kind == "steps") {
    return parse_steps(text, rest, to_seconds(run));
  }
  if (kind == "sine") {
    return parse_sine(text, rest);
  }
  if (kind == "burst") {
    return parse_burst(text, rest);
  }
  return bad_shape(text);
}

// Request i is due when the expected number reaches i (even: the first at once) or the sum of i + 1
// unit exponential gaps (Poisson; time rescaling makes it a process with the shape's rate).
double Schedule::next_number() {
  if (options_.arrivals == ArrivalProcess::kEven) {
    // A shape with moments of its own counts its first as number 1.
    return static_cast<double>(index_) + (shape_->is_rate() ? 0 : 1);
  }
  const double uniform = (static_cast<double>(splitmix(random_) >> 11U) + 1) * 0x1p-53;
  sum_ -= std::log(uniform);
  return sum_;
}

std::optional<Schedule::Arrival> Schedule::next() {
  while (index_ < options_.most) {
    const double seconds = shape_->moment_of(next_number());
    // Rounded first: 92,154 / 1,535.9 is a little less than 60, and that request is due at 60 s.
    const Duration at =
        seconds < kLongest ? Duration(std::llround(seconds * 1e9)) : Duration::max();
    if (at >= options_.end) {
      return std::nullopt;
    }
    const std::uint64_t index = index_++;
    if (index % options_.parts == options_.part) {
      return Arrival{.at = at, .index = index};
    }
  }
  return std::nullopt;
}

std::uint64_t Schedule::remaining() const {
  Schedule rest = *this;
  std::uint64_t count = 0;
  while (rest.next()) {
    ++count;
  }
  return count;
}

}  // namespace podsense::arrivals
