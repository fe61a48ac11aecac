#pragma once

/// Whether requests of one model version may share a run: their rows stacked, one run, the answer
/// cut apart. A wrong answer is worse than a slow one, so a version starts with every request
/// alone, and shares runs only after its graph proved that rows are independent and random rows
/// were answered alike alone and together (row_check.h), or where the manifest says so.

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

/// What is known of one version. @threads thread-safe
class Stacking {
 public:
  enum class State {
    kChecking,  ///< each request runs alone until the check has ended
    kShared,
    kAlone,
  };

  [[nodiscard]] bool shared() const { return state() == State::kShared; }
  [[nodiscard]] State state() const { return state_.load(std::memory_order_relaxed); }
  /// One sentence fit for a person.
  [[nodiscard]] std::string reason() const;
  void set(State state, std::string reason);
  /// False where it had ended already.
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

/// What the manifest and the graph decide at once; kChecking where random rows must be compared.
void begin_stacking(const ServedModel& served);

/// Compares random rows of a version that begin_stacking left open, lets its requests share runs
/// where they agree, and keeps the outcome with the saved profile. Blocks for the runs of the
/// check.
void finish_stacking(const ServedModel& served, const SavedProfiles& saved, const Clock& clock);

/// Does finish_stacking for new versions, one after the other, on a thread of low priority.
/// @threads thread-safe
class StackingChecks {
 public:
  StackingChecks(const SavedProfiles& saved, const Clock& clock);
  ~StackingChecks();
  StackingChecks(const StackingChecks&) = delete;
  StackingChecks& operator=(const StackingChecks&) = delete;

  /// A version that ends before its turn is passed over.
  void add(std::weak_ptr<const ServedModel> served);
  /// Blocks until all that was added is decided.
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
