#pragma once

/// inference.GRPCInferenceService: the Open Inference Protocol, proto/inference/grpc_service.proto.
/// Private to this module.

#include "grpc/methods.h"

namespace podsense::grpc {

/// `shared` outlives the methods.
void add_oip_service(Methods& methods, CallEnvironment& shared);

}  // namespace podsense::grpc
