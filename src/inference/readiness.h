#pragma once

/// Decides whether a server starts, continues and is ready. docs/reference/readiness.md documents
/// the same rules, and readiness_test.cc tests each of them:
///
/// - exit code 2: a setting is wrong, or a default names a model that a repository with models
/// lacks
/// - exit code 1: nothing can be served, and the repository is not polled
/// - not ready: nothing can be served yet, but polling may find a model; or nothing serves any more
/// - ready: a model serves, even if another one failed, even a default model
/// - not ready, with strict readiness: any model failed
/// - not ready: fewer than half of the executors are left, because the others are in runs that do
/// not end
///
/// Liveness never depends on models.

#include <cstddef>
#include <cstdint>

namespace podsense::inference {

/// The state of a repository's models.
struct Situation {
  bool loaded = false;  ///< the first load has ended
  bool polls = false;   ///< the repository is polled
  bool strict = false;  ///< --strict-readiness
  /// a default names a model that is not in the (non-empty) repository
  bool unknown_default = false;
  /// models that could be served; once loaded: models that are served
  std::size_t offered = 0;
  std::size_t failed = 0;       ///< models of which no version can be served
  bool executors_lost = false;  ///< more than half of the executors are in runs that do not end
};

enum class Start : std::uint8_t { kGoesOn, kWrongSetting, kNothingToServe };

struct Verdict {
  Start start = Start::kGoesOn;
  bool ready = false;
};

constexpr Verdict judge(const Situation& now) {
  if (now.unknown_default) {
    return {.start = Start::kWrongSetting};
  }
  if (now.offered == 0) {
    return {.start = now.polls ? Start::kGoesOn : Start::kNothingToServe};
  }
  return {.ready = now.loaded && !now.executors_lost && !(now.strict && now.failed > 0)};
}

/// The exit code of `podsense serve`.
constexpr int exit_code(Start start) {
  return start == Start::kWrongSetting ? 2 : start == Start::kNothingToServe ? 1 : 0;
}

}  // namespace podsense::inference
