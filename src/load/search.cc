#include <algorithm>
#include <cstdio>
#include <deque>

#include "load/live.h"
#include "load/quantity.h"
#include "load/runner.h"

namespace podsense::load {
namespace {

/// @source perf_analyzer's rule: three windows whose throughput and latency differ by at most 10 %
constexpr std::size_t kWindows = 3;
constexpr double kTolerance = 0.1;
/// Latencies below this share of their limit may differ by more: p99 of a few fast answers jumps,
/// and nothing is decided by it.
constexpr double kFarBelow = 0.5;
constexpr unsigned kMostWindows = 10;
/// The rate counts as kept when this share of it was answered.
constexpr double kKept = 0.95;
/// The search ends when the rates that hold and do not hold are so near.
constexpr double kResolution = 1.05;
constexpr Duration kTick = std::chrono::milliseconds(50);

/// One window as Results, so that thresholds can be checked on it.
Results as_results(const Recorder::Recent& recent, Duration length) {
  Results results;
  results.counts = {.planned = recent.ok + recent.failed + recent.dropped,
                    .sent = recent.ok + recent.failed,
                    .ok = recent.ok,
                    .failed = recent.failed,
                    .dropped = recent.dropped};
  results.latency = recent.latency;
  results.service = recent.latency;
  results.send_lag = recent.send_lag;
  results.measured = length;
  return results;
}

class Finder {
 public:
  Finder(const Options& options, const Job& job, std::vector<Threshold> objective, Signals& signals)
      : options_(options),
        job_(job),
        objective_(std::move(objective)),
        signals_(signals),
        live_({.quiet = options.quiet}) {
    for (const Threshold& threshold : objective_) {
      if (threshold.quantile() > 0) {
        quantile_ = threshold.quantile();
        limit_ = threshold.limit();
      }
    }
    found_.search.objective = options.objective;
    found_.circumstances = job.circumstances;
  }

  Result<Found> run() {
    double good = 0;
    double bad = 0;
    double rate = options_.search_from;
    while (!signals_.came()) {
      auto step = try_rate(rate);
      if (!step) {
        return fail(std::move(step.error()));
      }
      (step->met ? good : bad) = rate;
      found_.search.steps.push_back(std::move(*step));
      if (bad == 0 && good >= options_.search_to) {
        found_.search.limited = true;
        break;
      }
      if (bad > 0 && (good == 0 ? bad / 2 < options_.search_from / 8 : bad / good <= kResolution)) {
        break;
      }
      rate = bad == 0    ? std::min(good * 2, options_.search_to)
             : good == 0 ? bad / 2
                         : (good + bad) / 2;
    }
    found_.search.best = good;
    found_.interrupted = signals_.came();
    return std::move(found_);
  }

 private:
  Result<SearchStep> try_rate(double rate) {
    Job job = job_;
    job.plan.shape = constant_rate(rate);
    job.plan.duration = options_.window * (kMostWindows + 2);
    job.plan.warm_up = options_.window;
    auto engine = open_engine(options_, job, signals_);
    if (!engine) {
      return fail(std::move(engine.error()));
    }
    (*engine)->start();
    SearchStep step = watch(**engine, rate);
    (*engine)->stop_sending();
    while (!(*engine)->wait(Duration::zero())) {
      if (signals_.wait(kTick)) {
        (*engine)->interrupt();
      }
    }
    live_.finish();
    if (!options_.quiet) {
      const std::string line = format_number(rate) + "/s: p99 " + format_duration(step.p99) + ", " +
                               (step.met ? "objective met" : step.reason) + "\n";
      std::fputs(line.c_str(), stderr);
    }
    if (step.met || found_.results.counts.planned == 0) {
      found_.results = (*engine)->results();
      found_.circumstances.shape = "constant:" + format_rate(rate);
    }
    return step;
  }

  /// Windows until three are alike, or it is plain that the objective does not hold.
  SearchStep watch(Engine& engine, double rate) {
    SearchStep step{.rate = rate};
    std::deque<Results> windows;
    rest(engine.started() + options_.window);
    engine.recent();
    live_.note("trying " + format_number(rate) + "/s");
    for (unsigned i = 1; i <= kMostWindows && !signals_.came(); ++i) {
      rest(engine.started() + options_.window * (i + 1));
      windows.push_back(as_results(engine.recent(), options_.window));
      if (windows.size() > kWindows) {
        windows.pop_front();
      }
      step.windows = i;
      judge(windows, step);
      live_.note("trying " + format_number(rate) + "/s: p99 " + format_duration(step.p99) +
                 " in window " + std::to_string(i) + " of at most " + std::to_string(kMostWindows));
      if (step.stable || hopeless(windows.back(), rate)) {
        break;
      }
    }
    if (signals_.came()) {
      step.met = false;
      step.reason = "interrupted";
    }
    return step;
  }

  void judge(const std::deque<Results>& windows, SearchStep& step) {
    Results all;
    all.latency = Histogram(Histogram::kCoarse);
    all.service = all.latency;
    all.send_lag = all.latency;
    all.slices.clear();
    for (const Results& window : windows) {
      all.counts.planned += window.counts.planned;
      all.counts.sent += window.counts.sent;
      all.counts.ok += window.counts.ok;
      all.counts.failed += window.counts.failed;
      all.counts.dropped += window.counts.dropped;
      all.latency.merge(window.latency);
      all.service.merge(window.service);
      all.send_lag.merge(window.send_lag);
      all.measured += window.measured;
    }
    step.achieved = achieved_rate(all);
    step.p50 = all.latency.quantile(0.5);
    step.p99 = all.latency.quantile(0.99);
    step.errors = error_share(all.counts);
    step.stable = windows.size() == kWindows && alike(windows);
    step.reason = reason_against(all, step);
    step.met = step.reason.empty();
  }

  std::string reason_against(const Results& all, const SearchStep& step) {
    for (const Threshold& threshold : objective_) {
      if (const auto verdict = threshold.check(all); verdict.holds) {
        return threshold.metric() + " is " + verdict.measured;
      }
    }
    if (all.counts.dropped > 0) {
      return format_count(all.counts.dropped) + " requests dropped";
    }
    if (step.achieved < step.rate * kKept) {
      return "answers only " + format_number(step.achieved) + "/s";
    }
    return step.stable ? "" : "not stable";
  }

  bool alike(const std::deque<Results>& windows) const {
    const auto within = [&](auto measure, double unimportant) {
      double low = measure(windows.front());
      double high = low;
      for (const Results& window : windows) {
        low = std::min(low, measure(window));
        high = std::max(high, measure(window));
      }
      return high <= low * (1 + kTolerance) || high <= unimportant;
    };
    return within([](const Results& r) { return achieved_rate(r); }, 0) &&
           within([this](const Results& r) { return to_seconds(r.latency.quantile(quantile_)); },
                  limit_ * kFarBelow);
  }

  /// Twice beyond a latency limit, or answering half of what comes: no window to come will mend it.
  bool hopeless(const Results& window, double rate) const {
    const bool late = std::ranges::any_of(objective_, [&](const Threshold& threshold) {
      return threshold.quantile() > 0 &&
             to_seconds(window.latency.quantile(threshold.quantile())) > 2 * threshold.limit();
    });
    return late || achieved_rate(window) < rate / 2;
  }

  void rest(TimePoint until) {
    while (!signals_.came()) {
      const Duration left = until - std::chrono::steady_clock::now();
      if (left <= Duration::zero()) {
        return;
      }
      signals_.wait(left);
    }
  }

  const Options& options_;
  const Job& job_;
  const std::vector<Threshold> objective_;
  Signals& signals_;
  double quantile_ = 0.99;
  double limit_ = 0;  ///< of that quantile, in seconds; 0: the objective has none
  LiveView live_;
  Found found_;
};

}  // namespace

Result<Found> find_max(const Options& options, const Job& job, Signals& signals) {
  auto objective = Threshold::parse_objective(options.objective);
  if (!objective) {
    return fail(std::move(objective.error()));
  }
  return Finder(options, job, std::move(*objective), signals).run();
}

}  // namespace podsense::load
