#pragma once

/// ONNX files, run by OpenVINO on the CPU. The library itself is loaded when the first model is
/// opened; the binary is not linked with it.
///
/// Refused with a reason: texts, FP64, Loop and Scan (neither could be ended at a deadline), and
/// operators that OpenVINO has not, such as those of ai.onnx.ml. Whole numbers of 64 bits, and
/// UINT32, are computed in 32 bits: inputs that do not fit are refused, and the model has a
/// warning.
///
/// @source OpenVINO C++ API 2026.4

#include <filesystem>
#include <memory>

#include "base/error.h"
#include "model/backend.h"

namespace podsense::openvino {

/// As `backend:` of a manifest has it.
inline constexpr std::string_view kBackendName = "openvino";

struct Options {
  unsigned threads = 1;        ///< per run where the manifest says nothing
  unsigned runs = 1;           ///< at the same time where the manifest says nothing
  bool keep_profiles = false;  ///< `machine` is asked for
  /// The library that holds OpenVINO; empty: `find_library`.
  std::filesystem::path library;
};

/// Beside the binary, or in ../lib of its folder; empty: it is in neither.
std::filesystem::path find_library();

/// Loads nothing yet. Null where there is no such library.
std::unique_ptr<model::Backend> make_backend(const Options& options);

}  // namespace podsense::openvino
