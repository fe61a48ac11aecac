#pragma once

/// What platforms and older clients ask that host models: KServe's first protocol, SageMaker's
/// /ping and /invocations, and the routes that Vertex AI chooses. Thin: each ends in an endpoint of
/// this server's own.

#include <string>

#include "http/api.h"
#include "http/oip.h"
#include "http/status_api.h"
#include "inference/service.h"
#include "transport/router.h"

namespace podsense::http {

struct HostedRoutes {
  std::string health;   ///< a path that answers as /readyz; empty: none
  std::string predict;  ///< a path that answers as /invocations; empty: none
};

/// `/v1/models/{model}`, `/v1/models/{model}:predict`, `/v2/models`, `/ping`, `/invocations`, and
/// `routes`. Of two routes with one path the router keeps the first that is added: to be called
/// before the others, so that a platform's choice holds. `service` must outlive the router.
void add_hosted_routes(transport::Router& router, inference::Service& service,
                       const StatusSources& sources, const ApiLimits& api_limits,
                       const OipLimits& oip_limits, const HostedRoutes& routes);

}  // namespace podsense::http
