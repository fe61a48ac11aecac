#include "inference/profile.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <ranges>
#include <string>
#include <utility>

#include "inference/warmup_inputs.h"

namespace podsense::inference {
namespace {

/// Lengths tried for dynamic dimensions other than the rows, until the model accepts one.
constexpr std::array<std::int64_t, 5> kLengths{1, 16, 64, 224, 2};

/// A lack of memory is not the fault of the inputs, so it keeps its code.
Error warmup_failed(Error error) {
  error.code = error.code == ErrorCode::kUnavailable ? error.code : ErrorCode::kInvalidArgument;
  error.message = "the warm-up run failed: " + error.message;
  return error;
}

/// Inputs that the model accepts, or else the first that were tried.
Result<WarmupInputs> accepted_inputs(const model::Model& model, std::size_t rows) {
  model::Outputs outputs;
  auto first = WarmupInputs::make(model, rows, kLengths.front());
  if (!first || !first->has_open_lengths() || model.run(first->views(), outputs)) {
    return first;
  }
  for (const std::int64_t length : kLengths | std::views::drop(1)) {
    auto inputs = WarmupInputs::make(model, rows, length);
    if (inputs && model.run(inputs->views(), outputs)) {
      return inputs;
    }
  }
  return first;
}

/// The median of up to `runs` runs, without the first, which includes allocation.
Result<Duration> time_of(const model::Model& model, std::size_t rows, std::uint32_t runs,
                         Deadline limit, const Clock& clock) {
  std::vector<Duration> times;
  if (runs == 0) {
    return Duration::zero();
  }
  auto inputs = accepted_inputs(model, rows);
  if (!inputs) {
    return fail(std::move(inputs.error()));
  }
  model::Outputs outputs;
  for (std::uint32_t i = 0; i < runs; ++i) {
    const TimePoint begin = clock.now();
    if (auto run = model.run(inputs->views(), outputs); !run) {
      return fail(warmup_failed(std::move(run.error())));
    }
    times.push_back(clock.now() - begin);
    if (limit.passed(clock.now())) {
      break;
    }
  }
  if (times.size() > 1) {
    times.erase(times.begin());
  }
  std::ranges::nth_element(times, times.begin() + static_cast<std::ptrdiff_t>(times.size() / 2));
  return times[times.size() / 2];
}

/// Up to this much time, further sizes are tried even after one without a gain, because that may be
/// noise.
constexpr Duration kCheap = std::chrono::milliseconds(20);

/// A larger size is better if its row costs at most this share of a smaller size's row.
constexpr double kBetter = 0.95;
/// Batching is used only if a row costs at most this share of a single row.
constexpr double kWorthIt = 0.9;
/// Half the width of a median's confidence interval, in standard errors.
constexpr double kSure = 2;

/// The number of comparisons needed to reject or to choose a size. By chance, all of three lie on
/// one side of the true median with probability 1/8, all of seven with 1/128: few are enough to
/// reject a size, but not to choose it.
constexpr std::size_t kRoundsToLeave = 3;
constexpr std::size_t kRoundsToTake = 7;
constexpr std::size_t kMostRounds = 41;
/// After this time only the minimum of rounds is run.
constexpr Duration kLongestComparison = std::chrono::milliseconds(150);

/// One run to allocate and two to measure; more for short runs, to reduce noise.
std::uint32_t runs_for(Duration run) {
  constexpr Duration kEnough = std::chrono::milliseconds(1);
  const auto often = run > Duration::zero() ? kEnough / run : 1;
  return static_cast<std::uint32_t>(std::clamp<std::int64_t>(often, 3, 50));
}

/// The noise of the product of two ratios: in the worst case both errors have the same direction.
double chained(double one, double other) {
  return ((1 + kSure * one) * (1 + kSure * other) - 1) / kSure;
}

double per_row(const ProfilePoint& point) {
  return to_seconds(point.time) / static_cast<double>(point.rows);
}

/// The cost of a row in the larger run relative to the smaller: the observed median and its 95 %
/// confidence interval, for any distribution.
struct Ratio {
  double low = 0;
  double median = 1;
  double high = 2;

  [[nodiscard]] bool is_clear() const { return high < kBetter || low > kBetter; }
  /// The noise of the median upwards, the direction in which a larger size would be worse.
  [[nodiscard]] double noise() const {
    constexpr double kLeast = 0.005;  // the precision of a clock and a few runs
    return std::max(kLeast, (high - median) / kSure / median);
  }
};

/// @source confidence interval of a median by order statistics: binomial(n, 1/2), normal
/// approximation
Ratio ratio_of(std::vector<double> seen) {
  std::ranges::sort(seen);
  const auto count = static_cast<double>(seen.size());
  const auto at = [&](double rank) {
    const auto most = static_cast<double>(seen.size() - 1);
    return seen[static_cast<std::size_t>(std::clamp(rank, 0.0, most))];
  };
  const double width = kSure * std::sqrt(count) / 2;
  return {.low = at(std::floor(count / 2 - width)),
          .median = seen[seen.size() / 2],
          .high = at(std::ceil(count / 2 + width - 1))};
}

/// Runs of one size. The constructor does the first run, which includes allocation.
class Runs {
 public:
  static Result<Runs> make(const model::Model& model, std::size_t rows, const Clock& clock) {
    auto inputs = accepted_inputs(model, rows);
    if (!inputs) {
      return fail(std::move(inputs.error()));
    }
    Runs runs(model, std::move(*inputs), clock);
    if (auto first = runs.time(1); !first) {
      return fail(std::move(first.error()));
    }
    return runs;
  }
  Result<Duration> time(int runs) {
    const TimePoint begin = clock_->now();
    for (int i = 0; i < runs; ++i) {
      if (auto run = model_->run(inputs_.views(), outputs_); !run) {
        return fail(warmup_failed(std::move(run.error())));
      }
    }
    return clock_->now() - begin;
  }

 private:
  Runs(const model::Model& model, WarmupInputs inputs, const Clock& clock)
      : model_(&model), clock_(&clock), inputs_(std::move(inputs)) {}
  const model::Model* model_;
  const Clock* clock_;
  WarmupInputs inputs_;
  model::Outputs outputs_;
};

/// Runs the same rows in two runs and in one, alternating which is first, so that other load on the
/// machine affects both.
Result<Ratio> compare(Runs& halves, Runs& whole, Deadline limit, const Clock& clock) {
  const TimePoint began = clock.now();
  std::vector<double> seen;
  Ratio ratio;
  while (seen.size() < kMostRounds && !limit.passed(clock.now())) {
    const bool whole_first = seen.size() % 2 == 1;
    auto first = whole_first ? whole.time(1) : halves.time(2);
    auto second = whole_first ? halves.time(2) : whole.time(1);
    if (!first || !second) {
      return fail(std::move(first ? second.error() : first.error()));
    }
    const double apart = to_seconds(whole_first ? *second : *first);
    seen.push_back(to_seconds(whole_first ? *first : *second) / std::max(apart, 1e-9));
    ratio = ratio_of(seen);
    const Duration spent = clock.now() - began;
    if (seen.size() >= kRoundsToLeave && ratio.low > kBetter && spent > kCheap) {
      break;
    }
    if (seen.size() >= kRoundsToTake && (ratio.is_clear() || spent > kLongestComparison)) {
      break;
    }
  }
  return ratio;
}

}  // namespace

Result<Duration> measure_one(const model::Model& model, const Clock& clock, Deadline limit) {
  return time_of(model, 1, model.manifest().warmup_runs, limit, clock);
}

Result<bool> still_fits(const model::Model& model, const Profile& profile, const Clock& clock) {
  const Duration saved = profile.front().time;
  const std::uint32_t runs = std::min(model.manifest().warmup_runs, runs_for(saved));
  if (model.known_run_time() || runs == 0) {
    return true;
  }
  const Deadline limit = Deadline::after(clock.now(), model.manifest().warmup_limit);
  auto again = Runs::make(model, 1, clock);
  if (!again) {
    return fail(std::move(again.error()));
  }
  Duration fastest = Duration::max();
  for (std::uint32_t i = 1; i < runs; ++i) {
    const auto now = again->time(1);
    if (!now) {
      return fail(now.error());
    }
    fastest = std::min(fastest, *now);
    if (limit.passed(clock.now())) {
      break;
    }
  }
  return runs == 1 || (fastest <= 2 * saved && saved <= 2 * fastest);
}

Result<Profile> measure(const model::Model& model, const Clock& clock) {
  if (const auto known = model.known_run_time()) {
    return Profile{{.rows = 1, .time = *known}};
  }
  const Deadline limit = Deadline::after(clock.now(), model.manifest().warmup_limit);
  const auto one = measure_one(model, clock, limit);
  if (!one) {
    return fail(one.error());
  }
  Profile profile{{.rows = 1, .time = *one}};
  const bool batches = model.signature().batchable && !model.manifest().max_batch &&
                       model.manifest().warmup_runs > 1;
  if (!batches) {
    return profile;
  }
  auto halves = Runs::make(model, 1, clock);
  const TimePoint begin = clock.now();
  for (std::size_t rows = 2; halves && rows <= kMaxProfiledRows; rows *= 2) {
    auto whole = Runs::make(model, rows, clock);
    if (!whole || limit.passed(clock.now())) {
      break;  // a model that accepts only one row is valid
    }
    const auto ratio = compare(*halves, *whole, limit, clock);
    if (!ratio || limit.passed(clock.now())) {
      break;
    }
    const ProfilePoint& before = profile.back();
    const double time = 2 * ratio->median * static_cast<double>(before.time.count());
    profile.push_back({.rows = rows,
                       .time = Duration(std::llround(time)),
                       .noise = chained(before.noise, ratio->noise())});
    if (ratio->median > kBetter && clock.now() - begin > kCheap) {
      break;
    }
    halves = std::move(whole);
  }
  return profile;
}

BatchChoice choose_batch(std::span<const ProfilePoint> profile) {
  if (profile.empty()) {
    return {};
  }
  const ProfilePoint* chosen = &profile.front();
  const ProfilePoint* cheapest = chosen;
  for (const ProfilePoint& point : profile.subspan(1)) {
    // Noise before these two sizes affects both equally.
    const double at_worst = (1 + kSure * point.noise) / (1 + kSure * chosen->noise);
    if (per_row(point) * at_worst <= kBetter * per_row(*chosen)) {
      chosen = &point;
    }
    cheapest = per_row(point) < per_row(*cheapest) ? &point : cheapest;
  }
  const auto of_a_row = [&](const ProfilePoint& point) {
    return per_row(point) / std::max(per_row(profile.front()), 1e-12);
  };
  if (of_a_row(*chosen) * (1 + kSure * chosen->noise) > kWorthIt) {
    chosen = &profile.front();
  }
  const ProfilePoint& told = chosen->rows > 1 ? *chosen : *cheapest;
  return {.rows = chosen->rows,
          .gain = std::max(0.0, 1 - of_a_row(told)),
          .noise = of_a_row(told) * told.noise};
}

}  // namespace podsense::inference
