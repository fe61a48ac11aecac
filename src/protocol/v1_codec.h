#pragma once

/// KServe's and TensorFlow Serving's first protocol, `{"instances": […]}` → `{"predictions": […]}`,
/// which SageMaker's and Vertex AI's containers speak too: read into what the other codecs read.
/// An instance is a value, a nested list, or an object with a member for each input.

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

#include "base/error.h"
#include "protocol/messages.h"
#include "protocol/oip_codec.h"
#include "protocol/tensor.h"

namespace podsense::protocol {

/// A body's instances, apart from whatever else it brings (`parameters`, `signature_name`).
struct Instances {
  std::string json;       ///< `{"instances":[…]}`, as it was written
  std::size_t count = 0;  ///< at least 1
  std::string picture;    ///< of the one instance `{"b64": "…"}`; empty: there is none
};

/// @errors kInvalidArgument: no JSON object, `instances` missing, no list, or empty; `inputs`, the
///         columnar form
Result<Instances> read_instances(std::string_view json);

/// The JSON of an Open Inference Protocol request for a model with these inputs.
/// @errors kInvalidArgument: instances that are no objects for several inputs, an object without
///         one of the inputs or with another member
Result<std::string> instances_to_oip(const Instances& instances,
                                     std::span<const TensorMetadata> inputs);

/// `{"predictions":[…]}`: for each instance its row of the output, or an object of all outputs.
/// @errors kInvalidArgument: an output without a row for each instance, or without a form in JSON
Result<std::string> write_predictions(const InferAnswer& answer, std::size_t instances);
/// The same for rows: the label of each, or its value.
std::string write_predictions(const RowsAnswer& answer);

/// Whether the body's object has this member, as it is written; false where it is no object.
bool has_member(std::string_view json, std::string_view name);

}  // namespace podsense::protocol
