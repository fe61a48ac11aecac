#pragma once

/// Libraries of operators that ONNX Runtime does not have, as `--custom-ops` names them. A library
/// runs with all that this process may do, so it comes from the configuration alone, with the hash
/// of what was looked at; never from a model's folder. Private to this module.

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
  /// @errors kInvalidArgument: a file cannot be read, is another than its hash says, or is no
  ///         library of operators that can be loaded here; one sentence
  static Result<CustomOps> open(const std::map<std::string, std::string>& sha256);
  /// Makes the operators known to sessions with these options. @errors ONNX Runtime's, as an
  /// Ort::Exception
  void give_to(Ort::SessionOptions& options) const;

 private:
  using Register = OrtStatus*(ORT_API_CALL*)(OrtSessionOptions*, const OrtApiBase*);
  std::vector<Register> libraries_;
};

/// Why the loader does not take a library, from its own text; in particular one that is a module of
/// Python's.
std::string loader_reason(const std::string& file, std::string_view loader_text);

}  // namespace podsense::onnx
