// Converts the configuration to the options of each module.
#pragma once

#include "fetch/fetch.h"
#include "grpc/services.h"
#include "inference/catalog.h"
#include "inference/service.h"
#include "server/config.h"
#include "trace/trace.h"
#include "transport/server.h"

namespace podsense::server {

/// The number of threads of each kind.
struct Threads {
  unsigned io = 1;
  unsigned executors = 1;
};

/// The configured numbers; by default one of each per core of the current cgroup quota.
Threads plan_threads(const Config& config);

fetch::Options fetch_options(const Config::Fetch& fetch, const Config::Limits& limits);
trace::Options trace_options(const Config::Tracing& tracing);
inference::CatalogOptions catalog_options(const Config& config, const Threads& threads);
inference::ServiceOptions service_options(const Config& config);
/// The highest file descriptor for connections on each port, so that some are left for probes,
/// scrapes and model files when clients use all others. 0: no limit.
struct Descriptors {
  int http = 0;
  int admin = 0;
  unsigned kept = 64;  ///< additional connections, which serve only probes
};
/// The memory limit of the process in bytes: configured, else the cgroup's limit, else the
/// machine's memory.
std::uint64_t plan_memory(const Config& config);
/// `limit`: the descriptor limit of the process; 0: none.
Descriptors plan_descriptors(int limit);
/// The descriptor limit of this process. 0: practically unlimited.
int descriptor_limit();
/// Raises the descriptor limit as far as the system allows.
void raise_descriptor_limit();

transport::ServerOptions http_options(const Config& config, unsigned threads,
                                      const Descriptors& descriptors);
/// The options of the admin port: one thread, few connections, short time limits, no CORS.
transport::ServerOptions admin_options(const Config& config, const Descriptors& descriptors);
/// The options of gRPC's own port: the same limits and the same threads as the main port.
transport::ServerOptions grpc_port_options(const Config& config, const Descriptors& descriptors);
grpc::GrpcOptions grpc_options(const Config& config);

}  // namespace podsense::server
