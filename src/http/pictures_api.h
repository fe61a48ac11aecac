#pragma once

/// Several pictures in one request: each is asked for by itself, so that they share runs with
/// others and one that fails costs the others nothing, and answered in the request's order.

#include "inference/service.h"
#include "protocol/messages.h"
#include "transport/message.h"

namespace podsense::http {

/// Answers `{"results": [ANSWER or {"error", "code"}, …]}`. Where none was answered and all failed
/// for a reason that is not theirs (overload, a deadline, a fault), that error is the answer.
/// @requires one picture at least
void classify_all(inference::Service& service, transport::Request& request, transport::Reply reply,
                  protocol::Pictures pictures);

}  // namespace podsense::http
