#include "model/model.h"

#include <array>

namespace podsense::model {
namespace {

struct TypeEntry {
  std::string_view name;
  std::size_t size;
};

/// In the order of DataType.
constexpr std::array<TypeEntry, 14> kTypes{{
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

}  // namespace

std::string_view data_type_name(DataType type) {
  return kTypes.at(static_cast<std::size_t>(type)).name;
}

std::size_t element_size(DataType type) {
  return kTypes.at(static_cast<std::size_t>(type)).size;
}

}  // namespace podsense::model
