#include "load/requests/oip_request.h"

#include <array>
#include <cstring>
#include <nlohmann/json.hpp>
#include <random>

namespace podsense::load {
namespace {

using Json = nlohmann::ordered_json;

/// 64 MiB of numbers are more than any server takes in one request.
constexpr std::uint64_t kMostElements = std::uint64_t{16} << 20U;

enum class Kind { kBool, kInteger, kFloat, kHalf, kBytes };
struct Type {
  std::string_view name;
  Kind kind;
  std::size_t size;  ///< of an element, in bytes
};
constexpr std::array<Type, 14> kTypes{{{.name = "BOOL", .kind = Kind::kBool, .size = 1},
                                       {.name = "UINT8", .kind = Kind::kInteger, .size = 1},
                                       {.name = "UINT16", .kind = Kind::kInteger, .size = 2},
                                       {.name = "UINT32", .kind = Kind::kInteger, .size = 4},
                                       {.name = "UINT64", .kind = Kind::kInteger, .size = 8},
                                       {.name = "INT8", .kind = Kind::kInteger, .size = 1},
                                       {.name = "INT16", .kind = Kind::kInteger, .size = 2},
                                       {.name = "INT32", .kind = Kind::kInteger, .size = 4},
                                       {.name = "INT64", .kind = Kind::kInteger, .size = 8},
                                       {.name = "FP16", .kind = Kind::kHalf, .size = 2},
                                       {.name = "BF16", .kind = Kind::kHalf, .size = 2},
                                       {.name = "FP32", .kind = Kind::kFloat, .size = 4},
                                       {.name = "FP64", .kind = Kind::kFloat, .size = 8},
                                       {.name = "BYTES", .kind = Kind::kBytes, .size = 0}}};

const Type* find_type(std::string_view name) {
  for (const Type& type : kTypes) {
    if (type.name == name) {
      return &type;
    }
  }
  return nullptr;
}

struct Input {
  std::string name;
  const Type* type = nullptr;
  std::vector<std::int64_t> shape;
  std::uint64_t elements = 1;
};

Result<Input> read_input(const Json& json, const OipOptions& options) {
  Input input{.name = json.at("name").get<std::string>(),
              .type = find_type(json.at("datatype").get<std::string>())};
  if (input.type == nullptr) {
    return fail(ErrorCode::kInvalidArgument, "input '" + input.name + "' has the unknown type " +
                                                 json.at("datatype").get<std::string>());
  }
  if (input.type->kind == Kind::kHalf && !options.binary) {
    return fail(ErrorCode::kInvalidArgument, "input '" + input.name + "' is " +
                                                 std::string(input.type->name) +
                                                 ", which has no form in JSON: say --oip binary");
  }
  for (const Json& entry : json.at("shape")) {
    if (!entry.is_number_integer()) {
      return fail(ErrorCode::kInvalidArgument,
                  "input '" + input.name + "' has a shape that is no list of whole numbers");
    }
    auto size = entry.get<std::int64_t>();
    if (size < 0) {
      size = input.shape.empty() ? static_cast<std::int64_t>(options.batch) : 1;
    }
    input.shape.push_back(size);
    if (size > 0 && input.elements > kMostElements / static_cast<std::uint64_t>(size)) {
      return fail(ErrorCode::kInvalidArgument, "input '" + input.name + "' is too large");
    }
    input.elements *= static_cast<std::uint64_t>(size);
  }
  return input;
}

Json json_values(const Input& input, std::mt19937_64& random) {
  Json data = Json::array();
  for (std::uint64_t i = 0; i < input.elements; ++i) {
    const std::uint64_t bits = random();
    switch (input.type->kind) {
      case Kind::kBool:
        data.push_back((bits & 1U) != 0);
        break;
      case Kind::kInteger:
        data.push_back(bits % 10);
        break;
      case Kind::kBytes:
        data.push_back("text " + std::to_string(bits % 10));
        break;
      default:
        data.push_back(static_cast<double>(bits % 1000) / 1000);
    }
  }
  return data;
}

template <class T>
void append_bytes(std::string& out, T value) {
  std::array<char, sizeof(T)> bytes;
  std::memcpy(bytes.data(), &value, sizeof(T));
  out.append(bytes.data(), bytes.size());
}

/// Little-endian, packed, as the extension wants it and this machine has it.
std::string binary_values(const Input& input, std::mt19937_64& random) {
  std::string out;
  for (std::uint64_t i = 0; i < input.elements; ++i) {
    const std::uint64_t bits = random();
    if (input.type->kind == Kind::kBytes) {
      const std::string text = "text " + std::to_string(bits % 10);
      append_bytes(out, static_cast<std::uint32_t>(text.size()));
      out += text;
    } else if (input.type->name == "FP32") {
      append_bytes(out, static_cast<float>(bits % 1000) / 1000);
    } else if (input.type->name == "FP64") {
      append_bytes(out, static_cast<double>(bits % 1000) / 1000);
    } else {
      // Small whole numbers; as half floats tiny positive ones.
      std::string element(input.type->size, '\0');
      element[0] = static_cast<char>(input.type->kind == Kind::kBool ? bits & 1U : bits % 10);
      out += element;
    }
  }
  return out;
}

}  // namespace

Result<std::vector<OipTensor>> make_oip_tensors(std::string_view metadata,
                                                const OipOptions& options) {
  try {
    const Json model = Json::parse(metadata);
    std::mt19937_64 random(options.seed);
    std::vector<OipTensor> tensors;
    for (const Json& entry : model.at("inputs")) {
      auto input = read_input(entry, options);
      if (!input) {
        return fail(std::move(input.error()));
      }
      tensors.push_back({.name = input->name,
                         .datatype = std::string(input->type->name),
                         .shape = input->shape,
                         .bytes = binary_values(*input, random)});
    }
    return tensors;
  } catch (const Json::exception& error) {
    return fail(ErrorCode::kInvalidArgument,
                std::string("this is no metadata of a model: ") + error.what());
  }
}

Result<OipRequest> make_oip_request(std::string_view metadata, const OipOptions& options) {
  try {
    const Json model = Json::parse(metadata);
    std::mt19937_64 random(options.seed);
    Json inputs = Json::array();
    std::string blobs;
    for (const Json& entry : model.at("inputs")) {
      auto input = read_input(entry, options);
      if (!input) {
        return fail(std::move(input.error()));
      }
      Json one{{"name", input->name}, {"shape", input->shape}, {"datatype", input->type->name}};
      if (options.binary) {
        const std::string blob = binary_values(*input, random);
        one["parameters"] = {{"binary_data_size", blob.size()}};
        blobs += blob;
      } else {
        one["data"] = json_values(*input, random);
      }
      inputs.push_back(std::move(one));
    }
    Json request{{"inputs", std::move(inputs)}};
    OipRequest made;
    if (!options.binary) {
      made.body = request.dump();
      made.headers = {{"Content-Type", "application/json"}};
      return made;
    }
    request["parameters"] = {{"binary_data_output", true}};
    const std::string head = request.dump();
    made.headers = {{"Content-Type", "application/octet-stream"},
                    {"Inference-Header-Content-Length", std::to_string(head.size())}};
    made.body = head + blobs;
    return made;
  } catch (const Json::exception& error) {
    return fail(ErrorCode::kInvalidArgument,
                std::string("this is no metadata of a model: ") + error.what());
  }
}

}  // namespace podsense::load
