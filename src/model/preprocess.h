#pragma once

/// How a picture becomes the model's input, as the manifest or the ONNX file's metadata say it.
/// Private to this module.

#include <yaml-cpp/yaml.h>

#include <string_view>

#include "base/error.h"
#include "model/manifest.h"

namespace podsense::model {

/// Reads the manifest's `preprocess` map over what `spec` holds.
Result<void> read_preprocess(std::string_view key, const YAML::Node& node, PreprocessSpec& spec);

/// Reads the metadata value `preprocess`: a JSON object with the manifest's keys, or with those of
/// older recipes (`size`, `crop: center`, a filter's name under `resize`, one number for `mean` and
/// `std`, "NCHW f32"). Keys it does not know are left alone: other tools write there too.
Result<PreprocessSpec> parse_preprocess_metadata(std::string_view json);

/// The file's word with the manifest's over it, key by key.
PreprocessSpec overlay(const PreprocessSpec& file, const PreprocessSpec& manifest);

}  // namespace podsense::model
