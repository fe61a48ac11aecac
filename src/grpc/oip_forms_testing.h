#pragma once

/// Writes one tensor request in every format that clients use: JSON, JSON with binary data,
/// protobuf with typed and with raw contents. It does not use our codecs; these then parse all
/// formats and must produce the same values or the same error message.

#include <inference/grpc_service.pb.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/data_type.h"
#include "grpc/oip_codec.h"
#include "protocol/oip_codec.h"

namespace podsense::grpc::forms {

struct Tensor {
  std::string name = "x";
  std::string datatype = "FP32";
  std::vector<std::int64_t> shape = {};
  /// Elements; the datatype decides which member is used. Integers may be out of range for narrow
  /// types.
  std::vector<std::int64_t> integers = {};
  std::vector<std::uint64_t> naturals = {};
  std::vector<double> reals = {};
  std::vector<std::string> texts = {};
  std::string halves = {};   ///< FP16 and BF16, packed
  std::size_t cut = 0;       ///< bytes missing at the end of the binary data
  std::string surplus = {};  ///< additional bytes at its end
};

struct Output {
  std::string name = "y";
  std::optional<std::int64_t> classification = {};
};

struct Request {
  std::string id = {};
  std::optional<std::int64_t> timeout = {};
  std::optional<std::int64_t> priority = {};
  std::vector<Tensor> inputs = {};
  std::vector<Output> outputs = {};
};

inline void append_quoted(std::string& out, std::string_view text) {
  out += '"';
  for (const char c : text) {
    std::array<char, 8> escaped{};
    if (static_cast<unsigned char>(c) < 0x20 || c == '"' || c == '\\') {
      std::snprintf(escaped.data(), escaped.size(), "\\u%04x", static_cast<unsigned>(c) & 0xFFU);
      out += escaped.data();
    } else {
      out += c;
    }
  }
  out += '"';
}

template <class Values, class Write>
void append_list(std::string& out, const Values& values, Write write) {
  out += '[';
  bool first = true;
  for (const auto& value : values) {
    out += first ? "" : ",";
    first = false;
    write(value);
  }
  out += ']';
}

inline bool is_signed(const Tensor& tensor) {
  return tensor.datatype.starts_with("INT");
}
inline bool is_float(const Tensor& tensor) {
  return tensor.datatype == "FP32" || tensor.datatype == "FP64";
}
inline bool is_half(const Tensor& tensor) {
  return tensor.datatype == "FP16" || tensor.datatype == "BF16";
}

/// The elements as JSON.
inline void append_data(std::string& out, const Tensor& tensor) {
  if (tensor.datatype == "BYTES") {
    append_list(out, tensor.texts, [&](const std::string& text) { append_quoted(out, text); });
  } else if (tensor.datatype == "BOOL") {
    append_list(out, tensor.naturals, [&](std::uint64_t v) { out += v == 0 ? "false" : "true"; });
  } else if (is_float(tensor)) {
    append_list(out, tensor.reals, [&](double value) {
      std::array<char, 40> text{};
      std::snprintf(text.data(), text.size(), tensor.datatype == "FP32" ? "%.9g" : "%.17g", value);
      out += text.data();
    });
  } else if (is_signed(tensor)) {
    append_list(out, tensor.integers, [&](std::int64_t v) { out += std::to_string(v); });
  } else {
    append_list(out, tensor.naturals, [&](std::uint64_t v) { out += std::to_string(v); });
  }
}

/// The elements as binary data, little-endian as this machine is.
inline std::string packed(const Tensor& tensor) {
  std::string out = tensor.halves;
  const auto type = data_type_of(tensor.datatype);
  const std::size_t size = type ? element_size(*type) : 0;
  const auto put = [&](const auto& value) {
    std::array<char, sizeof value> bytes{};
    std::memcpy(bytes.data(), &value, sizeof value);
    out.append(bytes.data(), std::min(size, sizeof value));
  };
  if (tensor.datatype == "BYTES") {
    for (const std::string& text : tensor.texts) {
      const auto length = static_cast<std::uint32_t>(text.size());
      std::array<char, sizeof length> bytes{};
      std::memcpy(bytes.data(), &length, sizeof length);
      out.append(bytes.data(), bytes.size()).append(text);
    }
  } else if (tensor.datatype == "FP32") {
    for (const double value : tensor.reals) {
      put(static_cast<float>(value));
    }
  } else if (is_float(tensor)) {
    for (const double value : tensor.reals) {
      put(value);
    }
  } else {
    for (const std::int64_t value : tensor.integers) {
      put(value);
    }
    for (const std::uint64_t value : tensor.naturals) {
      put(value);
    }
  }
  out.resize(out.size() - std::min(out.size(), tensor.cut));
  return out + tensor.surplus;
}

/// `{"id":…,"parameters":{…},"outputs":[…],"inputs":[…]}`. If `binary` is not null, the data goes
/// there as binary data.
inline std::string to_json(const Request& request, std::string* binary) {
  std::string out = R"({"id":)";
  append_quoted(out, request.id);
  out += R"(,"parameters":{)";
  if (request.timeout) {
    out += R"("timeout":)" + std::to_string(*request.timeout);
  }
  if (request.priority) {
    out += std::string(request.timeout ? "," : "") + R"("priority":)" +
           std::to_string(*request.priority);
  }
  out += R"(},"outputs":)";
  append_list(out, request.outputs, [&](const Output& output) {
    out += R"({"name":)";
    append_quoted(out, output.name);
    if (output.classification) {
      out += R"(,"parameters":{"classification":)" + std::to_string(*output.classification) + '}';
    }
    out += '}';
  });
  out += R"(,"inputs":)";
  append_list(out, request.inputs, [&](const Tensor& tensor) {
    out += R"({"name":)";
    append_quoted(out, tensor.name);
    out += R"(,"datatype":)";
    append_quoted(out, tensor.datatype);
    out += R"(,"shape":)";
    append_list(out, tensor.shape, [&](std::int64_t v) { out += std::to_string(v); });
    if (binary != nullptr) {
      const std::string data = packed(tensor);
      out += R"(,"parameters":{"binary_data_size":)" + std::to_string(data.size()) + "}}";
      *binary += data;
      return;
    }
    out += R"(,"data":)";
    append_data(out, tensor);
    out += '}';
  });
  return out + '}';
}

inline void fill_contents(const Tensor& tensor, ::inference::InferTensorContents& contents) {
  const std::string& type = tensor.datatype;
  for (const std::int64_t value : tensor.integers) {
    if (type == "INT64") {
      contents.add_int64_contents(value);
    } else {
      contents.add_int_contents(static_cast<std::int32_t>(value));
    }
  }
  for (const std::uint64_t value : tensor.naturals) {
    if (type == "UINT64") {
      contents.add_uint64_contents(value);
    } else if (type == "BOOL") {
      contents.add_bool_contents(value != 0);
    } else {
      contents.add_uint_contents(static_cast<std::uint32_t>(value));
    }
  }
  for (const double value : tensor.reals) {
    if (type == "FP32") {
      contents.add_fp32_contents(static_cast<float>(value));
    } else {
      contents.add_fp64_contents(value);
    }
  }
  for (const std::string& text : tensor.texts) {
    contents.add_bytes_contents(text);
  }
}

enum class Contents { kTyped, kRaw };

inline ::inference::ModelInferRequest to_message(const Request& request, Contents form) {
  ::inference::ModelInferRequest message;
  message.set_model_name("m");
  message.set_id(request.id);
  if (request.timeout) {
    (*message.mutable_parameters())["timeout"].set_int64_param(*request.timeout);
  }
  if (request.priority) {
    (*message.mutable_parameters())["priority"].set_int64_param(*request.priority);
  }
  for (const Output& output : request.outputs) {
    auto& wire = *message.add_outputs();
    wire.set_name(output.name);
    if (output.classification) {
      (*wire.mutable_parameters())["classification"].set_int64_param(*output.classification);
    }
  }
  for (const Tensor& tensor : request.inputs) {
    auto& wire = *message.add_inputs();
    wire.set_name(tensor.name);
    wire.set_datatype(tensor.datatype);
    wire.mutable_shape()->Add(tensor.shape.begin(), tensor.shape.end());
    if (form == Contents::kRaw) {
      message.add_raw_input_contents(packed(tensor));
    } else {
      fill_contents(tensor, *wire.mutable_contents());
    }
  }
  return message;
}

/// The complete meaning of a request, or its error message, as one text for comparisons.
inline std::string meaning(const Result<protocol::InferRequest>& read) {
  if (!read) {
    return "refused: " + read.error().message;
  }
  std::string out = "id " + read->id + " priority " + std::to_string(read->priority) + " timeout " +
                    (read->timeout ? std::to_string(read->timeout->count()) : "none");
  for (const protocol::RequestedOutput& output : read->outputs) {
    out += "\noutput " + output.name + " classes " + std::to_string(output.classification);
  }
  for (const protocol::InputTensor& input : read->inputs) {
    out += "\ninput " + input.name + ' ' + std::string(data_type_name(input.type));
    for (const std::int64_t dimension : input.shape) {
      out += ' ' + std::to_string(dimension);
    }
    out += " data ";
    for (const std::byte byte : input.data) {
      std::array<char, 4> hex{};
      std::snprintf(hex.data(), hex.size(), "%02x", std::to_integer<unsigned>(byte));
      out += hex.data();
    }
  }
  return out;
}

/// Renames protobuf's `contents.…` to JSON's `data`, so that messages can be compared.
inline std::string with_field_of_json(std::string text) {
  const std::size_t at = text.find(".contents.");
  const std::size_t end = text.find("_contents", at == std::string::npos ? 0 : at + 10);
  if (at != std::string::npos && end != std::string::npos) {
    text.replace(at, end + std::strlen("_contents") - at, ".data");
  }
  return text;
}

inline Result<protocol::InferRequest> read_json(const Request& request) {
  return protocol::parse_oip_request(
      {.bytes = std::make_shared<const std::string>(to_json(request, nullptr)),
       .json_size = std::nullopt});
}

struct Meanings {
  std::string json, binary, typed, raw;
};

inline Meanings meanings(const Request& request) {
  Meanings all;
  all.json = meaning(read_json(request));
  std::string blob;
  const std::string head = to_json(request, &blob);
  all.binary = meaning(protocol::parse_oip_request(
      {.bytes = std::make_shared<const std::string>(head + blob), .json_size = head.size()}));
  const auto typed = to_message(request, Contents::kTyped);
  all.typed = with_field_of_json(meaning(read_infer(typed)));
  const auto raw = to_message(request, Contents::kRaw);
  all.raw = meaning(read_infer(raw));
  return all;
}

/// Parses an answer's outputs as if they were inputs, as the fields are the same.
inline std::string meaning_of_body(const protocol::OipAnswerBody& body) {
  std::string bytes = body.json;
  bytes.replace(bytes.find("\"outputs\""), std::strlen("\"outputs\""), "\"inputs\"");
  const std::size_t size = bytes.size();
  for (const auto data : body.binary) {
    bytes.append(reinterpret_cast<const char*>(data.data()), data.size());
  }
  return meaning(protocol::parse_oip_request(
      {.bytes = std::make_shared<const std::string>(std::move(bytes)),
       .json_size = body.json_size ? std::optional(size) : std::nullopt}));
}

inline std::string meaning_of_message(const protocol::InferAnswer& answer) {
  ::inference::ModelInferResponse message;
  write_infer(answer, message);
  ::inference::ModelInferRequest again;
  again.set_model_name("m");
  for (int i = 0; i < message.outputs_size(); ++i) {
    again.add_inputs()->ParseFromString(message.outputs(i).SerializeAsString());
    again.add_raw_input_contents(message.raw_output_contents(i));
  }
  return meaning(read_infer(again));
}

}  // namespace podsense::grpc::forms
