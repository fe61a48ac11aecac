#include "simulated/simulated_backend.h"

#include <time.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstring>
#include <string>

namespace podsense::simulated {
namespace {

constexpr std::string_view kName = "podsense_simulated";
/// The maximum CPU time of one run, in milliseconds.
constexpr double kMaxMs = 60'000;

Duration thread_cpu() {
  timespec now{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return std::chrono::seconds(now.tv_sec) + std::chrono::nanoseconds(now.tv_nsec);
}

/// Each step depends on the previous one, so that the compiler cannot simplify the loop.
double arithmetic(double x, std::uint64_t steps) {
  for (std::uint64_t i = 0; i < steps; ++i) {
    x = x * 0.999999 + 1e-6;
  }
  return x;
}

Duration burn_cpu(Duration amount, const std::stop_token& stop) {
  // Check the clock (a system call, up to 1 µs) at least every 50 µs, and never run longer than the
  // time left, estimated from the speed just measured.
  constexpr Duration kLongest = std::chrono::microseconds(50);
  constexpr std::uint64_t kFirstSteps = 500;
  const Duration start = thread_cpu();
  Duration spent{};
  Duration last_spent{};
  std::uint64_t steps = kFirstSteps;
  double x = 0.5;
  while (spent < amount && !stop.stop_requested()) {
    x = arithmetic(x, steps);
    spent = thread_cpu() - start;
    const Duration took = std::max(spent - last_spent, Duration(1));
    const Duration next = std::clamp(amount - spent, Duration::zero(), kLongest);
    last_spent = spent;
    steps =
        std::max<std::uint64_t>(1, static_cast<std::uint64_t>(static_cast<double>(steps) *
                                                              to_seconds(next) / to_seconds(took)));
    steps = std::min<std::uint64_t>(steps, 1'000'000);
  }
  // Use the result, or the compiler could remove the loop.
  static std::atomic<double> sink;
  sink.store(x, std::memory_order_relaxed);
  return spent;
}

using Milliseconds = std::chrono::duration<double, std::milli>;

class OwnedNumber final : public model::Outputs::Owner {
 public:
  double burned = 0;
  void clear() override {}
};

class SimulatedModel final : public model::Model {
 public:
  explicit SimulatedModel(const model::Candidate& candidate)
      : name_(candidate.name), version_(candidate.version), manifest_(candidate.manifest) {
    signature_.inputs = {{.name = "cpu_ms", .type = DataType::kFp64, .shape = {1}}};
    signature_.outputs = {{.name = "burned_ms", .type = DataType::kFp64, .shape = {1}}};
  }
  [[nodiscard]] const std::string& name() const override { return name_; }
  [[nodiscard]] std::uint64_t version() const override { return version_; }
  [[nodiscard]] const model::Manifest& manifest() const override { return manifest_; }
  [[nodiscard]] const model::Signature& signature() const override { return signature_; }
  [[nodiscard]] const model::Engine& engine() const override {
    static constexpr model::Engine kEngine{.backend = kName, .platform = kName, .file = ""};
    return kEngine;
  }
  [[nodiscard]] std::uint64_t file_bytes() const override { return 0; }
  [[nodiscard]] std::optional<Duration> known_run_time() const override {
    return manifest_.simulated_cpu;
  }

 private:
  Result<void> run_until(std::span<const model::TensorView> inputs, model::Outputs& outputs,
                         const std::stop_token& stop) const override {
    if (auto fine = model::check_inputs(signature_.inputs, inputs); !fine) {
      return fine;
    }
    double wanted = 0;
    std::memcpy(&wanted, inputs[0].data.data(), sizeof(wanted));
    if (!(wanted >= 0 && wanted <= kMaxMs)) {
      return fail(ErrorCode::kInvalidArgument,
                  "input 'cpu_ms' must be a number from 0 to 60000, not " + std::to_string(wanted));
    }
    auto& owned = outputs.owner<OwnedNumber>();
    const Duration burned = burn_cpu(std::chrono::round<Duration>(Milliseconds(wanted)), stop);
    if (stop.stop_requested()) {
      return fail(ErrorCode::kCancelled, "the run was cancelled");
    }
    owned.burned = std::chrono::duration_cast<Milliseconds>(burned).count();
    model::Outputs::Tensor& tensor = outputs.resize(1)[0];
    tensor.type = DataType::kFp64;
    tensor.shape.assign({1});
    tensor.data = std::as_bytes(std::span(&owned.burned, 1));
    return {};
  }

  std::string name_;
  std::uint64_t version_;
  model::Manifest manifest_;
  model::Signature signature_;
};

class SimulatedBackend final : public model::Backend {
 public:
  [[nodiscard]] std::string_view name() const override { return kName; }
  [[nodiscard]] bool accepts(const model::Candidate& candidate) const override {
    return candidate.file.empty() && candidate.manifest.without_file;
  }
  Result<std::shared_ptr<const model::Model>> load(const model::Candidate& candidate) override {
    if (!accepts(candidate)) {
      return fail(ErrorCode::kInvalidArgument,
                  "backend 'podsense_simulated' serves 'task: simulated' without a model.onnx");
    }
    return std::make_shared<SimulatedModel>(candidate);
  }
  [[nodiscard]] std::string_view version() const override { return "1"; }
};

}  // namespace

std::unique_ptr<model::Backend> make_backend() {
  return std::make_unique<SimulatedBackend>();
}

}  // namespace podsense::simulated
