#include <algorithm>
#include <cstdio>

#include "load/measuring/live.h"
#include "load/runner.h"
#include "load/search_rules.h"
#include "text/numbers.h"

namespace podsense::load {
namespace {

/// How long a search may take where --seconds does not say.
constexpr Duration kUsualLength = std::chrono::minutes(5);
/// What a rate has at first, uncounted, for connections and queues to settle.
constexpr Duration kMostSettling = std::chrono::seconds(2);
constexpr Duration kTick = std::chrono::milliseconds(50);

/// "5 min" where it is whole minutes.
std::string minutes(Duration length) {
  constexpr Duration kMinute = std::chrono::minutes(1);
  return length % kMinute == Duration::zero() ? std::to_string(length / kMinute) + " min"
                                              : text::format_duration(length);
}

class Finder {
 public:
  Finder(const LoadOptions& options, const Job& job, std::vector<LoadThreshold> objective,
         Signals& signals, ScrapeMetrics& metrics)
      : options_(options),
        job_(job),
        objective_(std::move(objective)),
        signals_(signals),
        metrics_(metrics),
        length_(options.duration.value_or(kUsualLength)),
        settling_(std::min(options.window, kMostSettling)),
        live_({.quiet = options.quiet}),
        bracket_(options.search_from, options.search_to) {
    found_.search.objective = options.objective;
    found_.circumstances = job.circumstances;
  }

  Result<FoundRate> run() {
    say("finding the highest rate that holds " + options_.objective + ": at most " +
        minutes(length_));
    end_ = now() + length_;
    auto next = bracket_.next(false);
    while (next.rate > 0 && !signals_.came() && left() >= settling_ + options_.window) {
      auto step = try_rate(next);
      if (!step) {
        return fail(std::move(step.error()));
      }
      if (!step->finished) {
        break;
      }
      bracket_.add(step->step);
      // Two rates at their usual length: one that was scouted can still be confirmed.
      next = bracket_.next(left() < 2 * (settling_ + options_.window * 3));
    }
    found_.search.best = bracket_.best();
    found_.search.not_held = bracket_.failed();
    found_.search.limited = bracket_.limited();
    found_.interrupted = signals_.came();
    found_.search.out_of_time = next.rate > 0 && !found_.interrupted;
    return std::move(found_);
  }

 private:
  struct Tried {
    SearchStep step;
    bool finished = true;  ///< false: cut short by a signal or the end of the search's time
  };

  static TimePoint now() { return std::chrono::steady_clock::now(); }
  [[nodiscard]] Duration left() const { return end_ - now(); }

  void say(const std::string& line) {
    live_.finish();
    if (!options_.quiet) {
      std::fputs((line + "\n").c_str(), stderr);
    }
  }

  Result<Tried> try_rate(const RateBracket::Next& next) {
    Job job = job_;
    job.plan.shape = arrivals::constant_rate(next.rate);
    job.plan.duration = settling_ + options_.window * (RateJudge::kMostWindows + 1);
    job.plan.warm_up = settling_;
    auto engine = open_engine(options_, job, signals_);
    if (!engine) {
      if (found_.search.steps.empty()) {
        return fail(std::move(engine.error()));
      }
      // What it answered before it does not take any more: too much for it.
      Tried refused{.step = {.rate = next.rate, .reason = engine.error().message}};
      refused.finished = !signals_.came();
      tell(refused);
      return refused;
    }
    RateJudge judge(objective_, next.rate, next.scout);
    (*engine)->start();
    Tried tried = watch(**engine, judge, next);
    finish(**engine);
    if (tried.finished) {
      judge.end(as_window(recent_of(**engine), Duration::zero()));
      tried.step = judge.step();
    }
    RunResults results = (*engine)->results();
    note_generator(tried.step, results.all);
    tell(tried);
    if (tried.step.stable || found_.search.best == 0) {
      found_.results = std::move(results.all);
      if (!job.circumstances.targets.empty()) {
        found_.target_results = std::move(results.targets);
      }
      found_.circumstances.shape = "constant:" + text::format_rate(next.rate);
      found_.circumstances.seconds = to_seconds(job.plan.duration);
      found_.circumstances.warm_up_seconds = to_seconds(settling_);
      found_.search.best = tried.step.stable ? next.rate : 0;
    }
    return tried;
  }

  /// Answers are waited for, so that the next rate finds an idle server, but not beyond the end.
  void finish(LoadEngine& engine) {
    engine.stop_sending();
    while (!engine.wait(Duration::zero())) {
      if (signals_.wait(kTick) || left() <= Duration::zero()) {
        engine.interrupt();
      }
    }
  }

  void note_generator(SearchStep& step, const Results& results) const {
    if (step.met) {
      return;
    }
    for (const GeneratorLimit& limit :
         generator_limits({.circumstances = job_.circumstances, .results = results})) {
      step.generator_limit += (step.generator_limit.empty() ? "" : "; ") + limit.text;
    }
  }

  void tell(const Tried& tried) {
    const SearchStep& step = tried.step;
    // The figure stands before it.
    const bool said = step.reason.starts_with("p99 is ") && !step.reason.contains(';');
    say(text::format_number(step.rate) + "/s: p99 " +
        format_of_all({.value = step.p99, .at_least = step.p99_at_least}) + ", " +
        (!tried.finished ? "not finished"
         : step.stable   ? "holds"
         : step.met      ? "holds with ease"
         : said          ? "does not hold"
                         : "does not hold: " + step.reason) +
        (step.generator_limit.empty() ? "" : "; the generator: " + step.generator_limit));
    found_.search.steps.push_back(step);
  }

  /// What happened since the last call.
  Recorder::Recent recent_of(LoadEngine& engine) {
    Recorder::Recent recent = engine.recent();
    metrics_.update(recent, engine.in_flight());
    return recent;
  }

  Tried watch(LoadEngine& engine, RateJudge& judge, const RateBracket::Next& next) {
    live_.note("trying " + text::format_number(next.rate) + "/s");
    rest(engine.started() + settling_);
    recent_of(engine);
    TimePoint window_ends = engine.started() + settling_;
    for (bool decided = false; !decided;) {
      window_ends += options_.window;
      if (!rest(window_ends)) {
        Tried cut{.step = judge.step(), .finished = false};
        cut.step.met = cut.step.stable = false;
        cut.step.reason = signals_.came() ? "interrupted" : "time was up";
        return cut;
      }
      decided = judge.add(as_window(recent_of(engine), options_.window));
      const SearchStep& step = judge.step();
      live_.note("trying " + text::format_number(next.rate) + "/s: p99 " +
                 text::format_duration(step.p99) + " in window " + std::to_string(step.windows) +
                 " of at most " + std::to_string(RateJudge::kMostWindows) + ", " +
                 text::format_duration(std::max(left(), Duration::zero())) + " left");
    }
    return {.step = judge.step()};
  }

  /// False when a signal, or the end of the search's time, came before.
  bool rest(TimePoint until) {
    while (!signals_.came()) {
      const Duration wait = std::min(until, end_) - now();
      if (wait <= Duration::zero()) {
        return until <= end_;
      }
      signals_.wait(wait);
    }
    return false;
  }

  const LoadOptions& options_;
  const Job& job_;
  const std::vector<LoadThreshold> objective_;
  Signals& signals_;
  ScrapeMetrics& metrics_;
  const Duration length_;
  const Duration settling_;
  TimePoint end_;
  LiveView live_;
  RateBracket bracket_;
  FoundRate found_;
};

}  // namespace

Result<FoundRate> find_max(const LoadOptions& options, const Job& job, Signals& signals,
                           ScrapeMetrics& metrics) {
  auto objective = LoadThreshold::parse_objective(options.objective);
  if (!objective) {
    return fail(std::move(objective.error()));
  }
  return Finder(options, job, std::move(*objective), signals, metrics).run();
}

}  // namespace podsense::load
