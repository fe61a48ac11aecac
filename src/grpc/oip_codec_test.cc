#include "grpc/oip_codec.h"

#include <gmock/gmock.h>
#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>
#include <inference/grpc_service.pb.h>

#include <cstring>
#include <string>
#include <vector>

#include "grpc/status.h"

namespace podsense::grpc {
namespace {

using ::grpc::StatusCode;
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
  StatusCode code = StatusCode::INVALID_ARGUMENT;
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
      {"model_name: 'm'", "inputs is empty; it must hold at least one tensor"},
      {"model_name: 'm' raw_input_contents: 'abcd'",
       "inputs is empty; it must hold at least one tensor"},
      {"model_name: 'm' inputs { name: '" + std::string(513, 'x') + "' }",
       "the name of an input is 513 bytes long; it must be at most 512"},
      {"model_name: 'm'" + inputs, "inputs has 257 tensors; it must have at most 256"},
      {kFine + outputs, "outputs has 257 tensors; it must have at most 256"},
      {kFine + " outputs { name: '" + std::string(513, 'y') + "' }",
       "the name of an output is 513 bytes long; it must be at most 512"},
  };
}

std::vector<Bad> bad_shapes() {
  std::string many;
  for (int i = 0; i < 12; ++i) {
    many += ",1";
  }
  const std::string types = std::string("; accepted are: ") + kTypes;
  const std::string rule = "; dimensions must be 0 or more, and their product at most 2^40";
  return {
      {input(""), "input 'x' has the datatype ''" + types},
      {raw("fp32", "[1]", "abcd"), "input 'x' has the datatype 'fp32'" + types},
      {raw("FLOAT", "[1]", "abcd"), "input 'x' has the datatype 'FLOAT'" + types},
      {raw("TYPE_FP32", "[1]", "abcd"), "input 'x' has the datatype 'TYPE_FP32'" + types},
      {raw("STRING", "[1]", "abcd"), "input 'x' has the datatype 'STRING'" + types},
      {raw("FP8", "[1]", "a"), "input 'x' has the datatype 'FP8'" + types},
      {raw("F\\n", "[1]", "a"), "input 'x' has the datatype 'F?'" + types},
      {raw("FP32", "[-1]", "abcd"), "input 'x' has the shape [-1]" + rule},
      {raw("FP32", "[1, -3]", "abcd"), "input 'x' has the shape [1,-3]" + rule},
      {raw("FP32", "[-2, -2]", "abcdefghijklmnop"), "input 'x' has the shape [-2,-2]" + rule},
      {raw("FP32", "[-9223372036854775808]", "abcd"),
       "input 'x' has the shape [-9223372036854775808]" + rule},
      {raw("FP32", "[9223372036854775807, 9223372036854775807]", "abcd"),
       "input 'x' has the shape [9223372036854775807,9223372036854775807]" + rule},
      {raw("FP32", "[4294967296, 4294967296, 4294967296]", "abcd"),
       "input 'x' has the shape [4294967296,4294967296,4294967296]" + rule},
      {raw("UINT8", "[1" + many + "]", "a"),
       "input 'x' has 13 dimensions; it must have at most 12"},
      {raw("UINT8", "[1099511627777]", "a"), "input 'x' has the shape [1099511627777]" + rule},
  };
}

std::vector<Bad> bad_raw() {
  const std::string rest = " in raw_input_contents";
  const std::string text_rule =
      "; each text is 4 bytes of length, little-endian, and as many bytes";
  return {
      {raw("FP32", "[2]", "abcd"), "input 'x', FP32 [2], takes 8 bytes; got 4" + rest},
      {raw("FP32", "[1]", "abc"), "input 'x', FP32 [1], takes 4 bytes; got 3" + rest},
      {raw("FP32", "[1]", ""), "input 'x', FP32 [1], takes 4 bytes; got 0" + rest},
      {raw("FP32", "[1]", "abcde"), "input 'x', FP32 [1], takes 4 bytes; got 5" + rest},
      {raw("FP32", "[0]", "abcd"), "input 'x', FP32 [0], takes 0 bytes; got 4" + rest},
      {raw("FP32", "[]", "abcdefgh"), "input 'x', FP32 [], takes 4 bytes; got 8" + rest},
      {raw("FP64", "[1]", "abcd"), "input 'x', FP64 [1], takes 8 bytes; got 4" + rest},
      {raw("FP16", "[1]", "abcd"), "input 'x', FP16 [1], takes 2 bytes; got 4" + rest},
      {raw("BF16", "[2,2]", "abcd"), "input 'x', BF16 [2,2], takes 8 bytes; got 4" + rest},
      {raw("INT8", "[5]", "abcd"), "input 'x', INT8 [5], takes 5 bytes; got 4" + rest},
      {raw("UINT64", "[1]", "abcd"), "input 'x', UINT64 [1], takes 8 bytes; got 4" + rest},
      {raw("FP32", "[1099511627776]", "abcd"),
       "input 'x', FP32 [1099511627776], takes 4398046511104 bytes; got 4" + rest},
      {raw("BOOL", "[2]", "\\000\\002"),
       "input 'x' has the byte 2 at element 1; BOOL takes 0 and 1"},
      {raw("BOOL", "[1]", "\\377"), "input 'x' has the byte 255 at element 0; BOOL takes 0 and 1"},
      {raw("BYTES", "[1]", "\\003\\000\\000\\000ab"),
       "input 'x' ends inside its text number 0" + text_rule},
      {raw("BYTES", "[1]", "\\003\\000"), "input 'x' ends inside its text number 0" + text_rule},
      {raw("BYTES", "[2]", "\\001\\000\\000\\000a\\377\\377\\377\\377"),
       "input 'x' ends inside its text number 1" + text_rule},
      {raw("BYTES", "[2]", "\\001\\000\\000\\000a"), "input 'x', BYTES [2], takes 2 texts; got 1"},
      {raw("BYTES", "[0]", "\\000\\000\\000\\000"), "input 'x', BYTES [0], takes 0 texts; got 1"},
      {raw("BYTES", "[1]", ""), "input 'x', BYTES [1], takes 1 texts; got 0"},
      {kFine + " raw_input_contents: 'abcd'",
       "raw_input_contents has 2 entries for 1 inputs; it must have one for each, or none"},
      {"model_name: 'm' inputs { name: 'x' } inputs { name: 'y' } raw_input_contents: 'abcd'",
       "raw_input_contents has 1 entries for 2 inputs; it must have one for each, or none"},
      {typed("FP32", "[1]", "fp32_contents: 1") + " raw_input_contents: 'abcd'",
       "input 'x' has contents, and there are raw_input_contents; use one of them for all"},
  };
}

std::vector<Bad> bad_typed() {
  return {
      {input("datatype: 'FP32' shape: [1]"), "input 'x', FP32 [1], takes 1 elements; got 0"},
      {typed("FP32", "[3]", "fp32_contents: [1, 2]"),
       "input 'x', FP32 [3], takes 3 elements; got 2 in fp32_contents"},
      {typed("FP32", "[0]", "fp32_contents: 1"),
       "input 'x', FP32 [0], takes 0 elements; got 1 in fp32_contents"},
      {typed("FP32", "[1]", "fp64_contents: 1"),
       "input 'x' is FP32 and has fp64_contents; FP32 goes into fp32_contents"},
      {typed("FP64", "[1]", "fp32_contents: 1"),
       "input 'x' is FP64 and has fp32_contents; FP64 goes into fp64_contents"},
      {typed("INT64", "[1]", "int_contents: 1"),
       "input 'x' is INT64 and has int_contents; INT64 goes into int64_contents"},
      {typed("INT32", "[1]", "uint_contents: 1"),
       "input 'x' is INT32 and has uint_contents; INT32 goes into int_contents"},
      {typed("UINT64", "[1]", "int64_contents: 1"),
       "input 'x' is UINT64 and has int64_contents; UINT64 goes into uint64_contents"},
      {typed("BYTES", "[1]", "int_contents: 1"),
       "input 'x' is BYTES and has int_contents; BYTES goes into bytes_contents"},
      {typed("FP32", "[1]", "fp32_contents: 1 bool_contents: true"),
       "input 'x' is FP32 and has bool_contents; FP32 goes into fp32_contents"},
      {typed("INT8", "[1]", "int_contents: 128"),
       "input 'x' has 128 at element 0 of int_contents; INT8 takes -128 to 127"},
      {typed("INT8", "[2]", "int_contents: [127, -129]"),
       "input 'x' has -129 at element 1 of int_contents; INT8 takes -128 to 127"},
      {typed("INT16", "[1]", "int_contents: 32768"),
       "input 'x' has 32768 at element 0 of int_contents; INT16 takes -32768 to 32767"},
      {typed("UINT8", "[1]", "uint_contents: 256"),
       "input 'x' has 256 at element 0 of uint_contents; UINT8 takes 0 to 255"},
      {typed("UINT16", "[1]", "uint_contents: 4294967295"),
       "input 'x' has 4294967295 at element 0 of uint_contents; UINT16 takes 0 to 65535"},
      {input("datatype: 'FP16' shape: [1]"),
       "input 'x' is FP16, which has no typed contents; send raw_input_contents"},
      {typed("BF16", "[1]", "fp32_contents: 1"),
       "input 'x' is BF16, which has no typed contents; send raw_input_contents"},
      {typed("BYTES", "[2]", "bytes_contents: 'a'"),
       "input 'x', BYTES [2], takes 2 elements; got 1 in bytes_contents"},
  };
}

std::vector<Bad> bad_parameters() {
  const auto parameter = [](const std::string& name, const std::string& value) {
    return kFine + " parameters { key: '" + name + "' value { " + value + " } }";
  };
  const std::string rule = " must be int64_param or uint64_param and 0 or more";
  const std::string shared =
      "parameters { key: 'shared_memory_region' value { string_param: 'r' } }";
  return {
      {parameter("timeout", "int64_param: -1"), "parameter timeout" + rule},
      {parameter("timeout", "string_param: '5'"), "parameter timeout" + rule},
      {parameter("timeout", "double_param: 5"), "parameter timeout" + rule},
      {parameter("priority", "bool_param: true"), "parameter priority" + rule},
      {parameter("priority", ""), "parameter priority" + rule},
      {parameter("sequence_id", "int64_param: 7"),
       "parameter sequence_id is given; models here keep no state between requests",
       StatusCode::UNIMPLEMENTED},
      {parameter("sequence_id", "string_param: 'a'"),
       "parameter sequence_id is given; models here keep no state between requests",
       StatusCode::UNIMPLEMENTED},
      {input("datatype: 'FP32' shape: [1] " + shared),
       "input 'x' lies in shared memory, which this server does not offer",
       StatusCode::UNIMPLEMENTED},
      {kFine + " outputs { name: 'y' " + shared + " }",
       "output 'y' lies in shared memory, which this server does not offer",
       StatusCode::UNIMPLEMENTED},
      {kFine +
           " outputs { name: 'y' parameters { key: 'classification' value { int64_param: -1 } } }",
       "parameter classification" + rule},
      {kFine + " outputs { name: 'y' parameters { key: 'classification' value { string_param: 'a' "
               "} } }",
       "parameter classification" + rule},
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
      const ::grpc::Status status = to_status(read.error());
      EXPECT_EQ(status.error_message(), bad.error) << bad.message;
      EXPECT_EQ(status.error_code(), bad.code) << bad.message;
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
      " parameters { key: 'sequence_id' value { int64_param: 0 } }"
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

TEST(OipCodec, ATimeoutBeyondAllClocksIsNone) {
  for (const char* us : {"uint64_param: 18446744073709551615", "int64_param: 0"}) {
    const auto message = message_of(kFine + " parameters { key: 'timeout' value { " + us + " } }");
    const auto read = read_infer(message);
    ASSERT_TRUE(read) << us;
    EXPECT_FALSE(read->timeout) << us;
  }
}

}  // namespace
}  // namespace podsense::grpc
