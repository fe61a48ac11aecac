#include <gtest/gtest.h>

#include <limits>
#include <nlohmann/json.hpp>
#include <set>
#include <string>

#include "protocol/error_mapping.h"
#include "protocol/json_codec.h"

namespace podsense::protocol {
namespace {

using std::chrono::nanoseconds;
using Json = nlohmann::json;

template <class Answer>
Answer answered(Timing timing = {}) {
  Answer answer;
  answer.model = "m";
  answer.version = "1";
  answer.timing = timing;
  return answer;
}

template <class Write, class Answer>
std::string written(Write write, const Answer& answer, std::string_view request_id = "r") {
  std::string out;
  write(out, answer, request_id);
  return out;
}

TEST(WriteClassify, HasTheFieldsInOrder) {
  auto answer = answered<ClassifyAnswer>({.fetch = {},
                                          .queue = nanoseconds(1'500),
                                          .preprocess = nanoseconds(2'345'678),
                                          .compute = nanoseconds(10'000'000),
                                          .total = nanoseconds(12'499'499)});
  answer.predictions = {{967, "espresso", 0.93F}, {968, "cup", 1e-7F}};
  EXPECT_EQ(written(write_classify, answer),
            R"({"model":"m","version":"1","request_id":"r","predictions":[)"
            R"({"class":967,"label":"espresso","score":0.93},)"
            R"({"class":968,"label":"cup","score":1e-07}],)"
            R"("timing_ms":{"queue":0.002,"preprocess":2.346,"compute":10.000,"total":12.499}})");
}

TEST(WriteClassify, SaysThatOneFrameOfAnAnimationWasUsed) {
  auto answer = answered<ClassifyAnswer>();
  answer.frames = 12;
  EXPECT_EQ(written(write_classify, answer),
            R"({"model":"m","version":"1","request_id":"r","predictions":[],)"
            R"("animation":{"frames":12,"used":"first"},"timing_ms":{"total":0.000}})");
}

TEST(WriteClassify, HoldsAThumbnailAsADataUrl) {
  auto answer = answered<ClassifyAnswer>();
  answer.thumbnail = "\xFF\xD8\xFF\xE0";
  EXPECT_EQ(written(write_classify, answer),
            R"({"model":"m","version":"1","request_id":"r","predictions":[],)"
            R"("thumbnail":"data:image/jpeg;base64,/9j/4A==","timing_ms":{"total":0.000}})");
}

TEST(WriteClassify, NamesTheFetchWhenThereWasOne) {
  auto answer = answered<ClassifyAnswer>({.fetch = nanoseconds(1'000'000'000),
                                          .queue = {},
                                          .preprocess = {},
                                          .compute = {},
                                          .total = nanoseconds(-5)});
  EXPECT_EQ(written(write_classify, answer),
            R"({"model":"m","version":"1","request_id":"r","predictions":[],)"
            R"("timing_ms":{"fetch":1000.000,"total":0.000}})");
}

TEST(WriteFeatures, HasTheFieldsInOrder) {
  auto answer = answered<RowsAnswer>();
  answer.rows = {
      {.prediction = 1, .label = "yes", .text_label = {}, .probabilities = {0.1F, 0.9F}}};
  EXPECT_EQ(written(write_features, answer),
            R"({"model":"m","version":"1","request_id":"r","prediction":1,"label":"yes",)"
            R"("probabilities":[0.1,0.9],"timing_ms":{"total":0.000}})");
}

TEST(WriteFeatures, ATextLabelIsThePrediction) {
  auto answer = answered<RowsAnswer>();
  answer.rows = {{.prediction = 1, .label = "b", .text_label = "setosa", .probabilities = {1}}};
  EXPECT_EQ(written(write_features, answer),
            R"({"model":"m","version":"1","request_id":"r","prediction":"setosa",)"
            R"("label":"setosa","probabilities":[1],"timing_ms":{"total":0.000}})");
}

TEST(WriteInstances, HasOneEntryPerRow) {
  auto answer = answered<RowsAnswer>();
  answer.rows = {{.prediction = 1, .label = "1", .text_label = {}, .probabilities = {0.25F}},
                 {.prediction = -9, .label = "", .text_label = {}, .probabilities = {}}};
  EXPECT_EQ(written(write_instances, answer),
            R"({"model":"m","version":"1","request_id":"r","predictions":[)"
            R"({"prediction":1,"label":"1","probabilities":[0.25]},)"
            R"({"prediction":-9,"label":"-9","probabilities":[]}],"timing_ms":{"total":0.000}})");
}

TEST(WriteClassify, ADetectorsPredictionsHaveBoxes) {
  auto answer = answered<ClassifyAnswer>();
  answer.picture = {.width = 640, .height = 480};
  answer.predictions = {{.index = 2, .label = "car", .score = 0.5F, .box = {1, 2.5F, 30, 40}}};
  EXPECT_EQ(
      written(write_classify, answer),
      R"({"model":"m","version":"1","request_id":"r","predictions":[{"class":2,"label":"car",)"
      R"("score":0.5,"box":{"x_min":1,"y_min":2.5,"x_max":30,"y_max":40}}],)"
      R"("picture":{"width":640,"height":480},"timing_ms":{"total":0.000}})");
}

TEST(WriteFeatures, ScoresAreNotCalledProbabilities) {
  auto answer = answered<RowsAnswer>();
  answer.numbers = RowsAnswer::Numbers::kScores;
  answer.rows = {{.prediction = 0, .label = "a", .text_label = {}, .probabilities = {3.5F, -1}}};
  EXPECT_EQ(written(write_features, answer),
            R"({"model":"m","version":"1","request_id":"r","prediction":0,"label":"a",)"
            R"("scores":[3.5,-1],"timing_ms":{"total":0.000}})");
}

TEST(WriteFeatures, ARegressionHasItsValueOrAListOfThem) {
  auto answer = answered<RowsAnswer>();
  answer.numbers = RowsAnswer::Numbers::kValues;
  answer.rows = {{.prediction = 0, .label = {}, .text_label = {}, .values = {0.1F}}};
  EXPECT_EQ(
      written(write_features, answer),
      R"({"model":"m","version":"1","request_id":"r","value":0.1,"timing_ms":{"total":0.000}})");
  answer.numbers = RowsAnswer::Numbers::kDoubles;
  answer.rows = {{.prediction = 0, .label = {}, .text_label = {}, .values = {0.1, -2}}};
  EXPECT_EQ(written(write_instances, answer),
            R"({"model":"m","version":"1","request_id":"r","predictions":[{"value":[0.1,-2]}],)"
            R"("timing_ms":{"total":0.000}})");
}

TEST(WriteSimulate, HasTheFieldsInOrder) {
  auto answer = answered<SimulateAnswer>();
  answer.cpu = nanoseconds(25'000'400);
  EXPECT_EQ(
      written(write_simulate, answer),
      R"({"model":"m","version":"1","request_id":"r","cpu_ms":25.000,"timing_ms":{"total":0.000}})");
}

TEST(WriteError, HasMessageCodeAndRequestId) {
  std::string out = "before ";
  write_error(out, {ErrorCode::kPayloadTooLarge, "too \"big\"", "not shown"}, "r\n");
  EXPECT_EQ(out, R"(before {"error":"too \"big\"","code":"PAYLOAD_TOO_LARGE","request_id":"r\n"})");
}

TEST(WriteError, KnowsEveryCode) {
  for (const ErrorMapping& row : kErrorTable) {
    std::string out;
    write_error(out, {row.code, "m", {}}, "r");
    EXPECT_EQ(Json::parse(out).at("code"), row.name());
  }
}

TEST(Writers, EscapeWhateverTheyAreGiven) {
  const std::string hostile("\"\\\n\x01</script>\xFF\xC3\xA9\0z", 18);
  auto answer = answered<ClassifyAnswer>();
  answer.model = hostile;
  answer.version = hostile;
  answer.predictions = {{1, hostile, std::numeric_limits<float>::quiet_NaN()}};
  const Json json = Json::parse(written(write_classify, answer, hostile));
  const std::string shown("\"\\\n\x01</script>\xEF\xBF\xBD\xC3\xA9\0z", 20);
  EXPECT_EQ(json.at("model"), shown);
  EXPECT_EQ(json.at("version"), shown);
  EXPECT_EQ(json.at("request_id"), shown);
  EXPECT_EQ(json.at("predictions").at(0).at("label"), shown);
  EXPECT_TRUE(json.at("predictions").at(0).at("score").is_null());
}

TEST(Writers, WriteFloatsThatReadBackTheSame) {
  auto answer = answered<RowsAnswer>();
  RowAnswer row;
  for (float value = 1.0F; value > 0; value *= 0.37F) {
    row.probabilities.push_back(value);
  }
  answer.rows = {row};
  const Json json = Json::parse(written(write_features, answer));
  EXPECT_EQ(json.at("probabilities").get<std::vector<float>>(), row.probabilities);
}

TEST(Writers, WriteTheLongestTime) {
  auto answer = answered<SimulateAnswer>();
  answer.cpu = Duration::max();
  const Json json = Json::parse(written(write_simulate, answer));
  EXPECT_EQ(json.at("cpu_ms"), 9223372036854.775);
}

TEST(ErrorMapping, HasOneRowPerCodeWithDistinctNames) {
  std::set<std::string_view> names;
  for (const ErrorMapping& row : kErrorTable) {
    EXPECT_EQ(&mapping(row.code), &row);
    EXPECT_TRUE(names.insert(row.name()).second) << row.name();
    EXPECT_GE(row.http_status, 400);
    EXPECT_LT(row.http_status, 600);
  }
  EXPECT_EQ(mapping(ErrorCode::kInvalidArgument).http_status, 400);
  EXPECT_EQ(mapping(ErrorCode::kCancelled).http_status, 499);
  EXPECT_EQ(mapping(ErrorCode::kOverloaded).http_status, 503);
  EXPECT_EQ(mapping(ErrorCode::kOverloaded).grpc, GrpcCode::kUnavailable);
  EXPECT_EQ(mapping(ErrorCode::kRateLimited).retry, Retry::kAfterWait);
}

}  // namespace
}  // namespace podsense::protocol
