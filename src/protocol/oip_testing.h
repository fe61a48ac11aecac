#pragma once

/// Helpers for tests of the tensor codecs: parse requests from texts, and read their bytes as
/// numbers.

#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/oip_codec.h"

namespace podsense::protocol {

inline Result<InferRequest> parse_json(std::string_view json) {
  return parse_oip_request(
      {.bytes = std::make_shared<const std::string>(json), .json_size = std::nullopt});
}

inline Result<InferRequest> parse_binary(std::string_view json, std::string_view data) {
  return parse_oip_request(
      {.bytes = std::make_shared<const std::string>(std::string(json) + std::string(data)),
       .json_size = json.size()});
}

/// A request with one input.
inline std::string one_input(std::string_view type, std::string_view shape, std::string_view data) {
  return R"({"inputs":[{"name":"x","datatype":")" + std::string(type) + R"(","shape":)" +
         std::string(shape) + R"(,"data":)" + std::string(data) + "}]}";
}

template <class Value>
std::vector<Value> values_of(std::span<const std::byte> data) {
  std::vector<Value> values(data.size() / sizeof(Value));
  if (!data.empty()) {
    std::memcpy(values.data(), data.data(), values.size() * sizeof(Value));
  }
  return values;
}

inline std::string bytes_of(std::span<const std::byte> data) {
  std::string text(data.size(), '\0');
  if (!data.empty()) {
    std::memcpy(text.data(), data.data(), data.size());
  }
  return text;
}

}  // namespace podsense::protocol
