#pragma once

/// ONNX files, run by ONNX Runtime, which nobody else includes.
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
  unsigned threads = 1;  ///< per run where the manifest says nothing
  bool spinning = false;
  /// Blocks of memory that a run has used stay for the next of its thread, up to 16 MiB.
  bool memory_arena = true;
  MemoryBudget* budget = nullptr;  ///< that runs take their memory from; null: none
  /// Map external data from its file instead of reading it: no memory of this process's own, shared
  /// by all that map it; but what is done to the file is done to the model.
  bool map_weights = false;
  /// Libraries of operators, each with the SHA-256 of its file. They may do all that this process
  /// may.
  std::map<std::string, std::string> custom_ops{};
  /// Where optimised copies of models are kept for a faster start (keyed by content, library and
  /// CPU); empty: nowhere. Never inside the repository.
  std::filesystem::path cache_dir;
};

/// One per process. Sets ORT_DISABLE_TELEMETRY=1 before the first call into ONNX Runtime, and
/// LOCPATH where only a folder beside the binary has the locale en_US.UTF-8, for which
/// StringNormalizer asks.
/// @errors kInternal: ONNX Runtime cannot start; kInvalidArgument: a library of operators that
///         cannot be used
Result<std::unique_ptr<model::Backend>> make_backend(const Options& options);

}  // namespace podsense::onnx
