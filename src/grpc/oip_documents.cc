#include "grpc/oip_documents.h"

#include <inference/grpc_service.pb.h>

#include <algorithm>

#include "base/data_type.h"
#include "protocol/oip_codec.h"
#include "protocol/options.h"

namespace podsense::grpc {
namespace {

namespace wire = ::inference;

std::string_view platform_of(const inference::ServedModel& served) {
  return served.model->signature().task == model::Task::kSimulated ? "podsense_simulated"
                                                                   : "onnxruntime_onnx";
}

wire::DataType wire_type(DataType type) {
  switch (type) {
    case DataType::kBool:
      return wire::TYPE_BOOL;
    case DataType::kUint8:
      return wire::TYPE_UINT8;
    case DataType::kUint16:
      return wire::TYPE_UINT16;
    case DataType::kUint32:
      return wire::TYPE_UINT32;
    case DataType::kUint64:
      return wire::TYPE_UINT64;
    case DataType::kInt8:
      return wire::TYPE_INT8;
    case DataType::kInt16:
      return wire::TYPE_INT16;
    case DataType::kInt32:
      return wire::TYPE_INT32;
    case DataType::kInt64:
      return wire::TYPE_INT64;
    case DataType::kFp16:
      return wire::TYPE_FP16;
    case DataType::kBf16:
      return wire::TYPE_BF16;
    case DataType::kFp32:
      return wire::TYPE_FP32;
    case DataType::kFp64:
      return wire::TYPE_FP64;
    case DataType::kBytes:
      return wire::TYPE_STRING;
  }
  return wire::TYPE_INVALID;
}

void add_tensor(const model::TensorInfo& info, wire::ModelMetadataResponse::TensorMetadata& to) {
  to.set_name(info.name);
  to.set_datatype(std::string(data_type_name(info.type)));
  to.mutable_shape()->Add(info.shape.begin(), info.shape.end());
}

/// A batching model's dimensions are told without the first.
template <class Tensor>
void add_config(const model::TensorInfo& info, bool batches, Tensor& to) {
  to.set_name(info.name);
  to.set_data_type(wire_type(info.type));
  const std::ptrdiff_t skip = batches && !info.shape.empty() ? 1 : 0;
  to.mutable_dims()->Add(info.shape.begin() + skip, info.shape.end());
}

void put(const protocol::ModelStatistics::Phase& from, wire::StatisticDuration& to) {
  to.set_count(from.count);
  to.set_ns(static_cast<std::uint64_t>(from.total.count()));
}

void add_statistics(const protocol::ModelStatistics& from, wire::ModelStatistics& to) {
  to.set_name(from.name);
  to.set_version(from.version);
  to.set_last_inference(from.last_inference_ms);
  to.set_inference_count(from.inference_count);
  to.set_execution_count(from.execution_count);
  wire::InferStatistics& phases = *to.mutable_inference_stats();
  put(from.success, *phases.mutable_success());
  put(from.fail, *phases.mutable_fail());
  put(from.queue, *phases.mutable_queue());
  put(from.compute_input, *phases.mutable_compute_input());
  put(from.compute_infer, *phases.mutable_compute_infer());
  put({.count = from.success.count, .total = {}},
      *phases.mutable_compute_output());  // none is done
  phases.mutable_cache_hit();
  phases.mutable_cache_miss();
  for (const protocol::ModelStatistics::Batch& batch : from.batches) {
    wire::InferBatchStatistics& runs = *to.add_batch_stats();
    runs.set_batch_size(batch.size);
    put({.count = batch.runs, .total = batch.compute_input}, *runs.mutable_compute_input());
    put({.count = batch.runs, .total = batch.compute_infer}, *runs.mutable_compute_infer());
    put({.count = batch.runs, .total = {}}, *runs.mutable_compute_output());
  }
}

}  // namespace

Result<protocol::ModelRef> model_ref(const std::string& name, const std::string& version) {
  if (name.empty()) {
    return protocol::invalid("name is empty; it must name a model");
  }
  auto checked = protocol::name_option("name", name);
  if (!checked) {
    return fail(std::move(checked.error()));
  }
  auto number = protocol::name_option("version", version);
  if (!number) {
    return fail(std::move(number.error()));
  }
  return protocol::ModelRef{.name = std::move(*checked), .version = std::move(*number)};
}

void fill_server(const ServerOptions& options, wire::ServerMetadataResponse& message) {
  message.set_name("podsense");
  message.set_version(options.version);
  for (const std::string_view extension : protocol::kOipExtensions) {
    message.add_extensions(extension.data(), extension.size());
  }
}

Result<void> fill_metadata(const inference::Catalog& catalog, const protocol::ModelRef& ref,
                           wire::ModelMetadataResponse& message) {
  const auto found = catalog.find(ref);
  if (!found) {
    return fail(found.error());
  }
  const inference::ServedModel& served = **found;
  message.set_name(served.name());
  message.set_platform(std::string(platform_of(served)));
  for (const inference::ModelStatus& status : catalog.status()) {
    if (status.served && status.name == served.name()) {
      message.add_versions(status.version);
    }
  }
  const model::Signature& signature = served.model->signature();
  for (const model::TensorInfo& info : signature.inputs) {
    add_tensor(info, *message.add_inputs());
  }
  for (const model::TensorInfo& info : signature.outputs) {
    add_tensor(info, *message.add_outputs());
  }
  return {};
}

Result<void> fill_config(const inference::Catalog& catalog, const protocol::ModelRef& ref,
                         wire::ModelConfig& message) {
  const auto found = catalog.find(ref);
  if (!found) {
    return fail(found.error());
  }
  const inference::ServedModel& served = **found;
  const model::Manifest& manifest = served.model->manifest();
  const model::Signature& signature = served.model->signature();
  const bool simulated = signature.task == model::Task::kSimulated;
  message.set_name(served.name());
  message.set_platform(std::string(platform_of(served)));
  message.set_backend(simulated ? "podsense_simulated" : "onnxruntime");
  message.set_default_model_filename(simulated ? "" : "model.onnx");
  const std::uint32_t rows = served.max_batch_size();
  message.set_max_batch_size(static_cast<std::int32_t>(rows));
  if (manifest.max_batch.value_or(1) > 1) {
    message.mutable_dynamic_batching()->set_max_queue_delay_microseconds(static_cast<std::uint64_t>(
        std::chrono::duration_cast<std::chrono::microseconds>(manifest.max_delay).count()));
  }
  for (const model::TensorInfo& info : signature.inputs) {
    add_config(info, rows > 0, *message.add_input());
  }
  for (const model::TensorInfo& info : signature.outputs) {
    add_config(info, rows > 0, *message.add_output());
  }
  (*message.mutable_parameters())["task"].set_string_value(
      std::string(model::task_name(signature.task)));
  for (const auto& [name, text] : served.plan_facts()) {
    (*message.mutable_parameters())[std::string(name)].set_string_value(text);
  }
  if (manifest.instances) {
    wire::ModelInstanceGroup& group = *message.add_instance_group();
    group.set_name(served.name());
    group.set_kind(wire::ModelInstanceGroup::KIND_CPU);
    group.set_count(static_cast<std::int32_t>(*manifest.instances));
  }
  return {};
}

Result<void> fill_statistics(const inference::Catalog& catalog, const protocol::ModelRef& ref,
                             wire::ModelStatisticsResponse& message) {
  if (!ref.name.empty() && !ref.version.empty()) {
    const auto found = catalog.find(ref);
    if (!found) {
      return fail(found.error());
    }
    add_statistics((*found)->statistics(), *message.add_model_stats());
    return {};
  }
  if (!ref.name.empty()) {
    if (const auto found = catalog.find(ref); !found) {
      return fail(found.error());
    }
  }
  for (const inference::ModelStatus& status : catalog.status()) {
    if (status.served && (ref.name.empty() || status.name == ref.name)) {
      add_statistics(status.served->statistics(), *message.add_model_stats());
    }
  }
  return {};
}

void fill_index(const inference::Catalog& catalog, bool only_ready,
                wire::RepositoryIndexResponse& message) {
  for (const inference::ModelStatus& status : catalog.status()) {
    if (only_ready && !status.served) {
      continue;
    }
    auto& entry = *message.add_models();
    entry.set_name(status.name);
    entry.set_version(status.version);
    entry.set_state(status.served ? "READY" : "UNAVAILABLE");
    entry.set_reason(status.reason);
  }
  for (const std::string& name : only_ready ? std::vector<std::string>() : catalog.unloaded()) {
    auto& entry = *message.add_models();
    entry.set_name(name);
    entry.set_state("UNAVAILABLE");
    entry.set_reason("unloaded");
  }
}

}  // namespace podsense::grpc
