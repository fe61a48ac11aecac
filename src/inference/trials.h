#pragma once

/// Manages the trials of a catalog's candidates (trial.h): how long a reload waits for them, and
/// when a failed one is retried. Private to this module.

#include <cstddef>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "base/mutex.h"
#include "inference/trial.h"
#include "model/repository.h"

namespace podsense::inference {

struct TrialsOptions {
  Trial trial;                    ///< empty: no trials
  std::set<std::string> known{};  ///< hashes of files that need no trial
  /// A reload waits this long for trials; slower ones continue in the background.
  Duration patience = std::chrono::seconds(10);
  /// Each trial gets at least this much time in a reload, even after many slow ones.
  Duration least_patience = std::chrono::seconds(1);
  /// The pause before a trial that fell over is retried; doubles each time, up to an hour.
  Duration pause = std::chrono::minutes(1);
};

/// @threads thread-safe
class Trials {
 public:
  Trials(TrialsOptions options, const Clock& clock);
  ~Trials() { stop(); }
  Trials(const Trials&) = delete;
  Trials& operator=(const Trials&) = delete;

  /// Whether hashes of known files are configured.
  [[nodiscard]] bool knows_some() const { return !options_.known.empty(); }
  /// `candidate.content` may be unknown.
  [[nodiscard]] bool needed(const model::Candidate& candidate) const;

  /// Begins a reload: resets its patience, and ends trials of candidates that are not in `wanted`.
  void begin_round(const std::vector<model::Candidate>& wanted);
  /// Tries the candidate. Waits for the round's remaining patience, but at least for
  /// least_patience.
  /// @errors kUnavailable with retry_after: the trial continues, and `when_late` reports its end;
  /// without: it fell over recently, or the server is stopping
  Result<TrialReport> run(const model::Candidate& candidate);
  /// Forgets failed trials of this model, so that they may be retried at once.
  void forget(const std::string& model);
  /// Sets the function to call, on another thread, when a trial ends for which nobody waits; empty:
  /// none. After this returns, the previous function is not called any more.
  void when_late(std::function<void()> tell);
  /// Ends all trials.
  void stop();

 private:
  struct Attempt {
    std::string model;
    std::optional<TrialReport> report;  ///< not taken by a reload yet
    bool running = false;
    bool awaited = false;
    unsigned failures = 0;
    std::string reason;  ///< of the last failure
    TimePoint retry_at;
    std::jthread thread;
  };

  bool start(const model::Candidate& candidate, Attempt& attempt) REQUIRES(mutex_);
  void try_it(const model::Candidate& candidate, std::stop_token stop);
  /// Takes the report of a finished attempt. Remembers the failure if it fell over.
  TrialReport settle(Attempt& attempt) REQUIRES(mutex_);
  Result<TrialReport> wait_for(const std::string& fingerprint) REQUIRES(mutex_);

  const TrialsOptions options_;
  const Clock& clock_;
  Mutex mutex_;
  CondVar changed_;
  std::map<std::string, Attempt> attempts_ GUARDED_BY(mutex_);  ///< by fingerprint
  TimePoint round_began_ GUARDED_BY(mutex_);
  bool stopping_ GUARDED_BY(mutex_) = false;
  Mutex late_mutex_;
  std::function<void()> late_ GUARDED_BY(late_mutex_);
};

}  // namespace podsense::inference
