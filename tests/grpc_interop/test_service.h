#pragma once

/// grpc.testing.TestService of gRPC's interoperability tests, on this server's own means for calls.

#include "grpc/methods.h"

namespace podsense::grpc {

void add_test_service(Methods& methods);

}  // namespace podsense::grpc
