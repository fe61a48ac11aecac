#pragma once

/// A model's external data, read into memory of this process. Mapped, as ONNX Runtime does it by
/// itself, the file's later content would be the model's, and a file cut short would end the
/// process (SIGBUS). Private to this module.

#include <cstddef>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "onnx/ort.h"

namespace podsense::onnx {

/// ONNX Runtime 1.31 copies what it is given, so this may end once the session is made: weights
/// cost their size in memory, and twice that while the model is opened.
class PrivateWeights {
 public:
  /// @param locations as the model has them
  /// @param files of each location
  /// @errors kInvalidArgument: a file cannot be read, or changes meanwhile
  static Result<PrivateWeights> read(const std::vector<std::string>& locations,
                                     const std::vector<std::filesystem::path>& files);
  /// `options` borrows the memory.
  void give_to(Ort::SessionOptions& options) const;

 private:
  struct File {
    std::string location;
    std::unique_ptr<char[]> bytes;  // NOLINT(modernize-avoid-c-arrays): not set to zero first
    std::size_t size = 0;
  };
  std::vector<File> files_;
};

}  // namespace podsense::onnx
