#include "load/search_rules.h"

#include <algorithm>

#include "text/numbers.h"

namespace podsense::load {
namespace {

constexpr std::size_t kAlike = 3;   ///< windows
constexpr unsigned kHeldInRow = 5;  ///< windows that need not be alike
constexpr unsigned kFailedInRow = 2;
constexpr double kTolerance = 0.1;
/// Latencies below this share of their limit may differ by more: p99 of a few fast answers jumps,
/// and nothing is decided by it.
constexpr double kFarBelow = 0.5;
/// The rate counts as kept when this share of it was answered.
constexpr double kKept = 0.95;
constexpr double kOverrun = 0.5;
/// The search ends when the rates that hold and do not hold are so near.
constexpr double kResolution = 1.05;
/// How far below the first rate one is looked for.
constexpr double kLowest = 1.0 / 8;

/// Windows follow one another, where generators run side by side: their lengths add up.
void append(Results& all, const Results& window) {
  const Duration length = all.measured + window.measured;
  all.merge(window);
  all.measured = length;
}

}  // namespace

Results as_window(const Recorder::Recent& recent, Duration length) {
  Results results;
  results.counts = {.planned = recent.ok + recent.failed + recent.dropped,
                    .sent = recent.ok + recent.failed,
                    .ok = recent.ok,
                    .failed = recent.failed,
                    .dropped = recent.dropped};
  results.latency = recent.latency;
  results.service = recent.latency;
  results.failed = recent.failed_latency;
  results.failed_service = recent.failed_latency;
  results.send_lag = recent.send_lag;
  results.measured = length;
  return results;
}

RateJudge::RateJudge(const std::vector<LoadThreshold>& objective, double rate, bool scout)
    : objective_(objective), scout_(scout), step_{.rate = rate} {
  for (const LoadThreshold& threshold : objective_) {
    if (threshold.quantile() > 0) {
      quantile_ = threshold.quantile();
      limit_ = threshold.limit();
    }
  }
}

bool RateJudge::add(Results window) {
  const bool held = fault_of(window).empty();
  held_ = held ? held_ + 1 : 0;
  failed_ = held ? 0 : failed_ + 1;
  const bool overrun = !answers(window, kOverrun);
  const bool plain = scout_ && held && step_.windows == 0 && far_below(window);
  windows_.push_back(std::move(window));
  while (windows_.size() > std::max<std::size_t>(kAlike, held_)) {
    windows_.pop_front();
  }
  ++step_.windows;
  judge();
  if (failed_ >= kFailedInRow || overrun) {
    return true;
  }
  const bool alike_held = windows_.size() >= kAlike && alike() && step_.reason.empty();
  step_.stable = alike_held || held_ >= kHeldInRow;
  step_.met = step_.stable || plain;
  if (step_.met) {
    step_.reason.clear();
  } else if (step_.reason.empty()) {
    step_.reason = "not stable";
  }
  return step_.met || step_.windows >= kMostWindows;
}

void RateJudge::end(const Results& late) {
  if (!step_.met) {
    return;
  }
  Results all = together();
  append(all, late);
  if (std::string fault = fault_of(all); !fault.empty()) {
    step_.met = step_.stable = false;
    step_.reason = std::move(fault) + ", with what was still under way";
    measure(all);
  }
}

Results RateJudge::together() const {
  Results all;
  all.latency = quantiles::DurationHistogram(quantiles::DurationHistogram::kCoarse);
  all.service = all.latency;
  all.send_lag = all.latency;
  all.failed = all.latency;
  all.failed_service = all.latency;
  for (const Results& window : windows_) {
    append(all, window);
  }
  return all;
}

void RateJudge::measure(const Results& all) {
  const OfAll p99 = quantile_of_all(all.latency, all.failed, 0.99);
  step_.achieved = achieved_rate(all);
  step_.p50 = quantile_of_all(all.latency, all.failed, 0.5).value;
  step_.p99 = p99.value;
  step_.p99_at_least = p99.at_least;
  step_.errors = error_share(all.counts);
}

/// What holds, or does not, over the last windows together.
void RateJudge::judge() {
  const Results all = together();
  measure(all);
  step_.reason = fault_of(failed_ > 0 ? windows_.back() : all);
  if (!step_.reason.empty() && limit_ > 0 &&
      to_seconds(all.send_lag.quantile(quantile_)) > limit_ * kFarBelow) {
    step_.reason += "; the generator itself was late by " +
                    text::format_duration(all.send_lag.quantile(quantile_));
  }
}

std::string RateJudge::fault_of(const Results& results) const {
  if (results.counts.dropped > 0) {  // also counted as errors, which says less
    return text::format_count(results.counts.dropped) +
           " requests dropped, for want of connections";
  }
  for (const LoadThreshold& threshold : objective_) {
    if (const auto verdict = threshold.check(results); verdict.holds) {
      return threshold.metric() + " is " + verdict.measured;
    }
  }
  if (!answers(results, kKept)) {
    return "answers only " + text::format_number(achieved_rate(results)) + "/s";
  }
  return {};
}

/// One answer more or less is a matter of where a window begins.
bool RateJudge::answers(const Results& results, double share) const {
  const double due = step_.rate * to_seconds(results.measured);
  return static_cast<double>(results.counts.ok) + 1 >= due * share;
}

bool RateJudge::far_below(const Results& window) const {
  return limit_ <= 0 || latency_of(window) <= limit_ * kFarBelow;
}

/// Of the objective's quantile, failed requests included; in seconds.
double RateJudge::latency_of(const Results& results) const {
  return to_seconds(quantile_of_all(results.latency, results.failed, quantile_).value);
}

bool RateJudge::alike() const {
  // Highest and lowest differ by at most 10 %, or both matter little, or by less than `chance`.
  const auto within = [&](auto measure, double unimportant, double chance) {
    const auto first = windows_.end() - static_cast<std::ptrdiff_t>(kAlike);
    double low = measure(*first);
    double high = low;
    for (auto window = first; window != windows_.end(); ++window) {
      low = std::min(low, measure(*window));
      high = std::max(high, measure(*window));
    }
    return high <= low * (1 + kTolerance) || high <= unimportant || high - low <= chance;
  };
  return within([](const Results& r) { return static_cast<double>(r.counts.ok); }, 0, 1) &&
         within([this](const Results& r) { return latency_of(r); }, limit_ * kFarBelow, 0);
}

double RateBracket::held() const {
  return scouted_.empty() ? confirmed_ : scouted_.back();
}

void RateBracket::add(const SearchStep& step) {
  if (step.met && step.stable) {
    confirmed_ = step.rate;
    std::erase_if(scouted_, [this](double rate) { return rate <= confirmed_; });
    std::erase_if(failures_, [this](const Failure& one) { return one.rate <= confirmed_; });
  } else if (step.met) {
    scouted_.push_back(step.rate);
  } else {
    const bool again = failed() == step.rate;
    std::erase_if(failures_, [&](const Failure& one) { return one.rate == step.rate; });
    failures_.push_back({.rate = step.rate, .again = again});
    std::erase_if(scouted_, [&](double rate) { return rate >= step.rate; });
  }
}

RateBracket::Next RateBracket::next(bool hurry) const {
  const double held = this->held();
  const double failed = this->failed();
  if (hurry && held > confirmed_) {
    return {.rate = held};
  }
  if (failed == 0) {
    const double rate = held == 0 ? from_ : std::min(held * 2, to_);
    return limited() ? Next{} : Next{.rate = rate, .scout = rate < to_};
  }
  if (held == 0) {
    const bool lowest = failed / 2 < from_ * kLowest;
    return lowest ? Next{} : Next{.rate = failed / 2};
  }
  if (failed / held > kResolution) {
    return {.rate = (held + failed) / 2};
  }
  if (held > confirmed_) {
    return {.rate = held};
  }
  return hurry || failures_.back().again ? Next{} : Next{.rate = failed};
}

}  // namespace podsense::load
