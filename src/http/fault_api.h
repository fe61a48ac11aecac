#pragma once

/// GET and POST /v1/faults on the admin port: fault injection. See inference/faults.h.

#include "inference/faults.h"
#include "transport/router.h"

namespace podsense::http {

/// `faults` must outlive the router.
void add_fault_routes(transport::Router& router, inference::Faults& faults);

}  // namespace podsense::http
