// What each module is told, from the one configuration.
#pragma once

#include "fetch/fetch.h"
#include "grpc/services.h"
#include "inference/catalog.h"
#include "inference/service.h"
#include "server/config.h"
#include "trace/trace.h"
#include "transport/server.h"

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
/// Up to which descriptor each port takes connections, so that some are left for probes, scrapes
/// and files of models when clients have taken all others. 0: no limit.
struct Descriptors {
  int http = 0;
  int admin = 0;
  unsigned kept = 64;  ///< further connections in which only probes are served
};
/// Bytes that the process may use: as configured, else the cgroup's limit, else all there is.
std::uint64_t plan_memory(const Config& config);
/// `limit`: of the process; 0: none.
Descriptors plan_descriptors(int limit);
/// How many descriptors this process may have. 0: no limit worth the name.
int descriptor_limit();
/// Makes that as many as the system lets it be.
void raise_descriptor_limit();

transport::ServerOptions http_options(const Config& config, unsigned threads,
                                      const Descriptors& descriptors);
/// The admin port's: one thread, few connections, short limits, no CORS.
transport::ServerOptions admin_options(const Config& config, const Descriptors& descriptors);
/// Of the port that is gRPC's own: the same limits, on the same threads.
transport::ServerOptions grpc_port_options(const Config& config, const Descriptors& descriptors);
grpc::GrpcOptions grpc_options(const Config& config);

}  // namespace podsense::server
