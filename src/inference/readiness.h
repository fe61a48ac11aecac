#pragma once

/// Whether a server starts, goes on and is ready. docs/reference/readiness.md has the same table
/// for people, and readiness_test.cc each of its rows:
///
/// - exit code 2: a setting is wrong, or a default names a model that a repository with models
/// lacks
/// - exit code 1: nothing can be served, and nobody polls
/// - not ready: nothing can be served, and polling may find something; or nothing serves any more
/// - ready: a model serves, also where another failed, even a default one
/// - not ready, with strict readiness: any model failed
/// - not ready: fewer than half of the executors are left, since runs on the others do not end
///
/// Liveness never depends on models.

#include <cstddef>
#include <cstdint>

namespace podsense::inference {

/// What is known of a repository's models.
struct Situation {
  bool loaded = false;           ///< the first load has ended
  bool polls = false;            ///< the repository is looked at again and again
  bool strict = false;           ///< --strict-readiness
  bool unknown_default = false;  ///< a default names a model that the repository, not empty, lacks
  std::size_t offered = 0;       ///< models that may be served; once loaded, that are
  std::size_t failed = 0;        ///< models of which no version can be served
  bool executors_lost = false;   ///< more than half of the executors are in runs that do not end
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

/// What `podsense serve` exits with.
constexpr int exit_code(Start start) {
  return start == Start::kWrongSetting ? 2 : start == Start::kNothingToServe ? 1 : 0;
}

}  // namespace podsense::inference
