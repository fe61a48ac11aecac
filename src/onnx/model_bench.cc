/// Measures the overhead of a run over ONNX Runtime's own call, and loading with and without the
/// cache.
///
///   PODSENSE_BENCH_MODEL=forest.onnx model_bench     # default: the committed tabular model

#include <benchmark/benchmark.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <memory>

#include "model/model.h"
#include "onnx/onnx_backend.h"
#include "onnx/ort.h"

namespace podsense::onnx {
namespace {

Candidate bench_candidate() {
  const char* file = std::getenv("PODSENSE_BENCH_MODEL");
  const std::filesystem::path path =
      file != nullptr
          ? std::filesystem::path(file)
          : std::filesystem::path(__FILE__).parent_path() / "testdata/tiny/tabular.onnx";
  return {.name = "bench",
          .version = 1,
          .folder = std::filesystem::absolute(path).parent_path(),
          .file = std::filesystem::absolute(path),
          .manifest = {},
          .fingerprint = {}};
}

/// One row of every input; floats are 0.3.
struct Row {
  explicit Row(const Signature& signature) {
    for (const TensorInfo& input : signature.inputs) {
      shape = input.shape;
      std::size_t count = 1;
      for (std::int64_t& dimension : shape) {
        dimension = dimension < 0 ? 1 : dimension;
        count *= static_cast<std::size_t>(dimension);
      }
      values.assign(count, 0.3F);
    }
  }
  std::vector<float> values;
  std::vector<std::int64_t> shape;
};

std::shared_ptr<const Model> bench_model(benchmark::State& state) {
  static const auto runtime = std::move(*make_backend({}));
  auto model = runtime->load(bench_candidate());
  if (!model) {
    state.SkipWithError(model.error().message.c_str());
    return nullptr;
  }
  return *model;
}

void ours(benchmark::State& state) {
  const auto model = bench_model(state);
  if (model == nullptr) {
    return;
  }
  const Row row(model->signature());
  const TensorView input{DataType::kFp32, row.shape, std::as_bytes(std::span(row.values))};
  Outputs outputs;
  for (auto _ : state) {
    if (!model->run({&input, 1}, outputs)) {
      state.SkipWithError("the run failed");
    }
    benchmark::DoNotOptimize(outputs[0].data.data());
  }
}
BENCHMARK(ours)->Name("run/podsense");

/// The minimum: names and tensor created once, results released.
void raw(benchmark::State& state) {
  const auto model = bench_model(state);
  if (model == nullptr) {
    return;
  }
  const Signature& signature = model->signature();
  Row row(signature);
  const OrtApi& api = Ort::GetApi();
  const Ort::Env env(ORT_LOGGING_LEVEL_ERROR, "bench");
  Ort::SessionOptions options;
  options.SetIntraOpNumThreads(1);
  options.AddConfigEntry(kOrtSessionOptionsConfigAllowIntraOpSpinning, "0");
  const Ort::Session session(env, bench_candidate().file.c_str(), options);
  const auto memory = Ort::MemoryInfo::CreateCpu(OrtArenaAllocator, OrtMemTypeDefault);
  const auto input = Ort::Value::CreateTensor<float>(memory, row.values.data(), row.values.size(),
                                                     row.shape.data(), row.shape.size());
  const std::array<const OrtValue*, 1> inputs{static_cast<const OrtValue*>(input)};
  const std::array<const char*, 1> input_names{signature.inputs[0].name.c_str()};
  std::vector<const char*> output_names;
  for (const TensorInfo& output : signature.outputs) {
    output_names.push_back(output.name.c_str());
  }
  std::vector<OrtValue*> outputs(output_names.size());
  auto* handle = const_cast<OrtSession*>(static_cast<const OrtSession*>(session));
  for (auto _ : state) {
    if (OrtStatus* failed = api.Run(handle, nullptr, input_names.data(), inputs.data(), 1,
                                    output_names.data(), output_names.size(), outputs.data())) {
      api.ReleaseStatus(failed);
      state.SkipWithError("the run failed");
    }
    for (OrtValue*& output : outputs) {
      api.ReleaseValue(output);
      output = nullptr;
    }
  }
}
BENCHMARK(raw)->Name("run/raw_c_api");

void load(benchmark::State& state) {
  const bool cached = state.range(0) != 0;
  std::string folder = (std::filesystem::temp_directory_path() / "model-bench-XXXXXX").string();
  if (cached && ::mkdtemp(folder.data()) == nullptr) {
    state.SkipWithError("no temporary folder");
    return;
  }
  const auto runtime = std::move(*make_backend({.cache_dir = cached ? folder : ""}));
  const Candidate candidate = bench_candidate();
  if (!runtime->load(candidate)) {
    state.SkipWithError("the model does not load");
  }
  for (auto _ : state) {
    benchmark::DoNotOptimize(runtime->load(candidate));
  }
  if (cached) {
    std::error_code ignored;
    std::filesystem::remove_all(folder, ignored);
  }
}
BENCHMARK(load)->Name("load")->ArgName("cached")->Arg(0)->Arg(1)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace podsense::onnx
