#pragma once

/// Endpoints for hosting platforms and older clients: KServe's V1 protocol, SageMaker's /ping and
/// /invocations, and the routes that Vertex AI chooses. Each forwards to one of this server's own
/// endpoints.

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
/// `routes`. If two routes have the same path, the router uses the one added first. So call this
/// before other routes are added: the platform's choice then has priority. `service` must outlive
/// the router.
void add_hosted_routes(transport::Router& router, inference::Service& service,
                       const StatusSources& sources, const ApiLimits& api_limits,
                       const OipLimits& oip_limits, const HostedRoutes& routes);

}  // namespace podsense::http
