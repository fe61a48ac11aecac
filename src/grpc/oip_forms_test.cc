// One request in all of its forms, through the real codecs of REST and gRPC.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "grpc/oip_forms_testing.h"
#include "protocol/tensor.h"

namespace podsense::grpc::forms {
namespace {

Request one(Tensor tensor) {
  Request request;
  request.inputs.push_back(std::move(tensor));
  return request;
}

struct Case {
  const char* what;
  Tensor tensor;
};

std::vector<Case> good_tensors() {
  using Int = std::numeric_limits<std::int64_t>;
  return {
      {"BOOL", {.datatype = "BOOL", .shape = {3}, .naturals = {1, 0, 1}}},
      {"UINT8", {.datatype = "UINT8", .shape = {2}, .naturals = {0, 255}}},
      {"UINT16", {.datatype = "UINT16", .shape = {2}, .naturals = {0, 65535}}},
      {"UINT32", {.datatype = "UINT32", .shape = {2}, .naturals = {0, 4294967295}}},
      {"UINT64", {.datatype = "UINT64", .shape = {1}, .naturals = {~std::uint64_t{0}}}},
      {"INT8", {.datatype = "INT8", .shape = {2}, .integers = {-128, 127}}},
      {"INT16", {.datatype = "INT16", .shape = {2}, .integers = {-32768, 32767}}},
      {"INT32", {.datatype = "INT32", .shape = {2}, .integers = {-2147483648, 2147483647}}},
      {"INT64", {.datatype = "INT64", .shape = {2}, .integers = {Int::min(), Int::max()}}},
      {"FP32", {.shape = {2, 2}, .reals = {0.1, -0.0, 3.4028234e38, 1e-45}}},
      {"FP64", {.datatype = "FP64", .shape = {3}, .reals = {0.1, 1.7976931348623157e308, 5e-324}}},
      {"BYTES", {.datatype = "BYTES", .shape = {3}, .texts = {"", "a\"\\\n\x01", "é€😀"}}},
      {"a scalar", {.shape = {}, .reals = {1.5}}},
      {"nothing", {.shape = {0, 4}}},
      {"no texts", {.datatype = "BYTES", .shape = {2, 0}}},
      {"12 dimensions", {.shape = std::vector<std::int64_t>(12, 1), .reals = {1}}},
  };
}

TEST(OipForms, TheSameRequestMeansTheSameInEveryForm) {
  for (const Case& good : good_tensors()) {
    Request request = one(good.tensor);
    request.id = "r-\"1\"";
    request.timeout = 1500;
    request.priority = 2;
    request.outputs = {{.name = "y", .classification = 3}, {.name = "z", .classification = {}}};
    const Meanings all = meanings(request);
    EXPECT_THAT(all.json, testing::StartsWith("id r-\"1\" priority 2 timeout 1500000\n"));
    EXPECT_EQ(all.binary, all.json) << good.what;
    EXPECT_EQ(all.typed, all.json) << good.what;
    EXPECT_EQ(all.raw, all.json) << good.what;
  }
}

TEST(OipForms, HalvesAreTheSameWhereTheyHaveAForm) {
  for (const char* type : {"FP16", "BF16"}) {
    const Meanings all = meanings(one({.datatype = type, .shape = {2}, .halves = "abcd"}));
    EXPECT_THAT(all.binary, testing::HasSubstr("data 61626364"));
    EXPECT_EQ(all.raw, all.binary);
    EXPECT_THAT(all.json, testing::StartsWith("refused: inputs[0]: " + std::string(type)));
    EXPECT_THAT(all.typed, testing::StartsWith("refused: inputs[0]: " + std::string(type)));
  }
}

constexpr const char* kTypes =
    "; accepted are: BOOL, UINT8, UINT16, UINT32, UINT64, INT8, INT16, INT32, INT64, FP16, BF16, "
    "FP32, FP64, BYTES";

/// A fault, and the sentence of JSON and typed contents, and of binary data and raw contents; where
/// the second is empty it is that of the first, where it is `-` this form has no such fault.
struct Bad {
  Tensor tensor;
  std::string values;
  std::string bytes = {};
};

std::vector<Bad> bad_types_and_shapes() {
  std::vector<Bad> all;
  for (const char* type : {"", "fp32", "FLOAT", "TYPE_FP32", "STRING", "FP8", "INT", "UINT128"}) {
    all.push_back({{.datatype = type, .shape = {1}, .reals = {1}},
                   "inputs[0].datatype is '" + std::string(type) + "'" + kTypes});
  }
  const auto shape = [&](std::vector<std::int64_t> dimensions, const std::string& message) {
    all.push_back({{.shape = std::move(dimensions), .reals = {1}}, message});
  };
  const std::string rule = "; it must be an integer, 0 or more";
  const std::string most = ", more than 2^40 elements";
  shape({-1}, "inputs[0].shape[0] is -1" + rule);
  shape({1, -3}, "inputs[0].shape[1] is -3" + rule);
  shape({-2, -2}, "inputs[0].shape[0] is -2" + rule);
  shape({0, -1}, "inputs[0].shape[1] is -1" + rule);
  shape({std::numeric_limits<std::int64_t>::min()},
        "inputs[0].shape[0] is -9223372036854775808" + rule);
  shape({(1LL << 40) + 1}, "inputs[0].shape is [1099511627777]" + most);
  shape({1LL << 32, 1LL << 32}, "inputs[0].shape is [4294967296,4294967296]" + most);
  shape({std::numeric_limits<std::int64_t>::max(), 2},
        "inputs[0].shape is [9223372036854775807,2]" + most);
  shape(std::vector<std::int64_t>(13, 1), "inputs[0].shape has more than 12 dimensions");
  return all;
}

/// Too few and too many elements for a shape, by type.
std::vector<Bad> bad_counts() {
  std::vector<Bad> all;
  for (const Case& good : good_tensors()) {
    const auto type = data_type_of(good.tensor.datatype);
    const auto count = protocol::element_count(good.tensor.shape);
    if (!type || good.tensor.shape.size() != 1 || *count == 0) {
      continue;
    }
    const std::string size = std::to_string(*count);
    for (const std::int64_t other : {-1, 1}) {
      Tensor tensor = good.tensor;
      tensor.shape[0] += other;
      const std::string asks = std::to_string(tensor.shape[0]);
      const std::string got = other > 0 ? size : "more than " + asks;
      const bool is_one = (other > 0 ? size : asks) == "1";
      all.push_back(
          {tensor,
           "inputs[0].data holds " + got + (is_one ? " element" : " elements") + "; the shape [" +
               asks + "] asks for " + asks,
           tensor.datatype == "BYTES"
               ? "the binary data of inputs[0] holds " + size + " texts; its shape asks for " + asks
               : "the binary data of inputs[0] has " +
                     std::to_string(*count * element_size(*type)) + " bytes; its shape asks for " +
                     asks + " x " + std::to_string(element_size(*type))});
    }
  }
  all.push_back({{.shape = {1LL << 40}, .reals = {1}},
                 "inputs[0].data holds 1 element; the shape [1099511627776] asks for 1099511627776",
                 "the binary data of inputs[0] has 4 bytes; its shape asks for 1099511627776 x 4"});
  return all;
}

/// Integers beyond their type, which only forms with values can hold.
std::vector<Bad> bad_ranges() {
  std::vector<Bad> all;
  const auto add = [&](const char* type, std::int64_t low, std::int64_t high, std::int64_t value) {
    Tensor tensor{.datatype = type, .shape = {2}};
    if (low < 0) {
      tensor.integers = {0, value};
    } else {
      tensor.naturals = {0, static_cast<std::uint64_t>(value)};
    }
    all.push_back({tensor,
                   "inputs[0].data[1] is " + std::to_string(value) +
                       "; it must be an integer from " + std::to_string(low) + " to " +
                       std::to_string(high) + " (" + type + ")",
                   "-"});
  };
  for (const std::int64_t value : {-2147483648L, -129L, 128L, 2147483647L}) {
    add("INT8", -128, 127, value);
  }
  for (const std::int64_t value : {-32769L, 32768L}) {
    add("INT16", -32768, 32767, value);
  }
  for (const std::int64_t value : {256L, 4294967295L}) {
    add("UINT8", 0, 255, value);
  }
  for (const std::int64_t value : {65536L, 4294967295L}) {
    add("UINT16", 0, 65535, value);
  }
  return all;
}

/// Lengths that lie, which only binary forms can hold.
std::vector<Bad> bad_bytes() {
  const std::string cut = "; each is 4 bytes of length, little-endian, and its bytes";
  const std::string place = "the binary data of inputs[0] ";
  return {
      {{.shape = {1}, .reals = {1}, .cut = 1},
       "-",
       place + "has 3 bytes; its shape asks for 1 x 4"},
      {{.shape = {1}, .reals = {1}, .cut = 4},
       "-",
       place + "has 0 bytes; its shape asks for 1 x 4"},
      {{.shape = {1}, .reals = {1}, .surplus = "a"},
       "-",
       place + "has 5 bytes; its shape asks for 1 x 4"},
      {{.datatype = "FP16", .shape = {1}, .halves = "abc"},
       "-",
       place + "has 3 bytes; its shape asks for 1 x 2"},
      {{.datatype = "BF16", .shape = {2, 2}, .halves = "abcd"},
       "-",
       place + "has 4 bytes; its shape asks for 4 x 2"},
      {{.datatype = "BOOL", .shape = {2}, .naturals = {1}, .surplus = "\x02"},
       "-",
       place + "has the byte 2 at 1; BOOL is 0 or 1"},
      {{.datatype = "BOOL", .shape = {1}, .surplus = "\xff"},
       "-",
       place + "has the byte 255 at 0; BOOL is 0 or 1"},
      {{.datatype = "BYTES", .shape = {1}, .texts = {"abc"}, .cut = 1},
       "-",
       place + "ends inside its text 0" + cut},
      {{.datatype = "BYTES", .shape = {1}, .texts = {"abc"}, .cut = 5},
       "-",
       place + "ends inside its text 0" + cut},
      {{.datatype = "BYTES", .shape = {2}, .texts = {"a"}, .surplus = "\xff\xff\xff\xff"},
       "-",
       place + "ends inside its text 1" + cut},
      {{.datatype = "BYTES", .shape = {1}, .texts = {"a"}, .surplus = std::string(4, '\0')},
       "-",
       place + "holds 2 texts; its shape asks for 1"},
      {{.datatype = "BYTES", .shape = {1}, .texts = {"a"}, .surplus = "abc"},
       "-",
       place + "ends inside its text 1" + cut},
  };
}

TEST(OipForms, TheSameFaultIsRefusedWithTheSameSentence) {
  std::size_t sentences = 0;
  for (const auto& table : {bad_types_and_shapes(), bad_counts(), bad_ranges(), bad_bytes()}) {
    for (const Bad& bad : table) {
      const Meanings all = meanings(one(bad.tensor));
      const std::string what = to_json(one(bad.tensor), nullptr);
      if (bad.values != "-") {
        sentences += 2;
        EXPECT_EQ(all.json, "refused: " + bad.values) << what;
        EXPECT_EQ(all.typed, "refused: " + bad.values) << what;
      }
      if (bad.bytes != "-") {
        sentences += 2;
        const std::string& wanted = bad.bytes.empty() ? bad.values : bad.bytes;
        EXPECT_EQ(all.binary, "refused: " + wanted) << what;
        EXPECT_EQ(all.raw, "refused: " + wanted) << what;
      }
    }
  }
  EXPECT_GE(sentences, 120U);
}

TEST(OipForms, FaultsOfTheWholeRequestToo) {
  const Tensor fine{.shape = {1}, .reals = {1}};
  const std::string rule = "; it must be an integer, 0 or more";
  const std::string long_name(513, 'n');
  const std::vector<std::pair<Request, std::string>> table{
      {{.id = std::string(1025, 'i'), .inputs = {fine}},
       "id is 1025 bytes long; at most 1024 are accepted"},
      {{.timeout = -1, .inputs = {fine}}, "parameters.timeout is -1" + rule},
      {{.priority = -7, .inputs = {fine}}, "parameters.priority is -7" + rule},
      {{.inputs = {fine}, .outputs = {{.name = "y", .classification = -1}}},
       "outputs[0].parameters.classification is -1" + rule},
      {{.inputs = {fine}, .outputs = {{.name = ""}}}, "outputs[0] has no name"},
      {{.inputs = {fine}, .outputs = {{.name = "y"}, {.name = long_name}}},
       "outputs[1].name is 513 bytes long; at most 512 are accepted"},
      {{.inputs = {{.name = long_name, .shape = {1}, .reals = {1}}}},
       "inputs[0].name is 513 bytes long; at most 512 are accepted"},
      {{.inputs = std::vector<Tensor>(257, fine)}, "inputs holds more than 256 tensors"},
      {{.inputs = {fine}, .outputs = std::vector<Output>(257)},
       "outputs holds more than 256 tensors"},
      {{.inputs = {fine, {.shape = {2}, .reals = {1, 2}}, {.datatype = "X", .shape = {1}}}},
       std::string("inputs[2].datatype is 'X'") + kTypes},
  };
  for (const auto& [request, message] : table) {
    const Meanings all = meanings(request);
    for (const std::string& form : {all.json, all.binary, all.typed, all.raw}) {
      EXPECT_EQ(form, "refused: " + message);
    }
  }
}

protocol::InferAnswer answer_of(std::vector<protocol::OutputTensor> outputs) {
  protocol::InferAnswer answer;
  answer.outputs = std::move(outputs);
  return answer;
}

TEST(OipForms, TheSameAnswerSaysTheSameInEveryForm) {
  for (const Case& good : good_tensors()) {
    const std::string data = packed(good.tensor);
    const std::string other("\1\0\0\0", 4);
    auto answer = answer_of({{.name = "y",
                              .type = *data_type_of(good.tensor.datatype),
                              .shape = good.tensor.shape,
                              .data = std::as_bytes(std::span(data)),
                              .binary_data = {}},
                             {.name = "z",
                              .type = DataType::kInt32,
                              .shape = {1},
                              .data = std::as_bytes(std::span(other)),
                              .binary_data = {}}});
    const auto json = protocol::write_oip_answer(answer);
    answer.binary_data_output = true;
    const auto binary = protocol::write_oip_answer(answer);
    ASSERT_TRUE(json && binary) << good.what;
    const std::string said = meaning_of_body(*json);
    EXPECT_THAT(said, testing::HasSubstr("\ninput z INT32 1 data 01000000")) << said;
    EXPECT_EQ(meaning_of_body(*binary), said) << good.what;
    EXPECT_EQ(meaning_of_message(answer), said) << good.what;
  }
}

}  // namespace
}  // namespace podsense::grpc::forms
