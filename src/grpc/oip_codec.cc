#include "grpc/oip_codec.h"

#include <inference/grpc_service.pb.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <string>
#include <utility>

#include "base/data_type.h"
#include "protocol/json_syntax.h"
#include "protocol/oip_codec.h"
#include "protocol/options.h"

namespace podsense::grpc {
namespace {

using ::inference::InferParameter;
using ::inference::InferTensorContents;
using ::inference::ModelInferRequest;
using protocol::in_quotes;
using protocol::InputTensor;
using protocol::invalid;
using Wire = ModelInferRequest::InferInputTensor;
using Parameters = google::protobuf::Map<std::string, InferParameter>;

std::string text_of(std::span<const std::int64_t> shape) {
  std::string text = "[";
  for (const std::int64_t dimension : shape) {
    text += (text.size() > 1 ? "," : "") + std::to_string(dimension);
  }
  return text + "]";
}

/// "input 'x'"
std::string named(const Wire& input) {
  return "input " + in_quotes(input.name());
}

/// "input 'x', FP32 [1,20],"
std::string described(const Wire& input) {
  return named(input) + ", " + input.datatype() + " " +
         text_of({input.shape().data(), static_cast<std::size_t>(input.shape_size())}) + ",";
}

std::string datatypes() {
  std::string all;
  for (std::size_t i = 0; i <= static_cast<std::size_t>(DataType::kBytes); ++i) {
    all += (all.empty() ? "" : ", ") + std::string(data_type_name(static_cast<DataType>(i)));
  }
  return all;
}

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

/// The fields that hold something.
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

/// Elements of a narrower type than the message has.
template <class Narrow, class Wide>
Result<void> narrow(const Wire& wire, const google::protobuf::RepeatedField<Wide>& field,
                    InputTensor& tensor) {
  using Limits = std::numeric_limits<Narrow>;
  const auto size = static_cast<std::size_t>(field.size()) * sizeof(Narrow);
  tensor.storage = std::make_unique<std::byte[]>(size);
  for (int i = 0; i < field.size(); ++i) {
    if (!std::in_range<Narrow>(field[i])) {
      return invalid(named(wire) + " has " + std::to_string(field[i]) + " at element " +
                     std::to_string(i) + " of " + std::string(field_of(tensor.type)) + "; " +
                     wire.datatype() + " takes " + std::to_string(Limits::min()) + " to " +
                     std::to_string(Limits::max()));
    }
    const auto element = static_cast<Narrow>(field[i]);
    std::memcpy(tensor.storage.get() + static_cast<std::size_t>(i) * sizeof(Narrow), &element,
                sizeof element);
  }
  tensor.data = {tensor.storage.get(), size};
  return {};
}

/// Texts in the packed form that tensors have here.
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

Result<void> take_typed(const Wire& wire, InputTensor& tensor) {
  const InferTensorContents& contents = wire.contents();
  switch (tensor.type) {
    case DataType::kBool:
      tensor.data = bytes_of(contents.bool_contents());
      break;
    case DataType::kInt8:
      return narrow<std::int8_t>(wire, contents.int_contents(), tensor);
    case DataType::kInt16:
      return narrow<std::int16_t>(wire, contents.int_contents(), tensor);
    case DataType::kInt32:
      tensor.data = bytes_of(contents.int_contents());
      break;
    case DataType::kInt64:
      tensor.data = bytes_of(contents.int64_contents());
      break;
    case DataType::kUint8:
      return narrow<std::uint8_t>(wire, contents.uint_contents(), tensor);
    case DataType::kUint16:
      return narrow<std::uint16_t>(wire, contents.uint_contents(), tensor);
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

Result<void> read_typed(const Wire& wire, std::uint64_t count, InputTensor& tensor) {
  const std::string_view wanted = field_of(tensor.type);
  if (wanted.empty() && (count > 0 || !filled(wire.contents()).empty())) {
    return invalid(named(wire) + " is " + wire.datatype() +
                   ", which has no typed contents; send raw_input_contents");
  }
  std::uint64_t got = 0;
  for (const Filled& field : filled(wire.contents())) {
    if (field.name != wanted) {
      return invalid(named(wire) + " is " + wire.datatype() + " and has " +
                     std::string(field.name) + "; " + wire.datatype() + " goes into " +
                     std::string(wanted));
    }
    got = static_cast<std::uint64_t>(field.size);
  }
  if (got != count) {
    return invalid(described(wire) + " takes " + std::to_string(count) + " elements; got " +
                   std::to_string(got) + (got == 0 ? "" : " in " + std::string(wanted)));
  }
  return take_typed(wire, tensor);
}

Result<void> check_texts(const Wire& wire, std::uint64_t count, std::span<const std::byte> data) {
  std::uint64_t texts = 0;
  const bool whole = for_each_text(data, [&texts](std::string_view) { ++texts; });
  if (!whole) {
    return invalid(named(wire) + " ends inside its text number " + std::to_string(texts) +
                   "; each text is 4 bytes of length, little-endian, and as many bytes");
  }
  if (texts != count) {
    return invalid(described(wire) + " takes " + std::to_string(count) + " texts; got " +
                   std::to_string(texts));
  }
  return {};
}

Result<void> check_bools(const Wire& wire, std::span<const std::byte> data) {
  const auto wrong = std::ranges::find_if(data, [](std::byte b) { return b > std::byte{1}; });
  if (wrong == data.end()) {
    return {};
  }
  return invalid(named(wire) + " has the byte " + std::to_string(std::to_integer<int>(*wrong)) +
                 " at element " + std::to_string(wrong - data.begin()) + "; BOOL takes 0 and 1");
}

Result<void> read_raw(const Wire& wire, const std::string& raw, std::uint64_t count,
                      InputTensor& tensor) {
  tensor.data = std::as_bytes(std::span(raw));
  if (tensor.type == DataType::kBytes) {
    return check_texts(wire, count, tensor.data);
  }
  const std::uint64_t wanted = count * element_size(tensor.type);
  if (raw.size() != wanted) {
    return invalid(described(wire) + " takes " + std::to_string(wanted) + " bytes; got " +
                   std::to_string(raw.size()) + " in raw_input_contents");
  }
  return tensor.type == DataType::kBool ? check_bools(wire, tensor.data) : Result<void>();
}

Result<void> refuse_shared_memory(std::string_view what, const Parameters& parameters) {
  if (parameters.contains("shared_memory_region")) {
    return fail(ErrorCode::kUnimplemented,
                std::string(what) + " lies in shared memory, which this server does not offer");
  }
  return {};
}

Result<InputTensor> read_input(const Wire& wire, const std::string* raw) {
  if (auto shared = refuse_shared_memory(named(wire), wire.parameters()); !shared) {
    return fail(std::move(shared.error()));
  }
  InputTensor tensor;
  tensor.name = wire.name();
  const auto type = data_type_of(wire.datatype());
  if (!type) {
    return invalid(named(wire) + " has the datatype " + in_quotes(wire.datatype()) +
                   "; accepted are: " + datatypes());
  }
  tensor.type = *type;
  if (std::cmp_greater(wire.shape_size(), protocol::kMaxDimensions)) {
    return invalid(named(wire) + " has " + std::to_string(wire.shape_size()) +
                   " dimensions; it must have at most " + std::to_string(protocol::kMaxDimensions));
  }
  tensor.shape.assign(wire.shape().begin(), wire.shape().end());
  const auto count = protocol::element_count(tensor.shape);
  if (!count) {
    return invalid(named(wire) + " has the shape " + text_of(tensor.shape) +
                   "; dimensions must be 0 or more, and their product at most 2^40");
  }
  auto read =
      raw != nullptr ? read_raw(wire, *raw, *count, tensor) : read_typed(wire, *count, tensor);
  if (!read) {
    return fail(std::move(read.error()));
  }
  return tensor;
}

/// Errors name tensors, and what is in an error has to fit a client's limit for metadata.
constexpr std::size_t kMaxTensorName = 512;

Result<void> check_name(std::string_view what, const std::string& name) {
  if (name.size() > kMaxTensorName) {
    return invalid("the name of an " + std::string(what) + " is " + std::to_string(name.size()) +
                   " bytes long; it must be at most " + std::to_string(kMaxTensorName));
  }
  return {};
}

/// A parameter that is a whole number from 0, by whichever type of number.
Result<std::uint64_t> whole_number(std::string_view name, const InferParameter& parameter) {
  if (parameter.has_uint64_param()) {
    return parameter.uint64_param();
  }
  if (parameter.has_int64_param() && parameter.int64_param() >= 0) {
    return static_cast<std::uint64_t>(parameter.int64_param());
  }
  return invalid("parameter " + std::string(name) +
                 " must be int64_param or uint64_param and 0 or more");
}

/// Microseconds; what no Duration holds is no limit.
std::optional<Duration> timeout_of(std::uint64_t us) {
  constexpr auto kMost = static_cast<std::uint64_t>(Duration::max().count() / 1000);
  if (us == 0 || us > kMost) {
    return std::nullopt;
  }
  return std::chrono::microseconds(us);
}

/// Parameters of other servers are none of ours, but for those that change what an answer means.
Result<void> read_parameters(const Parameters& parameters, protocol::InferRequest& request) {
  if (const auto found = parameters.find("timeout"); found != parameters.end()) {
    auto us = whole_number("timeout", found->second);
    if (!us) {
      return fail(std::move(us.error()));
    }
    request.timeout = timeout_of(*us);
  }
  if (const auto found = parameters.find("priority"); found != parameters.end()) {
    auto priority = whole_number("priority", found->second);
    if (!priority) {
      return fail(std::move(priority.error()));
    }
    request.priority = *priority;
  }
  if (const auto found = parameters.find("sequence_id"); found != parameters.end()) {
    const InferParameter& id = found->second;
    if (id.int64_param() != 0 || id.uint64_param() != 0 || !id.string_param().empty()) {
      return fail(ErrorCode::kUnimplemented,
                  "parameter sequence_id is given; models here keep no state between requests");
    }
  }
  return {};
}

Result<void> read_outputs(const ModelInferRequest& message, protocol::InferRequest& request) {
  if (std::cmp_greater(message.outputs_size(), protocol::kMaxTensors)) {
    return invalid("outputs has " + std::to_string(message.outputs_size()) +
                   " tensors; it must have at most " + std::to_string(protocol::kMaxTensors));
  }
  for (const auto& output : message.outputs()) {
    if (auto name = check_name("output", output.name()); !name) {
      return name;
    }
    if (auto shared =
            refuse_shared_memory("output " + in_quotes(output.name()), output.parameters());
        !shared) {
      return shared;
    }
    protocol::RequestedOutput& wanted = request.outputs.emplace_back();
    wanted.name = output.name();
    const auto found = output.parameters().find("classification");
    if (found == output.parameters().end()) {
      continue;
    }
    auto classes = whole_number("classification", found->second);
    if (!classes) {
      return fail(std::move(classes.error()));
    }
    wanted.classification = static_cast<std::uint32_t>(
        std::min<std::uint64_t>(*classes, std::numeric_limits<std::uint32_t>::max()));
  }
  return {};
}

/// Raw and typed contents exclude each other for the whole request.
Result<void> check_contents(const ModelInferRequest& message) {
  if (message.inputs().empty()) {
    return invalid("inputs is empty; it must hold at least one tensor");
  }
  if (std::cmp_greater(message.inputs_size(), protocol::kMaxTensors)) {
    return invalid("inputs has " + std::to_string(message.inputs_size()) +
                   " tensors; it must have at most " + std::to_string(protocol::kMaxTensors));
  }
  for (const Wire& input : message.inputs()) {
    if (auto name = check_name("input", input.name()); !name) {
      return name;
    }
  }
  if (message.raw_input_contents().empty()) {
    return {};
  }
  for (const Wire& input : message.inputs()) {
    if (!filled(input.contents()).empty()) {
      return invalid(named(input) +
                     " has contents, and there are raw_input_contents; use one of them for all");
    }
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
    auto input = read_input(message.inputs(i), is_raw ? &message.raw_input_contents(i) : nullptr);
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
