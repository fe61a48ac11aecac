#pragma once

/// Messages of the Open Inference Protocol ↔ protocol values. The JSON codec leaves the same values
/// for the same request.

#include <cstdint>

#include "base/error.h"
#include "protocol/tensor.h"

namespace inference {
class ModelInferRequest;
class ModelInferResponse;
}  // namespace inference

namespace podsense::grpc {

/// The inputs borrow from `message`, which must outlive them and not change.
/// @errors kInvalidArgument: a name, datatype, shape or parameter that cannot be, elements that do
///         not fit shape and datatype, raw and typed contents mixed; kUnimplemented: shared memory
Result<protocol::InferRequest> read_infer(const ::inference::ModelInferRequest& message);

/// Every output goes into raw_output_contents.
void write_infer(const protocol::InferAnswer& answer, ::inference::ModelInferResponse& message);

}  // namespace podsense::grpc
