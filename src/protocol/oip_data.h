#pragma once

/// One tensor's `data`, JSON ↔ packed bytes: the loops that most of a request's time goes to.

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

/// Where an input's `data` stands and what it has to be.
struct DataPlace {
  std::string_view json;  ///< the whole JSON; white space follows it, as Reader::load leaves it
  std::string_view text;  ///< of it: from '[' to its ']'
  std::size_t input = 0;  ///< index in `inputs`, for messages
  DataType type = DataType::kFp32;
  std::span<const std::int64_t> shape;
  std::uint64_t count = 0;  ///< elements that the shape asks for
};

/// Packed elements in memory of their own, aligned for any element type.
struct OwnedData {
  std::unique_ptr<std::byte[]> memory;
  std::size_t size = 0;
};

/// Makes the data the tensor's own.
void own(InputTensor& tensor, OwnedData data);

/// `data` may be flat, nested as the shape says, or nested for its first dimensions and flat below.
/// @errors kInvalidArgument: another number of elements, a value of another type or out of range,
///         FP16 and BF16, or no JSON
Result<OwnedData> read_json_data(const DataPlace& place);

/// `[1,2.5]`, flat.
/// @errors kInvalidArgument: FP16, BF16, or a text that is not UTF-8
Result<void> write_json_data(std::string& out, DataType type, std::span<const std::byte> data);

/// What to say of FP16 and BF16.
std::string no_json_form(DataType type);

/// One text of BYTES data: four bytes of length, little-endian, and its bytes.
OwnedData one_text(std::string_view text);

}  // namespace podsense::protocol
