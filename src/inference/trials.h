#pragma once

/// Trials of a catalog's candidates (trial.h): who waits for them, how long, and when one that
/// failed is tried again. Private to this module.

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
  Trial trial;                    ///< empty: models are opened in this process at once
  std::set<std::string> known{};  ///< hashes of files that need no trial
  /// A reload waits this long for trials; those that take longer go on by themselves.
  Duration patience = std::chrono::seconds(10);
  /// However many slow trials came before, each gets this much of a reload's time.
  Duration least_patience = std::chrono::seconds(1);
  /// What fell over is tried again after this, then after twice as long each time, an hour at most.
  Duration pause = std::chrono::minutes(1);
};

/// @threads thread-safe
class Trials {
 public:
  Trials(TrialsOptions options, const Clock& clock);
  ~Trials() { stop(); }
  Trials(const Trials&) = delete;
  Trials& operator=(const Trials&) = delete;

  /// Whether some files are known by their hash.
  [[nodiscard]] bool knows_some() const { return !options_.known.empty(); }
  /// `candidate.content` may be unknown.
  [[nodiscard]] bool needed(const model::Candidate& candidate) const;

  /// A reload begins: its patience, and what it may ask for. Trials of other candidates end.
  void begin_round(const std::vector<model::Candidate>& wanted);
  /// Tries the candidate, at most for what is left of the round's patience and a little more.
  /// @errors kUnavailable with retry_after: it goes on, and `when_late` tells its end; without: it
  ///         fell over lately, or the server stops
  Result<TrialReport> run(const model::Candidate& candidate);
  /// What fell over of this model may be tried again at once.
  void forget(const std::string& model);
  /// Called on another thread when a trial has ended for which nobody waited. Empty: nobody. Once
  /// this returns, the function of before is called no more.
  void when_late(std::function<void()> tell);
  /// Ends all trials.
  void stop();

 private:
  struct Attempt {
    std::string model;
    std::optional<TrialReport> report;  ///< that nobody has taken yet
    bool running = false;
    bool awaited = false;
    unsigned failures = 0;
    std::string reason;  ///< of the last failure
    TimePoint retry_at;
    std::jthread thread;
  };

  bool start(const model::Candidate& candidate, Attempt& attempt) REQUIRES(mutex_);
  void try_it(const model::Candidate& candidate, std::stop_token stop);
  /// Takes the report of an attempt that has ended. What fell over stays known.
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
