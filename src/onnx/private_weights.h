#pragma once

/// A model's external data, read into this process's memory. ONNX Runtime would map the files; then
/// later changes of a file would change the model, and a truncated file would kill the process
/// (SIGBUS). Private to this module.

#include <cstddef>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "onnx/ort.h"

namespace podsense::onnx {

/// ONNX Runtime 1.31 copies the data, so this can be destroyed after the session is created.
/// Weights use memory of their size, and twice that while the model is opened.
class PrivateWeights {
 public:
  /// @param locations as written in the model
  /// @param files of each location
  /// @errors kInvalidArgument: a file cannot be read, or changes while it is read
  static Result<PrivateWeights> read(const std::vector<std::string>& locations,
                                     const std::vector<std::filesystem::path>& files);
  /// `options` borrows the memory.
  void give_to(Ort::SessionOptions& options) const;

 private:
  struct File {
    std::string location;
    std::unique_ptr<char[]> bytes;  // NOLINT(modernize-avoid-c-arrays): not zero-initialised
    std::size_t size = 0;
  };
  std::vector<File> files_;
};

}  // namespace podsense::onnx
