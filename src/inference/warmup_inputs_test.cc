#include "inference/warmup_inputs.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

#include "base/temp_folder_testing.h"
#include "model/manifest.h"

namespace podsense::inference {
namespace {

using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;

/// Has inputs `x` of reals and `ids` of whole numbers, and a manifest of the test's own.
class TwoInputs final : public model::Model {
 public:
  TwoInputs(model::Manifest manifest, bool batchable) : manifest_(std::move(manifest)) {
    signature_.batchable = batchable;
    signature_.inputs = {{.name = "x", .type = DataType::kFp32, .shape = {-1, 2}},
                         {.name = "ids", .type = DataType::kInt64, .shape = {-1, -1}}};
  }
  [[nodiscard]] const std::string& name() const override { return name_; }
  [[nodiscard]] std::uint64_t version() const override { return 1; }
  [[nodiscard]] const model::Manifest& manifest() const override { return manifest_; }
  [[nodiscard]] const model::Signature& signature() const override { return signature_; }
  [[nodiscard]] const model::Engine& engine() const override {
    static constexpr model::Engine kEngine{.backend = "test", .platform = "test", .file = ""};
    return kEngine;
  }
  [[nodiscard]] std::uint64_t file_bytes() const override { return 0; }
  Result<void> run_until(std::span<const model::TensorView>, model::Outputs&,
                         const std::stop_token&) const override {
    return {};
  }

 private:
  std::string name_ = "two";
  model::Manifest manifest_;
  model::Signature signature_;
};

class WarmupInputsTest : public testing::Test {
 protected:
  Result<WarmupInputs> make(const std::string& yaml, std::size_t rows = 1, bool batchable = true) {
    const auto manifest = model::parse_manifest(yaml, folder_.path());
    EXPECT_TRUE(manifest) << manifest.error().message;
    return WarmupInputs::make(TwoInputs(manifest.value_or(model::Manifest{}), batchable), rows, 16);
  }
  std::string reason(const std::string& yaml, std::size_t rows = 1) {
    const auto made = make(yaml, rows);
    return made ? "made" : made.error().message;
  }
  template <class T>
  static std::vector<T> values(const WarmupInputs& inputs, std::size_t index) {
    const auto data = inputs.views()[index].data;
    std::vector<T> out(data.size() / sizeof(T));
    std::memcpy(out.data(), data.data(), data.size());
    return out;
  }
  const TempFolder folder_;
};

TEST_F(WarmupInputsTest, AreZerosWhereNobodySaysOtherwise) {
  const auto inputs = make("", 3).value();
  EXPECT_TRUE(inputs.has_open_lengths());
  EXPECT_THAT(inputs.views()[0].shape, ElementsAre(3, 2));
  EXPECT_THAT(inputs.views()[1].shape, ElementsAre(3, 16));
  EXPECT_THAT(values<float>(inputs, 0), Each(0.0F));
}

TEST_F(WarmupInputsTest, TakeShapesAndRangesOfTheManifest) {
  const std::string yaml =
      "warmup: {inputs: {ids: {shape: [1, 500], range: [7, 9]}, "
      "x: {range: [-1, 1]}}}";
  const auto inputs = make(yaml).value();
  EXPECT_FALSE(inputs.has_open_lengths()) << "other lengths need not be tried";
  EXPECT_THAT(inputs.views()[1].shape, ElementsAre(1, 500));
  const auto ids = values<std::int64_t>(inputs, 1);
  EXPECT_EQ(ids.size(), 500U);
  EXPECT_THAT(ids, Each(testing::AllOf(testing::Ge(7), testing::Le(9))));
  EXPECT_THAT(ids, testing::Contains(7));
  EXPECT_THAT(ids, testing::Contains(9));
  EXPECT_THAT(values<float>(inputs, 0), Each(testing::AllOf(testing::Ge(-1), testing::Le(1))));
  EXPECT_EQ(values<std::int64_t>(make(yaml).value(), 1), ids) << "the same at every start";
}

TEST_F(WarmupInputsTest, TakeAFileOfRealValues) {
  const std::vector<std::int64_t> ids{5, 6, 7, 8};
  folder_.write("ids.bin", std::string(reinterpret_cast<const char*>(ids.data()), 32));
  const std::string yaml = "warmup: {inputs: {ids: {shape: [2, 2], file: ids.bin}}}";
  EXPECT_THAT(values<std::int64_t>(make(yaml, 2).value(), 1), ElementsAre(5, 6, 7, 8));
  EXPECT_THAT(values<std::int64_t>(make(yaml, 1).value(), 1), ElementsAre(5, 6));
  EXPECT_THAT(values<std::int64_t>(make(yaml, 3).value(), 1), ElementsAre(5, 6, 7, 8, 5, 6));
  EXPECT_EQ(reason("warmup: {inputs: {ids: {shape: [2, 3], file: ids.bin}}}"),
            "warmup of input 'ids': the file has 32 bytes, but type and shape ask for 48");
}

TEST_F(WarmupInputsTest, TakeARequestAsAClientSendsIt) {
  folder_.write("request.json", R"({"inputs":[
    {"name":"ids","shape":[1,3],"datatype":"INT64","data":[4,5,6]},
    {"name":"x","shape":[1,2],"datatype":"FP32","data":[0.5,1.5]}]})");
  const auto inputs = make("warmup: {request: request.json}", 2).value();
  EXPECT_FALSE(inputs.has_open_lengths());
  EXPECT_THAT(inputs.views()[0].shape, ElementsAre(2, 2));
  EXPECT_THAT(values<float>(inputs, 0), ElementsAre(0.5, 1.5, 0.5, 1.5));
  EXPECT_THAT(values<std::int64_t>(inputs, 1), ElementsAre(4, 5, 6, 4, 5, 6));
  folder_.write("request.json", R"({"inputs":[{"name":"x","shape":[1,2],"datatype":"FP32",
    "data":[0.5,1.5]}]})");
  EXPECT_EQ(reason("warmup: {request: request.json}"),
            "warmup.request: there is no input 'ids' of type INT64");
  folder_.write("request.json", "{");
  EXPECT_THAT(reason("warmup: {request: request.json}"), HasSubstr("warmup.request: "));
}

TEST_F(WarmupInputsTest, SayWhatDoesNotFit) {
  EXPECT_EQ(reason("warmup: {inputs: {y: {range: [0, 1]}}}"),
            "warmup of input 'y': the model has no such input");
  const auto huge = make("warmup: {inputs: {ids: {shape: [1, 1099511627776]}}}");
  ASSERT_FALSE(huge);
  EXPECT_EQ(huge.error().code, ErrorCode::kUnavailable);
  EXPECT_THAT(huge.error().message, HasSubstr("larger than this machine's memory"));
}

}  // namespace
}  // namespace podsense::inference
