#pragma once

/// The V1 protocol of KServe and TensorFlow Serving, `{"instances": […]}` → `{"predictions": […]}`,
/// also used by SageMaker's and Vertex AI's containers. It is converted to the values of the other
/// codecs. An instance is a value, a nested list, or an object with a member for each input.

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

#include "base/error.h"
#include "protocol/messages.h"
#include "protocol/oip_codec.h"
#include "protocol/tensor.h"

namespace podsense::protocol {

/// A body's instances, without its other fields (`parameters`, `signature_name`).
struct Instances {
  std::string json;       ///< `{"instances":[…]}`, unchanged text
  std::size_t count = 0;  ///< at least 1
  std::string picture;    ///< of a single instance `{"b64": "…"}`; empty: none
};

/// @errors kInvalidArgument: not a JSON object; `instances` is missing, not a list, or empty; or
/// `inputs`, the unsupported columnar format
Result<Instances> read_instances(std::string_view json);

/// Converts instances to the JSON of an Open Inference Protocol request for a model with these
/// inputs.
/// @errors kInvalidArgument: the model has several inputs and an instance is not an object, or an
/// object lacks an input or has an unknown member
Result<std::string> instances_to_oip(const Instances& instances,
                                     std::span<const TensorMetadata> inputs);

/// Writes `{"predictions":[…]}`: for each instance its row of the output, or an object with all
/// outputs.
/// @errors kInvalidArgument: an output without a row for each instance, or of a type without a JSON
/// form
Result<std::string> write_predictions(const InferAnswer& answer, std::size_t instances);
/// The same for rows: the label or the value of each.
std::string write_predictions(const RowsAnswer& answer);

/// Whether the body is an object with this member, compared without decoding escapes.
bool has_member(std::string_view json, std::string_view name);

}  // namespace podsense::protocol
