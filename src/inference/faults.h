#pragma once

/// Fault injection for tests and demonstrations: a slow, failing or stuck model, or a server that
/// reports "not ready". Only exists if it is configured, and costs nothing otherwise.
/// @threads thread-safe

#include <map>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/error.h"
#include "base/mutex.h"

namespace podsense::inference {

struct Fault {
  Duration slow{};     ///< sleep added to each run
  bool fail = false;   ///< each run fails with kInternal
  bool stuck = false;  ///< each run waits until the fault is removed
  friend bool operator==(const Fault&, const Fault&) = default;
};

class Faults {
 public:
  struct State {
    bool unready = false;
    std::map<std::string, Fault, std::less<>> models;  ///< "": every model without its own
  };

  /// Replaces all previous faults and wakes stuck runs.
  void set(State state);
  [[nodiscard]] State state() const;

  [[nodiscard]] bool unready() const;
  [[nodiscard]] bool hits(const std::string& model) const;
  /// Applies the model's fault: waits, and returns the error to answer with, if any. Blocks: never
  /// call it on an I/O thread.
  [[nodiscard]] std::optional<Error> before_run(const std::string& model);

 private:
  [[nodiscard]] Fault of(const std::string& model) const REQUIRES(mutex_);

  mutable Mutex mutex_;
  CondVar changed_;
  State state_ GUARDED_BY(mutex_);
};

}  // namespace podsense::inference
