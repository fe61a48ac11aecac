#include "inference/profile.h"

#include <algorithm>
#include <array>
#include <limits>
#include <ranges>
#include <string>

namespace podsense::inference {
namespace {

/// Lengths tried for open dimensions other than the rows, until the model takes one.
constexpr std::array<std::int64_t, 5> kLengths{1, 16, 64, 224, 2};

/// Rows of zeros for each input, as a warm-up request. Another open dimension becomes `length`.
struct ZeroInputs {
  std::vector<std::vector<std::int64_t>> shapes;
  std::vector<std::vector<std::byte>> data;
  std::vector<model::TensorView> views;

  ZeroInputs(const model::Signature& signature, std::size_t rows, std::int64_t length) {
    for (const model::TensorInfo& input : signature.inputs) {
      auto& shape = shapes.emplace_back(input.shape);
      // A text is its length alone: four zeros say that it is empty.
      std::size_t bytes = input.type == DataType::kBytes ? 4 : element_size(input.type);
      for (std::size_t i = 0; i < shape.size(); ++i) {
        const bool is_rows = i == 0 && signature.batchable;
        shape[i] = is_rows ? static_cast<std::int64_t>(rows) : shape[i] < 0 ? length : shape[i];
        bytes *= static_cast<std::size_t>(shape[i]);
      }
      data.emplace_back(bytes);
    }
    for (std::size_t i = 0; i < shapes.size(); ++i) {
      views.push_back({.type = signature.inputs[i].type, .shape = shapes[i], .data = data[i]});
    }
  }
};

/// A length that the model takes for its open dimensions, or the first that was tried.
std::int64_t accepted_length(const model::Model& model) {
  const bool open = std::ranges::any_of(model.signature().inputs, [&](const auto& input) {
    const std::size_t skip = model.signature().batchable ? 1 : 0;
    return std::ranges::any_of(input.shape | std::views::drop(skip),
                               [](std::int64_t dimension) { return dimension < 0; });
  });
  model::Outputs outputs;
  for (const std::int64_t length : kLengths) {
    if (!open || model.run(ZeroInputs(model.signature(), 1, length).views, outputs)) {
      return length;
    }
  }
  return kLengths.front();
}

/// The median of up to `runs` runs, without the first, which pays for allocation.
Result<Duration> time_of(const model::Model& model, std::size_t rows, std::uint32_t runs,
                         Deadline limit, const Clock& clock) {
  const ZeroInputs inputs(model.signature(), rows, runs == 0 ? 1 : accepted_length(model));
  model::Outputs outputs;
  std::vector<Duration> times;
  for (std::uint32_t i = 0; i < runs; ++i) {
    const TimePoint begin = clock.now();
    if (auto run = model.run(inputs.views, outputs); !run) {
      return fail(ErrorCode::kInvalidArgument, "the warm-up run failed: " + run.error().message,
                  run.error().detail);
    }
    times.push_back(clock.now() - begin);
    if (limit.passed(clock.now())) {
      break;
    }
  }
  if (times.size() > 1) {
    times.erase(times.begin());
  }
  if (times.empty()) {
    return Duration::zero();
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
