#pragma once

/// podsense.v1.InferenceService, proto/podsense/v1/inference.proto. Private to this module.

#include "grpc/methods.h"

namespace podsense::grpc {

/// `shared` outlives the methods.
void add_podsense_service(Methods& methods, CallEnvironment& shared);

}  // namespace podsense::grpc
