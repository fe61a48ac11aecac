#include "onnx/private_weights.h"

#include <fstream>
#include <system_error>
#include <utility>

namespace podsense::onnx {

Result<PrivateWeights> PrivateWeights::read(const std::vector<std::string>& locations,
                                            const std::vector<std::filesystem::path>& files) {
  PrivateWeights out;
  for (std::size_t i = 0; i < locations.size(); ++i) {
    std::error_code error;
    const std::size_t size = std::filesystem::file_size(files[i], error);
    File file{.location = locations[i], .bytes = nullptr, .size = size};
    std::ifstream stream(files[i], std::ios::binary);
    if (error || !stream) {
      return fail(ErrorCode::kInvalidArgument,
                  "external data: '" + locations[i] + "' cannot be read");
    }
    file.bytes = std::make_unique_for_overwrite<char[]>(size);  // NOLINT(modernize-avoid-c-arrays)
    stream.read(file.bytes.get(), static_cast<std::streamsize>(size));
    if (static_cast<std::size_t>(stream.gcount()) != size) {
      return fail(ErrorCode::kInvalidArgument,
                  "external data: '" + locations[i] + "' became shorter while it was read");
    }
    out.files_.push_back(std::move(file));
  }
  return out;
}

void PrivateWeights::give_to(Ort::SessionOptions& options) const {
  std::vector<std::basic_string<ORTCHAR_T>> names;
  std::vector<char*> bytes;
  std::vector<std::size_t> sizes;
  for (const File& file : files_) {
    names.emplace_back(file.location);
    bytes.push_back(file.bytes.get());
    sizes.push_back(file.size);
  }
  if (!names.empty()) {
    options.AddExternalInitializersFromFilesInMemory(names, bytes, sizes);
  }
}

}  // namespace podsense::onnx
