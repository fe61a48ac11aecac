#pragma once

/// The documents of the Open Inference Protocol that describe models. Private to this module.

#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "inference/catalog.h"
#include "inference/model_facts.h"
#include "protocol/tensor.h"

namespace podsense::http {

/// The serving versions of one model, oldest first; empty: none.
std::vector<inference::ModelStatus> versions_of(const inference::Catalog& catalog,
                                                std::string_view name);

/// `[{"name", "datatype", "shape"}]`
nlohmann::json tensor_list(const std::vector<inference::TensorFacts>& tensors);

/// @source Open Inference Protocol v2, model metadata
nlohmann::json oip_metadata(const inference::ServedModel& served,
                            const std::vector<inference::ModelStatus>& versions);

/// @source Triton, model configuration extension (ModelConfig as JSON)
nlohmann::json oip_config(const inference::ServedModel& served);

/// @source Triton, statistics extension
nlohmann::json oip_statistics(const protocol::ModelStatistics& statistics);

/// @source Triton, model repository extension
nlohmann::json oip_repository_index(const inference::Catalog& catalog, bool only_ready);

}  // namespace podsense::http
