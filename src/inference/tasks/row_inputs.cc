#include "inference/tasks/row_inputs.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <utility>
#include <variant>

#include "inference/tasks/signatures.h"
#include "protocol/json_codec.h"

namespace podsense::inference {
namespace {

using model::TensorInfo;
using protocol::Cell;

/// Whether JSON values can have this type: all except FP16 and BF16.
bool has_cells(DataType type) {
  return type != DataType::kFp16 && type != DataType::kBf16;
}

bool is_column(const TensorInfo& input) {
  const auto& shape = input.shape;
  const bool one = shape.size() == 1 || (shape.size() == 2 && shape[1] == 1);
  return one && shape[0] < 0 && has_cells(input.type);
}

template <class Number>
void append(std::vector<std::byte>& out, Number number) {
  const auto bytes = std::as_bytes(std::span(&number, 1));
  out.insert(out.end(), bytes.begin(), bytes.end());
}

std::optional<double> real(const Cell& cell) {
  if (const auto* whole = std::get_if<std::int64_t>(&cell)) {
    return static_cast<double>(*whole);
  }
  if (const auto* number = std::get_if<double>(&cell)) {
    return *number;
  }
  return std::holds_alternative<std::monostate>(cell)
             ? std::optional(std::numeric_limits<double>::quiet_NaN())
             : std::nullopt;
}

template <class Whole>
std::optional<Whole> whole(const Cell& cell) {
  std::optional<std::int64_t> value;
  if (const auto* given = std::get_if<std::int64_t>(&cell)) {
    value = *given;
  } else if (const auto* number = std::get_if<double>(&cell)) {
    constexpr double kExact = 9007199254740992;  // 2^53
    if (std::trunc(*number) == *number && std::abs(*number) <= kExact) {
      value = static_cast<std::int64_t>(*number);
    }
  }
  return value && std::in_range<Whole>(*value) ? std::optional(static_cast<Whole>(*value))
                                               : std::nullopt;
}

std::optional<std::uint8_t> truth(const Cell& cell) {
  if (const auto* given = std::get_if<bool>(&cell)) {
    return *given ? 1 : 0;
  }
  const auto number = whole<std::int64_t>(cell);
  return number && (*number == 0 || *number == 1)
             ? std::optional(static_cast<std::uint8_t>(*number))
             : std::nullopt;
}

template <class Number>
bool put(const std::optional<Number>& number, std::vector<std::byte>& out) {
  if (number) {
    append(out, *number);
  }
  return number.has_value();
}

/// False: the cell does not have this type.
bool put_cell(const Cell& cell, DataType type, std::vector<std::byte>& out) {
  switch (type) {
    case DataType::kFp32: {
      const auto number = real(cell);
      const bool fits = number && !(std::abs(*number) > std::numeric_limits<float>::max());
      return fits && put(std::optional(static_cast<float>(*number)), out);
    }
    case DataType::kFp64:
      return put(real(cell), out);
    case DataType::kInt8:
      return put(whole<std::int8_t>(cell), out);
    case DataType::kInt16:
      return put(whole<std::int16_t>(cell), out);
    case DataType::kInt32:
      return put(whole<std::int32_t>(cell), out);
    case DataType::kInt64:
      return put(whole<std::int64_t>(cell), out);
    case DataType::kUint8:
      return put(whole<std::uint8_t>(cell), out);
    case DataType::kUint16:
      return put(whole<std::uint16_t>(cell), out);
    case DataType::kUint32:
      return put(whole<std::uint32_t>(cell), out);
    case DataType::kUint64:
      return put(whole<std::uint64_t>(cell), out);
    case DataType::kBool:
      return put(truth(cell), out);
    default:
      break;
  }
  const auto* text = std::get_if<std::string>(&cell);
  if (text != nullptr) {
    append(out, static_cast<std::uint32_t>(text->size()));
    const auto bytes = std::as_bytes(std::span(*text));
    out.insert(out.end(), bytes.begin(), bytes.end());
  }
  return text != nullptr;
}

std::string_view accepted(DataType type) {
  switch (type) {
    case DataType::kFp32:
    case DataType::kFp64:
      return "a number, or null where it is missing";
    case DataType::kBool:
      return "true or false";
    case DataType::kBytes:
      return "a text";
    default:
      return "a whole number of its size";
  }
}

}  // namespace

std::optional<RowInputs> RowInputs::of(const model::Signature& signature) {
  RowInputs out;
  out.inputs_ = signature.inputs;
  if (signature.inputs.empty()) {
    return std::nullopt;
  }
  const TensorInfo& first = signature.inputs[0];
  const bool rows = signature.inputs.size() == 1 && first.shape.size() == 2;
  if (rows && first.type == DataType::kFp32 && first.shape[1] != 0) {
    out.columns_ = static_cast<std::size_t>(std::max<std::int64_t>(first.shape[1], 0));
    return out;
  }
  // A single column may also be a named text or number.
  const bool matrix = rows && (first.shape[1] > 1 || (first.shape[1] == 1 && !is_column(first)));
  if (matrix && has_cells(first.type)) {
    out.kind_ = Kind::kMatrix;
    out.columns_ = static_cast<std::size_t>(first.shape[1]);
    return out;
  }
  if (!std::ranges::all_of(signature.inputs, is_column)) {
    return std::nullopt;
  }
  out.kind_ = Kind::kColumns;
  out.columns_ = signature.inputs.size();
  return out;
}

std::string RowInputs::names() const {
  std::string out;
  for (const TensorInfo& input : inputs_) {
    out += (out.empty() ? "" : ", ") + input.name + " (" + std::string(data_type_name(input.type)) +
           ")";
  }
  return out;
}

std::vector<std::int64_t> RowInputs::shape(std::size_t index, std::size_t rows) const {
  auto shape = inputs_[index].shape;
  shape.front() = static_cast<std::int64_t>(rows);
  return shape;
}

Result<std::vector<PackedInput>> RowInputs::pack(const protocol::RowsRequest& request,
                                                 const std::string& model) const {
  if (kind_ == Kind::kColumns && request.named) {
    return pack_columns(*request.named, request.rows, model);
  }
  if (kind_ == Kind::kColumns && columns_ > 1) {
    return unfit("model '" + model + "' takes a row as an object of its inputs: " + names());
  }
  if (request.named) {
    return unfit("model '" + model + "' takes a row as a list" +
                 (columns_ == 0 ? "" : " of " + std::to_string(columns_)) + " " +
                 (kind_ == Kind::kFloats ? columns_ == 1 ? "number" : "numbers"
                                         : std::string(data_type_name(inputs_[0].type))) +
                 ": its columns have no names");
  }
  if (kind_ == Kind::kFloats && request.cells) {
    return fail(request.cells->not_numbers);
  }
  if (columns_ > 0 && request.columns != columns_) {
    return unfit("model '" + model + "' takes " + std::to_string(columns_) + " features; got " +
                 std::to_string(request.columns));
  }
  if (kind_ == Kind::kFloats) {
    return std::vector<PackedInput>();
  }
  return inputs_[0].type == DataType::kFp64 && !request.cells ? pack_doubles(request)
                                                              : pack_lists(request);
}

Result<std::vector<PackedInput>> RowInputs::pack_lists(const protocol::RowsRequest& request) const {
  Result<std::vector<Cell>> read;
  std::span<const Cell> cells;
  if (request.cells) {
    cells = request.cells->cells;
  } else if (!request.json.empty()) {
    read = protocol::read_exact_cells(request.json);
    if (!read) {
      return fail(std::move(read.error()));
    }
    cells = *read;
  } else {
    for (const float value : request.values) {
      read->push_back(std::isnan(value) ? Cell() : Cell(double{value}));
    }
    cells = *read;
  }
  const DataType type = inputs_[0].type;
  std::vector<PackedInput> packed(1);
  for (std::size_t i = 0; i < cells.size(); ++i) {
    if (!put_cell(cells[i], type, packed[0].data)) {
      return unfit("value " + std::to_string(i % columns_) + " of row " +
                   std::to_string(i / columns_) + " must be " + std::string(accepted(type)) +
                   ": the model takes it as " + std::string(data_type_name(type)));
    }
    if ((i + 1) % columns_ == 0) {
      packed[0].ends.push_back(packed[0].data.size());
    }
  }
  return packed;
}

Result<std::vector<PackedInput>> RowInputs::pack_doubles(
    const protocol::RowsRequest& request) const {
  auto values = request.json.empty() ? Result<std::vector<double>>(std::vector<double>(
                                           request.values.begin(), request.values.end()))
                                     : protocol::read_exact_values(request.json);
  if (!values) {
    return fail(std::move(values.error()));
  }
  const auto bytes = std::as_bytes(std::span(*values));
  std::vector<PackedInput> packed(1);
  packed[0].data.assign(bytes.begin(), bytes.end());
  for (std::size_t row = 1; row <= request.rows; ++row) {
    packed[0].ends.push_back(row * columns_ * sizeof(double));
  }
  return packed;
}

Result<std::vector<PackedInput>> RowInputs::pack_columns(const protocol::NamedRows& named,
                                                         std::size_t rows,
                                                         const std::string& model) const {
  std::vector<PackedInput> packed(inputs_.size());
  for (std::size_t i = 0; i < inputs_.size(); ++i) {
    const TensorInfo& input = inputs_[i];
    const auto at = std::ranges::find(named.names, input.name);
    if (at == named.names.end()) {
      return unfit("'" + input.name + "' is missing; model '" + model + "' takes " + names());
    }
    const auto& column = named.columns[static_cast<std::size_t>(at - named.names.begin())];
    for (std::size_t row = 0; row < rows; ++row) {
      if (!put_cell(column[row], input.type, packed[i].data)) {
        return unfit("'" + input.name + "' of row " + std::to_string(row) + " must be " +
                     std::string(accepted(input.type)) + ": the model takes it as " +
                     std::string(data_type_name(input.type)));
      }
      packed[i].ends.push_back(packed[i].data.size());
    }
  }
  const auto unknown = std::ranges::find_if(named.names, [this](const std::string& name) {
    return std::ranges::find(inputs_, name, &TensorInfo::name) == inputs_.end();
  });
  if (unknown != named.names.end()) {
    return unfit("model '" + model + "' has no input '" + *unknown + "'; it takes " + names());
  }
  return packed;
}

}  // namespace podsense::inference
