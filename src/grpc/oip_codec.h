#pragma once

/// Converts messages of the Open Inference Protocol to and from protocol values. The JSON codec
/// produces the same values for the same request.

#include <cstdint>

#include "base/error.h"
#include "protocol/tensor.h"

namespace inference {
class ModelInferRequest;
class ModelInferResponse;
}  // namespace inference

namespace podsense::grpc {

/// The inputs borrow from `message`, which must outlive them and not change.
/// @errors kInvalidArgument: invalid name, datatype, shape or parameter, elements that do not fit
/// shape and datatype, or raw and typed contents mixed; kUnimplemented: shared memory
Result<protocol::InferRequest> read_infer(const ::inference::ModelInferRequest& message);

/// Writes all outputs to raw_output_contents.
void write_infer(const protocol::InferAnswer& answer, ::inference::ModelInferResponse& message);

}  // namespace podsense::grpc
