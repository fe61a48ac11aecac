#pragma once

/// A minimal engine: models in plain C++, without a file. For the backend contract suite, and for
/// tests that need models but not ONNX Runtime.

#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "model/backend.h"

namespace podsense::model::testing {

/// Returns each input as output.
class ToyModel final : public Model {
 public:
  explicit ToyModel(const Candidate& candidate) : candidate_(candidate) {
    signature_.inputs = {{.name = "x", .type = DataType::kFp32, .shape = {-1, 4}},
                         {.name = "t", .type = DataType::kBytes, .shape = {-1}}};
    signature_.outputs = signature_.inputs;
    signature_.outputs[0].name = "x_again";
    signature_.outputs[1].name = "t_again";
  }
  [[nodiscard]] const std::string& name() const override { return candidate_.name; }
  [[nodiscard]] std::uint64_t version() const override { return candidate_.version; }
  [[nodiscard]] const Manifest& manifest() const override { return candidate_.manifest; }
  [[nodiscard]] const Signature& signature() const override { return signature_; }
  [[nodiscard]] const Engine& engine() const override {
    static constexpr Engine kEngine{.backend = "toy", .platform = "toy", .file = ""};
    return kEngine;
  }
  [[nodiscard]] std::uint64_t file_bytes() const override { return 0; }

  /// An input value with which a run only ends when it is stopped.
  static constexpr float kEndless = -1e30F;

 private:
  Result<void> run_until(std::span<const TensorView> inputs, Outputs& outputs,
                         const std::stop_token& stop) const override {
    outputs.clear();
    if (auto fine = check_inputs(signature_.inputs, inputs); !fine) {
      return fine;
    }
    float first = 0;
    if (!inputs[0].data.empty()) {
      std::memcpy(&first, inputs[0].data.data(), sizeof(first));
    }
    while (first == kEndless) {
      if (stop.stop_requested()) {
        return fail(ErrorCode::kCancelled, "stopped");
      }
      std::this_thread::yield();
    }
    const auto tensors = outputs.resize(inputs.size());
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      tensors[i].type = inputs[i].type;
      tensors[i].shape.assign(inputs[i].shape.begin(), inputs[i].shape.end());
      tensors[i].data = inputs[i].data;  // shares the input's memory, as some engines do
    }
    std::vector<std::span<const std::byte>> borrowed;
    for (const TensorView& input : inputs) {
      borrowed.push_back(input.data);
    }
    outputs.copy_shared(borrowed);
    return {};
  }

  Candidate candidate_;
  Signature signature_;
};

class ToyBackend final : public Backend {
 public:
  [[nodiscard]] std::string_view name() const override { return "toy"; }
  [[nodiscard]] bool accepts(const Candidate& candidate) const override {
    return candidate.file.empty();
  }
  Result<std::shared_ptr<const Model>> load(const Candidate& candidate) override {
    return std::make_shared<ToyModel>(candidate);
  }
  [[nodiscard]] std::string_view version() const override { return "0"; }
};

}  // namespace podsense::model::testing
