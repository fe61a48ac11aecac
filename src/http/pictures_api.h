#pragma once

/// Several pictures in one request. Each is classified separately, so that they can share runs with
/// other requests and a failure affects only one picture. The results are in the request's order.

#include "inference/service.h"
#include "protocol/messages.h"
#include "transport/message.h"

namespace podsense::http {

/// Answers `{"results": [ANSWER or {"error", "code"}, …]}`. If all pictures failed for a reason
/// that the pictures did not cause (overload, deadline, internal fault), the answer is that error.
/// @requires at least one picture
void classify_all(inference::Service& service, transport::Request& request, transport::Reply reply,
                  protocol::Pictures pictures);

}  // namespace podsense::http
