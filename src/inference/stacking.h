#pragma once

/// Whether requests of a model version may share a run: their rows are stacked, run once, and the
/// answer is split. A wrong answer is worse than a slow one, so each version starts with separate
/// runs. It shares runs only after a proof from its graph that rows are independent and a check
/// that random rows get the same answers alone and together (row_check.h), or if the manifest says
/// so.

#include <atomic>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/mutex.h"

namespace podsense::inference {

class SavedProfiles;
struct ServedModel;

/// The state of one version. @threads thread-safe
class Stacking {
 public:
  enum class State {
    kChecking,  ///< each request runs alone until the check ends
    kShared,
    kAlone,
  };

  [[nodiscard]] bool shared() const { return state() == State::kShared; }
  [[nodiscard]] State state() const { return state_.load(std::memory_order_relaxed); }
  /// The reason for the state, as one sentence for users.
  [[nodiscard]] std::string reason() const;
  void set(State state, std::string reason);
  /// Ends shared runs. False: they had already ended.
  bool end(std::string reason);
  /// Whether `end` was called: 1, else 0.
  [[nodiscard]] unsigned ended() const { return ended_.load(std::memory_order_relaxed); }

 private:
  std::atomic<State> state_{State::kChecking};
  std::atomic<unsigned> ended_{0};
  mutable Mutex mutex_;
  std::string reason_ GUARDED_BY(mutex_) = "rows are being compared";
};

/// "shared", "alone", "checking"
std::string_view stacking_name(Stacking::State state);

/// Sets the state that manifest and graph decide; kChecking if random rows must be compared.
void begin_stacking(const ServedModel& served);

/// Compares random rows of a version in state kChecking and allows shared runs if the answers
/// agree. Saves the result with the profile. Blocks for the runs of the check.
void finish_stacking(const ServedModel& served, const SavedProfiles& saved, const Clock& clock);

/// Calls finish_stacking for new versions, one after the other, on a low-priority thread.
/// @threads thread-safe
class StackingChecks {
 public:
  StackingChecks(const SavedProfiles& saved, const Clock& clock);
  ~StackingChecks();
  StackingChecks(const StackingChecks&) = delete;
  StackingChecks& operator=(const StackingChecks&) = delete;

  /// Versions that end before their turn are skipped.
  void add(std::weak_ptr<const ServedModel> served);
  /// Blocks until all added versions are decided.
  void wait();

 private:
  void run();

  const SavedProfiles& saved_;
  const Clock& clock_;
  Mutex mutex_;
  CondVar changed_;
  std::vector<std::weak_ptr<const ServedModel>> waiting_ GUARDED_BY(mutex_);
  bool busy_ GUARDED_BY(mutex_) = false;
  bool stopping_ GUARDED_BY(mutex_) = false;
  std::jthread thread_;
};

}  // namespace podsense::inference
