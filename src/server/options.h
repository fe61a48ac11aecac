// What each room is told, from the one configuration.
#pragma once

#include "fetch/fetch.h"
#include "grpc/server.h"
#include "http/server.h"
#include "inference/catalog.h"
#include "inference/service.h"
#include "server/config.h"
#include "trace/trace.h"

namespace podsense::server {

/// How many threads of each kind.
struct Threads {
  unsigned io = 1;
  unsigned executors = 1;
};

/// As configured; where that says nothing, one of each for a core of the cgroup's quota as it is
/// now.
Threads plan_threads(const Config& config);

fetch::Options fetch_options(const Config::Fetch& fetch, const Config::Limits& limits);
trace::Options trace_options(const Config::Tracing& tracing);
inference::CatalogOptions catalog_options(const Config& config, const Threads& threads);
inference::ServiceOptions service_options(const Config& config);
http::ServerOptions http_options(const Config& config, unsigned threads);
/// The admin port's: one thread, few connections, no CORS.
http::ServerOptions admin_options(const Config& config);
grpc::ServerOptions grpc_options(const Config& config);

}  // namespace podsense::server
