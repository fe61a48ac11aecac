#pragma once

/// Facts about a served model version as a plain value. REST, gRPC and `/health` print them,
/// without access to the model itself.

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "base/data_type.h"
#include "inference/catalog.h"
#include "inference/served_model.h"
#include "protocol/oip_codec.h"

namespace podsense::inference {

/// The versions of a model that are served.
struct LatestVersions {
  std::uint32_t count = 1;
};
struct AllVersions {};
struct ListedVersions {
  std::vector<std::uint64_t> versions;
};
using ServedVersions = std::variant<LatestVersions, AllVersions, ListedVersions>;

struct TensorFacts {
  std::string name;
  DataType type = DataType::kFp32;
  std::vector<std::int64_t> shape;  ///< -1: any length
};

struct ModelFacts {
  std::string name;
  std::string version;
  std::string task;      ///< "tabular-classification"
  std::string plan;      ///< "inline", "executor"
  std::string backend;   ///< "onnxruntime"
  std::string platform;  ///< "onnxruntime_onnx"
  std::string file;      ///< "model.onnx"; empty: none
  std::uint64_t file_bytes = 0;
  std::vector<TensorFacts> inputs;
  std::vector<TensorFacts> outputs;
  std::size_t labels = 0;
  std::optional<std::size_t> features;  ///< columns of a row; tabular models
  ServedVersions version_policy;
  std::uint32_t max_batch_size = 0;                    ///< as ServedModel::max_batch_size
  std::optional<std::uint32_t> instances;              ///< if set in the manifest
  std::optional<std::chrono::microseconds> max_delay;  ///< if the manifest sets a batch delay
  /// How it runs and why: `task`, and those of ServedModel::plan_facts.
  std::vector<std::pair<std::string, std::string>> parameters;
};

ModelFacts facts_of(const ServedModel& served);

/// Only the inputs, for parsing requests. Borrowed from the model.
std::vector<protocol::TensorMetadata> inputs_of(const ServedModel& served);

/// Task and model of each existing default.
std::vector<std::pair<std::string, std::string>> default_models(const Catalog& catalog);

}  // namespace podsense::inference
