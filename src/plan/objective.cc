#include "plan/objective.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "text/numbers.h"
#include "text/split.h"

namespace podsense::plan {
namespace {

constexpr std::string_view kAccepted =
    "accepted: p50=DURATION to p99.99=DURATION and errors=SHARE, separated by commas: "
    "p99=250ms,errors=0.1%";

tl::unexpected<Error> refuse(std::string_view part, const std::string& what) {
  return fail(ErrorCode::kInvalidArgument,
              "'" + std::string(part.substr(0, 60)) + "' " + what + "; " + std::string(kAccepted));
}

/// "0.1%" or "0.001"
std::optional<double> parse_share(std::string_view text) {
  const bool is_percent = text.ends_with('%');
  const auto number = text::parse_number(text::trim(text.substr(0, text.size() - is_percent)));
  return number ? std::optional(is_percent ? *number / 100 : *number) : std::nullopt;
}

Result<void> read_part(std::string_view part, Objective& out) {
  const std::size_t equals = part.find('=');
  if (equals == part.npos) {
    return refuse(part, "is not NAME=VALUE");
  }
  const std::string_view name = text::trim(part.substr(0, equals));
  const std::string_view value = text::trim(part.substr(equals + 1));
  if (name == "errors") {
    const auto share = parse_share(value);
    if (!share || *share < 0 || *share > 0.5) {
      return refuse(part, "must be a share from 0 to 50%");
    }
    if (out.errors) {
      return refuse(part, "is given twice");
    }
    out.errors = share;
    return {};
  }
  const auto percent =
      name.starts_with('p') ? text::parse_number(name.substr(1)) : std::optional<double>();
  if (!percent || *percent < 50 || *percent > 99.99) {
    return refuse(part, "names no percentile from p50 to p99.99");
  }
  const auto latency = text::parse_duration(value);
  if (!latency || *latency < std::chrono::milliseconds(1)) {
    return refuse(part, "must be a duration of 1ms at least");
  }
  if (std::ranges::find(out.latencies, *percent / 100, &LatencyGoal::quantile) !=
      out.latencies.end()) {
    return refuse(part, "is given twice");
  }
  out.latencies.push_back({.quantile = *percent / 100, .latency = *latency});
  return {};
}

/// One-sided 95 % of Student's distribution.
double student(std::size_t degrees) {
  constexpr std::array kSmall{6.314, 2.920, 2.353, 2.132, 2.015, 1.943, 1.895, 1.860, 1.833, 1.812,
                              1.796, 1.782, 1.771, 1.761, 1.753, 1.746, 1.740, 1.734, 1.729, 1.725};
  constexpr double kNormal = 1.6449;
  if (degrees <= kSmall.size()) {
    return kSmall[degrees - 1];
  }
  // Cornish and Fisher's first term: 1e-3 from 21 degrees on.
  const auto n = static_cast<double>(degrees);
  return kNormal + (kNormal * kNormal * kNormal + kNormal) / (4 * n);
}

}  // namespace

Result<Objective> parse_objective(std::string_view text) {
  Objective out{.text = std::string(text), .latencies = {}, .errors = {}};
  for (const std::string_view part : text::split(text, ',')) {
    if (auto done = read_part(text::trim(part), out); !done) {
      return fail(done.error());
    }
  }
  if (out.latencies.empty()) {
    return refuse(text, "has no latency");
  }
  return out;
}

ShareEstimate share_of(const std::vector<Counted>& runs) {
  double bad = 0;
  double all = 0;
  for (const Counted& run : runs) {
    bad += static_cast<double>(run.bad);
    all += static_cast<double>(run.all);
  }
  if (all == 0) {
    return {};
  }
  const double mean = bad / all;
  double squares = 0;  // of a ratio's residuals
  for (const Counted& run : runs) {
    const double rest = static_cast<double>(run.bad) - mean * static_cast<double>(run.all);
    squares += rest * rest;
  }
  const auto count = static_cast<double>(runs.size());
  const double error = runs.size() < 2 ? 1 : std::sqrt(squares * count / (count - 1)) / all;
  const double reach = error * (runs.size() < 2 ? 1 : student(runs.size() - 1));
  constexpr double kNoneSeen = 2.9957;  // -ln 0.05: so many are expected where none may be seen
  return {.mean = mean,
          .lower = std::max(0.0, mean - reach),
          .upper = std::min(1.0, std::max(mean + reach, bad < 1 ? kNoneSeen / all : 0.0))};
}

}  // namespace podsense::plan
