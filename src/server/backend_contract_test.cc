/// What every backend keeps to (model/model.h, model/backend.h), tried with each: those of the
/// server, and the toy of the tests. A new backend adds a row to kSubjects.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <functional>
#include <memory>
#include <optional>
#include <ostream>
#include <span>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "model/model_testing.h"
#include "model/toy_backend_testing.h"
#include "onnx/onnx_backend.h"
#include "simulated/simulated_backend.h"
#ifdef PODSENSE_OPENVINO_LIBRARY
#include "openvino/openvino_backend.h"
#endif

namespace podsense::model {
namespace {

using ::testing::HasSubstr;

/// A model of a backend.
struct Subject {
  std::string name;
  std::function<std::unique_ptr<Backend>()> backend;
  Candidate candidate;
  /// Outputs are the inputs, in this order; empty: they are not.
  std::vector<std::size_t> echoes;
  /// Makes the first element of this input one of a run that does not end by itself, or not soon.
  std::optional<std::pair<std::size_t, std::function<void(std::span<std::byte>)>>> endless =
      std::nullopt;
};

/// What GoogleTest calls it.
void PrintTo(const Subject& subject, std::ostream* out) {  // NOLINT(readability-identifier-naming)
  *out << subject.name;
}

Candidate without_file(bool wanted) {
  Manifest manifest;
  manifest.without_file = wanted;
  return {.name = "subject", .version = 1, .manifest = manifest};
}

std::unique_ptr<Backend> onnx_backend() {
  return std::move(*onnx::make_backend({}));
}

#ifdef PODSENSE_OPENVINO_LIBRARY
std::unique_ptr<Backend> openvino_backend() {
  return openvino::make_backend({.runs = 2, .library = PODSENSE_OPENVINO_LIBRARY});
}
#endif

template <class Number>
auto first_of(std::size_t input, Number number) {
  return std::pair(input, [number](std::span<std::byte> data) {
    std::memcpy(data.data(), &number, sizeof(number));
  });
}

std::vector<Subject> subjects() {
  const auto file = [](const std::string& name, std::vector<std::size_t> echoes = {}) {
    return Subject{.name = "onnx_" + name.substr(0, name.find('.')),
                   .backend = onnx_backend,
                   .candidate = testing::candidate(name),
                   .echoes = std::move(echoes)};
  };
  std::vector<Subject> all{{.name = "toy",
                            .backend = [] { return std::make_unique<testing::ToyBackend>(); },
                            .candidate = without_file(false),
                            .echoes = {0, 1},
                            .endless = first_of(0, testing::ToyModel::kEndless)},
                           {.name = "simulated",
                            .backend = simulated::make_backend,
                            .candidate = without_file(true),
                            .echoes = {},
                            .endless = first_of(0, 60'000.0)},
                           {.name = "onnx_slow_loop",
                            .backend = onnx_backend,
                            .candidate = testing::candidate("slow_loop.onnx"),
                            .echoes = {},
                            .endless = first_of(1, std::int64_t{1} << 62U)},
                           file("identity_dyn.onnx", {0}),
                           file("passthrough.onnx"),
                           file("strings.onnx"),
                           file("add_one.onnx"),
                           file("sum_two_inputs.onnx"),
                           file("not_bool.onnx"),
                           file("int64_double.onnx"),
                           file("many_inputs.onnx"),
                           file("no_batch.onnx")};
#ifdef PODSENSE_OPENVINO_LIBRARY
  for (const std::string name :
       {"identity_dyn", "passthrough", "add_one", "sum_two_inputs", "not_bool", "int64_double",
        "many_inputs", "no_batch", "conv_softmax", "picture_means"}) {
    all.push_back({.name = "openvino_" + name,
                   .backend = openvino_backend,
                   .candidate = testing::candidate(name + ".onnx"),
                   .echoes = name == "identity_dyn" ? std::vector<std::size_t>{0}
                                                    : std::vector<std::size_t>{}});
  }
#endif
  return all;
}

/// Memory of its own for each input, which may end before the outputs do.
struct Inputs {
  std::vector<std::vector<std::int64_t>> shapes;
  std::vector<std::vector<std::byte>> data;
  std::vector<TensorView> views;

  /// Values follow from `seed`; open dimensions become `length`.
  Inputs(const Signature& signature, std::int64_t length, unsigned seed) {
    for (const TensorInfo& info : signature.inputs) {
      auto& shape = shapes.emplace_back(info.shape);
      std::size_t count = 1;
      for (std::int64_t& dimension : shape) {
        dimension = dimension < 0 ? length : dimension;
        count *= static_cast<std::size_t>(dimension);
      }
      data.push_back(values(info.type, count, seed++));
    }
    for (std::size_t i = 0; i < shapes.size(); ++i) {
      views.push_back({signature.inputs[i].type, shapes[i], data[i]});
    }
  }

  static std::vector<std::byte> values(DataType type, std::size_t count, unsigned seed) {
    std::vector<std::byte> out;
    const auto append = [&out](auto value) {
      const auto bytes = std::as_bytes(std::span(&value, 1));
      out.insert(out.end(), bytes.begin(), bytes.end());
    };
    for (std::size_t i = 0; i < count; ++i) {
      const auto number = (seed * 7 + i * 3) % 5;
      switch (type) {
        case DataType::kBytes: {
          append(static_cast<std::uint32_t>(number));
          out.insert(out.end(), number, static_cast<std::byte>('a' + i % 20));
          break;
        }
        case DataType::kFp32:
          append(static_cast<float>(number) / 4);
          break;
        case DataType::kFp64:
          append(static_cast<double>(number) / 4);
          break;
        case DataType::kBool:
          append(static_cast<std::uint8_t>(number % 2));
          break;
        default: {
          std::array<std::byte, 8> little{static_cast<std::byte>(number)};
          out.insert(out.end(), little.begin(),
                     little.begin() + static_cast<std::ptrdiff_t>(element_size(type)));
        }
      }
    }
    return out;
  }
};

/// Outputs, copied: what a caller would see.
struct Answer {
  std::vector<std::vector<std::int64_t>> shapes;
  std::vector<std::vector<std::byte>> data;
  explicit Answer(const Outputs& outputs) {
    for (std::size_t i = 0; i < outputs.size(); ++i) {
      shapes.emplace_back(outputs[i].shape.begin(), outputs[i].shape.end());
      data.emplace_back(outputs[i].data.begin(), outputs[i].data.end());
    }
  }
  bool operator==(const Answer&) const = default;
};

class BackendContract : public ::testing::TestWithParam<Subject> {
 protected:
  BackendContract() : model_(open()) {}
  std::shared_ptr<const Model> open() {
    auto loaded = backend_->load(GetParam().candidate);
    EXPECT_TRUE(loaded) << loaded.error().message;
    return loaded.value();
  }
  [[nodiscard]] const Signature& signature() const { return model_->signature(); }
  /// As a caller runs a model.
  [[nodiscard]] Result<void> run(const Inputs& inputs, Outputs& outputs) const {
    return model_->run(inputs.views, outputs).and_then([&] { return outputs.read_texts(); });
  }
  [[nodiscard]] bool open_lengths() const {
    return std::ranges::any_of(signature().inputs, [](const TensorInfo& info) {
      return std::ranges::any_of(info.shape, [](std::int64_t dimension) { return dimension < 0; });
    });
  }
  /// Error of a run with `views`, after which the model still answers as before.
  void refuses(std::span<const TensorView> views, Outputs& outputs, const std::string& what) {
    const auto run = model_->run(views, outputs);
    ASSERT_FALSE(run) << what;
    EXPECT_EQ(run.error().code, ErrorCode::kInvalidArgument) << what << run.error().message;
    EXPECT_FALSE(run.error().message.empty());
    const Inputs fine(signature(), 2, 1);
    EXPECT_TRUE(this->run(fine, outputs)) << "after " << what;
  }

  std::unique_ptr<Backend> backend_ = GetParam().backend();
  std::shared_ptr<const Model> model_;
};

TEST_P(BackendContract, SaysWhatItIs) {
  EXPECT_EQ(model_->name(), GetParam().candidate.name);
  EXPECT_EQ(model_->version(), 1U);
  EXPECT_EQ(model_->engine().backend, backend_->name());
  EXPECT_FALSE(model_->engine().platform.empty());
  EXPECT_FALSE(backend_->version().empty());
  EXPECT_TRUE(backend_->accepts(GetParam().candidate));
  EXPECT_FALSE(signature().inputs.empty());
}

TEST_P(BackendContract, OutputsHaveTheTypesAndShapesOfTheSignature) {
  for (const std::int64_t length : {1, 2, 5}) {
    const Inputs inputs(signature(), length, 3);
    Outputs outputs;
    ASSERT_TRUE(run(inputs, outputs));
    ASSERT_EQ(outputs.size(), signature().outputs.size());
    for (std::size_t i = 0; i < outputs.size(); ++i) {
      const TensorInfo& info = signature().outputs[i];
      const TensorView view = outputs[i];
      EXPECT_EQ(view.type, info.type);
      ASSERT_EQ(view.shape.size(), info.shape.size());
      std::size_t count = 1;
      for (std::size_t d = 0; d < info.shape.size(); ++d) {
        EXPECT_TRUE(info.shape[d] < 0 || info.shape[d] == view.shape[d]) << info.name;
        count *= static_cast<std::size_t>(view.shape[d]);
      }
      if (view.type == DataType::kBytes) {
        std::size_t texts = 0;
        EXPECT_TRUE(for_each_text(view.data, [&](std::string_view) { ++texts; }));
        EXPECT_EQ(texts, count);
      } else {
        EXPECT_EQ(view.data.size(), count * element_size(view.type));
        EXPECT_TRUE(is_aligned(view)) << info.name;
      }
    }
  }
}

TEST_P(BackendContract, EmptyTensorsAreTensors) {
  if (!open_lengths()) {
    GTEST_SKIP() << "all lengths are fixed";
  }
  const Inputs inputs(signature(), 0, 1);
  Outputs outputs;
  // A model may have no answer to nothing; then it says so.
  if (const auto done = run(inputs, outputs); !done) {
    EXPECT_EQ(done.error().code, ErrorCode::kInvalidArgument);
  }
  const Inputs fine(signature(), 2, 1);
  EXPECT_TRUE(run(fine, outputs));
}

TEST_P(BackendContract, EchoesWhatItIsGiven) {
  const auto& echoes = GetParam().echoes;
  if (echoes.empty()) {
    GTEST_SKIP() << "no output is an input";
  }
  for (const std::int64_t length : {0, 1, 4}) {
    const Inputs inputs(signature(), length, 2);
    Outputs outputs;
    ASSERT_TRUE(run(inputs, outputs));
    for (std::size_t i = 0; i < echoes.size(); ++i) {
      EXPECT_TRUE(std::ranges::equal(outputs[i].data, inputs.data[echoes[i]]));
    }
  }
}

TEST_P(BackendContract, OutputsOutliveInputsAndModel) {
  auto inputs = std::make_unique<Inputs>(signature(), 3, 4);
  Outputs outputs;
  ASSERT_TRUE(run(*inputs, outputs));
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    for (const auto& memory : inputs->data) {
      const std::byte* const begin = outputs[i].data.data();
      EXPECT_FALSE(!memory.empty() && begin >= memory.data() &&
                   begin < memory.data() + memory.size());
    }
  }
  const Answer before(outputs);
  for (auto& memory : inputs->data) {
    std::ranges::fill(memory, std::byte{0x5a});
  }
  inputs.reset();
  model_.reset();
  backend_.reset();
  EXPECT_EQ(Answer(outputs), before);
}

TEST_P(BackendContract, UnalignedInputsAreTakenAsAligned) {
  const Inputs inputs(signature(), 2, 5);
  Outputs outputs;
  ASSERT_TRUE(run(inputs, outputs));
  const Answer aligned(outputs);
  std::vector<std::vector<std::byte>> shifted;
  std::vector<TensorView> views = inputs.views;
  for (std::size_t i = 0; i < views.size(); ++i) {
    auto& memory = shifted.emplace_back(1);
    memory.insert(memory.end(), inputs.data[i].begin(), inputs.data[i].end());
    views[i].data = std::span(memory).subspan(1);
  }
  ASSERT_TRUE(model_->run(views, outputs).and_then([&] { return outputs.read_texts(); }));
  if (GetParam().name != "simulated") {  // its answer is a measured time
    EXPECT_EQ(Answer(outputs), aligned);
  }
}

TEST_P(BackendContract, RefusesWhatDoesNotFit) {
  const Inputs inputs(signature(), 2, 6);
  Outputs outputs;
  refuses({}, outputs, "no inputs");
  std::vector<TensorView> views = inputs.views;
  views.push_back(views.front());
  refuses(views, outputs, "one input too many");
  views = inputs.views;
  views[0].data = views[0].data.first(views[0].data.size() - 1);
  refuses(views, outputs, "a byte too few");
  views = inputs.views;
  views[0].type = views[0].type == DataType::kInt8 ? DataType::kInt16 : DataType::kInt8;
  refuses(views, outputs, "another type");
  views = inputs.views;
  std::vector<std::int64_t> deeper = inputs.shapes[0];
  deeper.push_back(1);
  views[0].shape = deeper;
  refuses(views, outputs, "another rank");
  views = inputs.views;
  std::vector<std::int64_t> negative = inputs.shapes[0];
  if (!negative.empty()) {
    negative[0] = -1;
    views[0].shape = negative;
    refuses(views, outputs, "a negative length");
  }
}

TEST_P(BackendContract, ConcurrentRunsDoNotMeet) {
  if (GetParam().name == "simulated") {
    GTEST_SKIP() << "its answer is a measured time";
  }
  constexpr unsigned kThreads = 8;
  constexpr int kRuns = 50;
  std::vector<Answer> alone;
  for (unsigned i = 0; i < kThreads; ++i) {
    Outputs outputs;
    ASSERT_TRUE(run(Inputs(signature(), 1 + i % 3, i), outputs));
    alone.emplace_back(outputs);
  }
  std::vector<int> wrong(kThreads);
  {
    std::vector<std::jthread> threads;
    for (unsigned i = 0; i < kThreads; ++i) {
      threads.emplace_back([&, i] {
        Outputs outputs;
        for (int n = 0; n < kRuns; ++n) {
          const bool done = run(Inputs(signature(), 1 + i % 3, i), outputs).has_value();
          wrong[i] += done && Answer(outputs) == alone[i] ? 0 : 1;
        }
      });
    }
  }
  EXPECT_THAT(wrong, ::testing::Each(0));
}

TEST_P(BackendContract, DoesNotBeginWhatIsCancelled) {
  const Inputs inputs(signature(), 2, 1);
  Outputs outputs;
  ASSERT_TRUE(run(inputs, outputs));
  std::stop_source cancelled;
  cancelled.request_stop();
  for (int i = 0; i < 2; ++i) {
    const auto done = model_->run(inputs.views, outputs, cancelled.get_token());
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().code, ErrorCode::kCancelled);
    EXPECT_EQ(outputs.size(), 0U);
    // What was cancelled once says nothing about later runs.
    std::stop_source wanted;
    EXPECT_TRUE(model_->run(inputs.views, outputs, wanted.get_token()));
    EXPECT_TRUE(run(inputs, outputs));
  }
}

TEST_P(BackendContract, EndsWhatIsCancelled) {
  if (!GetParam().endless) {
    GTEST_SKIP() << "all its runs end";
  }
  Inputs inputs(signature(), 2, 1);
  const auto& [index, make_endless] = *GetParam().endless;
  make_endless(inputs.data[index]);
  constexpr int kTimes = 3;  // one after the other with the same outputs, as an executor does
  Outputs outputs;
  for (int i = 0; i < kTimes; ++i) {
    std::stop_source source;
    std::atomic<bool> ended = false;
    Result<void> done;
    std::jthread runs([&] {
      done = model_->run(inputs.views, outputs, source.get_token());
      ended = true;
    });
    Outputs others;
    EXPECT_TRUE(run(Inputs(signature(), 2, 1), others));  // meanwhile it serves others
    EXPECT_FALSE(ended);
    source.request_stop();
    runs.join();
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().code, ErrorCode::kCancelled);
    EXPECT_EQ(outputs.size(), 0U);
  }
  EXPECT_TRUE(run(Inputs(signature(), 2, 1), outputs));
}

TEST_P(BackendContract, OneOutputsServesModelsInTurn) {
  const std::vector<Subject> all = subjects();
  Outputs outputs;
  for (const Subject& other : all) {
    const auto backend = other.backend();
    const auto model = backend->load(other.candidate).value();
    ASSERT_TRUE(model->run(Inputs(model->signature(), 2, 1).views, outputs)) << other.name;
    ASSERT_TRUE(run(Inputs(signature(), 2, 1), outputs)) << "after " << other.name;
    EXPECT_EQ(outputs.size(), signature().outputs.size());
  }
}

INSTANTIATE_TEST_SUITE_P(Backends, BackendContract, ::testing::ValuesIn(subjects()),
                         [](const auto& info) { return info.param.name; });

TEST(BackendsTest, TheManifestNamesTheBackend) {
  std::vector<std::unique_ptr<Backend>> list;
  list.push_back(onnx_backend());
  list.push_back(simulated::make_backend());
  const Backends backends(std::move(list));
  Candidate candidate = testing::candidate("add_one.onnx");
  EXPECT_EQ((*backends.find(candidate))->name(), "onnxruntime");
  candidate.manifest.backend = "podsense_simulated";
  EXPECT_EQ((*backends.find(candidate))->name(), "podsense_simulated");
  EXPECT_THAT(backends.load(candidate).error().message, HasSubstr("without a model.onnx"));
  candidate.manifest.backend = "tensorrt";
  EXPECT_EQ(backends.load(candidate).error().message,
            "there is no backend 'tensorrt' (accepted: onnxruntime, podsense_simulated)");
  EXPECT_EQ(backends.load(without_file(false)).error().message, "there is no model.onnx");
  EXPECT_EQ((*backends.find(without_file(true)))->name(), "podsense_simulated");
}

}  // namespace
}  // namespace podsense::model
