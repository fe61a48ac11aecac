#pragma once

/// Converts rows to a model's inputs, for types other than FP32 and for named columns. Private to
/// this module.

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
  std::vector<std::size_t> ends;  ///< end offset of each row
  /// The bytes of one row.
  [[nodiscard]] std::span<const std::byte> row(std::size_t index) const {
    const std::size_t begin = index == 0 ? 0 : ends[index - 1];
    return std::span(data).subspan(begin, ends[index] - begin);
  }
};

/// @threads immutable
class RowInputs {
 public:
  enum class Kind {
    kFloats,   ///< one input of FP32 [N, features]: values need no conversion
    kMatrix,   ///< one input of another type, [N, features]
    kColumns,  ///< named inputs of any types, one column each
  };

  /// The kind that fits the model's inputs, if one does.
  static std::optional<RowInputs> of(const model::Signature& signature);

  [[nodiscard]] Kind kind() const { return kind_; }
  /// The number of columns of a row, numbers or names; 0: any number of FP32 columns.
  [[nodiscard]] std::size_t columns() const { return columns_; }

  /// The data of each input; empty for kFloats, which need no packing.
  /// @errors kInvalidArgument: wrong number of columns, missing or unknown name, or a value of
  /// another type than the input's
  [[nodiscard]] Result<std::vector<PackedInput>> pack(const protocol::RowsRequest& request,
                                                      const std::string& model) const;
  /// The shape of input `index` for `rows` rows.
  [[nodiscard]] std::vector<std::int64_t> shape(std::size_t index, std::size_t rows) const;
  [[nodiscard]] DataType type(std::size_t index) const { return inputs_[index].type; }

 private:
  [[nodiscard]] Result<std::vector<PackedInput>> pack_doubles(
      const protocol::RowsRequest& request) const;
  /// Packs a list of values per row into one input of any type.
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
