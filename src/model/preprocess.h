#pragma once

/// Reads how pictures are converted to the model's input, from the manifest or the ONNX file's
/// metadata. Private to this module.

#include <yaml-cpp/yaml.h>

#include <string_view>

#include "base/error.h"
#include "model/manifest.h"

namespace podsense::model {

/// Reads the manifest's `preprocess` map; its keys replace those of `spec`.
Result<void> read_preprocess(std::string_view key, const YAML::Node& node, PreprocessSpec& spec);

/// Reads the metadata value `preprocess`: a JSON object with the manifest's keys, or with those of
/// older recipes (`size`, `crop: center`, a filter's name under `resize`, one number for `mean` and
/// `std`, "NCHW f32"). Unknown keys are ignored, because other tools write there, too.
Result<PreprocessSpec> parse_preprocess_metadata(std::string_view json);

/// `file`, with the keys set in `manifest` replaced.
PreprocessSpec overlay(const PreprocessSpec& file, const PreprocessSpec& manifest);

}  // namespace podsense::model
