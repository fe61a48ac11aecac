#include "load/requests/oip_request.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

namespace podsense::load {
namespace {

using ::testing::HasSubstr;
using Json = nlohmann::json;

constexpr std::string_view kModel = R"({"name": "m", "inputs": [
  {"name": "x", "datatype": "FP32", "shape": [-1, 3]},
  {"name": "ids", "datatype": "INT64", "shape": [2]},
  {"name": "text", "datatype": "BYTES", "shape": [1]}], "outputs": []})";

TEST(Oip, MakesJsonOfTheModelsShapesAndTypes) {
  const auto request = make_oip_request(kModel, {.batch = 2});
  ASSERT_TRUE(request) << request.error().message;
  const Json body = Json::parse(request->body);
  EXPECT_EQ(body["inputs"][0]["shape"], Json({2, 3}));
  EXPECT_EQ(body["inputs"][0]["data"].size(), 6U);
  EXPECT_EQ(body["inputs"][1]["data"].size(), 2U);
  EXPECT_TRUE(body["inputs"][1]["data"][0].is_number_integer());
  EXPECT_TRUE(body["inputs"][2]["data"][0].is_string());
}

TEST(Oip, BinaryTensorsFollowTheJsonInOrder) {
  const auto request = make_oip_request(kModel, {.binary = true, .batch = 2});
  ASSERT_TRUE(request) << request.error().message;
  const auto header = std::ranges::find(request->headers, "Inference-Header-Content-Length",
                                        [](const auto& one) { return one.first; });
  ASSERT_NE(header, request->headers.end());
  const std::size_t length = std::stoul(header->second);
  const Json body = Json::parse(request->body.substr(0, length));
  std::size_t sum = 0;
  for (const Json& input : body["inputs"]) {
    sum += input["parameters"]["binary_data_size"].get<std::size_t>();
  }
  EXPECT_EQ(length + sum, request->body.size());
  EXPECT_EQ(body["inputs"][0]["parameters"]["binary_data_size"], 24);
  // 4 bytes of length, then the text.
  EXPECT_EQ(body["inputs"][2]["parameters"]["binary_data_size"], 4 + 6);
  EXPECT_EQ(request->body.substr(request->body.size() - 6, 5), "text ");
}

TEST(Oip, OneSeedGivesOneRequest) {
  EXPECT_EQ(make_oip_request(kModel, {.seed = 4})->body,
            make_oip_request(kModel, {.seed = 4})->body);
  EXPECT_NE(make_oip_request(kModel, {.seed = 4})->body,
            make_oip_request(kModel, {.seed = 5})->body);
}

TEST(Oip, SaysWhatItCannotMake) {
  const auto half = R"({"inputs": [{"name": "h", "datatype": "FP16", "shape": [1]}]})";
  EXPECT_THAT(make_oip_request(half, {}).error().message, HasSubstr("--oip binary"));
  EXPECT_TRUE(make_oip_request(half, {.binary = true}));
  for (const char* text :
       {"", "{}", R"({"inputs": [{"name": "h"}]})",
        R"({"inputs": [{"name": "h", "datatype": "X", "shape": [1]}]})",
        R"({"inputs": [{"name": "h", "datatype": "FP32", "shape": [99999, 99999, 9]}]})",
        R"({"inputs": [{"name": "h", "datatype": "FP32", "shape": [1e90]}]})"}) {
    EXPECT_FALSE(make_oip_request(text, {})) << text;
  }
}

}  // namespace
}  // namespace podsense::load
