#pragma once

/// Custom operator libraries, configured by `--custom-ops`. A library has all rights of this
/// process, so it only comes from the configuration, with the hash of the reviewed file; never from
/// a model's folder. Private to this module.

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "base/error.h"
#include "onnx/ort.h"

namespace podsense::onnx {

/// @threads thread-safe once made. Libraries stay until the process ends.
class CustomOps {
 public:
  /// @param sha256 by file
  /// @errors kInvalidArgument: a file cannot be read, has another hash, or is not a loadable
  /// operator library; one sentence
  static Result<CustomOps> open(const std::map<std::string, std::string>& sha256);
  /// Registers the operators with these session options. @errors ONNX Runtime's, as an
  /// Ort::Exception
  void give_to(Ort::SessionOptions& options) const;

 private:
  using Register = OrtStatus*(ORT_API_CALL*)(OrtSessionOptions*, const OrtApiBase*);
  std::vector<Register> libraries_;
};

/// Why the dynamic loader refused a library, from its message; detects libraries that only load
/// inside Python.
std::string loader_reason(const std::string& file, std::string_view loader_text);

}  // namespace podsense::onnx
