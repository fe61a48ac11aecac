#pragma once

/// Element types of tensors, named as in the Open Inference Protocol.
///
/// PodSense always stores tensor data row-major, packed, and in this machine's byte order
/// (little-endian). BYTES elements (texts) vary in size: each is a 4-byte little-endian length
/// followed by its bytes, as in the protocol's binary format.

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace podsense {

enum class DataType {
  kBool,  ///< one byte, 0 or 1
  kUint8,
  kUint16,
  kUint32,
  kUint64,
  kInt8,
  kInt16,
  kInt32,
  kInt64,
  kFp16,
  kBf16,
  kFp32,
  kFp64,
  kBytes,
};

namespace data_type_detail {
struct Entry {
  std::string_view name;
  std::size_t size;
};
/// In the order of DataType.
inline constexpr std::array<Entry, 14> kEntries{{
    {"BOOL", 1},
    {"UINT8", 1},
    {"UINT16", 2},
    {"UINT32", 4},
    {"UINT64", 8},
    {"INT8", 1},
    {"INT16", 2},
    {"INT32", 4},
    {"INT64", 8},
    {"FP16", 2},
    {"BF16", 2},
    {"FP32", 4},
    {"FP64", 8},
    {"BYTES", 0},
}};
}  // namespace data_type_detail

/// "FP32"
constexpr std::string_view data_type_name(DataType type) {
  return data_type_detail::kEntries[static_cast<std::size_t>(type)].name;
}
/// Bytes of one element; 0 for kBytes.
constexpr std::size_t element_size(DataType type) {
  return data_type_detail::kEntries[static_cast<std::size_t>(type)].size;
}
/// Exact names only: "FP32", not "fp32".
constexpr std::optional<DataType> data_type_of(std::string_view name) {
  for (std::size_t i = 0; i < data_type_detail::kEntries.size(); ++i) {
    if (data_type_detail::kEntries[i].name == name) {
      return static_cast<DataType>(i);
    }
  }
  return std::nullopt;
}

/// Calls `use(std::string_view)` with each text of BYTES data. Returns false if the data ends
/// inside a text.
template <class Use>
bool for_each_text(std::span<const std::byte> data, Use use) {
  while (!data.empty()) {
    if (data.size() < 4) {
      return false;
    }
    std::uint32_t length = 0;
    for (std::size_t i = 0; i < 4; ++i) {
      length |= std::to_integer<std::uint32_t>(data[i]) << (8 * i);
    }
    if (data.size() - 4 < length) {
      return false;
    }
    // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast): bytes seen as characters
    use(std::string_view(reinterpret_cast<const char*>(data.data()) + 4, length));
    data = data.subspan(4 + std::size_t{length});
  }
  return true;
}

}  // namespace podsense
