#include <atomic>
#include <thread>

#include "base/protobuf_wire.h"
#include "model/model_testing.h"
#include "onnx/onnx_backend.h"
#include "openvino/openvino_backend.h"

namespace podsense::openvino {
namespace {

using model::Candidate;
using model::Model;
using model::Outputs;
using model::Signature;
using model::TensorInfo;
using model::TensorView;
using model::testing::bytes_of;
using model::testing::candidate;
using model::testing::values_of;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

/// `nodes` matrix products one after the other, of a square matrix of any size.
std::string chain_of_products(unsigned nodes) {
  const auto value = [](std::string_view name) {
    WireMessage dimension;
    dimension.text(2, "n");
    WireMessage shape;
    shape.message(1, dimension);
    shape.message(1, dimension);
    WireMessage tensor;
    tensor.number(1, 1);
    tensor.message(2, shape);
    WireMessage type;
    type.message(1, tensor);
    WireMessage out;
    out.text(1, name);
    out.message(2, type);
    return out;
  };
  WireMessage graph;
  std::string last = "x";
  for (unsigned i = 0; i < nodes; ++i) {
    const std::string next = i + 1 == nodes ? "y" : "t" + std::to_string(i);
    WireMessage node;
    node.text(1, last);
    node.text(1, "x");
    node.text(2, next);
    node.text(4, "MatMul");
    graph.message(1, node);
    last = next;
  }
  graph.text(2, "chain");
  graph.message(11, value("x"));
  graph.message(12, value("y"));
  WireMessage opset;
  opset.number(2, 13);
  WireMessage model;
  model.number(1, 8);
  model.message(7, graph);
  model.message(8, opset);
  return model.take();
}

class OpenVinoTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    backend_ = make_backend({.runs = 2, .library = PODSENSE_OPENVINO_LIBRARY});
    reference_ = std::move(*onnx::make_backend({}));
  }
  static void TearDownTestSuite() {
    backend_.reset();
    reference_.reset();
  }
  static std::shared_ptr<const Model> load(std::string_view file) {
    auto model = backend_->load(candidate(file));
    EXPECT_TRUE(model) << file << ": " << model.error().message << " | " << model.error().detail;
    return model.value_or(nullptr);
  }
  static std::string refused(std::string_view file) {
    const auto model = backend_->load(candidate(file));
    EXPECT_FALSE(model) << file;
    return model ? "loaded" : model.error().message;
  }

  static inline std::unique_ptr<model::Backend> backend_;
  static inline std::unique_ptr<model::Backend> reference_;
};

TEST_F(OpenVinoTest, ARunGivesTheGraphsAnswer) {
  const auto model = load("add_one.onnx");
  const std::vector<float> x{1, 2, 3, 4, 5, 6, 7, 8};
  const std::vector<std::int64_t> shape{2, 4};
  const TensorView input{DataType::kFp32, shape, bytes_of(x)};
  Outputs outputs;
  ASSERT_TRUE(model->run({&input, 1}, outputs));
  ASSERT_EQ(outputs.size(), 1U);
  EXPECT_THAT(outputs[0].shape, ElementsAre(2, 4));
  EXPECT_THAT(values_of<float>(outputs[0]), ElementsAre(2, 3, 4, 5, 6, 7, 8, 9));
}

/// Swapping one engine for the other must not change what the model answers.
TEST_F(OpenVinoTest, SignaturesAreThoseOfTheReference) {
  unsigned both = 0;
  for (const auto& entry : std::filesystem::directory_iterator(model::testing::tiny(""))) {
    const auto file = entry.path().filename().string();
    if (entry.path().extension() != ".onnx") {
      continue;
    }
    const auto reference = reference_->load(candidate(file));
    const auto mine = backend_->load(candidate(file));
    if (!reference || !mine) {
      continue;
    }
    ++both;
    const Signature& a = (*reference)->signature();
    const Signature& b = (*mine)->signature();
    const auto same = [&](const std::vector<TensorInfo>& one, const std::vector<TensorInfo>& two) {
      ASSERT_EQ(one.size(), two.size()) << file;
      for (std::size_t i = 0; i < one.size(); ++i) {
        EXPECT_EQ(one[i].name, two[i].name) << file;
        EXPECT_EQ(one[i].type, two[i].type) << file;
        EXPECT_EQ(one[i].shape, two[i].shape) << file << " " << one[i].name;
        EXPECT_EQ(one[i].dim_names, two[i].dim_names) << file << " " << one[i].name;
      }
    };
    same(a.inputs, b.inputs);
    same(a.outputs, b.outputs);
    EXPECT_EQ(a.batchable, b.batchable) << file;
    EXPECT_EQ(a.rows_unproven, b.rows_unproven) << file;
    EXPECT_EQ(a.file_labels, b.file_labels) << file;
    EXPECT_EQ(a.preprocess_given, b.preprocess_given) << file;
  }
  EXPECT_GT(both, 40U);
}

TEST_F(OpenVinoTest, SaysWhatItDoesNotTake) {
  EXPECT_THAT(refused("strings.onnx"), HasSubstr("BYTES, which OpenVINO does not take"));
  EXPECT_THAT(refused("tabular_double.onnx"),
              HasSubstr("FP64, which OpenVINO computes in 32 bits"));
  EXPECT_THAT(refused("slow_loop.onnx"), HasSubstr("it has a loop"));
  EXPECT_THAT(refused("float8.onnx"), HasSubstr("an element type that is not served"));
  EXPECT_THAT(refused("any_rank.onnx"), HasSubstr("OpenVINO"));
  EXPECT_THAT(refused("external_escaping.onnx"), HasSubstr("leaves the model's folder"));
  Candidate none = candidate("add_one.onnx");
  none.file.clear();
  EXPECT_EQ(backend_->load(none).error().message, "there is no model.onnx");
}

TEST_F(OpenVinoTest, WeightsBesideTheFileAreItsOwn) {
  const auto model = load("external_inside.onnx");
  const std::vector<float> x{1, 1, 1, 1};
  const std::vector<std::int64_t> shape{1, 4};
  const TensorView input{DataType::kFp32, shape, bytes_of(x)};
  Outputs outputs;
  ASSERT_TRUE(model->run({&input, 1}, outputs));
  EXPECT_THAT(values_of<float>(outputs[0]), ElementsAre(1, 2, 3, 4));
}

/// OpenVINO would compute with what is left of it in 32 bits.
TEST_F(OpenVinoTest, RefusesNumbersOf64BitsThatItWouldCut) {
  const auto model = load("int64_double.onnx");
  EXPECT_THAT(model->signature().warnings, ::testing::Contains(HasSubstr("32 bits")));
  const std::vector<std::int64_t> shape{1, 2};
  Outputs outputs;
  for (const std::int64_t value : {std::int64_t{1} << 31U, std::int64_t{-1} << 40U}) {
    const std::vector<std::int64_t> x{1, value};
    const TensorView input{DataType::kInt64, shape, bytes_of(x)};
    const auto done = model->run({&input, 1}, outputs);
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().code, ErrorCode::kInvalidArgument);
    EXPECT_THAT(done.error().message, HasSubstr("input 'x' has " + std::to_string(value)));
  }
  const std::vector<std::int64_t> x{-7, 1 << 29};
  const TensorView input{DataType::kInt64, shape, bytes_of(x)};
  ASSERT_TRUE(model->run({&input, 1}, outputs));
  EXPECT_THAT(values_of<std::int64_t>(outputs[0]), ElementsAre(-14, 1 << 30));
}

/// Seconds of products, of which a single one takes milliseconds.
TEST_F(OpenVinoTest, EndsARunBetweenTwoNodes) {
  const model::testing::TempFolder folder;
  Candidate chain = candidate("add_one.onnx");
  chain.folder = folder.path();
  chain.file = folder.write("model.onnx", chain_of_products(1500));
  const auto model = backend_->load(chain);
  ASSERT_TRUE(model) << model.error().message << model.error().detail;
  constexpr std::int64_t kSide = 1024;
  const std::vector<std::int64_t> shape{kSide, kSide};
  const std::vector<float> x(kSide * kSide);
  const TensorView input{DataType::kFp32, shape, bytes_of(x)};
  const std::vector<std::int64_t> small_shape{2, 2};
  const TensorView small{DataType::kFp32, small_shape, bytes_of(x).first(16)};
  for (int i = 0; i < 2; ++i) {
    std::stop_source stop;
    std::atomic<bool> ended = false;
    Result<void> done;
    Outputs outputs;
    std::jthread runs([&] {
      done = (*model)->run({&input, 1}, outputs, stop.get_token());
      ended = true;
    });
    Outputs others;
    EXPECT_TRUE((*model)->run({&small, 1}, others));
    EXPECT_FALSE(ended);
    stop.request_stop();
    runs.join();
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().code, ErrorCode::kCancelled);
    EXPECT_EQ(outputs.size(), 0U);
  }
}

TEST_F(OpenVinoTest, FindsTheLibraryBesideTheBinary) {
  EXPECT_EQ(std::filesystem::weakly_canonical(find_library()),
            std::filesystem::weakly_canonical(PODSENSE_OPENVINO_LIBRARY));
}

TEST_F(OpenVinoTest, SaysThatItsLibraryCannotBeLoaded) {
  const auto broken = make_backend({.library = "/nonexistent/libpodsense_openvino.so"});
  EXPECT_THAT(broken->load(candidate("add_one.onnx")).error().message,
              HasSubstr("OpenVINO cannot be loaded"));
}

}  // namespace
}  // namespace podsense::openvino
