// Bodies of tensor requests: JSON, JSON with binary data, and the raw form. The first byte chooses
// where the JSON ends. What is accepted must fit its own shapes, mean the same to another JSON
// library, and come back as it was when it is written and read again.

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "protocol/oip_checks.h"
#include "protocol/oip_codec.h"
#include "protocol/oip_data.h"

namespace {

using nlohmann::json;
using podsense::DataType;
namespace protocol = podsense::protocol;

void require(bool holds) {
  if (!holds) {
    std::abort();
  }
}

void check_refusal(const podsense::Error& error) {
  require(!error.message.empty() && error.message != "the body is not valid JSON");
  std::string out;
  protocol::write_oip_error(out, error.message);
  require(json::accept(out));
}

/// The elements of nested arrays, in their order.
void flatten(const json& data, json::array_t& out) {
  for (const json& element : data) {
    if (element.is_array()) {
      flatten(element, out);
    } else {
      out.push_back(element);
    }
  }
}

template <class Number>
void check_numbers(const json::array_t& wanted, std::span<const std::byte> data) {
  require(data.size() == wanted.size() * sizeof(Number));
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    Number value{};
    std::memcpy(&value, data.data() + i * sizeof value, sizeof value);
    if constexpr (std::is_integral_v<Number>) {
      require(wanted[i].is_number_integer() && wanted[i] == json(value));
    } else {
      // The other library goes through the nearest double, which is at most one float away.
      const auto other = static_cast<Number>(wanted[i].get<double>());
      require(value == other || value == std::nextafter(other, value));
    }
  }
}

void check_texts(const json::array_t& wanted, std::span<const std::byte> data) {
  std::size_t count = 0;
  require(podsense::for_each_text(data, [&](std::string_view text) {
    require(count < wanted.size() && wanted[count] == text);
    ++count;
  }));
  require(count == wanted.size());
}

void check_input(const json& wanted, const protocol::InputTensor& tensor) {
  require(wanted.at("name") == tensor.name && wanted.at("shape") == json(tensor.shape));
  if (!wanted.contains("data")) {
    return;
  }
  json::array_t elements;
  flatten(wanted["data"], elements);
  switch (tensor.type) {
    case DataType::kUint8:
      return check_numbers<std::uint8_t>(elements, tensor.data);
    case DataType::kInt32:
      return check_numbers<std::int32_t>(elements, tensor.data);
    case DataType::kUint64:
      return check_numbers<std::uint64_t>(elements, tensor.data);
    case DataType::kInt64:
      return check_numbers<std::int64_t>(elements, tensor.data);
    case DataType::kFp32:
      return check_numbers<float>(elements, tensor.data);
    case DataType::kFp64:
      return check_numbers<double>(elements, tensor.data);
    case DataType::kBytes:
      return check_texts(elements, tensor.data);
    default:
      return;
  }
}

bool is_finite(const protocol::InputTensor& tensor) {
  for (std::size_t i = 0; tensor.type == DataType::kFp32 && i + 4 <= tensor.data.size(); i += 4) {
    float value = 0;
    std::memcpy(&value, tensor.data.data() + i, sizeof value);
    if (!std::isfinite(value)) {
      return false;
    }
  }
  return tensor.type != DataType::kFp64;
}

/// Written as JSON and read again, the same bytes.
void check_round_trip(const protocol::InputTensor& tensor) {
  std::string data;
  if (!is_finite(tensor) || !protocol::write_json_data(data, tensor.type, tensor.data)) {
    return;
  }
  const std::string body = R"({"inputs":[{"name":"x","datatype":")" +
                           std::string(data_type_name(tensor.type)) + R"(","shape":)" +
                           protocol::shape_text(tensor.shape) + R"(,"data":)" + data + "}]}";
  const auto again = protocol::parse_oip_request(
      {.bytes = std::make_shared<const std::string>(body), .json_size = std::nullopt});
  require(again.has_value());
  require(std::ranges::equal(again->inputs[0].data, tensor.data));
}

void check_request(const protocol::OipBody& body) {
  const auto request = protocol::parse_oip_request(body);
  if (!request) {
    return check_refusal(request.error());
  }
  const std::size_t size = body.json_size.value_or(body.bytes->size());
  const json other = json::parse(body.bytes->substr(0, size));
  require(other.value("id", "") == request->id);
  require(other.at("inputs").size() == request->inputs.size());
  for (std::size_t i = 0; i < request->inputs.size(); ++i) {
    const protocol::InputTensor& tensor = request->inputs[i];
    const auto count = protocol::element_count(tensor.shape);
    require(count && protocol::check_binary_data(tensor.type, *count, tensor.data));
    check_input(other["inputs"][i], tensor);
    check_round_trip(tensor);
  }
}

void check_raw(const std::shared_ptr<const std::string>& body) {
  const std::array<std::int64_t, 3> shape{-1, 2, -1};
  for (const DataType type : {DataType::kFp32, DataType::kBool, DataType::kBytes}) {
    const std::array<protocol::TensorMetadata, 1> inputs{
        {{.name = "x",
          .type = type,
          .shape = std::span(shape).first(type == DataType::kBytes ? 1 : 3)}}};
    const auto request = protocol::parse_oip_raw(body, inputs);
    if (!request) {
      check_refusal(request.error());
      continue;
    }
    const protocol::InputTensor& tensor = request->inputs.front();
    require(protocol::check_binary_data(type, *protocol::element_count(tensor.shape), tensor.data)
                .has_value());
  }
}

}  // namespace

// NOLINTNEXTLINE(readability-identifier-naming): the name is libFuzzer's
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) {
    return 0;
  }
  const auto body =
      std::make_shared<const std::string>(reinterpret_cast<const char*>(data) + 1, size - 1);
  // 0: all is JSON. Else the JSON ends this many bytes before the end, or after its last brace.
  const std::size_t behind = data[0];
  if (behind == 0) {
    check_request({.bytes = body, .json_size = std::nullopt});
  } else if (behind == 255) {
    const std::size_t brace = body->rfind('}');
    check_request({.bytes = body, .json_size = brace == std::string::npos ? 0 : brace + 1});
  } else {
    check_request({.bytes = body, .json_size = body->size() - std::min(behind, body->size())});
  }
  check_raw(body);
  return 0;
}
