#pragma once

/// How rows become a model's inputs, where that is more than numbers in FP32. Private to this
/// module.

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "model/model.h"
#include "protocol/messages.h"

namespace podsense::inference {

/// An input's data for the rows of one request.
struct PackedInput {
  std::vector<std::byte> data;
  std::vector<std::size_t> ends;  ///< where each row's bytes end
  /// Of one row.
  [[nodiscard]] std::span<const std::byte> row(std::size_t index) const {
    const std::size_t begin = index == 0 ? 0 : ends[index - 1];
    return std::span(data).subspan(begin, ends[index] - begin);
  }
};

/// @threads immutable
class RowInputs {
 public:
  enum class Kind {
    kFloats,   ///< one input of FP32 [N, features]: a request's values as they are
    kMatrix,   ///< one input of another type, [N, features]
    kColumns,  ///< inputs of one column each, of any types, by their names
  };

  /// The kind that fits the model's inputs, if one does.
  static std::optional<RowInputs> of(const model::Signature& signature);

  [[nodiscard]] Kind kind() const { return kind_; }
  /// Of a row: numbers, or names; 0: any number of them, which are FP32.
  [[nodiscard]] std::size_t columns() const { return columns_; }

  /// The data of each input; none for kFloats, which need no packing.
  /// @errors kInvalidArgument: another number of columns, a name that is missing or no input's, a
  ///         value that is not of the input's type
  [[nodiscard]] Result<std::vector<PackedInput>> pack(const protocol::RowsRequest& request,
                                                      const std::string& model) const;
  /// The shape of input `index` for so many rows.
  [[nodiscard]] std::vector<std::int64_t> shape(std::size_t index, std::size_t rows) const;
  [[nodiscard]] DataType type(std::size_t index) const { return inputs_[index].type; }

 private:
  [[nodiscard]] Result<std::vector<PackedInput>> pack_doubles(
      const protocol::RowsRequest& request) const;
  /// A list of values for each row, into one input of any type.
  [[nodiscard]] Result<std::vector<PackedInput>> pack_lists(
      const protocol::RowsRequest& request) const;
  [[nodiscard]] Result<std::vector<PackedInput>> pack_columns(const protocol::NamedRows& named,
                                                              std::size_t rows,
                                                              const std::string& model) const;
  [[nodiscard]] std::string names() const;

  Kind kind_ = Kind::kFloats;
  std::size_t columns_ = 0;
  std::vector<model::TensorInfo> inputs_;
};

}  // namespace podsense::inference
