#include "grpc/oip_codec.h"

#include <inference/grpc_service.pb.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>

#include "base/data_type.h"
#include "base/text.h"
#include "protocol/oip_checks.h"
#include "protocol/oip_codec.h"
#include "protocol/options.h"

namespace podsense::grpc {
namespace {

using ::inference::InferParameter;
using ::inference::InferTensorContents;
using ::inference::ModelInferRequest;
using protocol::InputTensor;
using protocol::invalid;
using Wire = ModelInferRequest::InferInputTensor;
using Parameters = google::protobuf::Map<std::string, InferParameter>;

constexpr std::size_t kShownName = 64;  ///< bytes of a parameter's name in an error

/// One input and its place in the request (`inputs[2]`), named as in REST.
struct Given {
  const Wire& wire;
  std::size_t index;

  [[nodiscard]] std::string place() const { return protocol::place_of("inputs", index); }
  [[nodiscard]] std::string contents(std::string_view field) const {
    return place() + ".contents." + std::string(field);
  }
};

/// The field of InferTensorContents that a datatype uses.
std::string_view field_of(DataType type) {
  switch (type) {
    case DataType::kBool:
      return "bool_contents";
    case DataType::kInt8:
    case DataType::kInt16:
    case DataType::kInt32:
      return "int_contents";
    case DataType::kInt64:
      return "int64_contents";
    case DataType::kUint8:
    case DataType::kUint16:
    case DataType::kUint32:
      return "uint_contents";
    case DataType::kUint64:
      return "uint64_contents";
    case DataType::kFp32:
      return "fp32_contents";
    case DataType::kFp64:
      return "fp64_contents";
    case DataType::kBytes:
      return "bytes_contents";
    case DataType::kFp16:
    case DataType::kBf16:
      break;
  }
  return {};
}

struct Filled {
  std::string_view name;
  int size;
};

/// The fields that are not empty.
std::vector<Filled> filled(const InferTensorContents& contents) {
  std::vector<Filled> all{{"bool_contents", contents.bool_contents_size()},
                          {"int_contents", contents.int_contents_size()},
                          {"int64_contents", contents.int64_contents_size()},
                          {"uint_contents", contents.uint_contents_size()},
                          {"uint64_contents", contents.uint64_contents_size()},
                          {"fp32_contents", contents.fp32_contents_size()},
                          {"fp64_contents", contents.fp64_contents_size()},
                          {"bytes_contents", contents.bytes_contents_size()}};
  std::erase_if(all, [](const Filled& field) { return field.size == 0; });
  return all;
}

template <class T>
std::span<const std::byte> bytes_of(const google::protobuf::RepeatedField<T>& field) {
  return std::as_bytes(std::span(field.data(), static_cast<std::size_t>(field.size())));
}

/// Converts elements to a narrower type than the message's.
template <class Narrow, class Wide>
Result<void> narrow(const Given& given, const google::protobuf::RepeatedField<Wide>& field,
                    InputTensor& tensor) {
  const auto size = static_cast<std::size_t>(field.size()) * sizeof(Narrow);
  tensor.storage = std::make_unique<std::byte[]>(size);
  for (int i = 0; i < field.size(); ++i) {
    if (!std::in_range<Narrow>(field[i])) {
      return invalid(
          protocol::place_of(given.contents(field_of(tensor.type)), static_cast<std::size_t>(i)) +
          " is " + std::to_string(field[i]) + "; " + protocol::integer_rule<Narrow>(tensor.type));
    }
    const auto element = static_cast<Narrow>(field[i]);
    std::memcpy(tensor.storage.get() + static_cast<std::size_t>(i) * sizeof(Narrow), &element,
                sizeof element);
  }
  tensor.data = {tensor.storage.get(), size};
  return {};
}

/// Converts texts to the packed format of tensors.
void pack(const google::protobuf::RepeatedPtrField<std::string>& texts, InputTensor& tensor) {
  std::size_t size = 0;
  for (const std::string& text : texts) {
    size += 4 + text.size();
  }
  tensor.storage = std::make_unique<std::byte[]>(size);
  std::byte* at = tensor.storage.get();
  for (const std::string& text : texts) {
    for (std::size_t i = 0; i < 4; ++i) {
      *at++ = static_cast<std::byte>(text.size() >> (8 * i) & 0xFFU);
    }
    std::memcpy(at, text.data(), text.size());
    at += text.size();
  }
  tensor.data = {tensor.storage.get(), size};
}

Result<void> take_typed(const Given& given, InputTensor& tensor) {
  const InferTensorContents& contents = given.wire.contents();
  switch (tensor.type) {
    case DataType::kBool:
      tensor.data = bytes_of(contents.bool_contents());
      break;
    case DataType::kInt8:
      return narrow<std::int8_t>(given, contents.int_contents(), tensor);
    case DataType::kInt16:
      return narrow<std::int16_t>(given, contents.int_contents(), tensor);
    case DataType::kInt32:
      tensor.data = bytes_of(contents.int_contents());
      break;
    case DataType::kInt64:
      tensor.data = bytes_of(contents.int64_contents());
      break;
    case DataType::kUint8:
      return narrow<std::uint8_t>(given, contents.uint_contents(), tensor);
    case DataType::kUint16:
      return narrow<std::uint16_t>(given, contents.uint_contents(), tensor);
    case DataType::kUint32:
      tensor.data = bytes_of(contents.uint_contents());
      break;
    case DataType::kUint64:
      tensor.data = bytes_of(contents.uint64_contents());
      break;
    case DataType::kFp32:
      tensor.data = bytes_of(contents.fp32_contents());
      break;
    case DataType::kFp64:
      tensor.data = bytes_of(contents.fp64_contents());
      break;
    case DataType::kBytes:
      pack(contents.bytes_contents(), tensor);
      break;
    case DataType::kFp16:
    case DataType::kBf16:
      break;
  }
  return {};
}

Result<void> read_typed(const Given& given, std::uint64_t count, InputTensor& tensor) {
  const std::string_view wanted = field_of(tensor.type);
  const std::vector<Filled> fields = filled(given.wire.contents());
  const std::string type(data_type_name(tensor.type));
  if (wanted.empty() && (count > 0 || !fields.empty())) {
    return invalid(given.place() + ": " + type +
                   " has no typed contents; send and read it as raw_input_contents and "
                   "raw_output_contents");
  }
  std::uint64_t got = 0;
  for (const Filled& field : fields) {
    if (field.name != wanted) {
      // NOLINTNEXTLINE(performance-inefficient-string-concatenation): on the error path
      return invalid(given.place() + " is " + type + " and has " + std::string(field.name) + "; " +
                     type + " goes into " + std::string(wanted));
    }
    got = static_cast<std::uint64_t>(field.size);
  }
  if (count > 0 && !given.wire.has_contents()) {
    return invalid(given.place() + " has no data; it needs 'contents' or raw_input_contents");
  }
  if (got != count) {
    return invalid(protocol::wrong_element_count(given.contents(wanted),
                                                 got > count ? std::nullopt : std::optional(got),
                                                 count, tensor.shape));
  }
  return take_typed(given, tensor);
}

Result<void> refuse_shared_memory(const std::string& place, const Parameters& parameters) {
  for (const auto& [name, value] : parameters) {
    if (name.starts_with("shared_memory_")) {
      return protocol::in_shared_memory(place);
    }
  }
  return {};
}

Result<InputTensor> read_input(const Given& given, const std::string* raw) {
  const Wire& wire = given.wire;
  if (auto shared = refuse_shared_memory(given.place(), wire.parameters()); !shared) {
    return fail(std::move(shared.error()));
  }
  InputTensor tensor;
  tensor.name = wire.name();
  const auto type = protocol::read_data_type(given.place(), wire.datatype());
  if (!type) {
    return fail(type.error());
  }
  tensor.type = *type;
  tensor.shape.assign(wire.shape().begin(), wire.shape().end());
  const auto count = protocol::check_shape(given.place(), tensor.shape);
  if (!count) {
    return fail(count.error());
  }
  Result<void> read;
  if (raw != nullptr) {
    tensor.data = std::as_bytes(std::span(*raw));
    read = protocol::check_binary_data(given.place(), tensor.type, *count, tensor.data);
  } else {
    read = read_typed(given, *count, tensor);
  }
  if (!read) {
    return fail(std::move(read.error()));
  }
  return tensor;
}

Result<void> check_name(const std::string& place, const std::string& name) {
  return name.empty() ? protocol::without_name(place)
                      : protocol::check_length(place + ".name", name, protocol::kMaxTensorName);
}

/// A parameter's value as JSON would show it.
std::string shown(const InferParameter& parameter) {
  switch (parameter.parameter_choice_case()) {
    case InferParameter::kBoolParam:
      return parameter.bool_param() ? "true" : "false";
    case InferParameter::kInt64Param:
      return std::to_string(parameter.int64_param());
    case InferParameter::kUint64Param:
      return std::to_string(parameter.uint64_param());
    case InferParameter::kStringParam:
      return "a string";
    case InferParameter::kDoubleParam: {
      std::string text;
      append_json_number(text, parameter.double_param());
      return text;
    }
    case InferParameter::PARAMETER_CHOICE_NOT_SET:
      break;
  }
  return "null";
}

tl::unexpected<Error> wrong_parameter(const std::string& place, const InferParameter& parameter,
                                      std::string_view rule) {
  return invalid(place + " is " + shown(parameter) + "; " + std::string(rule));
}

/// A non-negative integer, in any of the number types.
Result<std::uint64_t> whole_number(const std::string& place, const InferParameter& parameter) {
  if (parameter.has_uint64_param()) {
    return parameter.uint64_param();
  }
  if (parameter.has_int64_param() && parameter.int64_param() >= 0) {
    return static_cast<std::uint64_t>(parameter.int64_param());
  }
  return wrong_parameter(place, parameter, protocol::kCountRule);
}

Result<void> read_parameter(const std::string& name, const InferParameter& parameter,
                            protocol::InferRequest& request) {
  const std::string place = "parameters." + name.substr(0, kShownName);
  if (name == "timeout" || name == "priority") {
    auto number = whole_number(place, parameter);
    if (!number) {
      return fail(std::move(number.error()));
    }
    if (name == "timeout") {
      request.timeout = protocol::client_timeout(*number);
    } else {
      request.priority = *number;
    }
    return {};
  }
  if ((name == "sequence_start" || name == "sequence_end") && !parameter.has_bool_param()) {
    return wrong_parameter(place, parameter, protocol::kBoolRule);
  }
  // Requests a final empty answer from models with several answers per request; no model here has
  // them.
  if (name == "triton_enable_empty_final_response") {
    return {};
  }
  return protocol::check_parameter_name(place, name);
}

/// Ignores parameters of other servers, except those that would change the meaning of an answer.
Result<void> read_parameters(const Parameters& parameters, protocol::InferRequest& request) {
  for (const auto& [name, parameter] : parameters) {
    if (auto read = read_parameter(name, parameter, request); !read) {
      return read;
    }
  }
  return {};
}

Result<void> read_output(const std::string& place,
                         const ModelInferRequest::InferRequestedOutputTensor& output,
                         protocol::RequestedOutput& wanted) {
  if (auto name = check_name(place, output.name()); !name) {
    return name;
  }
  if (auto shared = refuse_shared_memory(place, output.parameters()); !shared) {
    return shared;
  }
  wanted.name = output.name();
  const auto found = output.parameters().find("classification");
  if (found == output.parameters().end()) {
    return {};
  }
  auto classes = whole_number(place + ".parameters.classification", found->second);
  if (!classes) {
    return fail(std::move(classes.error()));
  }
  wanted.classification = static_cast<std::uint32_t>(std::min(*classes, protocol::kMaxClasses));
  return {};
}

Result<void> read_outputs(const ModelInferRequest& message, protocol::InferRequest& request) {
  if (std::cmp_greater(message.outputs_size(), protocol::kMaxTensors)) {
    return protocol::too_many_tensors("outputs");
  }
  for (int i = 0; i < message.outputs_size(); ++i) {
    auto read = read_output(protocol::place_of("outputs", static_cast<std::size_t>(i)),
                            message.outputs(i), request.outputs.emplace_back());
    if (!read) {
      return read;
    }
  }
  return {};
}

/// A request must use either raw or typed contents for all inputs.
Result<void> check_contents(const ModelInferRequest& message) {
  if (std::cmp_greater(message.inputs_size(), protocol::kMaxTensors)) {
    return protocol::too_many_tensors("inputs");
  }
  for (int i = 0; i < message.inputs_size(); ++i) {
    const std::string place = protocol::place_of("inputs", static_cast<std::size_t>(i));
    if (auto name = check_name(place, message.inputs(i).name()); !name) {
      return name;
    }
    if (!message.raw_input_contents().empty() && message.inputs(i).has_contents() &&
        !filled(message.inputs(i).contents()).empty()) {
      return invalid(place +
                     " has contents, and there are raw_input_contents; use one of them for all");
    }
  }
  if (message.raw_input_contents().empty()) {
    return {};
  }
  if (message.raw_input_contents_size() != message.inputs_size()) {
    return invalid("raw_input_contents has " + std::to_string(message.raw_input_contents_size()) +
                   " entries for " + std::to_string(message.inputs_size()) +
                   " inputs; it must have one for each, or none");
  }
  return {};
}

Result<protocol::ModelRef> read_model(const ModelInferRequest& message) {
  if (message.model_name().empty()) {
    return invalid("model_name is empty; it must name a model");
  }
  auto name = protocol::name_option("model_name", message.model_name());
  if (!name) {
    return fail(std::move(name.error()));
  }
  auto version = protocol::name_option("model_version", message.model_version());
  if (!version) {
    return fail(std::move(version.error()));
  }
  return protocol::ModelRef{.name = std::move(*name), .version = std::move(*version)};
}

}  // namespace

Result<protocol::InferRequest> read_infer(const ModelInferRequest& message) {
  protocol::InferRequest request;
  auto model = read_model(message);
  if (!model) {
    return fail(std::move(model.error()));
  }
  request.model = std::move(*model);
  if (auto id = protocol::check_length("id", message.id(), protocol::kMaxRequestId); !id) {
    return fail(std::move(id.error()));
  }
  request.id = message.id();
  for (auto step : {+[](const ModelInferRequest& from, protocol::InferRequest& to) {
                      return read_parameters(from.parameters(), to);
                    },
                    +[](const ModelInferRequest& from, protocol::InferRequest&) {
                      return check_contents(from);
                    },
                    &read_outputs}) {
    if (auto done = step(message, request); !done) {
      return fail(std::move(done.error()));
    }
  }
  const bool is_raw = !message.raw_input_contents().empty();
  request.inputs.reserve(static_cast<std::size_t>(message.inputs_size()));
  for (int i = 0; i < message.inputs_size(); ++i) {
    auto input = read_input({.wire = message.inputs(i), .index = static_cast<std::size_t>(i)},
                            is_raw ? &message.raw_input_contents(i) : nullptr);
    if (!input) {
      return fail(std::move(input.error()));
    }
    request.inputs.push_back(std::move(*input));
  }
  return request;
}

void write_infer(const protocol::InferAnswer& answer, ::inference::ModelInferResponse& message) {
  message.set_model_name(answer.model.data(), answer.model.size());
  message.set_model_version(answer.version.data(), answer.version.size());
  message.set_id(answer.id);
  for (const protocol::OutputTensor& output : answer.outputs) {
    auto& wire = *message.add_outputs();
    wire.set_name(output.name.data(), output.name.size());
    wire.set_datatype(std::string(data_type_name(output.type)));
    wire.mutable_shape()->Add(output.shape.begin(), output.shape.end());
    message.add_raw_output_contents(output.data.data(), output.data.size());
  }
}

}  // namespace podsense::grpc
