#include "http/oip_documents.h"

#include <algorithm>
#include <span>

namespace podsense::http {
namespace {

using nlohmann::json;

const char* platform(const model::Signature& signature) {
  return signature.task == model::Task::kSimulated ? "podsense_simulated" : "onnxruntime_onnx";
}

json tensors(const std::vector<model::TensorInfo>& infos) {
  json list = json::array();
  for (const model::TensorInfo& info : infos) {
    list.push_back(
        {{"name", info.name}, {"datatype", data_type_name(info.type)}, {"shape", info.shape}});
  }
  return list;
}

/// "TYPE_FP32"; Triton calls BYTES a string here.
std::string config_type(DataType type) {
  return "TYPE_" +
         (type == DataType::kBytes ? std::string("STRING") : std::string(data_type_name(type)));
}

json config_tensors(const std::vector<model::TensorInfo>& infos, bool batches, bool inputs) {
  json list = json::array();
  for (const model::TensorInfo& info : infos) {
    // The batch dimension is not among `dims`.
    std::vector<std::int64_t> dims = info.shape;
    if (batches && !dims.empty()) {
      dims.erase(dims.begin());
    }
    json entry{{"name", info.name},
               {"data_type", config_type(info.type)},
               {"dims", dims},
               {"is_shape_tensor", false}};
    if (inputs) {
      entry.update({{"format", "FORMAT_NONE"}, {"allow_ragged_batch", false}, {"optional", false}});
    } else {
      entry["label_filename"] = "";
    }
    list.push_back(std::move(entry));
  }
  return list;
}

json version_policy(const model::Manifest& manifest) {
  switch (manifest.version_policy) {
    case model::VersionPolicy::kAll:
      return {{"all", json::object()}};
    case model::VersionPolicy::kList:
      return {{"specific", {{"versions", manifest.listed_versions}}}};
    case model::VersionPolicy::kLatest:
      break;
  }
  return {{"latest", {{"num_versions", manifest.keep_versions}}}};
}

json phase(const protocol::ModelStatistics::Phase& phase) {
  return {{"count", phase.count}, {"ns", phase.total.count()}};
}

json batches(const std::vector<protocol::ModelStatistics::Batch>& all) {
  json list = json::array();
  for (const protocol::ModelStatistics::Batch& batch : all) {
    const auto of_runs = [&](Duration total) {
      return phase({.count = batch.runs, .total = total});
    };
    list.push_back({{"batch_size", batch.size},
                    {"compute_input", of_runs(batch.compute_input)},
                    {"compute_infer", of_runs(batch.compute_infer)},
                    {"compute_output", of_runs({})}});
  }
  return list;
}

}  // namespace

std::vector<inference::ModelStatus> versions_of(const inference::Catalog& catalog,
                                                std::string_view name) {
  std::vector<inference::ModelStatus> all = catalog.status();
  std::erase_if(all, [name](const inference::ModelStatus& status) {
    return status.name != name || !status.served;
  });
  return all;
}

json oip_metadata(const inference::ServedModel& served,
                  const std::vector<inference::ModelStatus>& versions) {
  const model::Signature& signature = served.model->signature();
  json names = json::array();
  for (const inference::ModelStatus& status : versions) {
    names.push_back(status.version);
  }
  return {{"name", served.name()},
          {"versions", std::move(names)},
          {"platform", platform(signature)},
          {"inputs", tensors(signature.inputs)},
          {"outputs", tensors(signature.outputs)}};
}

json oip_config(const inference::ServedModel& served) {
  const model::Model& model = *served.model;
  const model::Manifest& manifest = model.manifest();
  const model::Signature& signature = model.signature();
  const std::uint32_t rows = served.max_batch_size();
  const bool has_file = signature.task != model::Task::kSimulated;
  json config{{"name", served.name()},
              {"platform", platform(signature)},
              {"backend", has_file ? "onnxruntime" : "podsense_simulated"},
              {"version_policy", version_policy(manifest)},
              {"max_batch_size", rows},
              {"input", config_tensors(signature.inputs, rows > 0, true)},
              {"output", config_tensors(signature.outputs, rows > 0, false)},
              {"default_model_filename", has_file ? "model.onnx" : ""},
              {"instance_group", json::array()},
              {"parameters", {{"task", {{"string_value", model::task_name(signature.task)}}}}}};
  for (const auto& [name, text] : served.plan_facts()) {
    config["parameters"][std::string(name)] = {{"string_value", text}};
  }
  if (manifest.instances) {
    config["instance_group"].push_back({{"name", served.name()},
                                        {"kind", "KIND_CPU"},
                                        {"count", *manifest.instances},
                                        {"gpus", json::array()}});
  }
  if (manifest.max_batch && *manifest.max_batch > 1) {
    const auto delay = std::chrono::duration_cast<std::chrono::microseconds>(manifest.max_delay);
    config["dynamic_batching"] = {{"preferred_batch_size", json::array()},
                                  {"max_queue_delay_microseconds", delay.count()}};
  }
  return config;
}

json oip_statistics(const protocol::ModelStatistics& statistics) {
  const protocol::ModelStatistics::Phase none;
  return {{"name", statistics.name},
          {"version", statistics.version},
          {"last_inference", statistics.last_inference_ms},
          {"inference_count", statistics.inference_count},
          {"execution_count", statistics.execution_count},
          {"inference_stats",
           {{"success", phase(statistics.success)},
            {"fail", phase(statistics.fail)},
            {"queue", phase(statistics.queue)},
            {"compute_input", phase(statistics.compute_input)},
            {"compute_infer", phase(statistics.compute_infer)},
            {"compute_output", phase({.count = statistics.success.count, .total = {}})},
            {"cache_hit", phase(none)},
            {"cache_miss", phase(none)}}},
          {"batch_stats", batches(statistics.batches)},
          {"memory_usage", json::array()}};
}

json oip_repository_index(const inference::Catalog& catalog, bool only_ready) {
  json list = json::array();
  for (const inference::ModelStatus& status : catalog.status()) {
    if (only_ready && !status.served) {
      continue;
    }
    json entry{{"name", status.name},
               {"state", status.served ? "READY" : "UNAVAILABLE"},
               {"reason", status.reason}};
    if (!status.version.empty()) {
      entry["version"] = status.version;
    }
    list.push_back(std::move(entry));
  }
  for (const std::string& name : only_ready ? std::vector<std::string>() : catalog.unloaded()) {
    list.push_back({{"name", name}, {"state", "UNAVAILABLE"}, {"reason", "unloaded"}});
  }
  return list;
}

}  // namespace podsense::http
