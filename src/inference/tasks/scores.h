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

/// What a classifier's scores become: as they are, or probabilities by softmax or sigmoid.
/// @threads thread-safe once made
class Scores {
 public:
  enum class Become { kAsTheyAre, kSoftmax, kSigmoid };

  /// What the manifest's `postprocess` says of an output of `columns` columns (below 1: not known).
  /// @errors kInvalidArgument: softmax of one column, which is always 1
  Result<void> take(const model::Model& model, std::int64_t columns);

  /// Of one column: those of two classes, the first being that it is not.
  [[nodiscard]] bool is_binary() const { return binary_; }
  /// The manifest says that they are none.
  [[nodiscard]] bool are_declared() const { return declared_; }

  /// One row's scores as the answer has them. They stay in `row`, or are put into `buffer`.
  [[nodiscard]] std::span<const float> read(std::span<const float> row,
                                            std::vector<float>& buffer) const;

  /// Whether these, and all that came before, lie in [0, 1]. Told once in the log where not.
  [[nodiscard]] bool are_probabilities(std::span<const float> scores) const;

  /// The sentence for people once a score was none; else empty.
  [[nodiscard]] std::string warning() const;

 private:
  std::string model_;  ///< "name/version", for the log
  Become become_ = Become::kAsTheyAre;
  bool binary_ = false;
  bool declared_ = false;
  mutable std::atomic<bool> refuted_ = false;
  mutable std::atomic<float> example_ = 0;
};

/// Random numbers, the same each time, as a model's input to look at its scores.
std::vector<float> probe_values(std::size_t count);

}  // namespace podsense::inference
