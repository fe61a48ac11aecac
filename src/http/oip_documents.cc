#include "http/oip_documents.h"

#include <algorithm>
#include <span>
#include <variant>

namespace podsense::http {
namespace {

using nlohmann::json;

/// "TYPE_FP32"; Triton's name for BYTES is TYPE_STRING.
std::string config_type(DataType type) {
  return "TYPE_" +
         (type == DataType::kBytes ? std::string("STRING") : std::string(data_type_name(type)));
}

json config_tensors(const std::vector<inference::TensorFacts>& infos, bool batches, bool inputs) {
  json list = json::array();
  for (const inference::TensorFacts& info : infos) {
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

json version_policy(const inference::ServedVersions& policy) {
  if (const auto* latest = std::get_if<inference::LatestVersions>(&policy)) {
    return {{"latest", {{"num_versions", latest->count}}}};
  }
  if (const auto* listed = std::get_if<inference::ListedVersions>(&policy)) {
    return {{"specific", {{"versions", listed->versions}}}};
  }
  return {{"all", json::object()}};
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

json tensor_list(const std::vector<inference::TensorFacts>& tensors) {
  json list = json::array();
  for (const inference::TensorFacts& tensor : tensors) {
    list.push_back({{"name", tensor.name},
                    {"datatype", data_type_name(tensor.type)},
                    {"shape", tensor.shape}});
  }
  return list;
}

json oip_metadata(const inference::ServedModel& served,
                  const std::vector<inference::ModelStatus>& versions) {
  const inference::ModelFacts facts = inference::facts_of(served);
  json names = json::array();
  for (const inference::ModelStatus& status : versions) {
    names.push_back(status.version);
  }
  return {{"name", facts.name},
          {"versions", std::move(names)},
          {"platform", facts.platform},
          {"inputs", tensor_list(facts.inputs)},
          {"outputs", tensor_list(facts.outputs)}};
}

json oip_config(const inference::ServedModel& served) {
  const inference::ModelFacts facts = inference::facts_of(served);
  const bool batches = facts.max_batch_size > 0;
  json config{{"name", facts.name},
              {"platform", facts.platform},
              {"backend", facts.backend},
              {"version_policy", version_policy(facts.version_policy)},
              {"max_batch_size", facts.max_batch_size},
              {"input", config_tensors(facts.inputs, batches, true)},
              {"output", config_tensors(facts.outputs, batches, false)},
              {"default_model_filename", facts.file},
              {"instance_group", json::array()},
              {"parameters", json::object()}};
  for (const auto& [name, text] : facts.parameters) {
    config["parameters"][name] = {{"string_value", text}};
  }
  if (facts.instances) {
    config["instance_group"].push_back({{"name", facts.name},
                                        {"kind", "KIND_CPU"},
                                        {"count", *facts.instances},
                                        {"gpus", json::array()}});
  }
  if (facts.max_delay) {
    config["dynamic_batching"] = {{"preferred_batch_size", json::array()},
                                  {"max_queue_delay_microseconds", facts.max_delay->count()}};
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
