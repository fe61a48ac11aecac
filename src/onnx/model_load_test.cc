#include <dirent.h>

#include <atomic>
#include <thread>

#include "base/digest.h"
#include "base/memory_budget.h"
#include "model/model_testing.h"
#include "onnx/counting_allocator.h"
#include "onnx/onnx_backend.h"

namespace podsense::onnx {
namespace {

namespace fs = std::filesystem;
using model::Candidate;
using model::Manifest;
using model::Model;
using model::Outputs;
using model::parse_manifest;
using model::Signature;
using model::TensorInfo;
using model::TensorView;
using model::testing::bytes_of;
using model::testing::candidate;
using model::testing::read_file;
using model::testing::TempFolder;
using model::testing::tiny;
using model::testing::values_of;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

class ModelTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { runtime_ = std::move(*make_backend({})).release(); }
  static void TearDownTestSuite() {
    delete runtime_;
    runtime_ = nullptr;
  }

  static std::shared_ptr<const Model> load(std::string_view file, Manifest manifest = {}) {
    auto model = runtime_->load(candidate(file, std::move(manifest)));
    EXPECT_TRUE(model) << file << ": " << model.error().message << " | " << model.error().detail;
    return model.value_or(nullptr);
  }
  static Signature signature(std::string_view file, Manifest manifest = {}) {
    const auto model = load(file, std::move(manifest));
    return model == nullptr ? Signature{} : model->signature();
  }
  static std::string refused(const Candidate& what) {
    const auto model = runtime_->load(what);
    if (model) {
      return "loaded";
    }
    EXPECT_EQ(model.error().code, ErrorCode::kInvalidArgument);
    return model.error().message;
  }
  static std::string refused(std::string_view file, const Manifest& manifest = {}) {
    return refused(candidate(file, manifest));
  }
  static Manifest yaml(std::string_view text) {
    auto manifest = parse_manifest(text, "/nonexistent");
    EXPECT_TRUE(manifest) << manifest.error().message;
    return manifest.value_or(Manifest{});
  }

  static inline model::Backend* runtime_ = nullptr;
};

TEST_F(ModelTest, ARunGivesTheGraphsAnswer) {
  const auto model = load("add_one.onnx");
  const std::vector<float> x{1, 2, 3, 4, 5, 6, 7, 8};
  const std::vector<std::int64_t> shape{2, 4};
  const TensorView input{DataType::kFp32, shape, bytes_of(x)};
  Outputs outputs;
  ASSERT_TRUE(model->run({&input, 1}, outputs));
  ASSERT_EQ(outputs.size(), 1U);
  EXPECT_EQ(outputs[0].type, DataType::kFp32);
  EXPECT_THAT(outputs[0].shape, ElementsAre(2, 4));
  EXPECT_THAT(values_of<float>(outputs[0]), ElementsAre(2, 3, 4, 5, 6, 7, 8, 9));
}

TEST_F(ModelTest, OutputsAreReusedAcrossModelsAndShapes) {
  const auto one = load("add_one.onnx");
  const auto two = load("sum_two_inputs.onnx");
  Outputs outputs;
  const std::vector<float> values{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
  for (const std::int64_t rows : {1, 3, 2}) {
    const std::vector<std::int64_t> shape{rows, 4};
    const TensorView input{DataType::kFp32, shape,
                           bytes_of(values).first(static_cast<std::size_t>(rows) * 16)};
    ASSERT_TRUE(one->run({&input, 1}, outputs));
    ASSERT_EQ(outputs.size(), 1U);
    EXPECT_THAT(outputs[0].shape, ElementsAre(rows, 4));
  }
  const std::vector<std::int64_t> shape{1, 3};
  const std::vector<TensorView> inputs(2, {DataType::kFp32, shape, bytes_of(values).first(12)});
  ASSERT_TRUE(two->run(inputs, outputs));
  ASSERT_EQ(outputs.size(), 2U);
  EXPECT_THAT(values_of<float>(outputs[0]), ElementsAre(2, 4, 6));
  EXPECT_THAT(values_of<float>(outputs[1]), ElementsAre(1, 4, 9));
  Outputs moved = std::move(outputs);
  EXPECT_EQ(moved.size(), 2U);
}

TEST_F(ModelTest, RunsOfOneShapeGiveEachItsOwnValues) {
  const auto one = load("add_one.onnx");
  const auto another = load("add_one.onnx");
  const std::vector<std::int64_t> shape{1, 4};
  Outputs outputs;
  for (int i = 0; i < 6; ++i) {
    const auto first = static_cast<float>(i);
    const std::vector<float> values{first, first * 2, first * 3, -first};
    const TensorView input{DataType::kFp32, shape, bytes_of(values)};
    ASSERT_TRUE((i < 3 ? one : another)->run({&input, 1}, outputs));
    ASSERT_EQ(outputs.size(), 1U);
    EXPECT_THAT(outputs[0].shape, ElementsAre(1, 4));
    EXPECT_THAT(values_of<float>(outputs[0]),
                ElementsAre(first + 1, first * 2 + 1, first * 3 + 1, 1 - first));
  }
}

/// The budget of this process, for one test.
class OverBudget : public ModelTest {
 protected:
  OverBudget() { count_in(&budget_); }
  ~OverBudget() override { count_in(nullptr); }
  OverBudget(const OverBudget&) = delete;
  OverBudget& operator=(const OverBudget&) = delete;

  static Result<void> fill(const Model& model, std::int64_t numbers, Outputs& outputs) {
    static constexpr std::array<std::int64_t, 1> kOne{1};
    const TensorView input{DataType::kInt64, kOne, std::as_bytes(std::span(&numbers, 1))};
    return model.run({&input, 1}, outputs);
  }

  MemoryBudget budget_{64 << 20};
};

TEST_F(OverBudget, ARunFailsAloneAndSaysHowMuchThereIs) {
  const auto model = load("fill.onnx");
  Outputs outputs;
  for (const std::int64_t numbers :
       {std::int64_t{20'000'000}, std::int64_t{4'000'000'000}, std::int64_t{1} << 60}) {
    const auto refused = fill(*model, numbers, outputs);
    ASSERT_FALSE(refused) << numbers;
    EXPECT_EQ(refused.error().code, ErrorCode::kPayloadTooLarge) << refused.error().message;
    EXPECT_THAT(refused.error().message, HasSubstr("this server has 59 MB"));
    ASSERT_TRUE(fill(*model, 10, outputs));
    EXPECT_THAT(outputs[0].shape, ElementsAre(10));
  }
  EXPECT_EQ(budget_.refused(MemoryUse::kTensors), 3U);
}

TEST_F(OverBudget, WhatOtherRunsHoldIsMissingUntilTheyLetGo) {
  const auto model = load("fill.onnx");
  {
    Outputs held;
    ASSERT_TRUE(fill(*model, 10'000'000, held));
    EXPECT_GE(budget_.used(MemoryUse::kTensors), 40'000'000U);
    Outputs outputs;
    const auto refused = fill(*model, 8'000'000, outputs);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ErrorCode::kOverloaded);
    EXPECT_GT(refused.error().retry_after.count(), 0);
  }
  Outputs outputs;
  EXPECT_TRUE(fill(*model, 8'000'000, outputs));
}

TEST_F(OverBudget, WeightsAreNoPartOfIt) {
  const auto used = budget_.used();
  const auto model = load("apart_mlp.onnx");
  EXPECT_LE(budget_.used() - used, 64U << 10U);
}

TEST_F(ModelTest, AnOutputThatIsAnInputOutlivesTheInput) {
  const auto model = load("passthrough.onnx");
  const std::vector<std::int64_t> shape{1, 4};
  Outputs outputs;
  for (const std::size_t shift : {0U, 0U, 1U, 1U}) {  // 1: not aligned, so copied on the way in
    auto memory = std::make_unique<std::byte[]>(17);
    const std::vector<float> values{1, 2, 3, 4};
    std::memcpy(memory.get() + shift, values.data(), 16);
    const TensorView input{DataType::kFp32, shape, {memory.get() + shift, 16}};
    ASSERT_TRUE(model->run({&input, 1}, outputs));
    memory.reset();
    ASSERT_EQ(outputs.size(), 2U);
    EXPECT_THAT(values_of<float>(outputs[0]), ElementsAre(-1, -2, -3, -4));
    EXPECT_THAT(values_of<float>(outputs[1]), ElementsAre(1, 2, 3, 4));
  }
}

TEST_F(ModelTest, AnInputOfUnknownRankTakesAnyShape) {
  const auto model = load("any_rank.onnx");
  const std::vector<float> values{1, 2, 3, 4};
  for (const std::vector<std::int64_t>& shape :
       {std::vector<std::int64_t>{4}, {2, 2}, {1, 2, 1, 2}}) {
    const TensorView input{DataType::kFp32, shape, bytes_of(values)};
    Outputs outputs;
    ASSERT_TRUE(model->run({&input, 1}, outputs));
    EXPECT_THAT(outputs[0].shape, ::testing::ElementsAreArray(shape));
  }
}

TEST_F(ModelTest, ARefusedRunSpoilsNoLaterOne) {
  const auto model = load("gather_fail.onnx");
  const std::vector<std::int64_t> shape{1};
  Outputs outputs;
  for (const std::int64_t wanted : {1, 2, 9, 3, 3, 0}) {
    const std::vector<std::int64_t> index{wanted};
    const TensorView input{DataType::kInt64, shape, bytes_of(index)};
    const auto done = model->run({&input, 1}, outputs);
    if (wanted == 9) {
      EXPECT_EQ(done.error().code, ErrorCode::kInvalidArgument);
      EXPECT_EQ(outputs.size(), 0U);
      continue;
    }
    ASSERT_TRUE(done) << done.error().message;
    EXPECT_THAT(values_of<float>(outputs[0]), ElementsAre(static_cast<float>(wanted)));
  }
}

TEST_F(ModelTest, OutputsOutliveTheirModel) {
  auto model = load("add_one.onnx");
  const std::vector<float> x{1, 2, 3, 4};
  const std::vector<std::int64_t> shape{1, 4};
  const TensorView input{DataType::kFp32, shape, bytes_of(x)};
  Outputs outputs;
  ASSERT_TRUE(model->run({&input, 1}, outputs));
  model.reset();
  EXPECT_THAT(values_of<float>(outputs[0]), ElementsAre(2, 3, 4, 5));
}

TEST_F(ModelTest, OtherTypesAndManyInputsRun) {
  Outputs outputs;
  const std::vector<std::int64_t> shape{2, 2};
  const std::vector<std::int64_t> whole{1, -2, 3, std::int64_t{1} << 40};
  const TensorView longs{DataType::kInt64, shape, bytes_of(whole)};
  ASSERT_TRUE(load("int64_double.onnx")->run({&longs, 1}, outputs));
  EXPECT_THAT(values_of<std::int64_t>(outputs[0]), ElementsAre(2, -4, 6, std::int64_t{1} << 41));

  const std::vector<float> values{1, 2, 3, 4};
  const std::vector<TensorView> many(12, {DataType::kFp32, shape, bytes_of(values)});
  ASSERT_TRUE(load("many_inputs.onnx")->run(many, outputs));
  EXPECT_THAT(values_of<float>(outputs[0]), ElementsAre(12, 24, 36, 48));

  const TensorView matrix{DataType::kFp32, shape, bytes_of(values)};
  ASSERT_TRUE(load("no_batch.onnx")->run({&matrix, 1}, outputs));
  EXPECT_THAT(outputs[0].shape, ElementsAre());
  EXPECT_THAT(values_of<float>(outputs[0]), ElementsAre(10));
}

TEST_F(ModelTest, UnalignedMemoryIsCopied) {
  const auto model = load("add_one.onnx");
  const std::vector<float> x{1, 2, 3, 4};
  std::vector<std::byte> shifted(17);
  std::memcpy(shifted.data() + 1, x.data(), 16);
  const std::vector<std::int64_t> shape{1, 4};
  const TensorView input{DataType::kFp32, shape, std::span(shifted).subspan(1)};
  Outputs outputs;
  ASSERT_TRUE(model->run({&input, 1}, outputs));
  EXPECT_THAT(values_of<float>(outputs[0]), ElementsAre(2, 3, 4, 5));
}

TEST_F(ModelTest, InputsThatDoNotFitAreRefused) {
  const auto model = load("add_one.onnx");
  const std::vector<float> x(8);
  using Shape = std::vector<std::int64_t>;
  const auto run = [&](DataType type, const Shape& shape, std::size_t bytes) {
    const TensorView input{type, shape, bytes_of(x).first(bytes)};
    Outputs outputs;
    const auto done = model->run({&input, 1}, outputs);
    EXPECT_EQ(outputs.size(), done ? 1U : 0U);
    return done ? "fine" : done.error().message;
  };
  EXPECT_EQ(run(DataType::kFp32, {2, 4}, 32), "fine");
  EXPECT_EQ(run(DataType::kInt32, {2, 4}, 32), "input 'x' must be FP32, not INT32");
  const std::string shape = "input 'x' must have shape [N, 4] (N: any length), not ";
  EXPECT_EQ(run(DataType::kFp32, {2, 3}, 24), shape + "[2, 3]");
  EXPECT_EQ(run(DataType::kFp32, {8}, 32), shape + "[8]");
  EXPECT_EQ(run(DataType::kFp32, {}, 4), shape + "[]");
  EXPECT_EQ(run(DataType::kFp32, {0, 4}, 0), "fine");
  EXPECT_EQ(run(DataType::kFp32, {-1, 4}, 16), shape + "[N, 4]");
  EXPECT_EQ(run(DataType::kFp32, {std::int64_t{1} << 62, 4}, 0),
            shape + "[4611686018427387904, 4]");
  EXPECT_EQ(run(DataType::kFp32, {2, 4}, 31), "input 'x' of shape [2, 4] takes 32 bytes, not 31");
  Outputs outputs;
  EXPECT_EQ(model->run({}, outputs).error().message, "the model takes 1 inputs, not 0");
}

TEST_F(ModelTest, BoolsAreZeroOrOne) {
  const auto model = load("not_bool.onnx");
  const std::vector<std::int64_t> shape{2};
  std::vector<std::uint8_t> x{0, 1};
  const TensorView input{DataType::kBool, shape, bytes_of(x)};
  Outputs outputs;
  ASSERT_TRUE(model->run({&input, 1}, outputs));
  EXPECT_THAT(values_of<std::uint8_t>(outputs[0]), ElementsAre(1, 0));
  x[0] = 2;
  EXPECT_EQ(model->run({&input, 1}, outputs).error().message, "input 'x' must hold only 0 and 1");
}

TEST_F(ModelTest, ValuesTheGraphCannotTakeAreTheClientsFault) {
  const auto model = load("gather_fail.onnx");
  const std::vector<std::int64_t> shape{1};
  const std::vector<std::int64_t> index{9};
  const TensorView input{DataType::kInt64, shape, bytes_of(index)};
  Outputs outputs;
  const auto done = model->run({&input, 1}, outputs);
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(done.error().message,
            "the model cannot take these values: indices element out of data bounds, idx=9 must "
            "be within the inclusive range [-4,3]");
  EXPECT_THAT(done.error().detail, HasSubstr("Gather"));
}

TEST_F(ModelTest, TextsGoThroughByteForByte) {
  using namespace std::string_literals;
  const auto model = load("strings.onnx");
  EXPECT_EQ(model->signature().inputs[0].type, DataType::kBytes);
  const std::string texts = "\3\0\0\0abc\0\0\0\0\2\0\0\0\0\xff"s;
  const std::vector<std::int64_t> shape{3};
  const TensorView input{DataType::kBytes, shape, std::as_bytes(std::span(texts))};
  Outputs outputs;
  ASSERT_TRUE(model->run({&input, 1}, outputs));
  EXPECT_TRUE(outputs[0].data.empty());
  ASSERT_TRUE(outputs.read_texts());
  EXPECT_EQ(values_of<char>(outputs[0]), std::vector<char>(texts.begin(), texts.end()));
  EXPECT_EQ(std::vector(outputs[0].shape.begin(), outputs[0].shape.end()), shape);
}

TEST_F(ModelTest, RefusesTextsThatAreNotWhole) {
  using namespace std::string_literals;
  const auto model = load("strings.onnx");
  const auto refusal = [&](const std::string& texts, std::int64_t count) {
    const TensorView input{DataType::kBytes, {&count, 1}, std::as_bytes(std::span(texts))};
    Outputs outputs;
    return model->run({&input, 1}, outputs).error().message;
  };
  EXPECT_EQ(refusal("\1\0\0\0a"s, 2),
            "input 'x' of shape [2] takes 2 texts, each after its length; got 1");
  EXPECT_EQ(refusal("\1\0\0\0a\2\0\0\0b"s, 2),
            "input 'x' of shape [2] takes 2 texts, each after its length; got 1 and a part of one");
  EXPECT_EQ(refusal("\1\0"s, 1),
            "input 'x' of shape [1] takes 1 texts, each after its length; got 0 and a part of one");
}

TEST_F(ModelTest, ManyThreadsRunAtOnce) {
  const auto model = load("tabular.onnx");
  std::atomic<int> right{0};
  constexpr int kThreads = 4;
  constexpr int kRuns = 50;
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < kThreads; ++t) {
      threads.emplace_back([&, t] {
        const std::vector<float> x(20, 0.1F * static_cast<float>(t));
        const std::vector<std::int64_t> shape{1, 20};
        const TensorView input{DataType::kFp32, shape, bytes_of(x)};
        Outputs outputs;
        std::vector<float> first;
        for (int i = 0; i < kRuns; ++i) {
          if (model->run({&input, 1}, outputs)) {
            const auto scores = values_of<float>(outputs[1]);
            first = first.empty() ? scores : first;
            right += scores == first ? 1 : 0;
          }
        }
      });
    }
  }
  EXPECT_EQ(right, kThreads * kRuns);
}

TEST_F(ModelTest, DescribesATensorModel) {
  const Signature s = signature("sum_two_inputs.onnx");
  ASSERT_EQ(s.inputs.size(), 2U);
  EXPECT_EQ(s.inputs[1].name, "b");
  EXPECT_THAT(s.inputs[1].shape, ElementsAre(-1, 3));
  EXPECT_EQ(s.outputs[1].name, "product");
  EXPECT_TRUE(s.batchable);
  EXPECT_FALSE(signature("fixed_batch2.onnx").batchable);
  EXPECT_FALSE(signature("no_batch.onnx").batchable);
}

TEST_F(ModelTest, TellsWhatTheMetadataSay) {
  const Signature plain = signature("tabular.onnx");
  EXPECT_THAT(plain.file_labels, ElementsAre("no", "yes"));
  EXPECT_FALSE(plain.preprocess_given);
  const Signature picture = signature("conv_preprocess.onnx", yaml("preprocess: {mean: 9}"));
  EXPECT_TRUE(picture.preprocess_given);
  EXPECT_EQ(picture.preprocess.resize, "squash");
  EXPECT_THAT(picture.preprocess.mean, ElementsAre(9, 9, 9));
  EXPECT_EQ(refused("float8.onnx"), "input 'x' has an element type that is not served");
}

TEST_F(ModelTest, SizeAndDigestAreCheckedFirst) {
  EXPECT_EQ(refused("add_one.onnx", yaml("limits: {max_bytes: 10}")),
            "add_one.onnx has " + std::to_string(fs::file_size(tiny("add_one.onnx"))) +
                " bytes; 'limits.max_bytes' allows 10");
  Manifest manifest;
  manifest.sha256 = *sha256_file(tiny("add_one.onnx"));
  EXPECT_EQ(load("add_one.onnx", manifest)->file_bytes(), fs::file_size(tiny("add_one.onnx")));
  EXPECT_EQ(refused("int64_double.onnx", manifest), "the SHA-256 of int64_double.onnx is " +
                                                        *sha256_file(tiny("int64_double.onnx")) +
                                                        ", but model.yaml says " + manifest.sha256);
}

TEST_F(ModelTest, ExternalDataStaysInsideTheFolder) {
  const auto model = load("external_inside.onnx");
  const std::vector<float> x(4);
  const std::vector<std::int64_t> shape{1, 4};
  const TensorView input{DataType::kFp32, shape, bytes_of(x)};
  Outputs outputs;
  ASSERT_TRUE(model->run({&input, 1}, outputs));
  EXPECT_THAT(values_of<float>(outputs[0]), ElementsAre(0, 1, 2, 3));

  const std::string end = " leaves the model's folder; name a file inside it";
  EXPECT_EQ(refused("external_escaping.onnx"), "external data: '../../etc/passwd'" + end);
  EXPECT_EQ(refused("external_absolute.onnx"), "external data: '/etc/passwd'" + end);
  EXPECT_EQ(refused("external_hidden_dots.onnx"), "external data: 'a/../../weights.bin'" + end);
  EXPECT_EQ(refused("external_nested.onnx"), "external data: '../secret.bin'" + end);
}

TEST_F(ModelTest, ExternalDataBehindALinkIsRefused) {
  const TempFolder outside;
  outside.write("secret", std::string(16, '\0'));
  const TempFolder folder;
  fs::copy(tiny("external_inside.onnx"), folder / "model.onnx");
  Candidate c = candidate("add_one.onnx");
  c.folder = folder.path();
  c.file = folder / "model.onnx";
  EXPECT_EQ(refused(c), "external data: there is no file 'weights.bin' in the model's folder");
  fs::create_symlink(outside / "secret", folder / "weights.bin");
  EXPECT_EQ(refused(c), "external data: 'weights.bin' is a link that leaves the model's folder");
  fs::remove(folder / "weights.bin");
  fs::copy(tiny("weights.bin"), folder / "weights.bin");
  EXPECT_EQ(refused(c), "loaded");
  c.manifest = yaml("limits: {max_bytes: 170}");
  EXPECT_THAT(refused(c), StartsWith("model.onnx and its external data have "));
}

TEST_F(ModelTest, BrokenFilesAreRefusedWithAReason) {
  const TempFolder folder;
  const std::string whole = read_file(tiny("conv_softmax.onnx"));
  const auto reason = [&](std::string_view content) {
    Candidate c = candidate("add_one.onnx");
    c.folder = folder.path();
    c.file = folder.write("model.onnx", content);
    return refused(c);
  };
  EXPECT_EQ(reason(""), "model.onnx: the file is empty");
  EXPECT_EQ(reason("version https://git-lfs.github.com/spec/v1\noid sha256:12\nsize 3\n"),
            "model.onnx: a Git LFS pointer, not the model; run 'git lfs pull' and copy it again");
  EXPECT_EQ(reason("<!DOCTYPE html>"),
            "model.onnx: not an ONNX model, or cut short: broken at byte 0 of 15");
  EXPECT_THAT(reason(std::string_view(whole).substr(0, whole.size() / 2)),
              StartsWith("model.onnx: not an ONNX model, or cut short: broken at byte "));
  EXPECT_EQ(reason(std::string_view("\x08\x08", 2)),
            "model.onnx: not an ONNX model: it holds no graph");
  std::string changed = whole;
  const auto conv = changed.find("Conv");
  changed.replace(conv, 4, "Cnov");
  EXPECT_THAT(reason(changed), StartsWith("ONNX Runtime cannot open model.onnx: "));
  EXPECT_THAT(reason(changed), ::testing::Not(HasSubstr("/onnxruntime_src")));
  Candidate gone = candidate("add_one.onnx");
  gone.file = folder / "none.onnx";
  EXPECT_EQ(refused(gone), "none.onnx cannot be read: No such file or directory");
}

TEST_F(ModelTest, ModelsOutliveTheRuntime) {
  auto other = std::move(*make_backend({.memory_arena = false}));
  EXPECT_THAT(std::string(other->version()), StartsWith("1."));
  const auto model = *other->load(candidate("add_one.onnx"));
  other.reset();
  const std::vector<float> x(4);
  const std::vector<std::int64_t> shape{1, 4};
  const TensorView input{DataType::kFp32, shape, bytes_of(x)};
  Outputs outputs;
  EXPECT_TRUE(model->run({&input, 1}, outputs));
}

std::size_t open_sockets() {
  std::size_t count = 0;
  for (const auto& entry : fs::directory_iterator("/proc/self/fd")) {
    std::error_code gone;
    count += fs::read_symlink(entry.path(), gone).string().starts_with("socket:") ? 1U : 0U;
  }
  return count;
}

// Official builds report model and graph names from 1.29 on. A test of the whole process watches
// its connections; here: the switch is set, and no socket and no store of events appears.
TEST(Telemetry, IsOffBeforeTheLibraryIsUsed) {
  const TempFolder home;
  ::setenv("HOME", home.path().c_str(), 1);
  ::setenv("XDG_CACHE_HOME", (home / "cache").c_str(), 1);
  ::setenv("ORT_DISABLE_TELEMETRY", "0", 1);
  // In a process of its own, in which no test before has used the library.
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(
      {
        const std::size_t sockets = open_sockets();
        const auto runtime = make_backend({});
        const auto model = (*runtime)->load(candidate("add_one.onnx"));
        const char* value = ::getenv("ORT_DISABLE_TELEMETRY");
        const bool off = value != nullptr && std::string_view(value) == "1";
        const bool quiet = open_sockets() == sockets && fs::is_empty(home.path());
        fs::remove_all(home.path());
        std::_Exit(model && off && quiet ? 0 : 1);
      },
      ::testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace podsense::onnx
