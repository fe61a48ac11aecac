/// Benchmarks of preprocessing, by picture and by stage. The pictures come from the golden set
/// (tests/golden/make_golden.sh), whose folder PODSENSE_GOLDEN_DIR names, default build/golden.

#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "image/image.h"

namespace podsense::image {
namespace {

std::vector<std::byte> read_file(const std::string& name) {
  const char* const set = std::getenv("PODSENSE_GOLDEN_DIR");  // NOLINT(concurrency-mt-unsafe)
  const std::filesystem::path folder = set != nullptr ? set : "build/golden";
  std::ifstream file(folder / "bench" / name, std::ios::binary);
  std::vector<std::byte> bytes;
  std::transform(std::istreambuf_iterator<char>(file), {}, std::back_inserter(bytes),
                 [](char c) { return static_cast<std::byte>(c); });
  return bytes;
}

constexpr Limits kLimits{.max_bytes = 64U << 20U, .max_time = std::chrono::hours(1)};

void convert(benchmark::State& state, const std::string& name, const TensorSpec& spec) {
  const auto bytes = read_file(name);
  if (bytes.empty()) {
    state.SkipWithError("no golden set: run tests/golden/make_golden.sh, set PODSENSE_GOLDEN_DIR");
    return;
  }
  Scratch scratch;
  std::vector<float> tensor(element_count(spec));
  while (state.KeepRunning()) {
    const auto done = to_tensor(bytes, spec, kLimits, std::span<float>(tensor), scratch);
    if (!done) {
      state.SkipWithError(done.error().message.c_str());
      return;
    }
    benchmark::DoNotOptimize(tensor.data());
  }
}

void inspect_header(benchmark::State& state, const std::string& name) {
  const auto bytes = read_file(name);
  while (state.KeepRunning()) {
    benchmark::DoNotOptimize(inspect(bytes, kLimits));
  }
}

constexpr TensorSpec kScaled{};
constexpr TensorSpec kFull{.scaled_decoding = false};

BENCHMARK_CAPTURE(inspect_header, jpeg, "640x480.jpg");
BENCHMARK_CAPTURE(convert, jpeg_640x480, "640x480.jpg", kScaled)->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(convert, jpeg_640x480_full, "640x480.jpg", kFull)->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(convert, png_640x480, "640x480.png", kScaled)->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(convert, webp_640x480, "640x480.webp", kScaled)->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(convert, jpeg_12mp, "12mp.jpg", kScaled)->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(convert, jpeg_12mp_full, "12mp.jpg", kFull)->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(convert, jpeg_12mp_progressive, "12mp_progressive.jpg", kScaled)
    ->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(convert, png_12mp, "12mp.png", kScaled)->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace podsense::image
