#include "model/onnx_session.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <memory>
#include <ranges>
#include <utility>

#include "model/signature.h"

namespace podsense::model {
namespace {

/// At most this many elements are asked for by one tensor: keeps every product in 64 bits.
constexpr std::uint64_t kMaxElements = std::uint64_t{1} << 40U;
/// Inputs and outputs of ordinary models; more than this go to the heap.
constexpr std::size_t kFewTensors = 8;
/// An input up to this size is copied, so that its tensor can be used by the next run again.
constexpr std::size_t kKeptInput = 4096;

struct TypePair {
  ONNXTensorElementDataType ort;
  DataType ours;
};
constexpr std::array<TypePair, 14> kTypePairs{{
    {ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT, DataType::kFp32},
    {ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64, DataType::kInt64},
    {ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8, DataType::kUint8},
    {ONNX_TENSOR_ELEMENT_DATA_TYPE_INT32, DataType::kInt32},
    {ONNX_TENSOR_ELEMENT_DATA_TYPE_DOUBLE, DataType::kFp64},
    {ONNX_TENSOR_ELEMENT_DATA_TYPE_BOOL, DataType::kBool},
    {ONNX_TENSOR_ELEMENT_DATA_TYPE_INT8, DataType::kInt8},
    {ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT16, DataType::kUint16},
    {ONNX_TENSOR_ELEMENT_DATA_TYPE_INT16, DataType::kInt16},
    {ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT32, DataType::kUint32},
    {ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT64, DataType::kUint64},
    {ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT16, DataType::kFp16},
    {ONNX_TENSOR_ELEMENT_DATA_TYPE_BFLOAT16, DataType::kBf16},
    {ONNX_TENSOR_ELEMENT_DATA_TYPE_STRING, DataType::kBytes},
}};

std::optional<DataType> our_type(ONNXTensorElementDataType type) {
  const auto at = std::ranges::find(kTypePairs, type, &TypePair::ort);
  return at == kTypePairs.end() ? std::nullopt : std::optional(at->ours);
}

ONNXTensorElementDataType ort_type(DataType type) {
  return std::ranges::find(kTypePairs, type, &TypePair::ours)->ort;
}

/// Frees what a failed step leaves. Holds a C handle of ONNX Runtime.
struct StatusRelease {
  void operator()(OrtStatus* status) const { Ort::GetApi().ReleaseStatus(status); }
};
using Status = std::unique_ptr<OrtStatus, StatusRelease>;
struct InfoRelease {
  void operator()(OrtTensorTypeAndShapeInfo* info) const {
    Ort::GetApi().ReleaseTensorTypeAndShapeInfo(info);
  }
};
struct ValueRelease {
  void operator()(OrtValue* value) const { Ort::GetApi().ReleaseValue(value); }
};
using Value = std::unique_ptr<OrtValue, ValueRelease>;

Error internal_error(OrtStatus* raw) {
  const Status status(raw);
  return {ErrorCode::kInternal, "the model could not be run",
          Ort::GetApi().GetErrorMessage(status.get())};
}

/// Most failures while running come from values the graph cannot take (an index out of bounds,
/// shapes that do not go together); memory that ran out does not.
Error run_error(OrtStatus* raw) {
  const Status status(raw);
  const char* text = Ort::GetApi().GetErrorMessage(status.get());
  const std::string_view view(text);
  const bool memory = view.contains("allocate") || view.contains("bad_alloc");
  switch (Ort::GetApi().GetErrorCode(status.get())) {
    case ORT_INVALID_ARGUMENT:
    case ORT_FAIL:
    case ORT_RUNTIME_EXCEPTION:
      if (!memory) {
        return {ErrorCode::kInvalidArgument,
                "the model cannot take these values: " + short_reason(text), text};
      }
      [[fallthrough]];
    default:
      return {ErrorCode::kInternal, "the model could not be run", text};
  }
}

std::string shape_text(std::span<const std::int64_t> shape) {
  std::string out = "[";
  for (std::size_t i = 0; i < shape.size(); ++i) {
    out += i == 0 ? "" : ", ";
    out += shape[i] < 0 ? "N" : std::to_string(shape[i]);
  }
  return out + "]";
}

Error misfit(const TensorInfo& info, std::string what) {
  return {ErrorCode::kInvalidArgument, "input '" + info.name + "' " + std::move(what), {}};
}

/// Elements of `shape`; nothing when it does not fit `info`.
std::optional<std::uint64_t> count_elements(const TensorInfo& info,
                                            std::span<const std::int64_t> shape) {
  if (shape.size() != info.shape.size()) {
    return std::nullopt;
  }
  std::uint64_t count = 1;
  for (std::size_t i = 0; i < shape.size(); ++i) {
    if (shape[i] <= 0 || (info.shape[i] >= 0 && shape[i] != info.shape[i]) ||
        static_cast<std::uint64_t>(shape[i]) > kMaxElements / count) {
      return std::nullopt;
    }
    count *= static_cast<std::uint64_t>(shape[i]);
  }
  return count;
}

/// Whole texts, as many as the shape asks for.
Result<void> check_texts(const TensorInfo& info, const TensorView& view, std::uint64_t count) {
  std::uint64_t seen = 0;
  const bool whole = for_each_text(view.data, [&](std::string_view) { ++seen; });
  if (!whole || seen != count) {
    return fail(misfit(info, "of shape " + shape_text(view.shape) + " takes " +
                                 std::to_string(count) + " texts, each behind its length; got " +
                                 std::to_string(seen) + (whole ? "" : " and a part of one")));
  }
  return {};
}

Result<void> check_input(const TensorInfo& info, const TensorView& view) {
  if (auto fine = check_shape(info, view.type, view.shape); !fine) {
    return fine;
  }
  const std::uint64_t count = *count_elements(info, view.shape);
  if (info.type == DataType::kBytes) {
    return check_texts(info, view, count);
  }
  const std::uint64_t bytes = count * element_size(info.type);
  if (view.data.size() != bytes) {
    return fail(misfit(info, "of shape " + shape_text(view.shape) + " takes " +
                                 std::to_string(bytes) + " bytes, not " +
                                 std::to_string(view.data.size())));
  }
  // Kernels read these as C++ bools, for which other bytes have no meaning.
  if (info.type == DataType::kBool &&
      std::ranges::any_of(view.data, [](std::byte b) { return b > std::byte{1}; })) {
    return fail(misfit(info, "must hold only 0 and 1"));
  }
  return {};
}

bool is_aligned(const TensorView& view) {
  return reinterpret_cast<std::uintptr_t>(view.data.data()) % element_size(view.type) == 0;
}

/// A new tensor of texts, copied from `view`. Null where all is well.
OrtStatus* make_texts(const TensorView& view, Value& made) {
  const OrtApi& api = Ort::GetApi();
  OrtAllocator* allocator = nullptr;
  if (OrtStatus* failed = api.GetAllocatorWithDefaultOptions(&allocator)) {
    return failed;
  }
  OrtValue* raw = nullptr;
  if (OrtStatus* failed =
          api.CreateTensorAsOrtValue(allocator, view.shape.data(), view.shape.size(),
                                     ONNX_TENSOR_ELEMENT_DATA_TYPE_STRING, &raw)) {
    return failed;
  }
  made.reset(raw);
  OrtStatus* failed = nullptr;
  std::size_t at = 0;
  for_each_text(view.data, [&](std::string_view text) {
    char* buffer = nullptr;
    if (failed == nullptr) {
      failed = api.GetResizedStringTensorElementBuffer(raw, at++, text.size(), &buffer);
    }
    if (failed == nullptr && !text.empty()) {
      std::memcpy(buffer, text.data(), text.size());
    }
  });
  return failed;
}

/// The texts of a tensor, each behind its length. Null where all is well.
OrtStatus* copy_texts(OrtValue* value, std::size_t count, std::vector<std::byte>& out) {
  const OrtApi& api = Ort::GetApi();
  std::size_t length = 0;
  if (OrtStatus* failed = api.GetStringTensorDataLength(value, &length)) {
    return failed;
  }
  std::vector<char> characters(length);
  std::vector<std::size_t> starts(count);
  if (OrtStatus* failed = api.GetStringTensorContent(value, characters.data(), length,
                                                     starts.data(), starts.size())) {
    return failed;
  }
  starts.push_back(length);
  out.resize(length + 4 * count);
  std::byte* to = out.data();
  for (std::size_t i = 0; i < count; ++i) {
    const auto size = static_cast<std::uint32_t>(starts[i + 1] - starts[i]);
    std::memcpy(to, &size, sizeof(size));
    if (size > 0) {
      std::memcpy(to + sizeof(size), characters.data() + starts[i], size);
    }
    to += sizeof(size) + size;
  }
  return nullptr;
}

}  // namespace

Result<void> check_shape(const TensorInfo& info, DataType type,
                         std::span<const std::int64_t> shape) {
  if (type != info.type) {
    return fail(misfit(info, "must be " + std::string(data_type_name(info.type)) + ", not " +
                                 std::string(data_type_name(type))));
  }
  if (!count_elements(info, shape)) {
    return fail(misfit(info, "must have shape " + shape_text(info.shape) +
                                 " (N: one or more), not " + shape_text(shape)));
  }
  return {};
}

struct Outputs::Impl {
  struct Made {
    Value value;
    DataType type = DataType::kFp32;
    std::vector<std::int64_t> shape;  // keeps its memory from run to run
    std::span<const std::byte> data;
    std::vector<std::byte> texts;  // what `data` is of kBytes, once asked for
  };
  std::vector<Made> made;
  std::size_t size = 0;  // of `made`, how many the last run filled

  // What the next run may use again, with the values in `made`.
  std::uint64_t model = 0;  // OnnxModel's serial number; 0: nothing
  std::vector<std::int64_t> input_shape;
  std::vector<std::byte> input;
  Value input_value;  // over `input`, made when it is first used again

  void clear() {
    for (Made& one : made) {
      one.value.reset();
    }
    size = 0;
    model = 0;
    input_value.reset();
  }
};

Outputs::Outputs() : impl_(std::make_unique<Impl>()) {}
Outputs::~Outputs() = default;
Outputs::Outputs(Outputs&&) noexcept = default;
Outputs& Outputs::operator=(Outputs&&) noexcept = default;

std::size_t Outputs::size() const {
  return impl_->size;
}

Result<void> Outputs::read_texts() {
  for (Impl::Made& made : std::span(impl_->made).first(impl_->size)) {
    if (made.type != DataType::kBytes) {
      continue;
    }
    std::size_t count = 1;
    for (const std::int64_t dimension : made.shape) {
      count *= static_cast<std::size_t>(dimension);
    }
    if (OrtStatus* failed = copy_texts(made.value.get(), count, made.texts)) {
      return fail(internal_error(failed));
    }
    made.data = made.texts;
  }
  return {};
}

TensorView Outputs::operator[](std::size_t index) const {
  const Impl::Made& made = impl_->made[index];
  return {made.type, made.shape, made.data};
}

namespace {

std::uint64_t next_serial() {
  static std::atomic<std::uint64_t> last{0};
  return ++last;
}

class OnnxModel final : public Model {
 public:
  OnnxModel(OpenSession open, const Candidate& candidate, Signature signature)
      : name_(candidate.name),
        version_(candidate.version),
        manifest_(candidate.manifest),
        signature_(std::move(signature)),
        open_(std::move(open)),
        session_(open_.session) {
    // Every refused request would else write a line; the caller gets the text.
    run_options_.SetRunLogSeverityLevel(ORT_LOGGING_LEVEL_FATAL);
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
  [[nodiscard]] std::uint64_t file_bytes() const override { return open_.file_bytes; }
  [[nodiscard]] unsigned threads() const override { return open_.threads; }
  [[nodiscard]] std::string_view content() const override { return open_.content; }

  Result<void> run(std::span<const TensorView> inputs, Outputs& outputs) const override {
    if (auto fine = check(inputs); !fine) {
      return fine;
    }
    Outputs::Impl& out = outputs.impl();
    if (keeps_tensors_ && fits_kept(out, inputs[0]) && run_kept(out, inputs[0])) {
      return {};
    }
    if (inputs.size() <= kFewTensors && signature_.outputs.size() <= kFewTensors) {
      std::array<Value, kFewTensors> values;
      std::array<OrtValue*, kFewTensors> raw_inputs{};
      std::array<OrtValue*, kFewTensors> raw_outputs{};
      return run_with(inputs, values, raw_inputs, raw_outputs, out);
    }
    std::vector<Value> values(inputs.size());
    std::vector<OrtValue*> raw_inputs(inputs.size());
    std::vector<OrtValue*> raw_outputs(signature_.outputs.size());
    return run_with(inputs, values, raw_inputs, raw_outputs, out);
  }

 private:
  Result<void> check(std::span<const TensorView> inputs) const {
    if (inputs.size() != signature_.inputs.size()) {
      return fail(ErrorCode::kInvalidArgument, "the model takes " +
                                                   std::to_string(signature_.inputs.size()) +
                                                   " inputs, not " + std::to_string(inputs.size()));
    }
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      if (auto fine = check_input(signature_.inputs[i], inputs[i]); !fine) {
        return fine;
      }
    }
    return {};
  }

  bool fits_kept(const Outputs::Impl& out, const TensorView& input) const {
    return out.model == serial_ && input.data.size() <= kKeptInput &&
           std::ranges::equal(input.shape, out.input_shape);
  }

  /// Into the tensors of the last run: to make and describe new ones is a fifth of a small run.
  /// False where that cannot be, as when an output has another shape this time.
  bool run_kept(Outputs::Impl& out, const TensorView& input) const {
    const OrtApi& api = Ort::GetApi();
    out.input.assign(input.data.begin(), input.data.end());  // keeps its memory: of the same size
    if (!out.input_value) {
      OrtValue* made = nullptr;
      if (const Status failed{api.CreateTensorWithDataAsOrtValue(
              open_.context->memory, out.input.data(), out.input.size(), out.input_shape.data(),
              out.input_shape.size(), ort_types_[0], &made)}) {
        return false;
      }
      out.input_value.reset(made);
    }
    const OrtValue* const raw_input = out.input_value.get();
    std::array<OrtValue*, kFewTensors> raw_outputs{};
    std::ranges::transform(std::span(out.made).first(out.size), raw_outputs.begin(),
                           [](const Outputs::Impl::Made& made) { return made.value.get(); });
    const Status failed(api.Run(session_, run_options_, input_names_.data(), &raw_input, 1,
                                output_names_.data(), output_names_.size(), raw_outputs.data()));
    return failed == nullptr;
  }

  Result<void> run_with(std::span<const TensorView> inputs, std::span<Value> values,
                        std::span<OrtValue*> raw_inputs, std::span<OrtValue*> raw_outputs,
                        Outputs::Impl& out) const {
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
      std::span<const std::byte> data = inputs[i].data;
      if (!is_aligned(inputs[i])) {
        data = aligned.emplace_back(data.begin(), data.end());  // vectors keep their memory
      }
      // ONNX Runtime does not write into inputs.
      if (OrtStatus* failed = api.CreateTensorWithDataAsOrtValue(
              open_.context->memory, const_cast<std::byte*>(data.data()), data.size(),
              inputs[i].shape.data(), inputs[i].shape.size(), ort_types_[i], &raw_inputs[i])) {
        return fail(internal_error(failed));
      }
      values[i].reset(raw_inputs[i]);
    }
    out.clear();
    OrtStatus* failed =
        api.Run(session_, run_options_, input_names_.data(), raw_inputs.data(), inputs.size(),
                output_names_.data(), output_names_.size(), raw_outputs.data());
    if (failed != nullptr) {
      return fail(run_error(failed));
    }
    auto collected = collect(raw_outputs.first(output_names_.size()), out);
    if (collected && keeps_tensors_ && inputs[0].data.size() <= kKeptInput) {
      out.model = serial_;
      out.input_shape.assign(inputs[0].shape.begin(), inputs[0].shape.end());
    }
    return collected;
  }

  /// Takes ownership of every value, also where one of them cannot be read.
  static Result<void> collect(std::span<OrtValue*> values, Outputs::Impl& out) {
    if (out.made.size() < values.size()) {
      out.made.resize(values.size());
    }
    for (std::size_t i = 0; i < values.size(); ++i) {
      out.made[i].value.reset(values[i]);
    }
    for (std::size_t i = 0; i < values.size(); ++i) {
      if (OrtStatus* failed = describe(out.made[i])) {
        out.clear();
        return fail(internal_error(failed));
      }
    }
    out.size = values.size();
    return {};
  }

  static OrtStatus* describe(Outputs::Impl::Made& made) {
    const OrtApi& api = Ort::GetApi();
    OrtTensorTypeAndShapeInfo* raw = nullptr;
    if (OrtStatus* failed = api.GetTensorTypeAndShape(made.value.get(), &raw)) {
      return failed;
    }
    const std::unique_ptr<OrtTensorTypeAndShapeInfo, InfoRelease> info(raw);
    ONNXTensorElementDataType type = ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED;
    std::size_t rank = 0;
    if (OrtStatus* failed = api.GetTensorElementType(raw, &type)) {
      return failed;
    }
    if (OrtStatus* failed = api.GetDimensionsCount(raw, &rank)) {
      return failed;
    }
    made.shape.resize(rank);
    if (OrtStatus* failed = api.GetDimensions(raw, made.shape.data(), rank)) {
      return failed;
    }
    made.type = our_type(type).value_or(DataType::kBytes);
    made.data = {};
    std::size_t bytes = element_size(made.type);
    if (bytes == 0) {
      return nullptr;
    }
    for (const std::int64_t dimension : made.shape) {
      bytes *= static_cast<std::size_t>(dimension);
    }
    void* data = nullptr;
    OrtStatus* failed = api.GetTensorMutableData(made.value.get(), &data);
    made.data = {static_cast<const std::byte*>(data), failed == nullptr ? bytes : 0};
    return failed;
  }

  std::string name_;
  std::uint64_t version_;
  Manifest manifest_;
  Signature signature_;
  OpenSession open_;
  OrtSession* session_;  // of open_; running does not change it, though the C API takes no const
  Ort::RunOptions run_options_;
  std::vector<const char*> input_names_;
  std::vector<const char*> output_names_;
  std::vector<ONNXTensorElementDataType> ort_types_;
  const std::uint64_t serial_ = next_serial();  // addresses come again, these do not
  bool keeps_tensors_ = false;                  // the shape of the input gives those of the outputs
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

}  // namespace

Result<std::shared_ptr<const Model>> make_onnx_model(OpenSession open, const Candidate& candidate) {
  try {
    auto file = describe_file(open.session);
    if (!file) {
      return fail(file.error());
    }
    auto signature = make_signature(std::move(*file), candidate.manifest);
    if (!signature) {
      return fail(signature.error());
    }
    return std::make_shared<OnnxModel>(std::move(open), candidate, std::move(*signature));
  } catch (const Ort::Exception& e) {
    return fail(ErrorCode::kInvalidArgument,
                "ONNX Runtime cannot describe the model: " + short_reason(e.what()), e.what());
  }
}

}  // namespace podsense::model
