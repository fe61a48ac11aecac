#include "onnx/onnx_session.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <memory>
#include <new>
#include <ranges>
#include <stdexcept>
#include <utility>

#include "model/cost_analysis.h"
#include "model/onnx_graph.h"
#include "model/row_analysis.h"
#include "model/signature.h"
#include "onnx/counting_allocator.h"
#include "onnx/division_trap.h"
#include "onnx/onnx_tensors.h"

namespace podsense::onnx {
namespace {

using model::FileDescription;

/// The number of inputs or outputs of ordinary models; more need heap memory.
constexpr std::size_t kFewTensors = 8;
/// An input up to this size is copied, so that the next run can reuse its tensor.
constexpr std::size_t kKeptInput = 4096;

constexpr std::string_view kOutOfMemory = "there was not enough memory for this run";

/// Most run failures are caused by values that the graph rejects (index out of bounds, incompatible
/// shapes); out of memory is not.
Error run_error(OrtStatus* raw) {
  const OrtStatusPtr status(raw);
  const char* text = Ort::GetApi().GetErrorMessage(status.get());
  if (says_out_of_memory(text)) {
    return {ErrorCode::kUnavailable, std::string(kOutOfMemory), text};
  }
  switch (Ort::GetApi().GetErrorCode(status.get())) {
    case ORT_INVALID_ARGUMENT:
    case ORT_FAIL:
    case ORT_RUNTIME_EXCEPTION:
      return {ErrorCode::kInvalidArgument,
              "the model cannot take these values: " + short_reason(text), text};
    default:
      return {ErrorCode::kInternal, "the model could not be run", text};
  }
}

std::uint64_t next_serial() {
  static std::atomic<std::uint64_t> last{0};
  return ++last;
}

/// Run options with which ONNX Runtime ends a run, between two operators or loop iterations, when
/// `stop` is requested. Terminated options stay terminated, so each run that can be stopped needs
/// its own; all others share one.
class StoppableOptions {
 public:
  StoppableOptions(const Ort::RunOptions& shared, const std::stop_token& stop)
      : stop_(stop), used_(shared) {
    if (!stop.stop_possible()) {
      return;
    }
    own_ = Ort::RunOptions();
    quiet(own_);
    used_ = own_;
    terminate_.emplace(stop, Terminate{own_});
  }
  [[nodiscard]] const OrtRunOptions* get() const { return used_; }
  [[nodiscard]] bool stopped() const { return stop_.stop_requested(); }

  /// Otherwise every refused request would write a log line; the caller gets the text anyway.
  static void quiet(Ort::RunOptions& options) {
    options.SetRunLogSeverityLevel(ORT_LOGGING_LEVEL_FATAL);
  }

 private:
  struct Terminate {
    OrtRunOptions* options;
    void operator()() const noexcept {
      const OrtStatusPtr ignored(Ort::GetApi().RunOptionsSetTerminate(options));
    }
  };
  const std::stop_token& stop_;
  const OrtRunOptions* used_;
  Ort::RunOptions own_{nullptr};
  std::optional<std::stop_callback<Terminate>> terminate_;  // destroyed before the options
};

class OnnxModel final : public Model {
 public:
  OnnxModel(OpenSession open, const Candidate& candidate, Signature signature)
      : name_(candidate.name),
        version_(candidate.version),
        manifest_(candidate.manifest),
        signature_(std::move(signature)),
        file_(candidate.file.filename().string()),
        engine_{.backend = kBackendName, .platform = "onnxruntime_onnx", .file = file_},
        open_(std::move(open)),
        session_(open_.session) {
    StoppableOptions::quiet(run_options_);
    for (const TensorInfo& input : signature_.inputs) {
      input_names_.push_back(input.name.c_str());
      ort_types_.push_back(ort_type(input.type));
    }
    for (const TensorInfo& output : signature_.outputs) {
      output_names_.push_back(output.name.c_str());
    }
    const auto plain = [](const TensorInfo& info) { return info.type != DataType::kBytes; };
    const auto fixed = [](const TensorInfo& info) {
      return std::ranges::all_of(info.shape | std::views::drop(1),
                                 [](std::int64_t dimension) { return dimension >= 0; });
    };
    keeps_tensors_ = signature_.batchable && signature_.inputs.size() == 1 &&
                     output_names_.size() <= kFewTensors && plain(signature_.inputs[0]) &&
                     std::ranges::all_of(signature_.outputs, plain) &&
                     std::ranges::all_of(signature_.outputs, fixed);
  }

  [[nodiscard]] const std::string& name() const override { return name_; }
  [[nodiscard]] std::uint64_t version() const override { return version_; }
  [[nodiscard]] const Manifest& manifest() const override { return manifest_; }
  [[nodiscard]] const Signature& signature() const override { return signature_; }
  [[nodiscard]] const Engine& engine() const override { return engine_; }
  [[nodiscard]] std::uint64_t file_bytes() const override { return open_.file_bytes; }
  [[nodiscard]] unsigned threads() const override { return open_.threads; }

 private:
  Result<void> run_until(std::span<const TensorView> inputs, Outputs& outputs,
                         const std::stop_token& stop) const override try {
    if (auto fine = model::check_inputs(signature_.inputs, inputs); !fine) {
      return fine;
    }
    const DivisionWatch divisions(threads() > 1);
    const MemoryWatch memory;
    const StoppableOptions options(run_options_, stop);
    auto done = run_checked(inputs, options, outputs);
    if (!done && memory.refused()) {
      return fail(*memory.refused());
    }
    if (divisions.trapped()) {
      outputs.clear();
      return fail(ErrorCode::kInvalidArgument,
                  "the model cannot take these values: an integer division has no result (by 0, or "
                  "the smallest number by -1)");
    }
    return done;
  } catch (const std::bad_alloc&) {
    return out_of_memory(outputs);
  } catch (const std::length_error&) {  // larger than any memory
    return out_of_memory(outputs);
  } catch (const Ort::Exception&) {  // only the creation of options can throw this
    return out_of_memory(outputs);
  }

  static Result<void> out_of_memory(Outputs& outputs) {
    outputs.clear();
    return fail(ErrorCode::kUnavailable, std::string(kOutOfMemory));
  }

  Result<void> run_checked(std::span<const TensorView> inputs, const StoppableOptions& options,
                           Outputs& out) const {
    auto& owned = out.owner<OwnedValues>();
    if (keeps_tensors_ && fits_kept(owned, inputs[0]) &&
        run_kept(owned, out.size(), inputs[0], options)) {
      return {};
    }
    if (options.stopped()) {
      return fail(ErrorCode::kCancelled, "the run was cancelled");
    }
    if (inputs.size() <= kFewTensors && signature_.outputs.size() <= kFewTensors) {
      std::array<OrtValuePtr, kFewTensors> values;
      std::array<OrtValue*, kFewTensors> raw_inputs{};
      std::array<OrtValue*, kFewTensors> raw_outputs{};
      return run_with(inputs, options, values, raw_inputs, raw_outputs, out);
    }
    std::vector<OrtValuePtr> values(inputs.size());
    std::vector<OrtValue*> raw_inputs(inputs.size());
    std::vector<OrtValue*> raw_outputs(signature_.outputs.size());
    return run_with(inputs, options, values, raw_inputs, raw_outputs, out);
  }

  bool fits_kept(const OwnedValues& owned, const TensorView& input) const {
    return owned.model == serial_ && input.data.size() <= kKeptInput &&
           std::ranges::equal(input.shape, owned.input_shape);
  }

  /// Runs with the tensors of the last run, because creating new ones takes 20 % of a small run.
  /// False: not possible, for example because an output has a different shape.
  bool run_kept(OwnedValues& owned, std::size_t outputs, const TensorView& input,
                const StoppableOptions& options) const {
    const OrtApi& api = Ort::GetApi();
    owned.input.assign(input.data.begin(), input.data.end());  // same size, so no allocation
    if (!owned.input_value) {
      OrtValue* made = nullptr;
      if (const OrtStatusPtr failed{api.CreateTensorWithDataAsOrtValue(
              open_.context->memory, owned.input.data(), owned.input.size(),
              owned.input_shape.data(), owned.input_shape.size(), ort_types_[0], &made)}) {
        return false;
      }
      owned.input_value.reset(made);
    }
    const OrtValue* const raw_input = owned.input_value.get();
    std::array<OrtValue*, kFewTensors> raw_outputs{};
    std::ranges::transform(std::span(owned.values).first(outputs), raw_outputs.begin(),
                           [](const OrtValuePtr& value) { return value.get(); });
    const OrtStatusPtr failed(api.Run(session_, options.get(), input_names_.data(), &raw_input, 1,
                                      output_names_.data(), output_names_.size(),
                                      raw_outputs.data()));
    return failed == nullptr;
  }

  Result<void> run_with(std::span<const TensorView> inputs, const StoppableOptions& options,
                        std::span<OrtValuePtr> values, std::span<OrtValue*> raw_inputs,
                        std::span<OrtValue*> raw_outputs, Outputs& out) const {
    const OrtApi& api = Ort::GetApi();
    std::vector<std::vector<std::byte>> aligned;
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      if (inputs[i].type == DataType::kBytes) {
        if (OrtStatus* failed = make_texts(inputs[i], values[i])) {
          return fail(internal_error(failed));
        }
        raw_inputs[i] = values[i].get();
        continue;
      }
      static constexpr std::array<std::byte, 16> kNothing{};  // empty tensors also need an address
      std::span<const std::byte> data = inputs[i].data;
      if (!model::is_aligned(inputs[i])) {
        data = aligned.emplace_back(data.begin(), data.end());  // moving vectors keeps their memory
      }
      // ONNX Runtime does not modify inputs.
      if (OrtStatus* failed = api.CreateTensorWithDataAsOrtValue(
              open_.context->memory,
              const_cast<std::byte*>(data.empty() ? kNothing.data() : data.data()), data.size(),
              inputs[i].shape.data(), inputs[i].shape.size(), ort_types_[i], &raw_inputs[i])) {
        return fail(internal_error(failed));
      }
      values[i].reset(raw_inputs[i]);
    }
    out.clear();
    OrtStatus* failed =
        api.Run(session_, options.get(), input_names_.data(), raw_inputs.data(), inputs.size(),
                output_names_.data(), output_names_.size(), raw_outputs.data());
    if (failed != nullptr) {
      return fail(run_error(failed));
    }
    auto collected = collect(raw_outputs.first(output_names_.size()), out);
    if (!collected) {
      return collected;
    }
    const bool shared = copy_shared(inputs, aligned, out);
    if (!shared && keeps_tensors_ && inputs[0].data.size() <= kKeptInput) {
      auto& owned = out.owner<OwnedValues>();
      owned.model = serial_;
      owned.input_shape.assign(inputs[0].shape.begin(), inputs[0].shape.end());
    }
    return {};
  }

  static bool copy_shared(std::span<const TensorView> inputs,
                          std::span<const std::vector<std::byte>> aligned, Outputs& out) {
    // At most two per input: its own memory and its copy.
    std::array<std::span<const std::byte>, 2 * kFewTensors> few;
    std::vector<std::span<const std::byte>> many(inputs.size() > kFewTensors ? 2 * inputs.size()
                                                                             : 0);
    std::span<std::span<const std::byte>> memory = few;
    if (!many.empty()) {
      memory = many;
    }
    const auto rest = std::ranges::transform(inputs, memory.begin(), &TensorView::data).out;
    std::ranges::copy(aligned, rest);
    return out.copy_shared(memory);
  }

  /// Takes ownership of all values, even if one of them cannot be read.
  static Result<void> collect(std::span<OrtValue*> raw, Outputs& out) {
    auto& values = out.owner<OwnedValues>().values;
    if (values.size() < raw.size()) {
      values.resize(raw.size());
    }
    for (std::size_t i = 0; i < raw.size(); ++i) {
      values[i].reset(raw[i]);
    }
    const auto tensors = out.resize(raw.size());
    for (std::size_t i = 0; i < raw.size(); ++i) {
      if (OrtStatus* failed = describe(raw[i], tensors[i])) {
        out.clear();
        return fail(internal_error(failed));
      }
    }
    return {};
  }

  std::string name_;
  std::uint64_t version_;
  Manifest manifest_;
  Signature signature_;
  std::string file_;
  Engine engine_;
  OpenSession open_;
  OrtSession* session_;  // of open_; non-const only because the C API needs it
  Ort::RunOptions run_options_;
  std::vector<const char*> input_names_;
  std::vector<const char*> output_names_;
  std::vector<ONNXTensorElementDataType> ort_types_;
  const std::uint64_t serial_ = next_serial();  // unlike addresses, never reused
  bool keeps_tensors_ = false;                  // the input's shape determines the outputs' shapes
};

std::string metadata(const Ort::ModelMetadata& all, const char* key) {
  Ort::AllocatorWithDefaultOptions allocator;
  const auto value = all.LookupCustomMetadataMapAllocated(key, allocator);
  return value ? std::string(value.get()) : std::string();
}

Result<TensorInfo> tensor_info(std::string name, const Ort::TypeInfo& type) {
  TensorInfo out{.name = std::move(name)};
  if (type.GetONNXType() != ONNX_TYPE_TENSOR) {
    const bool zipmap = type.GetONNXType() == ONNX_TYPE_SEQUENCE;
    return fail(
        ErrorCode::kInvalidArgument,
        "'" + out.name + "' is not a plain tensor" +
            (zipmap ? " but a list; scikit-learn models are exported with 'zipmap': False" : ""));
  }
  const auto tensor = type.GetTensorTypeAndShapeInfo();
  const auto element = our_type(tensor.GetElementType());
  if (!element) {
    return fail(ErrorCode::kInvalidArgument,
                "'" + out.name + "' has an element type that is not served");
  }
  out.type = *element;
  out.shape = tensor.GetShape();
  std::vector<const char*> names(out.shape.size());
  tensor.GetSymbolicDimensions(names.data(), names.size());
  for (const char* dim_name : names) {
    out.dim_names.emplace_back(dim_name == nullptr ? "" : dim_name);
  }
  return out;
}

Result<FileDescription> describe_file(const Ort::Session& session) {
  Ort::AllocatorWithDefaultOptions allocator;
  FileDescription out;
  for (std::size_t i = 0; i < session.GetInputCount(); ++i) {
    auto info =
        tensor_info(session.GetInputNameAllocated(i, allocator).get(), session.GetInputTypeInfo(i));
    if (!info) {
      return fail(ErrorCode::kInvalidArgument, "input " + info.error().message);
    }
    out.inputs.push_back(std::move(*info));
  }
  for (std::size_t i = 0; i < session.GetOutputCount(); ++i) {
    auto info = tensor_info(session.GetOutputNameAllocated(i, allocator).get(),
                            session.GetOutputTypeInfo(i));
    if (!info) {
      return fail(ErrorCode::kInvalidArgument, "output " + info.error().message);
    }
    out.outputs.push_back(std::move(*info));
  }
  const Ort::ModelMetadata all = session.GetModelMetadata();
  out.labels = metadata(all, "labels");
  out.preprocess = metadata(all, "preprocess");
  return out;
}

/// Reads from the operators what inputs and outputs do not show.
void examine_graph(const std::filesystem::path& path, FileDescription& file) {
  const auto graph = model::read_graph(path);
  const auto proof = graph ? model::prove_rows_apart(*graph, file.inputs, file.outputs)
                           : Result<void>(fail(graph.error()));
  for (auto* infos : {&file.inputs, &file.outputs}) {
    for (TensorInfo& info : *infos) {
      info.any_rank = graph && graph->unranked.contains(info.name);
    }
  }
  file.rows_unproven = proof ? std::string() : proof.error().message;
  file.loops = !graph || model::cost_depends_on_values(*graph);
}

}  // namespace

Result<std::shared_ptr<const Model>> make_onnx_model(OpenSession open, const Candidate& candidate) {
  try {
    auto file = describe_file(open.session);
    if (!file) {
      return fail(file.error());
    }
    examine_graph(candidate.file, *file);
    auto signature = model::make_signature(std::move(*file), candidate.manifest);
    if (!signature) {
      return fail(signature.error());
    }
    if (!open.warning.empty()) {
      signature->warnings.push_back(std::move(open.warning));
    }
    return std::make_shared<OnnxModel>(std::move(open), candidate, std::move(*signature));
  } catch (const Ort::Exception& e) {
    return fail(ErrorCode::kInvalidArgument,
                "ONNX Runtime cannot describe the model: " + short_reason(e.what()), e.what());
  }
}

}  // namespace podsense::onnx
