#include "grpc/oip_codec.h"

#include <gmock/gmock.h>
#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>
#include <inference/grpc_service.pb.h>

#include <cstring>
#include <string>
#include <vector>

#include "protocol/error_mapping.h"

namespace podsense::grpc {
namespace {

using ::inference::ModelInferRequest;

ModelInferRequest message_of(const std::string& text) {
  ModelInferRequest message;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &message)) << text;
  return message;
}

template <class T>
std::vector<T> elements(const protocol::InputTensor& tensor) {
  std::vector<T> values(tensor.data.size() / sizeof(T));
  std::memcpy(values.data(), tensor.data.data(), tensor.data.size());
  return values;
}

constexpr const char* kTypes =
    "BOOL, UINT8, UINT16, UINT32, UINT64, INT8, INT16, INT32, INT64, FP16, BF16, FP32, FP64, BYTES";

/// One input "x" of a request that is fine but for it.
std::string input(const std::string& rest) {
  return "model_name: 'm' inputs { name: 'x' " + rest + " }";
}
std::string raw(const std::string& type, const std::string& shape, const std::string& bytes) {
  return input("datatype: '" + type + "' shape: " + shape) + " raw_input_contents: '" + bytes + "'";
}
std::string typed(const std::string& type, const std::string& shape, const std::string& contents) {
  return input("datatype: '" + type + "' shape: " + shape + " contents { " + contents + " }");
}
const std::string kFine = raw("FP32", "[1]", "abcd");

struct Bad {
  std::string message;
  std::string error;
  GrpcCode code = GrpcCode::kInvalidArgument;
};

std::vector<Bad> bad_names() {
  std::string inputs;
  std::string outputs;
  for (int i = 0; i < 257; ++i) {
    inputs += " inputs { name: 'x' }";
    outputs += " outputs { name: 'y' }";
  }
  const std::string name_rule = "; it must be at most 64 printable characters";
  return {
      {"", "model_name is empty; it must name a model"},
      {"inputs { name: 'x' }", "model_name is empty; it must name a model"},
      {"model_name: '" + std::string(65, 'm') + "'",
       "model_name is 65 characters long" + name_rule},
      {"model_name: 'a\\nb'", "model_name holds a control character" + name_rule},
      {"model_name: 'm' model_version: '" + std::string(65, '1') + "'",
       "model_version is 65 characters long" + name_rule},
      {"model_name: 'm' model_version: '\\t'",
       "model_version holds a control character" + name_rule},
      {"model_name: 'm' raw_input_contents: 'abcd'",
       "raw_input_contents has 1 entries for 0 inputs; it must have one for each, or none"},
      {"model_name: 'm' inputs { datatype: 'FP32' }", "inputs[0] has no name"},
      {kFine + " outputs { }", "outputs[0] has no name"},
      {kFine + " id: '" + std::string(1025, 'i') + "'",
       "id is 1025 bytes long; at most 1024 are accepted"},
      {"model_name: 'm' inputs { name: '" + std::string(513, 'x') + "' }",
       "inputs[0].name is 513 bytes long; at most 512 are accepted"},
      {"model_name: 'm'" + inputs, "inputs holds more than 256 tensors"},
      {kFine + outputs, "outputs holds more than 256 tensors"},
      {kFine + " outputs { name: '" + std::string(513, 'y') + "' }",
       "outputs[0].name is 513 bytes long; at most 512 are accepted"},
  };
}

std::vector<Bad> bad_shapes() {
  std::string many;
  for (int i = 0; i < 12; ++i) {
    many += ",1";
  }
  const std::string types = std::string("; accepted are: ") + kTypes;
  const std::string rule = "; it must be an integer, 0 or more";
  const std::string most = ", more than 2^40 elements";
  return {
      {input(""), "inputs[0].datatype is ''" + types},
      {raw("fp32", "[1]", "abcd"), "inputs[0].datatype is 'fp32'" + types},
      {raw("FLOAT", "[1]", "abcd"), "inputs[0].datatype is 'FLOAT'" + types},
      {raw("TYPE_FP32", "[1]", "abcd"), "inputs[0].datatype is 'TYPE_FP32'" + types},
      {raw("STRING", "[1]", "abcd"), "inputs[0].datatype is 'STRING'" + types},
      {raw("FP8", "[1]", "a"), "inputs[0].datatype is 'FP8'" + types},
      {raw("F\\n", "[1]", "a"), "inputs[0].datatype is 'F?'" + types},
      {raw("FP32", "[-1]", "abcd"), "inputs[0].shape[0] is -1" + rule},
      {raw("FP32", "[1, -3]", "abcd"), "inputs[0].shape[1] is -3" + rule},
      {raw("FP32", "[-2, -2]", "abcdefghijklmnop"), "inputs[0].shape[0] is -2" + rule},
      {raw("FP32", "[-9223372036854775808]", "abcd"),
       "inputs[0].shape[0] is -9223372036854775808" + rule},
      {raw("FP32", "[9223372036854775807, 9223372036854775807]", "abcd"),
       "inputs[0].shape is [9223372036854775807,9223372036854775807]" + most},
      {raw("FP32", "[4294967296, 4294967296, 4294967296]", "abcd"),
       "inputs[0].shape is [4294967296,4294967296,4294967296]" + most},
      {raw("UINT8", "[1" + many + "]", "a"), "inputs[0].shape has more than 12 dimensions"},
      {raw("UINT8", "[1099511627777]", "a"), "inputs[0].shape is [1099511627777]" + most},
  };
}

std::vector<Bad> bad_raw() {
  const std::string text_rule = "; each is 4 bytes of length, little-endian, and its bytes";
  return {
      {raw("FP32", "[2]", "abcd"),
       "the binary data of inputs[0] has 4 bytes; its shape asks for 2 x 4"},
      {raw("FP32", "[1]", "abc"),
       "the binary data of inputs[0] has 3 bytes; its shape asks for 1 x 4"},
      {raw("FP32", "[1]", ""),
       "the binary data of inputs[0] has 0 bytes; its shape asks for 1 x 4"},
      {raw("FP32", "[1]", "abcde"),
       "the binary data of inputs[0] has 5 bytes; its shape asks for 1 x 4"},
      {raw("FP32", "[0]", "abcd"),
       "the binary data of inputs[0] has 4 bytes; its shape asks for 0 x 4"},
      {raw("FP32", "[]", "abcdefgh"),
       "the binary data of inputs[0] has 8 bytes; its shape asks for 1 x 4"},
      {raw("FP64", "[1]", "abcd"),
       "the binary data of inputs[0] has 4 bytes; its shape asks for 1 x 8"},
      {raw("FP16", "[1]", "abcd"),
       "the binary data of inputs[0] has 4 bytes; its shape asks for 1 x 2"},
      {raw("BF16", "[2,2]", "abcd"),
       "the binary data of inputs[0] has 4 bytes; its shape asks for 4 x 2"},
      {raw("INT8", "[5]", "abcd"),
       "the binary data of inputs[0] has 4 bytes; its shape asks for 5 x 1"},
      {raw("UINT64", "[1]", "abcd"),
       "the binary data of inputs[0] has 4 bytes; its shape asks for 1 x 8"},
      {raw("FP32", "[1099511627776]", "abcd"),
       "the binary data of inputs[0] has 4 bytes; its shape asks for 1099511627776 x 4"},
      {raw("BOOL", "[2]", "\\000\\002"),
       "the binary data of inputs[0] has the byte 2 at 1; BOOL is 0 or 1"},
      {raw("BOOL", "[1]", "\\377"),
       "the binary data of inputs[0] has the byte 255 at 0; BOOL is 0 or 1"},
      {raw("BYTES", "[1]", "\\003\\000\\000\\000ab"),
       "the binary data of inputs[0] ends inside its text 0" + text_rule},
      {raw("BYTES", "[1]", "\\003\\000"),
       "the binary data of inputs[0] ends inside its text 0" + text_rule},
      {raw("BYTES", "[2]", "\\001\\000\\000\\000a\\377\\377\\377\\377"),
       "the binary data of inputs[0] ends inside its text 1" + text_rule},
      {raw("BYTES", "[2]", "\\001\\000\\000\\000a"),
       "the binary data of inputs[0] holds 1 texts; its shape asks for 2"},
      {raw("BYTES", "[0]", "\\000\\000\\000\\000"),
       "the binary data of inputs[0] holds 1 texts; its shape asks for 0"},
      {raw("BYTES", "[1]", ""), "the binary data of inputs[0] holds 0 texts; its shape asks for 1"},
      {kFine + " raw_input_contents: 'abcd'",
       "raw_input_contents has 2 entries for 1 inputs; it must have one for each, or none"},
      {"model_name: 'm' inputs { name: 'x' } inputs { name: 'y' } raw_input_contents: 'abcd'",
       "raw_input_contents has 1 entries for 2 inputs; it must have one for each, or none"},
      {typed("FP32", "[1]", "fp32_contents: 1") + " raw_input_contents: 'abcd'",
       "inputs[0] has contents, and there are raw_input_contents; use one of them for all"},
  };
}

std::vector<Bad> bad_typed() {
  return {
      {input("datatype: 'FP32' shape: [1]"),
       "inputs[0] has no data; it needs 'contents' or raw_input_contents"},
      {typed("FP32", "[3]", "fp32_contents: [1, 2]"),
       "inputs[0].contents.fp32_contents holds 2 elements; the shape [3] asks for 3"},
      {typed("FP32", "[0]", "fp32_contents: 1"),
       "inputs[0].contents.fp32_contents holds more than 0 elements; the shape [0] asks for 0"},
      {typed("FP32", "[1]", "fp64_contents: 1"),
       "inputs[0] is FP32 and has fp64_contents; FP32 goes into fp32_contents"},
      {typed("FP64", "[1]", "fp32_contents: 1"),
       "inputs[0] is FP64 and has fp32_contents; FP64 goes into fp64_contents"},
      {typed("INT64", "[1]", "int_contents: 1"),
       "inputs[0] is INT64 and has int_contents; INT64 goes into int64_contents"},
      {typed("INT32", "[1]", "uint_contents: 1"),
       "inputs[0] is INT32 and has uint_contents; INT32 goes into int_contents"},
      {typed("UINT64", "[1]", "int64_contents: 1"),
       "inputs[0] is UINT64 and has int64_contents; UINT64 goes into uint64_contents"},
      {typed("BYTES", "[1]", "int_contents: 1"),
       "inputs[0] is BYTES and has int_contents; BYTES goes into bytes_contents"},
      {typed("FP32", "[1]", "fp32_contents: 1 bool_contents: true"),
       "inputs[0] is FP32 and has bool_contents; FP32 goes into fp32_contents"},
      {typed("INT8", "[1]", "int_contents: 128"),
       "inputs[0].contents.int_contents[0] is 128; it must be an integer from -128 to 127 (INT8)"},
      {typed("INT8", "[2]", "int_contents: [127, -129]"),
       "inputs[0].contents.int_contents[1] is -129; it must be an integer from -128 to 127 (INT8)"},
      {typed("INT16", "[1]", "int_contents: 32768"),
       "inputs[0].contents.int_contents[0] is 32768; it must be an integer from -32768 to 32767 "
       "(INT16)"},
      {typed("UINT8", "[1]", "uint_contents: 256"),
       "inputs[0].contents.uint_contents[0] is 256; it must be an integer from 0 to 255 (UINT8)"},
      {typed("UINT16", "[1]", "uint_contents: 4294967295"),
       "inputs[0].contents.uint_contents[0] is 4294967295; it must be an integer from 0 to 65535 "
       "(UINT16)"},
      {input("datatype: 'FP16' shape: [1]"),
       "inputs[0]: FP16 has no typed contents; send and read it as raw_input_contents and "
       "raw_output_contents"},
      {typed("BF16", "[1]", "fp32_contents: 1"),
       "inputs[0]: BF16 has no typed contents; send and read it as raw_input_contents and "
       "raw_output_contents"},
      {typed("BYTES", "[2]", "bytes_contents: 'a'"),
       "inputs[0].contents.bytes_contents holds 1 element; the shape [2] asks for 2"},
  };
}

std::vector<Bad> bad_parameters() {
  const auto parameter = [](const std::string& name, const std::string& value) {
    return kFine + " parameters { key: '" + name + "' value { " + value + " } }";
  };
  const std::string rule = "; it must be an integer, 0 or more";
  const std::string shared =
      "parameters { key: 'shared_memory_region' value { string_param: 'r' } }";
  const std::string region =
      ".parameters names a shared memory region, which is not offered; send the data itself";
  const auto classes = [](const std::string& value) {
    return kFine + " outputs { name: 'y' parameters { key: 'classification' value { " + value +
           " } } }";
  };
  return {
      {parameter("timeout", "int64_param: -1"), "parameters.timeout is -1" + rule},
      {parameter("timeout", "string_param: '5'"), "parameters.timeout is a string" + rule},
      {parameter("timeout", "double_param: 0.5"), "parameters.timeout is 0.5" + rule},
      {parameter("priority", "bool_param: true"), "parameters.priority is true" + rule},
      {parameter("priority", ""), "parameters.priority is null" + rule},
      {parameter("sequence_start", "int64_param: 1"),
       "parameters.sequence_start is 1; it must be true or false"},
      {parameter("triton_x", "int64_param: 1"),
       "parameters.triton_x is reserved; parameter names must not start with 'triton_'"},
      {input("datatype: 'FP32' shape: [1] " + shared), "inputs[0]" + region,
       GrpcCode::kUnimplemented},
      {kFine + " outputs { name: 'y' " + shared + " }", "outputs[0]" + region,
       GrpcCode::kUnimplemented},
      {classes("int64_param: -1"), "outputs[0].parameters.classification is -1" + rule},
      {classes("string_param: 'a'"), "outputs[0].parameters.classification is a string" + rule},
  };
}

TEST(OipCodec, RefusesBadInputWithOneClearError) {
  std::size_t cases = 0;
  for (const auto& table : {bad_names(), bad_shapes(), bad_raw(), bad_typed(), bad_parameters()}) {
    for (const Bad& bad : table) {
      ++cases;
      const ModelInferRequest message = message_of(bad.message);
      const auto read = read_infer(message);
      ASSERT_FALSE(read) << bad.message;
      const Error& error = read.error();
      EXPECT_EQ(error.message, bad.error) << bad.message;
      EXPECT_EQ(protocol::mapping(error.code).grpc, bad.code) << bad.message;
    }
  }
  EXPECT_GE(cases, 70U);
}

TEST(OipCodec, BorrowsWhatNeedsNoConversion) {
  const ModelInferRequest by_bytes = message_of(raw("FP32", "[2]", "abcdefgh"));
  const auto read = read_infer(by_bytes);
  ASSERT_TRUE(read);
  EXPECT_EQ(static_cast<const void*>(read->inputs[0].data.data()),
            static_cast<const void*>(by_bytes.raw_input_contents(0).data()));
  EXPECT_EQ(read->inputs[0].storage, nullptr);

  const ModelInferRequest by_type = message_of(typed("FP64", "[2]", "fp64_contents: [1.5, -2]"));
  const auto typed_read = read_infer(by_type);
  ASSERT_TRUE(typed_read);
  EXPECT_EQ(static_cast<const void*>(typed_read->inputs[0].data.data()),
            static_cast<const void*>(by_type.inputs(0).contents().fp64_contents().data()));
  EXPECT_THAT(elements<double>(typed_read->inputs[0]), testing::ElementsAre(1.5, -2));
}

TEST(OipCodec, NarrowsAndPacksTypedContents) {
  const auto message = message_of(typed("INT16", "[3]", "int_contents: [-32768, 0, 32767]"));
  const auto narrow = read_infer(message);
  ASSERT_TRUE(narrow);
  EXPECT_THAT(elements<std::int16_t>(narrow->inputs[0]), testing::ElementsAre(-32768, 0, 32767));
  const auto texts = message_of(typed("BYTES", "[2]", "bytes_contents: ['ab', '']"));
  const auto packed = read_infer(texts);
  ASSERT_TRUE(packed);
  EXPECT_THAT(elements<char>(packed->inputs[0]),
              testing::ElementsAre(2, 0, 0, 0, 'a', 'b', 0, 0, 0, 0));
}

TEST(OipCodec, TakesEveryDatatypeInBothForms) {
  for (const char* both :
       {"BOOL bool_contents", "INT8 int_contents", "INT32 int_contents", "INT64 int64_contents",
        "UINT8 uint_contents", "UINT16 uint_contents", "UINT32 uint_contents",
        "UINT64 uint64_contents", "FP32 fp32_contents", "FP64 fp64_contents"}) {
    const std::string text = both;
    const auto type = text.substr(0, text.find(' '));
    const auto message = message_of(typed(type, "[1, 1]", text.substr(text.find(' ') + 1) + ": 1"));
    const auto by_type = read_infer(message);
    ASSERT_TRUE(by_type) << both << by_type.error().message;
    ModelInferRequest other = message;
    other.mutable_inputs(0)->clear_contents();
    const auto data = by_type->inputs[0].data;
    other.add_raw_input_contents(data.data(), data.size());
    const auto by_bytes = read_infer(other);
    ASSERT_TRUE(by_bytes) << both;
    EXPECT_EQ(elements<char>(by_bytes->inputs[0]), elements<char>(by_type->inputs[0])) << both;
  }
}

TEST(OipCodec, ReadsParametersAndOutputs) {
  const auto message = message_of(
      kFine +
      " id: 'seven' model_version: '3' parameters { key: 'timeout' value { int64_param: 2500 } }"
      " parameters { key: 'priority' value { uint64_param: 2 } }"
      " parameters { key: 'sequence_id' value { int64_param: 7 } }"
      " parameters { key: 'unknown' value { bool_param: true } }"
      " outputs { name: 'a' } outputs { name: 'b' parameters { key: 'classification' value {"
      " int64_param: 3 } } }");
  const auto read = read_infer(message);
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->id, "seven");
  EXPECT_EQ(read->model.version, "3");
  EXPECT_EQ(read->timeout, std::chrono::microseconds(2500));
  EXPECT_EQ(read->priority, 2U);
  ASSERT_EQ(read->outputs.size(), 2U);
  EXPECT_EQ(read->outputs[1].classification, 3U);
}

TEST(OipCodec, ATimeoutBeyondAllClocksIsAnHourAndNothingIsNone) {
  const auto timeout_of = [](const std::string& us) {
    const auto message = message_of(kFine + " parameters { key: 'timeout' value { " + us + " } }");
    const auto read = read_infer(message);
    EXPECT_TRUE(read) << us;
    return read ? read->timeout : std::nullopt;
  };
  EXPECT_EQ(timeout_of("uint64_param: 18446744073709551615"), std::chrono::hours(1));
  EXPECT_EQ(timeout_of("int64_param: 0"), std::nullopt);
}

TEST(OipCodec, TakesWhatClientsSendForOtherServers) {
  const auto message = message_of(
      kFine +
      " parameters { key: 'triton_enable_empty_final_response' value { bool_param: true } }"
      " parameters { key: 'sequence_end' value { bool_param: true } }");
  EXPECT_TRUE(read_infer(message));
}

}  // namespace
}  // namespace podsense::grpc
