// The shared library that is linked with OpenVINO. It is loaded when a model is opened by OpenVINO
// for the first time, and stays.
#include <algorithm>
#include <array>
#include <cstring>
#include <functional>
#include <new>
#include <openvino/openvino.hpp>
#include <openvino/runtime/exception.hpp>
#include <string_view>
#include <utility>

#include "openvino/engine.h"

namespace podsense::openvino {
namespace {

using ElementType = ov::element::Type_t;

struct TypePair {
  ElementType theirs;
  DataType ours;
};
constexpr std::array<TypePair, 13> kTypePairs{{
    {ElementType::f32, DataType::kFp32},
    {ElementType::i64, DataType::kInt64},
    {ElementType::u8, DataType::kUint8},
    {ElementType::i32, DataType::kInt32},
    {ElementType::f64, DataType::kFp64},
    {ElementType::boolean, DataType::kBool},
    {ElementType::i8, DataType::kInt8},
    {ElementType::u16, DataType::kUint16},
    {ElementType::i16, DataType::kInt16},
    {ElementType::u32, DataType::kUint32},
    {ElementType::u64, DataType::kUint64},
    {ElementType::f16, DataType::kFp16},
    {ElementType::bf16, DataType::kBf16},
}};

std::optional<DataType> our_type(const ov::element::Type& type) {
  const auto at = std::ranges::find(kTypePairs, static_cast<ElementType>(type), &TypePair::theirs);
  return at == kTypePairs.end() ? std::nullopt : std::optional(at->ours);
}

ov::element::Type their_type(DataType type) {
  return std::ranges::find(kTypePairs, type, &TypePair::ours)->theirs;
}

/// The last line of OpenVINO's text that is no place in its sources, at most 200 bytes.
std::string short_reason(std::string_view text) {
  constexpr std::size_t kShown = 200;
  std::string_view reason;
  while (!text.empty()) {
    const auto end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
    if (line.empty() || line.starts_with("Exception from ") || line.starts_with("Check '")) {
      continue;
    }
    // A list goes on below its title.
    reason = reason.ends_with(':') ? reason : line;
    if (reason.data() != line.data() || !line.ends_with(':')) {
      const auto length = static_cast<std::size_t>(line.data() + line.size() - reason.data());
      std::string out(reason.substr(0, 0));
      out.assign(reason.data(), length);
      std::ranges::replace(out, '\n', ' ');
      return out.substr(0, kShown);
    }
  }
  return std::string(reason.substr(0, kShown));
}

/// What was thrown, as an error; to be called where it was caught.
Error error_of(std::string_view what) try { throw; } catch (const ov::Cancelled&) {
  return {ErrorCode::kCancelled, "the run was cancelled", {}};
} catch (const std::bad_alloc&) {
  return {ErrorCode::kUnavailable, "there was not enough memory", {}};
} catch (const std::exception& e) {
  const std::string_view text(e.what());
  if (text.contains("bad_alloc") || text.contains("ailed to allocate")) {
    return {ErrorCode::kUnavailable, "there was not enough memory", std::string(text)};
  }
  return {ErrorCode::kInvalidArgument, std::string(what) + short_reason(text), std::string(text)};
} catch (...) {
  return {ErrorCode::kInternal, std::string(what) + "OpenVINO gives no reason", {}};
}

class OvRequest final : public Request {
 public:
  explicit OvRequest(ov::InferRequest request) : request_(std::move(request)) {}

  Result<void> run(std::span<const model::TensorView> inputs) override try {
    static constexpr std::array<std::byte, 64> kNothing{};  // an empty tensor needs an address too
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      const model::TensorView& view = inputs[i];
      const ov::Shape shape(view.shape.begin(), view.shape.end());
      // OpenVINO does not write into inputs.
      void* data = const_cast<std::byte*>(view.data.empty() ? kNothing.data() : view.data.data());
      request_.set_input_tensor(i, ov::Tensor(their_type(view.type), shape, data));
    }
    request_.infer();
    return {};
  } catch (...) {
    return fail(error_of("the model cannot take these values: "));
  }

  void cancel() noexcept override {
    try {
      request_.cancel();
    } catch (...) {  // NOLINT(bugprone-empty-catch): then it was not running
    }
  }

  Result<void> read(std::size_t index, model::Outputs::Tensor& into) override try {
    const ov::Tensor tensor = request_.get_output_tensor(index);
    const ov::Shape& shape = tensor.get_shape();
    into.type = our_type(tensor.get_element_type()).value_or(DataType::kBytes);
    into.shape.assign(shape.begin(), shape.end());
    const std::size_t bytes = tensor.get_byte_size();
    into.copied.resize(bytes);
    if (bytes > 0) {
      std::memcpy(into.copied.data(), tensor.data(), bytes);
    }
    into.data = into.copied;
    return {};
  } catch (...) {
    return fail(error_of("an output cannot be read: "));
  }

 private:
  ov::InferRequest request_;
};

template <class Ports>
std::vector<Port> describe(const Ports& ports) {
  std::vector<Port> out;
  for (const auto& port : ports) {
    Port& made = out.emplace_back();
    made.names.assign(port.get_names().begin(), port.get_names().end());
    made.type = our_type(port.get_element_type());
    const ov::PartialShape& shape = port.get_partial_shape();
    made.any_rank = shape.rank().is_dynamic();
    if (!made.any_rank) {
      for (const ov::Dimension& dimension : shape) {
        made.shape.push_back(dimension.is_static() ? dimension.get_length() : -1);
      }
    }
  }
  return out;
}

class OvNetwork final : public Network {
 public:
  explicit OvNetwork(ov::CompiledModel compiled)
      : compiled_(std::move(compiled)),
        inputs_(describe(compiled_.inputs())),
        outputs_(describe(compiled_.outputs())) {}
  [[nodiscard]] const std::vector<Port>& inputs() const override { return inputs_; }
  [[nodiscard]] const std::vector<Port>& outputs() const override { return outputs_; }
  Result<std::unique_ptr<Request>> make_request() override try {
    return std::make_unique<OvRequest>(compiled_.create_infer_request());
  } catch (...) {
    return fail(error_of("OpenVINO cannot prepare a run: "));
  }

 private:
  ov::CompiledModel compiled_;
  std::vector<Port> inputs_;
  std::vector<Port> outputs_;
};

/// Answers must not depend on what a CPU has beyond the rest: on some, OpenVINO would compute in 16
/// bits by itself. Runs are on the threads of those who ask.
ov::AnyMap properties(const NetworkOptions& options) {
  // Kernels are kept for every shape that was seen; strangers choose the shapes.
  constexpr int kKeptKernels = 512;
  return {ov::hint::inference_precision(ov::element::f32),
          ov::hint::execution_mode(ov::hint::ExecutionMode::ACCURACY),
          ov::num_streams(static_cast<int>(options.runs)),
          ov::inference_num_threads(static_cast<int>(options.runs * options.threads)),
          ov::hint::enable_cpu_pinning(false),
          {"CPU_RUNTIME_CACHE_CAPACITY", std::to_string(kKeptKernels)}};
}

class OvEngine final : public Engine {
 public:
  OvEngine() {
    std::string_view build(ov::get_openvino_version().buildNumber);
    version_ = build.substr(0, build.find('-'));
    core_.set_property(
        ov::enable_mmap(false));  // what is done to the file is not done to the model
  }
  [[nodiscard]] const std::string& version() const override { return version_; }
  Result<std::unique_ptr<Network>> open(const std::filesystem::path& file,
                                        const NetworkOptions& options) override try {
    const auto model = core_.read_model(file.string());
    return std::make_unique<OvNetwork>(core_.compile_model(model, "CPU", properties(options)));
  } catch (...) {
    return fail(error_of({}));
  }

 private:
  ov::Core core_;
  std::string version_;
};

}  // namespace
}  // namespace podsense::openvino

/// The one engine of the process; never destroyed, since threads of OpenVINO use it to the end.
extern "C" __attribute__((visibility("default"))) podsense::openvino::Engine*
podsense_openvino_engine(int interface) {
  using podsense::openvino::kEngineInterface;
  try {
    static auto* const engine =
        interface == kEngineInterface ? new podsense::openvino::OvEngine : nullptr;
    return engine;
  } catch (...) {
    return nullptr;
  }
}
