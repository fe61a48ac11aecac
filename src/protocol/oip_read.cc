#include <algorithm>
#include <array>
#include <charconv>

#include "protocol/json_body.h"
#include "protocol/json_syntax.h"
#include "protocol/oip_checks.h"
#include "protocol/oip_codec.h"
#include "protocol/oip_data.h"
#include "protocol/oip_values.h"
#include "protocol/options.h"

namespace podsense::protocol {
namespace {

constexpr std::string_view kExample =
    R"({"inputs": [{"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [0.5, 1]}]})";

constexpr std::array<std::string_view, 6> kBodyFields{"id",         "inputs",     "outputs",
                                                      "parameters", "model_name", "model_version"};
constexpr std::array<std::string_view, 5> kInputFields{"name", "shape", "datatype", "parameters",
                                                       "data"};
constexpr std::array<std::string_view, 2> kOutputFields{"name", "parameters"};

/// An input in the JSON. Its data is parsed after all its fields are known.
struct ReadInput {
  InputTensor tensor;
  std::string_view data;  ///< from '[' to ']'; empty: none
  std::optional<std::uint64_t> binary_size;
  bool has_type = false;
  bool has_shape = false;
};

constexpr std::size_t kInputsField = 1;      // of the body
constexpr std::size_t kParametersField = 3;  // of an input

bool is_null(ondemand::value& value) {
  const std::string_view token = value.raw_json_token();
  return token.starts_with('n') && token.substr(0, token.find_last_not_of(" \t\r\n") + 1) == "null";
}

class RequestReader {
 public:
  RequestReader(std::string_view json, std::span<const std::byte> binary, bool has_binary)
      : values_(json), binary_(binary), has_binary_(has_binary) {}

  Result<void> field(std::size_t index, ondemand::value value) {
    constexpr Where kBody;
    if (index != kInputsField && is_null(value)) {
      return {};  // null counts as omitted
    }
    switch (index) {
      case 0:
        return assign(request.id, values_.string(value, kBody, "id", kMaxRequestId));
      case 1:
        has_inputs_ = true;
        return values_.list(value, "inputs", [&](const Where& where, ondemand::object& object) {
          return input(where, object);
        });
      case 2:
        return values_.list(value, "outputs", [&](const Where& where, ondemand::object& object) {
          return output(where, object);
        });
      case 3:
        return values_.parameters(
            value, kBody, [&](std::string_view name, ondemand::value v, const std::string& place) {
              return parameter(name, v, place);
            });
      default: {  // Ignored: the model is in the path, and some clients repeat it in the body.
        std::string ignored;
        return assign(ignored, values_.string(value, kBody, kBodyFields[index], kMaxRequestId));
      }
    }
  }

  Result<void> finish() {
    if (!has_inputs_) {
      return invalid("the field 'inputs' is missing; send " + std::string(kExample));
    }
    if (!binary_.empty()) {
      return invalid("the body has " + std::to_string(binary_.size()) +
                     " bytes more than its JSON and the binary_data_size of its inputs");
    }
    return {};
  }

  InferRequest request;

 private:
  template <class Value>
  static Result<void> assign(Value& to, Result<Value> value) {
    if (!value) {
      return fail(std::move(value.error()));
    }
    to = std::move(*value);
    return {};
  }

  Result<void> parameter(std::string_view name, ondemand::value& value, const std::string& place) {
    if (name == "timeout") {
      std::uint64_t microseconds = 0;
      auto read = assign(microseconds, values_.count(value, place));
      request.timeout = client_timeout(microseconds);
      return read;
    }
    if (name == "priority") {
      return assign(request.priority, values_.count(value, place));
    }
    if (name == "binary_data_output") {
      return assign(request.binary_data_output, values_.boolean(value, place));
    }
    if (name == "sequence_start" || name == "sequence_end") {
      bool ignored = false;
      return assign(ignored, values_.boolean(value, place));
    }
    auto allowed = check_parameter_name(place, name);
    return allowed ? values_.scalar(value, place) : allowed;
  }

  Result<void> input(const Where& where, ondemand::object& object) {
    ReadInput input;
    auto read = read_fields(values_.json(), object, where, kInputFields,
                            [&](std::size_t index, std::string_view, ondemand::value value) {
                              return input_field(where, index, value, input);
                            });
    if (!read) {
      return read;
    }
    if (read = fill(where, input); !read) {
      return read;
    }
    request.inputs.push_back(std::move(input.tensor));
    return {};
  }

  Result<void> input_field(const Where& where, std::size_t index, ondemand::value& value,
                           ReadInput& input) {
    if (index == kParametersField && is_null(value)) {
      return {};
    }
    switch (index) {
      case 0:
        return assign(input.tensor.name, values_.string(value, where, "name", kMaxTensorName));
      case 1:
        input.has_shape = true;
        return shape(where, value, input.tensor.shape);
      case 2:
        input.has_type = true;
        return assign(input.tensor.type, datatype(where, value));
      case 3:
        return values_.parameters(
            value, where, [&](std::string_view name, ondemand::value v, const std::string& place) {
              return input_parameter(where, name, v, place, input);
            });
      default:
        return data(where, value, input);
    }
  }

  Result<void> shape(const Where& where, ondemand::value& value, std::vector<std::int64_t>& out) {
    ondemand::array array;
    if (value.get_array().get(array) != simdjson::SUCCESS) {
      return refuse(values_.json(), value, {where.text("shape")}, "it must be an array of integers",
                    '[');
    }
    for (auto element : array) {
      ondemand::value item;
      std::int64_t dimension = -1;
      if (std::move(element).get(item) != simdjson::SUCCESS) {
        return syntax_error(values_.json());
      }
      if (item.get_int64().get(dimension) != simdjson::SUCCESS || dimension < 0) {
        return refuse(values_.json(), item, {where.text("shape"), out.size()}, kCountRule);
      }
      if (out.size() == kMaxDimensions) {
        return too_many_dimensions(where.text());
      }
      out.push_back(dimension);
    }
    return {};
  }

  Result<DataType> datatype(const Where& where, ondemand::value& value) {
    auto name = values_.string(value, where, "datatype", kMaxTensorName);
    if (!name) {
      return fail(std::move(name.error()));
    }
    return read_data_type(where.text(), *name);
  }

  Result<void> input_parameter(const Where& where, std::string_view name, ondemand::value& value,
                               const std::string& place, ReadInput& input) {
    if (name == "binary_data_size") {
      auto size = values_.count(value, place);
      if (!size) {
        return fail(std::move(size.error()));
      }
      input.binary_size = *size;
      return {};
    }
    if (name.starts_with("shared_memory_")) {
      return in_shared_memory(where.text());
    }
    return values_.scalar(value, place);
  }

  Result<void> data(const Where& where, ondemand::value& value, ReadInput& input) {
    ondemand::array array;
    if (value.get_array().get(array) != simdjson::SUCCESS) {
      return refuse(values_.json(), value, {where.text("data")}, "it must be an array", '[');
    }
    // Only the brackets are matched here; the content is parsed and checked later.
    if (array.raw_json().get(input.data) != simdjson::SUCCESS) {
      return syntax_error(values_.json());
    }
    input.data = input.data.substr(0, input.data.rfind(']') + 1);
    return {};
  }

  Result<void> output(const Where& where, ondemand::object& object) {
    RequestedOutput wanted;
    const auto on_parameter = [&](std::string_view name, ondemand::value value,
                                  const std::string& place) -> Result<void> {
      if (name == "binary_data") {
        auto is = values_.boolean(value, place);
        if (is) {
          wanted.binary_data = *is;
        }
        return is ? Result<void>() : fail(std::move(is.error()));
      }
      if (name == "classification") {
        auto best = values_.count(value, place);
        if (best) {
          wanted.classification =
              static_cast<std::uint32_t>(std::min<std::uint64_t>(*best, kMaxClasses));
        }
        return best ? Result<void>() : fail(std::move(best.error()));
      }
      return name.starts_with("shared_memory_") ? in_shared_memory(where.text())
                                                : values_.scalar(value, place);
    };
    auto read = read_fields(
        values_.json(), object, where, kOutputFields,
        [&](std::size_t index, std::string_view, ondemand::value value) -> Result<void> {
          if (index != 0 && is_null(value)) {
            return {};
          }
          return index == 0
                     ? assign(wanted.name, values_.string(value, where, "name", kMaxTensorName))
                     : values_.parameters(value, where, on_parameter);
        });
    if (read && wanted.name.empty()) {
      return without_name(where.text());
    }
    request.outputs.push_back(std::move(wanted));
    return read;
  }

  /// Parses the data of an input whose fields are all known.
  Result<void> fill(const Where& where, ReadInput& input) {
    InputTensor& tensor = input.tensor;
    const char* missing = tensor.name.empty() ? "name"
                          : !input.has_shape  ? "shape"
                          : !input.has_type   ? "datatype"
                                              : nullptr;
    if (missing != nullptr) {
      return invalid(where.text() + " has no " + missing + "; send " + std::string(kExample));
    }
    const auto count = check_shape(where.text(), tensor.shape);
    if (!count) {
      return fail(count.error());
    }
    if (input.binary_size) {
      return take_binary(where, input, *count);
    }
    if (input.data.empty()) {
      return invalid(where.text() +
                     " has no data; it needs 'data' or the parameter 'binary_data_size'");
    }
    auto bytes = read_json_data({.json = values_.json(),
                                 .text = input.data,
                                 .input = where.index,
                                 .type = tensor.type,
                                 .shape = tensor.shape,
                                 .count = *count});
    if (!bytes) {
      return fail(std::move(bytes.error()));
    }
    own(tensor, std::move(*bytes));
    return {};
  }

  Result<void> take_binary(const Where& where, ReadInput& input, std::uint64_t count) {
    if (!input.data.empty()) {
      return invalid(where.text() + " has both data and binary_data_size; send one");
    }
    if (!has_binary_) {
      return invalid(
          where.text() +
          " has binary_data_size, but the request has no Inference-Header-Content-Length, "
          "which says where its JSON ends and binary data begins");
    }
    if (*input.binary_size > binary_.size()) {
      return invalid(where.text("parameters.binary_data_size") + " is " +
                     std::to_string(*input.binary_size) + ", but only " +
                     std::to_string(binary_.size()) + " bytes of binary data are left");
    }
    input.tensor.data = binary_.first(*input.binary_size);
    binary_ = binary_.subspan(*input.binary_size);
    return check_binary_data(where.text(), input.tensor.type, count, input.tensor.data);
  }

  Values values_;
  std::span<const std::byte> binary_;
  bool has_binary_;
  bool has_inputs_ = false;
};

Result<InferRequest> read_request(std::string_view json, std::span<const std::byte> binary,
                                  bool has_binary) {
  static constexpr Shape kShape{kBodyFields, kExample};
  std::optional<RequestReader> reader;
  const auto on_field = [&](std::size_t index, ondemand::value value, std::string_view loaded) {
    if (!reader) {
      reader.emplace(loaded, binary, has_binary);
    }
    return reader->field(index, value);
  };
  if (auto read = read_object(json, kShape, on_field); !read) {
    return fail(std::move(read.error()));
  }
  if (!reader) {
    reader.emplace(json, binary, has_binary);
  }
  if (auto whole = reader->finish(); !whole) {
    return fail(std::move(whole.error()));
  }
  return std::move(reader->request);
}

}  // namespace

Result<std::size_t> parse_json_size(std::string_view header, std::size_t body_size) {
  std::size_t size = 0;
  const auto [end, error] = std::from_chars(header.data(), header.data() + header.size(), size);
  if (header.empty() || error != std::errc() || end != header.data() + header.size()) {
    return invalid("Inference-Header-Content-Length is " + in_quotes(header) +
                   "; it must be the number of bytes of the JSON");
  }
  if (size > body_size) {
    return invalid("Inference-Header-Content-Length is " + std::to_string(size) +
                   ", but the body has only " + std::to_string(body_size) + " bytes");
  }
  return size;
}

Result<InferRequest> parse_oip_request(const OipBody& body) {
  const std::string_view bytes = *body.bytes;
  const std::size_t json_size = body.json_size.value_or(bytes.size());
  const auto binary = std::as_bytes(std::span(bytes).subspan(json_size));
  auto request = read_request(bytes.substr(0, json_size), binary, body.json_size.has_value());
  if (request) {
    request->owner = body.bytes;
  }
  return request;
}

Result<InferRequest> parse_oip_raw(std::shared_ptr<const std::string> body,
                                   std::span<const TensorMetadata> inputs) {
  if (inputs.size() != 1) {
    return invalid("a body without JSON is for models with one input; this one has " +
                   std::to_string(inputs.size()));
  }
  const TensorMetadata& input = inputs.front();
  InferRequest request;
  InputTensor& tensor = request.inputs.emplace_back();
  tensor.name = input.name;
  tensor.type = input.type;
  tensor.shape.assign(input.shape.begin(), input.shape.end());
  request.binary_data_output = true;
  const std::string_view bytes = *body;
  request.owner = std::move(body);
  if (!tensor.shape.empty() && tensor.shape.front() < 0) {
    tensor.shape.front() = 1;
  }
  const auto open = std::ranges::count_if(tensor.shape, [](std::int64_t d) { return d < 0; });
  if (open > 1) {
    return invalid("a body without JSON is for inputs with one open dimension at most; '" +
                   tensor.name + "' has the shape " + shape_text(input.shape));
  }
  std::uint64_t fixed = std::max<std::size_t>(element_size(input.type), 1);
  for (std::int64_t& dimension : tensor.shape) {
    fixed *= dimension < 0 ? 1 : static_cast<std::uint64_t>(dimension);
  }
  const bool is_text = input.type == DataType::kBytes;
  for (std::int64_t& dimension : tensor.shape) {
    if (dimension < 0) {
      dimension = is_text || fixed == 0 ? 1 : static_cast<std::int64_t>(bytes.size() / fixed);
    }
  }
  const auto count = element_count(tensor.shape);
  if (is_text) {
    if (count != 1) {
      return invalid("a body without JSON is one text; '" + tensor.name + "' has the shape " +
                     shape_text(input.shape));
    }
    own(tensor, one_text(bytes));
    return request;
  }
  tensor.data = std::as_bytes(std::span(bytes));
  if (auto right = check_binary_data(input.type, count.value_or(0), tensor.data); !right) {
    return invalid("the body, which is the input '" + tensor.name + "' of shape " +
                   shape_text(input.shape) + " and nothing else, " + right.error().message);
  }
  return request;
}

}  // namespace podsense::protocol
