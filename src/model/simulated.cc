#include <time.h>

#include <algorithm>
#include <atomic>

#include "model/onnx_session.h"

namespace podsense::model {
namespace {

class SimulatedModel final : public Model {
 public:
  explicit SimulatedModel(const Candidate& candidate)
      : name_(candidate.name), version_(candidate.version), manifest_(candidate.manifest) {
    signature_.task = Task::kSimulated;
  }
  [[nodiscard]] const std::string& name() const override { return name_; }
  [[nodiscard]] std::uint64_t version() const override { return version_; }
  [[nodiscard]] const Manifest& manifest() const override { return manifest_; }
  [[nodiscard]] const Signature& signature() const override { return signature_; }
  Result<void> run(std::span<const TensorView> /*inputs*/, Outputs& /*outputs*/) const override {
    return fail(ErrorCode::kUnimplemented,
                "the simulated model takes no tensors; ask it through /infer");
  }
  [[nodiscard]] std::uint64_t file_bytes() const override { return 0; }

 private:
  std::string name_;
  std::uint64_t version_;
  Manifest manifest_;
  Signature signature_;
};

Duration thread_cpu() {
  timespec now{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return std::chrono::seconds(now.tv_sec) + std::chrono::nanoseconds(now.tv_nsec);
}

/// A chain in which each step needs the one before, so that nothing is folded away.
double arithmetic(double x, std::uint64_t steps) {
  for (std::uint64_t i = 0; i < steps; ++i) {
    x = x * 0.999999 + 1e-6;
  }
  return x;
}

}  // namespace

std::shared_ptr<const Model> make_simulated_model(const Candidate& candidate) {
  return std::make_shared<SimulatedModel>(candidate);
}

Duration burn_cpu(Duration amount) {
  // Between two looks at the clock (a system call, up to 1 µs) lie at most 50 µs, and never more
  // than what is left by the speed just seen.
  constexpr Duration kLongest = std::chrono::microseconds(50);
  constexpr std::uint64_t kFirstSteps = 500;
  const Duration start = thread_cpu();
  Duration spent{};
  Duration last_spent{};
  std::uint64_t steps = kFirstSteps;
  double x = 0.5;
  while (spent < amount) {
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
  // The result must be wanted by somebody, or the whole loop may go.
  static std::atomic<double> sink;
  sink.store(x, std::memory_order_relaxed);
  return spent;
}

}  // namespace podsense::model
