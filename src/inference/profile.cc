#include "inference/profile.h"

#include <algorithm>
#include <array>
#include <limits>
#include <ranges>
#include <string>
#include <utility>

#include "inference/warmup_inputs.h"

namespace podsense::inference {
namespace {

/// Lengths tried for open dimensions other than the rows, until the model takes one.
constexpr std::array<std::int64_t, 5> kLengths{1, 16, 64, 224, 2};

/// A lack of memory is no fault of the values.
Error warmup_failed(Error error) {
  error.code = error.code == ErrorCode::kUnavailable ? error.code : ErrorCode::kInvalidArgument;
  error.message = "the warm-up run failed: " + error.message;
  return error;
}

/// Inputs that the model takes, or the first that were tried.
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

/// The median of up to `runs` runs, without the first, which pays for allocation.
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

/// All sizes of a small model are tried: the whole costs less than this, and one that does not pay
/// may be noise.
constexpr Duration kCheap = std::chrono::milliseconds(20);

/// One run to allocate and two to look at; short ones more often, against noise.
std::uint32_t runs_for(Duration run) {
  constexpr Duration kEnough = std::chrono::milliseconds(1);
  const auto often = run > Duration::zero() ? kEnough / run : 1;
  return static_cast<std::uint32_t>(std::clamp<std::int64_t>(often, 3, 50));
}

double per_row(const ProfilePoint& point) {
  return to_seconds(point.time) / static_cast<double>(point.rows);
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
  const auto now = time_of(model, 1, runs, limit, clock);
  if (!now) {
    return fail(now.error());
  }
  return runs == 1 || (*now <= 2 * saved && saved <= 2 * *now);
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
  const TimePoint begin = clock.now();
  for (std::size_t rows = 2; batches && rows <= kMaxProfiledRows; rows *= 2) {
    const auto time = time_of(model, rows, runs_for(profile.back().time), limit, clock);
    if (!time || limit.passed(clock.now())) {
      break;  // a model that takes one row only is fine
    }
    profile.push_back({.rows = rows, .time = *time});
    constexpr double kBetter = 0.95;
    const bool better = per_row(profile.back()) <= kBetter * per_row(profile[profile.size() - 2]);
    if (!better && clock.now() - begin > kCheap) {
      break;
    }
  }
  return profile;
}

std::size_t best_batch(std::span<const ProfilePoint> profile) {
  double cheapest = std::numeric_limits<double>::infinity();
  for (const ProfilePoint& point : profile) {
    cheapest = std::min(cheapest, per_row(point));
  }
  if (profile.empty() || cheapest > 0.9 * per_row(profile.front())) {
    return 1;
  }
  return std::ranges::find_if(profile,
                              [&](const ProfilePoint& p) { return per_row(p) <= cheapest / 0.95; })
      ->rows;
}

}  // namespace podsense::inference
