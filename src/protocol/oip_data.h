#pragma once

/// Converts a tensor's `data` between JSON and packed bytes: the loops in which most of a request's
/// time is spent.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/data_type.h"
#include "base/error.h"
#include "protocol/tensor.h"

namespace podsense::protocol {

/// The position of an input's `data` in the JSON, and the expected type and shape.
struct DataPlace {
  std::string_view json;  ///< the whole JSON, followed by white space, see Reader::load
  std::string_view text;  ///< the part from '[' to its ']'
  std::size_t input = 0;  ///< index in `inputs`, for messages
  DataType type = DataType::kFp32;
  std::span<const std::int64_t> shape;
  std::uint64_t count = 0;  ///< elements of the shape
};

/// Packed elements in owned memory, aligned for any element type.
struct OwnedData {
  std::unique_ptr<std::byte[]> memory;
  std::size_t size = 0;
};

/// Moves the data into the tensor.
void own(InputTensor& tensor, OwnedData data);

/// Parses `data`, which may be flat, nested like the shape, or nested only for the first
/// dimensions.
/// @errors kInvalidArgument: wrong number of elements, a value of the wrong type or out of range,
/// FP16 or BF16, or invalid JSON
Result<OwnedData> read_json_data(const DataPlace& place);

/// Writes a flat list, `[1,2.5]`.
/// @errors kInvalidArgument: FP16, BF16, or a text that is not UTF-8
Result<void> write_json_data(std::string& out, DataType type, std::span<const std::byte> data);

/// The error message for FP16 and BF16, which have no JSON form.
std::string no_json_form(DataType type);

/// BYTES data with one text: four bytes of length, little-endian, and the text.
OwnedData one_text(std::string_view text);

}  // namespace podsense::protocol
