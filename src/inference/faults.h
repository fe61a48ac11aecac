#pragma once

/// Faults on purpose, for tests and demonstrations: a slow, failing or stuck model, a server that
/// says it is not ready. Exists only where configuration asks for it; what does not exist costs
/// nothing.
/// @threads thread-safe

#include <map>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/error.h"
#include "base/mutex.h"

namespace podsense::inference {

struct Fault {
  Duration slow{};     ///< added to each run, asleep
  bool fail = false;   ///< each run fails with kInternal
  bool stuck = false;  ///< each run waits until the fault is taken back
  friend bool operator==(const Fault&, const Fault&) = default;
};

class Faults {
 public:
  struct State {
    bool unready = false;
    std::map<std::string, Fault, std::less<>> models;  ///< "": every model without its own
  };

  /// Takes the place of all faults that were; stuck runs look again.
  void set(State state);
  [[nodiscard]] State state() const;

  [[nodiscard]] bool unready() const;
  [[nodiscard]] bool hits(const std::string& model) const;
  /// Waits as the model's fault says; the error to answer with, if any. Blocks: never on an I/O
  /// thread.
  [[nodiscard]] std::optional<Error> before_run(const std::string& model);

 private:
  [[nodiscard]] Fault of(const std::string& model) const REQUIRES(mutex_);

  mutable Mutex mutex_;
  CondVar changed_;
  State state_ GUARDED_BY(mutex_);
};

}  // namespace podsense::inference
