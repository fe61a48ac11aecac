#include "openvino/openvino_model.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "base/mutex.h"
#include "model/cost_analysis.h"
#include "model/onnx_graph.h"
#include "model/row_analysis.h"
#include "model/signature.h"
#include "openvino/openvino_backend.h"

namespace podsense::openvino {
namespace {

using model::Candidate;
using model::Engine;
using model::Manifest;
using model::Model;
using model::Outputs;
using model::Signature;
using model::TensorInfo;
using model::TensorView;

constexpr auto kRefused = ErrorCode::kInvalidArgument;

/// By TensorProto.DataType; unset: not served.
constexpr std::array<std::optional<DataType>, 17> kOnnxTypes{
    std::nullopt,     DataType::kFp32,  DataType::kUint8,  DataType::kInt8,   DataType::kUint16,
    DataType::kInt16, DataType::kInt32, DataType::kInt64,  DataType::kBytes,  DataType::kBool,
    DataType::kFp16,  DataType::kFp64,  DataType::kUint32, DataType::kUint64, std::nullopt,
    std::nullopt,     DataType::kBf16};

std::optional<DataType> type_of(std::int32_t onnx) {
  const auto index = static_cast<std::size_t>(onnx);
  return onnx >= 0 && index < kOnnxTypes.size() ? kOnnxTypes[index] : std::nullopt;
}

/// OpenVINO's CPU plugin computes these in 32 bits with a sign.
bool narrowed(DataType type) {
  return type == DataType::kInt64 || type == DataType::kUint64 || type == DataType::kUint32;
}

Result<TensorInfo> tensor_info(const model::GraphValue& value, bool any_rank) {
  const std::string name = "'" + value.name + "' ";
  if (!value.tensor) {
    return fail(kRefused, name + "is not a plain tensor");
  }
  const auto type = type_of(value.type);
  if (!type) {
    return fail(kRefused, name + "has an element type that is not served");
  }
  if (*type == DataType::kBytes || *type == DataType::kFp64) {
    return fail(kRefused, name + "is of " + std::string(data_type_name(*type)) +
                              ", which OpenVINO " +
                              (*type == DataType::kFp64 ? "computes in 32 bits" : "does not take") +
                              "; 'backend: onnxruntime' does");
  }
  return TensorInfo{.name = value.name,
                    .type = *type,
                    .shape = value.dims.value_or(std::vector<std::int64_t>{}),
                    .dim_names = value.dim_names,
                    .any_rank = any_rank};
}

Result<std::vector<TensorInfo>> tensor_infos(std::string_view kind, const model::Graph& graph,
                                             const std::vector<model::GraphValue>& values) {
  std::vector<TensorInfo> out;
  for (const model::GraphValue& value : values) {
    auto info = tensor_info(value, graph.unranked.contains(value.name));
    if (!info) {
      return fail(kRefused, std::string(kind) + " " + info.error().message);
    }
    out.push_back(std::move(*info));
  }
  return out;
}

std::string metadata(const model::Graph& graph, std::string_view key) {
  const auto found = graph.metadata.find(key);
  return found == graph.metadata.end() ? std::string() : found->second;
}

/// The first value that does not fit into 32 bits with a sign, as text; empty: all do.
template <class Number>
std::string too_large(std::span<const std::byte> data) {
  for (std::size_t at = 0; at + sizeof(Number) <= data.size(); at += sizeof(Number)) {
    Number value{};
    std::memcpy(&value, data.data() + at, sizeof(value));
    if (!std::in_range<std::int32_t>(value)) {
      return std::to_string(value);
    }
  }
  return {};
}

Result<void> check_range(const TensorInfo& info, const TensorView& view) {
  std::string value;
  switch (view.type) {
    case DataType::kInt64:
      value = too_large<std::int64_t>(view.data);
      break;
    case DataType::kUint64:
      value = too_large<std::uint64_t>(view.data);
      break;
    case DataType::kUint32:
      value = too_large<std::uint32_t>(view.data);
      break;
    default:
      return {};
  }
  if (value.empty()) {
    return {};
  }
  return fail(kRefused, "input '" + info.name + "' has " + value +
                            ", which OpenVINO cannot take: it computes " +
                            std::string(data_type_name(view.type)) +
                            " in 32 bits, up to 2147483647");
}

/// Requests that no run uses now.
class RequestPool {
 public:
  explicit RequestPool(Network& network) : network_(network) {}
  Result<std::unique_ptr<Request>> take() {
    {
      const MutexLock lock(mutex_);
      if (!idle_.empty()) {
        auto request = std::move(idle_.back());
        idle_.pop_back();
        return request;
      }
    }
    return network_.make_request();
  }
  /// Not of one that failed or was cancelled.
  void give_back(std::unique_ptr<Request> request) {
    const MutexLock lock(mutex_);
    idle_.push_back(std::move(request));
  }

 private:
  Network& network_;
  Mutex mutex_;
  std::vector<std::unique_ptr<Request>> idle_ GUARDED_BY(mutex_);
};

class OpenVinoModel final : public Model {
 public:
  /// @param inputs,outputs where the network has each of the signature's
  OpenVinoModel(OpenNetwork open, const Candidate& candidate, Signature signature,
                std::vector<std::size_t> inputs, std::vector<std::size_t> outputs)
      : name_(candidate.name),
        version_(candidate.version),
        manifest_(candidate.manifest),
        signature_(std::move(signature)),
        file_(candidate.file.filename().string()),
        engine_{.backend = kBackendName, .platform = "openvino_onnx", .file = file_},
        open_(std::move(open)),
        inputs_(std::move(inputs)),
        outputs_(std::move(outputs)),
        requests_(*open_.network) {}

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
    outputs.clear();
    if (auto fine = model::check_inputs(signature_.inputs, inputs); !fine) {
      return fine;
    }
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      if (auto fine = check_range(signature_.inputs[i], inputs[i]); !fine) {
        return fine;
      }
    }
    auto request = requests_.take();
    if (!request) {
      return fail(std::move(request.error()));
    }
    auto done = run_with(**request, inputs, stop, outputs);
    if (!done) {
      outputs.clear();
      return done;
    }
    requests_.give_back(std::move(*request));
    return {};
  } catch (const std::bad_alloc&) {
    return out_of_memory(outputs);
  } catch (const std::length_error&) {  // more than any machine has
    return out_of_memory(outputs);
  }

  static Result<void> out_of_memory(Outputs& outputs) {
    outputs.clear();
    return fail(ErrorCode::kUnavailable, "there was not enough memory for this run");
  }

  Result<void> run_with(Request& request, std::span<const TensorView> inputs,
                        const std::stop_token& stop, Outputs& outputs) const {
    std::vector<TensorView> views(inputs.size());
    std::vector<std::vector<std::byte>> aligned;
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      TensorView& view = views[inputs_[i]];
      view = inputs[i];
      if (!model::is_aligned(view)) {
        view.data = aligned.emplace_back(view.data.begin(), view.data.end());
      }
    }
    {
      // A stop between this and the first node is not seen: then the run goes on to its end.
      const std::stop_callback cancel(stop, [&request] { request.cancel(); });
      if (stop.stop_requested()) {
        return fail(ErrorCode::kCancelled, "the run was cancelled");
      }
      if (auto done = request.run(views); !done) {
        return done;
      }
    }
    return read(request, outputs);  // an output may lie in an input's memory
  }

  Result<void> read(Request& request, Outputs& outputs) const {
    const auto tensors = outputs.resize(outputs_.size());
    for (std::size_t i = 0; i < outputs_.size(); ++i) {
      if (auto done = request.read(outputs_[i], tensors[i]); !done) {
        return done;
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
  OpenNetwork open_;
  std::vector<std::size_t> inputs_;
  std::vector<std::size_t> outputs_;
  mutable RequestPool requests_;
};

/// Where among `ports` each of `infos` is.
Result<std::vector<std::size_t>> places(std::string_view kind, std::vector<TensorInfo>& infos,
                                        const std::vector<Port>& ports) {
  std::vector<std::size_t> out;
  for (TensorInfo& info : infos) {
    const std::string name = std::string(kind) + " '" + info.name + "' ";
    const auto port = std::ranges::find_if(ports, [&](const Port& candidate) {
      return std::ranges::find(candidate.names, info.name) != candidate.names.end();
    });
    if (port == ports.end()) {
      return fail(kRefused, "OpenVINO has no " + name + "of this model");
    }
    if (port->type != info.type) {
      return fail(kRefused, "OpenVINO gives " + name + "another type than the file");
    }
    if (info.any_rank || port->any_rank) {
      return fail(kRefused, name + "has no fixed number of dimensions, which OpenVINO needs");
    }
    if (port->shape.size() != info.shape.size()) {
      return fail(kRefused,
                  "OpenVINO gives " + name + "another number of dimensions than the file");
    }
    out.push_back(static_cast<std::size_t>(port - ports.begin()));
  }
  return out;
}

}  // namespace

Result<Signature> describe(const Candidate& candidate) {
  const auto graph = model::read_graph(candidate.file);
  if (!graph) {
    return fail(graph.error());
  }
  if (graph->loops) {
    return fail(kRefused,
                "it has a loop, which OpenVINO could not end at a request's deadline; 'backend: "
                "onnxruntime' can");
  }
  auto inputs = tensor_infos("input", *graph, graph->inputs);
  auto outputs = tensor_infos("output", *graph, graph->outputs);
  if (!inputs || !outputs) {
    return fail(std::move(inputs ? outputs.error() : inputs.error()));
  }
  model::FileDescription file{.inputs = std::move(*inputs),
                              .outputs = std::move(*outputs),
                              .labels = metadata(*graph, "labels"),
                              .preprocess = metadata(*graph, "preprocess"),
                              .loops = model::cost_depends_on_values(*graph)};
  if (const auto proof = model::prove_rows_apart(*graph, file.inputs, file.outputs); !proof) {
    file.rows_unproven = proof.error().message;
  }
  auto signature = model::make_signature(std::move(file), candidate.manifest);
  if (!signature) {
    return signature;
  }
  for (const auto* infos : {&signature->inputs, &signature->outputs}) {
    for (const TensorInfo& info : *infos) {
      if (narrowed(info.type)) {
        signature->warnings.push_back("'" + info.name + "' is of " +
                                      std::string(data_type_name(info.type)) +
                                      ", which OpenVINO computes in 32 bits: results beyond "
                                      "±2147483647 are wrong");
      }
    }
  }
  return signature;
}

Result<std::shared_ptr<const Model>> make_openvino_model(OpenNetwork open,
                                                         const Candidate& candidate,
                                                         Signature signature) {
  auto inputs = places("input", signature.inputs, open.network->inputs());
  if (!inputs) {
    return fail(std::move(inputs.error()));
  }
  if (inputs->size() != open.network->inputs().size()) {
    return fail(kRefused, "OpenVINO wants other inputs than the file has");
  }
  auto outputs = places("output", signature.outputs, open.network->outputs());
  if (!outputs) {
    return fail(std::move(outputs.error()));
  }
  return std::make_shared<OpenVinoModel>(std::move(open), candidate, std::move(signature),
                                         std::move(*inputs), std::move(*outputs));
}

}  // namespace podsense::openvino
