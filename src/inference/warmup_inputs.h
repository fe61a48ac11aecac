#pragma once

/// What a model is asked while it is measured. Private to this module.

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/error.h"
#include "model/model.h"

namespace podsense::inference {

class WarmupInputs {
 public:
  /// Zeros for each input.
  /// @param rows first dimension of a batchable model's inputs
  /// @param length of every other open dimension
  /// @errors kUnavailable: they need more memory than this machine has
  static Result<WarmupInputs> make(const model::Model& model, std::size_t rows,
                                   std::int64_t length);

  /// @shape as the model's inputs; valid as long as this is where it is
  [[nodiscard]] std::span<const model::TensorView> views() const { return views_; }
  /// Whether another `length` would give other inputs.
  [[nodiscard]] bool has_open_lengths() const { return open_lengths_; }

 private:
  std::vector<std::vector<std::int64_t>> shapes_;
  std::vector<std::vector<std::byte>> data_;
  std::vector<model::TensorView> views_;
  bool open_lengths_ = false;
};

}  // namespace podsense::inference
