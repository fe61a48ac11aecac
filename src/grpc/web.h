#pragma once

/// gRPC-Web: calls from browsers, over HTTP/1.1 or HTTP/2. The whole request is there before the
/// call begins, and its answer is sent when it has ended. Private to this module.
/// @source PROTOCOL-WEB.md of gRPC

#include "grpc/methods.h"
#include "transport/router.h"

namespace podsense::grpc {

/// A route for each method whose answer ends. `shared` and `methods` outlive the router.
void add_web_routes(transport::Router& router, CallEnvironment& shared, const Methods& methods);

}  // namespace podsense::grpc
