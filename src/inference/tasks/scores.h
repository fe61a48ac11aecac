#pragma once

/// A classifier's scores, and whether they are probabilities. Private to this module.

#include <atomic>
#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "model/model.h"

namespace podsense::inference {

/// Converts a classifier's scores: unchanged, softmax or sigmoid.
/// @threads thread-safe once made
class Scores {
 public:
  enum class Become { kAsTheyAre, kSoftmax, kSigmoid };

  /// Applies the manifest's `postprocess` to an output with `columns` columns (below 1: unknown).
  /// @errors kInvalidArgument: softmax of one column, which is always 1
  Result<void> take(const model::Model& model, std::int64_t columns);

  /// Whether one column is converted to the scores of two classes: first "no", then "yes".
  [[nodiscard]] bool is_binary() const { return binary_; }
  /// Whether the manifest declares that scores are not probabilities.
  [[nodiscard]] bool are_declared() const { return declared_; }

  /// One row's scores for the answer. Returns `row` itself, or the converted values in `buffer`.
  [[nodiscard]] std::span<const float> read(std::span<const float> row,
                                            std::vector<float>& buffer) const;

  /// Whether these scores and all earlier ones are in [0, 1]. Logs once if not.
  [[nodiscard]] bool are_probabilities(std::span<const float> scores) const;

  /// A warning for users once a score was not a probability; else empty.
  [[nodiscard]] std::string warning() const;

 private:
  std::string model_;  ///< "name/version", for the log
  Become become_ = Become::kAsTheyAre;
  bool binary_ = false;
  bool declared_ = false;
  mutable std::atomic<bool> refuted_ = false;
  mutable std::atomic<float> example_ = 0;
};

/// Pseudo-random input values, always the same, for examining a model's scores.
std::vector<float> probe_values(std::size_t count);

}  // namespace podsense::inference
