#pragma once

/// The inputs for measuring a model: those of its manifest, or else zeros. Private to this module.

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/error.h"
#include "model/model.h"

namespace podsense::inference {

class WarmupInputs {
 public:
  /// @param rows first dimension of a batchable model's inputs; the manifest's rows are repeated or
  /// cut to this number
  /// @param length of every other dynamic dimension that the manifest does not set
  /// @errors kUnavailable: they need more memory than this machine has; kInvalidArgument: the
  /// manifest's inputs do not fit the model, or a file has the wrong size
  static Result<WarmupInputs> make(const model::Model& model, std::size_t rows,
                                   std::int64_t length);

  /// @shape as the model's inputs; valid as long as this object is neither moved nor destroyed
  [[nodiscard]] std::span<const model::TensorView> views() const { return views_; }
  /// Whether `length` affects the inputs.
  [[nodiscard]] bool has_open_lengths() const { return open_lengths_; }

 private:
  Result<void> take_request(const model::Model& model);
  Result<void> take_manifest(const model::Model& model, std::int64_t length);
  Result<void> repeat(const model::Signature& signature, std::size_t rows);

  std::vector<std::vector<std::int64_t>> shapes_;
  std::vector<std::vector<std::byte>> data_;
  std::vector<model::TensorView> views_;
  bool open_lengths_ = false;
};

}  // namespace podsense::inference
