/// Manifests, Triton's configurations, label lists, and the walk over an ONNX file: what a model
/// repository brings.

#include "model/manifest.h"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string_view>

#include "model/external_data.h"
#include "model/labels.h"
#include "model/preprocess.h"
#include "model/triton_config.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace podsense::model;
  static const std::filesystem::path nowhere = "/nonexistent";
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto manifest = parse_manifest(text, nowhere); !manifest) {
    if (manifest.error().message.empty()) {
      __builtin_trap();  // every refusal has a reason
    }
  }
  static_cast<void>(read_triton_config(text, nowhere));
  static_cast<void>(parse_preprocess_metadata(text));
  static_cast<void>(parse_label_json(text));
  static_cast<void>(find_external_data(std::as_bytes(std::span(text))));
  return 0;
}
