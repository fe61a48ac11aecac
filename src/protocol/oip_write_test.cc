#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <bit>
#include <cmath>
#include <limits>
#include <random>

#include "base/text.h"
#include "protocol/oip_data.h"
#include "protocol/oip_testing.h"

namespace podsense::protocol {
namespace {

using namespace std::string_literals;

/// An answer over bytes that outlive it.
InferAnswer answer_of(std::vector<OutputTensor> outputs) {
  InferAnswer answer;
  answer.model = "m";
  answer.version = "3";
  answer.outputs = std::move(outputs);
  return answer;
}

template <class Value>
std::string written(DataType type, const std::vector<Value>& values) {
  std::string out;
  EXPECT_TRUE(write_json_data(out, type, std::as_bytes(std::span(values))));
  return out;
}

TEST(OipWrite, WritesTheSpecifiedObject) {
  const std::array<float, 2> floats{0.1F, -2};
  auto answer = answer_of({{.name = "y",
                            .type = DataType::kFp32,
                            .shape = {1, 2},
                            .data = std::as_bytes(std::span(floats)),
                            .binary_data = {}}});
  answer.id = "a\"b";
  const auto body = write_oip_answer(answer);
  ASSERT_TRUE(body);
  EXPECT_EQ(body->json, R"({"model_name":"m","model_version":"3","id":"a\"b","outputs":[)"
                        R"({"name":"y","datatype":"FP32","shape":[1,2],"data":[0.1,-2]}]})");
  EXPECT_EQ(body->json_size, std::nullopt);
}

TEST(OipWrite, LeavesOutAnIdThatWasNotGiven) {
  EXPECT_EQ(write_oip_answer(answer_of({}))->json,
            R"({"model_name":"m","model_version":"3","outputs":[]})");
}

TEST(OipWrite, BinaryDataLiesBehindTheJsonInItsOrderUncopied) {
  const std::array<std::int16_t, 2> a{1, 2};
  const std::array<float, 1> b{1};
  const std::array<std::uint8_t, 3> c{7, 8, 9};
  auto answer = answer_of({{.name = "a",
                            .type = DataType::kInt16,
                            .shape = {2},
                            .data = std::as_bytes(std::span(a)),
                            .binary_data = {}},
                           {.name = "b",
                            .type = DataType::kFp32,
                            .shape = {1},
                            .data = std::as_bytes(std::span(b)),
                            .binary_data = false},
                           {.name = "c",
                            .type = DataType::kUint8,
                            .shape = {3},
                            .data = std::as_bytes(std::span(c)),
                            .binary_data = {}}});
  answer.binary_data_output = true;
  const auto body = write_oip_answer(answer);
  ASSERT_TRUE(body);
  EXPECT_EQ(body->json_size, body->json.size());
  ASSERT_EQ(body->binary.size(), 2U);
  EXPECT_EQ(body->binary[0].data(), std::as_bytes(std::span(a)).data());
  EXPECT_EQ(body->binary[1].data(), std::as_bytes(std::span(c)).data());
  EXPECT_EQ(body->json,
            R"({"model_name":"m","model_version":"3","outputs":[)"
            R"({"name":"a","datatype":"INT16","shape":[2],"parameters":{"binary_data_size":4}},)"
            R"({"name":"b","datatype":"FP32","shape":[1],"data":[1]},)"
            R"({"name":"c","datatype":"UINT8","shape":[3],"parameters":{"binary_data_size":3}}]})");
}

TEST(OipWrite, WritesEveryType) {
  EXPECT_EQ(written<std::uint8_t>(DataType::kBool, {1, 0}), "[true,false]");
  EXPECT_EQ(written<std::uint8_t>(DataType::kUint8, {0, 255}), "[0,255]");
  EXPECT_EQ(written<std::int8_t>(DataType::kInt8, {-128, 127}), "[-128,127]");
  EXPECT_EQ(written<std::uint16_t>(DataType::kUint16, {65535}), "[65535]");
  EXPECT_EQ(written<std::int16_t>(DataType::kInt16, {-32768}), "[-32768]");
  EXPECT_EQ(written<std::uint32_t>(DataType::kUint32, {4294967295U}), "[4294967295]");
  EXPECT_EQ(written<std::int32_t>(DataType::kInt32, {-1}), "[-1]");
  EXPECT_EQ(written<std::uint64_t>(DataType::kUint64, {std::numeric_limits<std::uint64_t>::max()}),
            "[18446744073709551615]");
  EXPECT_EQ(written<std::int64_t>(DataType::kInt64, {std::numeric_limits<std::int64_t>::min()}),
            "[-9223372036854775808]");
  EXPECT_EQ(written<double>(DataType::kFp64, {0.1, -1.7976931348623157e308}),
            "[0.1,-1.7976931348623157e+308]");
  EXPECT_EQ(written<float>(DataType::kFp32, {}), "[]");
  std::string texts;
  const std::string packed = "\1\0\0\0a\0\0\0\0\3\0\0\0\"\n\\"s;
  EXPECT_TRUE(write_json_data(texts, DataType::kBytes, std::as_bytes(std::span(packed))));
  EXPECT_EQ(texts, R"(["a","","\"\n\\"])");
}

TEST(OipWrite, WhatJsonHasNotIsNull) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  EXPECT_EQ(written<float>(DataType::kFp32, {NAN, kInfinity, -kInfinity}), "[null,null,null]");
}

TEST(OipWrite, RefusesWhatHasNoJsonForm) {
  const std::array<std::byte, 2> half{};
  std::string out;
  for (const DataType type : {DataType::kFp16, DataType::kBf16}) {
    const auto refused = write_oip_answer(
        answer_of({{.name = "y", .type = type, .shape = {1}, .data = half, .binary_data = {}}}));
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().message,
              "the output 'y': " + std::string(data_type_name(type)) +
                  " has no JSON form; send and ask for it as binary data (binary_data_size, "
                  "binary_data)");
  }
  const std::string packed = "\1\0\0\0\xff"s;
  EXPECT_FALSE(write_json_data(out, DataType::kBytes, std::as_bytes(std::span(packed))));
}

// Shortest, and the same when read back: by std::to_chars, which is both by its definition.
TEST(OipWrite, NumbersAreTheShortestThatReadBack) {
  std::mt19937_64 random(5);
  for (int i = 0; i < 300'000; ++i) {
    auto value = std::bit_cast<float>(static_cast<std::uint32_t>(random()));
    if (i % 3 == 0) {
      value = std::ldexp(value, 0) - std::trunc(value);
    } else if (i % 3 == 1) {
      value = static_cast<float>(static_cast<std::int32_t>(random() % 2'000'000)) / 1000;
    }
    if (!std::isfinite(value)) {
      continue;
    }
    std::array<char, 64> text{};
    char* const end = write_json_number(text.data(), value);
    float back = 0;
    ASSERT_EQ(std::from_chars(text.data(), end, back).ptr, end);
    ASSERT_EQ(std::bit_cast<std::uint32_t>(back), std::bit_cast<std::uint32_t>(value));
    std::array<char, 64> shortest{};
    const auto length =
        std::to_chars(shortest.data(), shortest.data() + 64, value).ptr - shortest.data();
    ASSERT_LE(end - text.data(), length + 1) << text.data();
  }
}

}  // namespace
}  // namespace podsense::protocol
