#pragma once

/// gRPC-Web: calls from browsers, over HTTP/1.1 or HTTP/2. The call begins when the whole request
/// has arrived; the answer is sent when the call has ended. Private to this module.
/// @source PROTOCOL-WEB.md of gRPC

#include "grpc/methods.h"
#include "transport/router.h"

namespace podsense::grpc {

/// Adds a route for each method that the server ends. `shared` and `methods` must outlive the
/// router.
void add_web_routes(transport::Router& router, CallEnvironment& shared, const Methods& methods);

}  // namespace podsense::grpc
