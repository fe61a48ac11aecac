#include <algorithm>
#include <vector>

#include "model/model_testing.h"
#include "model/row_analysis.h"
#include "onnx/onnx_backend.h"

namespace podsense::onnx {
namespace {

namespace fs = std::filesystem;
using model::prove_rows_apart;
using model::read_graph;
using model::Signature;
using model::TensorInfo;
using model::testing::candidate;
using model::testing::read_file;
using model::testing::tiny;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

/// The tiny models whose names begin so: models/make_tiny.py says what each is.
std::vector<std::string> named(std::string_view prefix) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(tiny(""))) {
    if (const std::string name = entry.path().filename(); name.starts_with(prefix)) {
      names.push_back(name);
    }
  }
  std::ranges::sort(names);
  return names;
}

class RowAnalysis : public ::testing::TestWithParam<std::string> {
 protected:
  static Signature signature() {
    auto runtime = std::move(*make_backend({}));
    auto model = runtime->load(candidate(GetParam()));
    EXPECT_TRUE(model) << model.error().message << " | " << model.error().detail;
    return model ? (*model)->signature() : Signature{};
  }
};

using RowsApart = RowAnalysis;
using RowsMixed = RowAnalysis;

TEST_P(RowsApart, AreProvenApart) {
  const Signature s = signature();
  EXPECT_TRUE(s.batchable);
  EXPECT_THAT(s.rows_unproven, IsEmpty());
}

TEST_P(RowsMixed, AreNotProvenApart) {
  const Signature s = signature();
  EXPECT_TRUE(s.batchable);
  EXPECT_THAT(s.rows_unproven, Not(IsEmpty()));
}

std::string test_name(const ::testing::TestParamInfo<std::string>& info) {
  return info.param.substr(0, info.param.find('.'));
}
INSTANTIATE_TEST_SUITE_P(Models, RowsApart, ::testing::ValuesIn(named("apart_")), test_name);
INSTANTIATE_TEST_SUITE_P(Models, RowsMixed, ::testing::ValuesIn(named("mixes_")), test_name);

TEST(RowAnalysisTest, NamesTheOperatorInTheWay) {
  const auto graph = read_graph(tiny("mixes_softmax.onnx"));
  ASSERT_TRUE(graph);
  const TensorInfo x{.name = "x", .shape = {-1, 4}};
  const TensorInfo y{.name = "y", .shape = {-1, 4}};
  const auto proof = prove_rows_apart(*graph, {&x, 1}, {&y, 1});
  ASSERT_FALSE(proof);
  EXPECT_THAT(proof.error().message, HasSubstr("Softmax"));
}

TEST(RowAnalysisTest, TheOrdinaryTinyModelsKeepRowsApart) {
  auto runtime = std::move(*make_backend({}));
  for (const char* name :
       {"add_one.onnx", "sum_two_inputs.onnx", "conv_softmax.onnx", "conv_gray.onnx",
        "image_u8_nhwc.onnx", "tabular.onnx", "regressor.onnx", "strings.onnx"}) {
    auto model = runtime->load(candidate(name));
    ASSERT_TRUE(model) << name;
    EXPECT_THAT((*model)->signature().rows_unproven, IsEmpty()) << name;
  }
}

TEST(GraphTest, ReadsStructureAndSmallConstants) {
  const auto graph = read_graph(tiny("apart_attention.onnx"));
  ASSERT_TRUE(graph) << graph.error().message;
  EXPECT_EQ(graph->opset, 17);
  EXPECT_FALSE(graph->loops);
  EXPECT_EQ(graph->nodes.front().op, "Shape");
  EXPECT_EQ(graph->constants.at("heads").numbers, std::vector<std::int64_t>{2});
  EXPECT_EQ(read_graph(tiny("slow_loop.onnx"))->loops, true);
}

TEST(GraphTest, RefusesWhatIsNoModel) {
  const TempFolder folder;
  std::ofstream(folder / "cut.onnx") << read_file(tiny("tabular.onnx")).substr(0, 100);
  std::ofstream(folder / "text.onnx") << "hello, world";
  std::ofstream(folder / "empty.onnx");
  for (const char* name : {"cut.onnx", "text.onnx", "empty.onnx", "missing.onnx"}) {
    EXPECT_FALSE(read_graph(folder / name)) << name;
  }
}

}  // namespace
}  // namespace podsense::onnx
