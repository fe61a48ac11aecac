#pragma once

/// The backend that runs ONNX files with ONNX Runtime. Only this module includes ONNX Runtime.
///
/// @source ONNX Runtime C++ API 21 over the library 1.31

#include <filesystem>
#include <map>
#include <memory>
#include <string>

#include "base/error.h"
#include "base/memory_budget.h"
#include "model/backend.h"

namespace podsense::onnx {

struct Options {
  unsigned threads = 1;  ///< per run, unless set in the manifest
  bool spinning = false;
  /// Keep a run's memory blocks for the next run of the same thread, up to 16 MiB.
  bool memory_arena = true;
  MemoryBudget* budget = nullptr;  ///< for the memory of runs; null: none
  /// Map external data instead of reading it: several processes share the memory, but a change of
  /// the file changes the model.
  bool map_weights = false;
  /// Custom operator libraries, each with the SHA-256 of its file. They have all rights of this
  /// process.
  std::map<std::string, std::string> custom_ops{};
  /// The folder for optimised models (keyed by content, library version and CPU); empty: none. Must
  /// not be inside the repository.
  std::filesystem::path cache_dir;
};

/// One per process. Sets ORT_DISABLE_TELEMETRY=1 before the first call of ONNX Runtime, and LOCPATH
/// if the locale en_US.UTF-8, needed by StringNormalizer, is only in a folder next to the binary.
/// @errors kInternal: ONNX Runtime cannot start; kInvalidArgument: an operator library cannot be
/// used
Result<std::unique_ptr<model::Backend>> make_backend(const Options& options);

}  // namespace podsense::onnx
