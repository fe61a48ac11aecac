#pragma once

/// What a model is asked while it is measured: what its manifest says, else zeros. Private to this
/// module.

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/error.h"
#include "model/model.h"

namespace podsense::inference {

class WarmupInputs {
 public:
  /// @param rows first dimension of a batchable model's inputs; what the manifest gives is repeated
  ///             or cut as often as that takes
  /// @param length of every other open dimension that the manifest leaves open
  /// @errors kUnavailable: they need more memory than this machine has; kInvalidArgument: what the
  ///         manifest says does not fit the model, or a file does not hold it
  static Result<WarmupInputs> make(const model::Model& model, std::size_t rows,
                                   std::int64_t length);

  /// @shape as the model's inputs; valid as long as this is where it is
  [[nodiscard]] std::span<const model::TensorView> views() const { return views_; }
  /// Whether another `length` would give other inputs.
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
