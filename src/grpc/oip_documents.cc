#include "grpc/oip_documents.h"

#include <inference/grpc_service.pb.h>

#include <algorithm>
#include <variant>

#include "base/data_type.h"
#include "inference/model_facts.h"
#include "protocol/oip_codec.h"
#include "protocol/options.h"

namespace podsense::grpc {
namespace {

namespace wire = ::inference;

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

void add_tensor(const inference::TensorFacts& info,
                wire::ModelMetadataResponse::TensorMetadata& to) {
  to.set_name(info.name);
  to.set_datatype(std::string(data_type_name(info.type)));
  to.mutable_shape()->Add(info.shape.begin(), info.shape.end());
}

/// Leaves out the first dimension if it is the batch.
template <class Tensor>
void add_config(const inference::TensorFacts& info, bool batches, Tensor& to) {
  to.set_name(info.name);
  to.set_data_type(wire_type(info.type));
  const std::ptrdiff_t skip = batches && !info.shape.empty() ? 1 : 0;
  to.mutable_dims()->Add(info.shape.begin() + skip, info.shape.end());
}

void set_version_policy(const inference::ServedVersions& policy, wire::ModelVersionPolicy& to) {
  if (const auto* latest = std::get_if<inference::LatestVersions>(&policy)) {
    to.mutable_latest()->set_num_versions(latest->count);
  } else if (const auto* listed = std::get_if<inference::ListedVersions>(&policy)) {
    for (const std::uint64_t version : listed->versions) {
      to.mutable_specific()->add_versions(static_cast<std::int64_t>(version));
    }
  } else {
    to.mutable_all();
  }
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
      *phases.mutable_compute_output());  // there is no such phase
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

void fill_server(const GrpcOptions& options, wire::ServerMetadataResponse& message) {
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
  const inference::ModelFacts facts = inference::facts_of(**found);
  message.set_name(facts.name);
  message.set_platform(facts.platform);
  for (const inference::ModelStatus& status : catalog.status()) {
    if (status.served && status.name == facts.name) {
      message.add_versions(status.version);
    }
  }
  for (const inference::TensorFacts& info : facts.inputs) {
    add_tensor(info, *message.add_inputs());
  }
  for (const inference::TensorFacts& info : facts.outputs) {
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
  const inference::ModelFacts facts = inference::facts_of(**found);
  const bool batches = facts.max_batch_size > 0;
  message.set_name(facts.name);
  message.set_platform(facts.platform);
  message.set_backend(facts.backend);
  message.set_default_model_filename(facts.file);
  set_version_policy(facts.version_policy, *message.mutable_version_policy());
  message.set_max_batch_size(static_cast<std::int32_t>(facts.max_batch_size));
  if (facts.max_delay) {
    message.mutable_dynamic_batching()->set_max_queue_delay_microseconds(
        static_cast<std::uint64_t>(facts.max_delay->count()));
  }
  for (const inference::TensorFacts& info : facts.inputs) {
    add_config(info, batches, *message.add_input());
  }
  for (const inference::TensorFacts& info : facts.outputs) {
    add_config(info, batches, *message.add_output());
  }
  for (const auto& [name, text] : facts.parameters) {
    (*message.mutable_parameters())[name].set_string_value(text);
  }
  if (facts.instances) {
    wire::ModelInstanceGroup& group = *message.add_instance_group();
    group.set_name(facts.name);
    group.set_kind(wire::ModelInstanceGroup::KIND_CPU);
    group.set_count(static_cast<std::int32_t>(*facts.instances));
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
