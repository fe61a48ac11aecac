#pragma once

/// grpc.reflection v1 and v1alpha: which services and messages there are, for tools such as
/// grpcurl. Private to this module.

#include "grpc/methods.h"

namespace podsense::grpc {

/// Reports the services of all methods added before this call.
void add_reflection(Methods& methods);

}  // namespace podsense::grpc
