#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <bit>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <random>

#include "protocol/oip_testing.h"
#include "protocol/refusals_testing.h"

namespace podsense::protocol {
namespace {

using namespace std::string_literals;
using testing::ElementsAre;
using testing::IsEmpty;

template <class Value>
std::vector<Value> read_as(std::string_view type, std::string_view shape, std::string_view data) {
  const auto request = parse_json(one_input(type, shape, data));
  if (!request) {
    ADD_FAILURE() << request.error().message;
    return {};
  }
  return values_of<Value>(request->inputs.front().data);
}

TEST(OipRead, TakesEveryFieldOfARequest) {
  const auto request = parse_json(R"({
    "id": "r-1",
    "parameters": {"timeout": 1500, "priority": 2, "binary_data_output": true, "sequence_id": 7,
                   "sequence_start": true, "sequence_end": false, "mine": "x", "other": 1.5},
    "inputs": [{"name": "a", "shape": [2, 1], "datatype": "INT32", "data": [1, -2],
                "parameters": {"content_type": "np"}},
               {"data": ["x", "y"], "datatype": "BYTES", "shape": [2], "name": "b"}],
    "outputs": [{"name": "y", "parameters": {"binary_data": false, "classification": 3}},
                {"name": "z"}]})");
  ASSERT_TRUE(request) << request.error().message;
  EXPECT_EQ(request->id, "r-1");
  EXPECT_EQ(request->timeout, std::chrono::microseconds(1500));
  EXPECT_EQ(request->priority, 2U);
  EXPECT_TRUE(request->binary_data_output);
  ASSERT_EQ(request->inputs.size(), 2U);
  EXPECT_EQ(request->inputs[0].name, "a");
  EXPECT_EQ(request->inputs[0].type, DataType::kInt32);
  EXPECT_THAT(request->inputs[0].shape, ElementsAre(2, 1));
  EXPECT_THAT(values_of<std::int32_t>(request->inputs[0].data), ElementsAre(1, -2));
  EXPECT_EQ(bytes_of(request->inputs[1].data), "\1\0\0\0x\1\0\0\0y"s);
  ASSERT_EQ(request->outputs.size(), 2U);
  EXPECT_EQ(request->outputs[0].name, "y");
  EXPECT_EQ(request->outputs[0].classification, 3U);
  EXPECT_EQ(request->outputs[0].binary_data, false);
  EXPECT_EQ(request->outputs[1].binary_data, std::nullopt);
}

TEST(OipRead, LeavesOutWhatIsOptional) {
  const auto request = parse_json(one_input("FP32", "[1]", "[1]"));
  ASSERT_TRUE(request);
  EXPECT_EQ(request->id, "");
  EXPECT_EQ(request->timeout, std::nullopt);
  EXPECT_EQ(request->priority, 0U);
  EXPECT_FALSE(request->binary_data_output);
  EXPECT_THAT(request->outputs, IsEmpty());
}

TEST(OipRead, ATimeoutOfNothingIsNone) {
  const auto request = parse_json(R"({"parameters": {"timeout": 0}, "inputs": []})");
  ASSERT_TRUE(request);
  EXPECT_EQ(request->timeout, std::nullopt);
}

TEST(OipRead, MembersThatAreNullAreAbsent) {
  const auto request = parse_json(
      R"({"id": null, "outputs": null , "parameters": null, "model_name":null,
          "inputs": [{"name": "x", "shape": [1], "datatype": "FP32", "data": [1], "parameters": null}]})");
  ASSERT_TRUE(request) << request.error().message;
  EXPECT_EQ(request->id, "");
  EXPECT_THAT(request->outputs, IsEmpty());
  EXPECT_FALSE(parse_json(R"({"inputs": null})"));
  EXPECT_FALSE(parse_json(R"({"id": nul, "inputs": []})"));
}

TEST(OipRead, DataIsFlatOrNestedAsTheShapeSays) {
  for (const char* data :
       {"[1,2,3,4,5,6,7,8]", "[[1,2,3,4],[5,6,7,8]]", "[[[1,2],[3,4]],[[5,6],[7,8]]]",
        " [ [ [ 1 , 2 ] , [3,4]] ,\n[[5,6],\t[7,8]]] "}) {
    EXPECT_THAT(read_as<float>("FP32", "[2,2,2]", data), ElementsAre(1, 2, 3, 4, 5, 6, 7, 8))
        << data;
  }
  EXPECT_THAT(read_as<float>("FP32", "[]", "[5]"), ElementsAre(5));
  EXPECT_THAT(read_as<float>("FP32", "[0,3]", "[]"), IsEmpty());
  EXPECT_THAT(read_as<float>("FP32", "[2,0]", "[[],[]]"), IsEmpty());
}

TEST(OipRead, IntegersReachTheEndsOfTheirRange) {
  EXPECT_THAT(read_as<std::uint8_t>("UINT8", "[2]", "[0,255]"), ElementsAre(0, 255));
  EXPECT_THAT(read_as<std::int8_t>("INT8", "[3]", "[-128,127,-0]"), ElementsAre(-128, 127, 0));
  EXPECT_THAT(read_as<std::uint16_t>("UINT16", "[1]", "[65535]"), ElementsAre(65535));
  EXPECT_THAT(read_as<std::int16_t>("INT16", "[2]", "[-32768,32767]"), ElementsAre(-32768, 32767));
  EXPECT_THAT(read_as<std::uint32_t>("UINT32", "[1]", "[4294967295]"), ElementsAre(4294967295U));
  EXPECT_THAT(read_as<std::int32_t>("INT32", "[2]", "[-2147483648,2147483647]"),
              ElementsAre(std::numeric_limits<std::int32_t>::min(), 2147483647));
  EXPECT_THAT(read_as<std::uint64_t>("UINT64", "[1]", "[18446744073709551615]"),
              ElementsAre(std::numeric_limits<std::uint64_t>::max()));
  EXPECT_THAT(read_as<std::int64_t>("INT64", "[2]", "[-9223372036854775808,9223372036854775807]"),
              ElementsAre(std::numeric_limits<std::int64_t>::min(),
                          std::numeric_limits<std::int64_t>::max()));
  EXPECT_THAT(read_as<std::uint8_t>("BOOL", "[2]", "[true,false]"), ElementsAre(1, 0));
}

TEST(OipRead, NumbersTooSmallForTheirTypeBecomeTheNearest) {
  EXPECT_THAT(read_as<float>("FP32", "[4]", "[1e-400,1e-50,1.4e-45,-1e-60]"),
              ElementsAre(0.0F, 0.0F, std::numeric_limits<float>::denorm_min(), -0.0F));
  EXPECT_THAT(read_as<double>("FP64", "[3]", "[1e-400,4.9406564584124654e-324,-0.0]"),
              ElementsAre(0.0, std::numeric_limits<double>::denorm_min(), -0.0));
  EXPECT_TRUE(std::signbit(read_as<float>("FP32", "[1]", "[-0]").front()));
}

TEST(OipRead, EveryFloatIsTheNearestOfItsDecimal) {
  std::mt19937_64 random(7);
  std::array<char, 512> text{};
  for (int i = 0; i < 20'000; ++i) {
    const auto value = std::bit_cast<double>(random());
    const auto digits = static_cast<int>(random() % 24);
    const double shown = i % 2 == 0 ? value : static_cast<double>(static_cast<float>(value));
    if (!(std::abs(shown) < 3.4e38)) {
      continue;
    }
    const int size =
        std::snprintf(text.data(), text.size(), i % 3 == 0 ? "%.*e" : "%.*g", digits, shown);
    if (std::abs(std::strtof(text.data(), nullptr)) > std::numeric_limits<float>::max()) {
      continue;
    }
    const std::string data = "[" + std::string(text.data(), static_cast<std::size_t>(size)) + "]";
    ASSERT_EQ(std::bit_cast<std::uint32_t>(read_as<float>("FP32", "[1]", data).front()),
              std::bit_cast<std::uint32_t>(std::strtof(text.data(), nullptr)))
        << data;
    ASSERT_EQ(std::bit_cast<std::uint64_t>(read_as<double>("FP64", "[1]", data).front()),
              std::bit_cast<std::uint64_t>(std::strtod(text.data(), nullptr)))
        << data;
  }
}

TEST(OipRead, DecimalsBetweenTwoFloatsGoToTheEvenOne) {
  EXPECT_THAT(read_as<float>("FP32", "[4]",
                             "[16777217,16777219,16777217.0000000000000001,0."
                             "000000000000000000000000000000000000000000000700649232162408535461864"
                             "79164495806564013097093825788587853]"),
              ElementsAre(16777216.0F, 16777220.0F, 16777218.0F, 0.0F));
}

TEST(OipRead, TextsAreUnescaped) {
  const auto request = parse_json(
      one_input("BYTES", "[2,1]", R"([["a\"\\\/\b\f\n\r\t\u00e9\u20ac\ud83d\ude00"],["é"]])"));
  ASSERT_TRUE(request) << request.error().message;
  const std::string first = "a\"\\/\b\f\n\r\té€😀";
  EXPECT_EQ(bytes_of(request->inputs[0].data),
            std::string(1, static_cast<char>(first.size())) + "\0\0\0"s + first + "\2\0\0\0é"s);
}

TEST(OipRead, BinaryDataIsBorrowedFromTheBody) {
  const std::string json =
      R"({"inputs":[{"name":"a","shape":[2],"datatype":"FP16","parameters":{"binary_data_size":4}},)"
      R"({"name":"b","shape":[1],"datatype":"INT8","data":[5]},)"
      R"({"name":"c","shape":[1],"datatype":"BYTES","parameters":{"binary_data_size":6}}]})";
  const auto body = std::make_shared<const std::string>(json + "1234\2\0\0\0ab"s);
  const auto request = parse_oip_request({.bytes = body, .json_size = json.size()});
  ASSERT_TRUE(request) << request.error().message;
  EXPECT_EQ(request->inputs[0].data.data(), static_cast<const void*>(body->data() + json.size()));
  EXPECT_EQ(bytes_of(request->inputs[0].data), "1234");
  EXPECT_THAT(values_of<std::int8_t>(request->inputs[1].data), ElementsAre(5));
  EXPECT_EQ(bytes_of(request->inputs[2].data), "\2\0\0\0ab"s);
  EXPECT_EQ(request->owner, body);
}

// The same request as JSON and as binary data leaves the same values.
TEST(OipRead, JsonAndBinaryMeanTheSame) {
  std::mt19937_64 random(11);
  for (int round = 0; round < 300; ++round) {
    const std::size_t count = random() % 40;
    std::vector<float> floats(count);
    std::string data = "[";
    for (float& value : floats) {
      do {
        value = std::bit_cast<float>(static_cast<std::uint32_t>(random()));
      } while (!std::isfinite(value));
      std::array<char, 64> text{};
      const int size = std::snprintf(text.data(), text.size(), "%.9g", static_cast<double>(value));
      data +=
          (data.size() > 1 ? "," : "") + std::string(text.data(), static_cast<std::size_t>(size));
    }
    data += "]";
    const std::string shape = "[" + std::to_string(count) + "]";
    const auto json = parse_json(one_input("FP32", shape, data));
    const std::string packed = bytes_of(std::as_bytes(std::span(floats)));
    const auto binary = parse_binary(R"({"inputs":[{"name":"x","datatype":"FP32","shape":)" +
                                         shape + R"(,"parameters":{"binary_data_size":)" +
                                         std::to_string(packed.size()) + "}}]}",
                                     packed);
    ASSERT_TRUE(json) << json.error().message;
    ASSERT_TRUE(binary) << binary.error().message;
    EXPECT_EQ(bytes_of(json->inputs[0].data), bytes_of(binary->inputs[0].data));
    EXPECT_EQ(json->inputs[0].shape, binary->inputs[0].shape);
    EXPECT_EQ(json->inputs[0].name, binary->inputs[0].name);
  }
}

std::array<TensorMetadata, 1> input_of(DataType type, std::span<const std::int64_t> shape) {
  return {TensorMetadata{.name = "x", .type = type, .shape = shape}};
}

TEST(OipRaw, TheWholeBodyIsTheOneInput) {
  const auto body = std::make_shared<const std::string>(24, '\1');
  const std::array<std::int64_t, 3> shape{-1, 2, -1};
  const auto request = parse_oip_raw(body, input_of(DataType::kFp32, shape));
  ASSERT_TRUE(request) << request.error().message;
  EXPECT_THAT(request->inputs[0].shape, ElementsAre(1, 2, 3));
  EXPECT_EQ(request->inputs[0].data.data(), static_cast<const void*>(body->data()));
  EXPECT_TRUE(request->binary_data_output);
}

TEST(OipRaw, TextsComeWithoutTheirLength) {
  const std::array<std::int64_t, 1> shape{-1};
  const auto request =
      parse_oip_raw(std::make_shared<const std::string>("abc"), input_of(DataType::kBytes, shape));
  ASSERT_TRUE(request) << request.error().message;
  EXPECT_EQ(bytes_of(request->inputs[0].data), "\3\0\0\0abc"s);
  EXPECT_THAT(request->inputs[0].shape, ElementsAre(1));
}

TEST(OipRaw, RefusesWhatDoesNotFit) {
  const auto message = [](std::size_t size, std::span<const TensorMetadata> inputs) {
    const auto request = parse_oip_raw(std::make_shared<const std::string>(size, '\0'), inputs);
    return request ? std::string("accepted") : request.error().message;
  };
  const std::array<std::int64_t, 2> row{-1, 4};
  const std::array<std::int64_t, 3> open{-1, -1, -1};
  EXPECT_EQ(message(15, input_of(DataType::kFp32, row)),
            "the body, which is the input 'x' of shape [-1,4] and nothing else, has 15 bytes; its "
            "shape asks for 4 x 4");
  EXPECT_EQ(message(16, input_of(DataType::kFp32, open)),
            "a body without JSON is for inputs with one open dimension at most; 'x' has the shape "
            "[-1,-1,-1]");
  EXPECT_EQ(message(16, {}), "a body without JSON is for models with one input; this one has 0");
  EXPECT_EQ(message(3, input_of(DataType::kBytes, row)),
            "a body without JSON is one text; 'x' has the shape [-1,4]");
}

constexpr std::array kRefusals{
    Refusal{R"({"inputs":[{"name":"x","shape":[3],"datatype":"FP32","data":[1,2]}]})",
            "inputs[0].data holds 2 elements; the shape [3] asks for 3"},
    Refusal{R"({"inputs":[{"name":"x","shape":[1],"datatype":"FP32","data":[1,2]}]})",
            "inputs[0].data holds more than 1 element; the shape [1] asks for 1"},
    Refusal{R"({"inputs":[{"name":"x","shape":[2,2],"datatype":"FP32","data":[[1,2],[3]]}]})",
            "inputs[0].data[1] holds 1 element; the shape [2,2] asks for 2"},
    Refusal{R"({"inputs":[{"name":"x","shape":[2,2],"datatype":"FP32","data":[[1,2],3]}]})",
            "inputs[0].data[1] is 3; data must be flat, or nested as the shape [2,2] says"},
    Refusal{R"({"inputs":[{"name":"x","shape":[2],"datatype":"FP32","data":[[1],[2]]}]})",
            "inputs[0].data[0] is an array; data must be flat, or nested as the shape [2] says"},
    Refusal{R"({"inputs":[{"name":"x","shape":[2],"datatype":"FP32","data":[1,[2]]}]})",
            "inputs[0].data[1] is an array; it must be a number within ±3.4028235e+38 (FP32)"},
    Refusal{R"({"inputs":[{"name":"x","shape":[1],"datatype":"UINT8","data":[300]}]})",
            "inputs[0].data[0] is 300; it must be an integer from 0 to 255 (UINT8)"},
    Refusal{
        R"({"inputs":[{"name":"x","shape":[1],"datatype":"INT32","data":[1.5]}]})",
        "inputs[0].data[0] is 1.5; it must be an integer from -2147483648 to 2147483647 (INT32)"},
    Refusal{R"({"inputs":[{"name":"x","shape":[1],"datatype":"FP32","data":[1e39]}]})",
            "inputs[0].data[0] is 1e39; it must be a number within ±3.4028235e+38 (FP32)"},
    Refusal{R"({"inputs":[{"name":"x","shape":[1],"datatype":"FP32","data":[01]}]})",
            "the body is not valid JSON at byte 61: '01' is not a JSON value"},
    Refusal{
        R"({"inputs":[{"name":"x","shape":[1],"datatype":"FP32","data":[1 2]}]})",
        "the body is not valid JSON at byte 63: expected ',' or ']' after an element, found '2'"},
    Refusal{R"({"inputs":[{"name":"x","shape":[1],"datatype":"FP16","data":[1]}]})",
            "inputs[0]: FP16 has no JSON form; send and ask for it as binary data "
            "(binary_data_size, binary_data)"},
    Refusal{R"({"inputs":[{"name":"x","shape":[1],"datatype":"BYTES","data":[1]}]})",
            "inputs[0].data[0] is 1; it must be a string (BYTES)"},
    Refusal{R"({"inputs":[{"name":"x","shape":[1],"datatype":"BYTES","data":["\x"]}]})",
            "the body is not valid JSON at byte 63: an unknown escape in a string"},
    Refusal{R"({"inputs":[{"name":"x","shape":[-1],"datatype":"FP32","data":[1]}]})",
            "inputs[0].shape[0] is -1; it must be an integer, 0 or more"},
    Refusal{R"({"inputs":[{"name":"x","shape":[1099511627777],"datatype":"FP32","data":[1]}]})",
            "inputs[0].shape is [1099511627777], more than 2^40 elements"},
    Refusal{R"({"inputs":[{"name":"x","shape":[1000000000],"datatype":"FP32","data":[1]}]})",
            "inputs[0].data holds 1 element; the shape [1000000000] asks for 1000000000"},
};

TEST(OipRead, RefusesWithTheReason) {
  expect_refusals(kRefusals, [](std::string_view json) { return parse_json(json); });
}

constexpr std::array kSizes{
    Refusal{"",
            "Inference-Header-Content-Length is ''; it must be the number of bytes of the JSON"},
    Refusal{"-1",
            "Inference-Header-Content-Length is '-1'; it must be the number of bytes of the JSON"},
    Refusal{"1x",
            "Inference-Header-Content-Length is '1x'; it must be the number of bytes of the JSON"},
    Refusal{"99999999999999999999",
            "Inference-Header-Content-Length is '99999999999999999999'; it must be the number of "
            "bytes of the JSON"},
    Refusal{"11", "Inference-Header-Content-Length is 11, but the body has only 10 bytes"},
};

TEST(OipRead, RefusesASizeOfTheJsonThatLies) {
  expect_refusals(kSizes, [](std::string_view text) { return parse_json_size(text, 10); });
  EXPECT_EQ(parse_json_size("10", 10), 10U);
  EXPECT_EQ(parse_json_size("0", 10), 0U);
}

TEST(OipRead, MissingFloatsAreNaN) {
  const auto floats = read_as<float>("FP32", "[4]", "[1,null,NaN,2]");
  ASSERT_EQ(floats.size(), 4U);
  EXPECT_TRUE(std::isnan(floats[1]) && std::isnan(floats[2]));
  EXPECT_EQ(floats[3], 2);
  const auto doubles = read_as<double>("FP64", "[2,2]", "[[1, null ],[ NaN ,2]]");
  ASSERT_EQ(doubles.size(), 4U);
  EXPECT_TRUE(std::isnan(doubles[1]) && std::isnan(doubles[2]));
}

}  // namespace
}  // namespace podsense::protocol
