#include "server/options.h"

#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>

#include "base/cgroup.h"
#include "base/memory_budget.h"
#include "server/build_info.h"

namespace podsense::server {
namespace {

constexpr Duration kAdminTimeout = std::chrono::seconds(10);

}  // namespace

Threads plan_threads(const Config& config) {
  const unsigned quota = cgroup::cpu_limit().threads();
  return {.io = config.threads.io != 0 ? config.threads.io : quota,
          .executors = config.threads.executors != 0 ? config.threads.executors : quota};
}

std::uint64_t plan_memory(const Config& config) {
  if (config.limits.max_memory > 0) {
    return config.limits.max_memory;
  }
  const auto group = cgroup::memory();
  const std::uint64_t machine = machine_memory_bytes();
  return group && group->limit_bytes ? std::min(*group->limit_bytes, machine) : machine;
}

fetch::Options fetch_options(const Config::Fetch& fetch, const Config::Limits& limits) {
  return {.enabled = fetch.enabled,
          .max_bytes = limits.max_body_bytes,
          .timeout = fetch.timeout,
          .connect_timeout = fetch.connect_timeout,
          .max_redirects = fetch.max_redirects,
          .max_concurrent = fetch.max_concurrent,
          .max_waiting = fetch.max_waiting,
          .ports = fetch.ports,
          .allow_hosts = fetch.allow_hosts,
          .deny_hosts = fetch.deny_hosts,
          .allow_cidrs = fetch.allow_cidrs,
          .deny_cidrs = fetch.deny_cidrs,
          .ca_file = fetch.ca_file,
          .user_agent = std::string("podsense/") + build_info().version +
                        (fetch.contact.empty() ? "" : " (" + fetch.contact + ")"),
          .headers_file = fetch.headers_file};
}

trace::Options trace_options(const Config::Tracing& tracing) {
  const char* pod = std::getenv("HOSTNAME");  // NOLINT(concurrency-mt-unsafe): nobody sets it
  trace::Options options{.endpoint = tracing.endpoint,
                         .traces_endpoint = tracing.traces_endpoint,
                         .headers = tracing.headers,
                         .ca_file = tracing.ca_file,
                         .certificate = tracing.certificate,
                         .key = tracing.key,
                         .sampler = tracing.sampler,
                         .ratio = tracing.ratio,
                         .service_name = tracing.service_name,
                         .service_version = build_info().version,
                         .instance = pod == nullptr ? "" : pod,
                         .attributes = tracing.resource_attributes,
                         .max_waiting = tracing.max_queue,
                         .timeout = tracing.timeout};
  const auto named = options.attributes.find("service.name");
  if (named != options.attributes.end() && options.service_name == Config::Tracing{}.service_name) {
    options.service_name = named->second;
  }
  return options;
}

inference::CatalogOptions catalog_options(const Config& config, const Threads& threads) {
  const Config::Models& models = config.models;
  return {
      .repository = {.root = models.dir,
                     .single_model_name = models.model_name.empty() ? "model" : models.model_name,
                     .only = models.only},
      .serve = {.instances = 0,
                .max_waiting = config.limits.max_queue_length,
                .max_wait = config.limits.max_wait},
      .profile_dir = models.cache_dir,
      .polls = models.reload_interval > Duration::zero(),
      .strict_readiness = models.strict_readiness,
      .load_threads = threads.executors,
      .preferred_model = models.model_name,
      .defaults = {models.defaults.begin(), models.defaults.end()}};
}

inference::ServiceOptions service_options(const Config& config) {
  const Config::Limits& limits = config.limits;
  inference::ServiceOptions options{.image_limits = {.max_bytes = limits.max_body_bytes,
                                                     .max_pixels = limits.max_pixels,
                                                     .max_side = limits.max_side,
                                                     .max_frames = limits.max_frames,
                                                     .max_time = limits.decode_timeout}};
  if (config.simulated.infer_cpu_ms) {
    options.simulated_cpu = std::chrono::duration_cast<Duration>(
        std::chrono::duration<double, std::milli>(*config.simulated.infer_cpu_ms));
  }
  return options;
}

Descriptors plan_descriptors(int limit) {
  if (limit <= 0) {
    return {};
  }
  const int share = std::clamp(limit / 8, 8, 256);
  return {
      .http = limit - 2 * share, .admin = limit - share, .kept = static_cast<unsigned>(share) / 4};
}

int descriptor_limit() {
  rlimit limit{};
  constexpr rlim_t kNoLimit = 1U << 30U;
  return ::getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < kNoLimit
             ? static_cast<int>(limit.rlim_cur)
             : 0;
}

void raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
    limit.rlim_cur = limit.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &limit);
  }
}

transport::ServerOptions http_options(const Config& config, unsigned threads,
                                      const Descriptors& descriptors) {
  const Config::Limits& limits = config.limits;
  return {.name = "http",
          .hosts = config.listen.host,
          .port = config.listen.http_port,
          .threads = threads,
          .max_header_bytes = static_cast<std::uint32_t>(limits.max_header_bytes),
          .max_inflated_bytes = limits.max_inflated_bytes,
          .max_connections = limits.max_connections,
          .max_connections_per_address = limits.max_connections_per_address,
          .trusted_proxies = config.listen.trusted_proxies,
          .forwarded_by = config.listen.forwarded_by,
          .proxy_protocol = config.listen.proxy_protocol,
          .kept_connections = descriptors.kept,
          .most_descriptor = descriptors.http,
          .request_timeout = limits.request_timeout,
          .idle_timeout = limits.idle_timeout,
          .header_timeout = limits.header_timeout,
          .body_timeout = limits.body_timeout,
          .write_timeout = limits.write_timeout,
          .cors_origins = config.http.cors_origins,
          .gzip_from = config.http.gzip_from,
          .cors_max_age = config.http.cors_max_age,
          .http2 = {.max_streams = config.grpc.max_streams,
                    .max_idle = config.grpc.max_connection_idle,
                    .max_age = config.grpc.max_connection_age,
                    .max_age_grace = config.grpc.max_connection_age_grace,
                    .keepalive_time = config.grpc.keepalive_time,
                    .keepalive_timeout = config.grpc.keepalive_timeout,
                    .min_ping_interval = config.grpc.min_ping_interval},
          .access_log = config.http.access_log,
          .access_log_rate = config.http.access_log_rate};
}

transport::ServerOptions admin_options(const Config& config, const Descriptors& descriptors) {
  transport::ServerOptions options = http_options(config, 1, descriptors);
  options.name = "admin";
  options.hosts = config.listen.admin_host;
  options.port = config.listen.admin_port;
  options.cors_origins.clear();
  options.own_names = config.listen.admin_names;
  options.trusted_proxies.clear();  // no proxies in front of the admin port
  options.proxy_protocol = false;
  options.max_connections = 1024;
  options.most_descriptor = descriptors.admin;
  // Monitors and tools are fast; slow clients must not block places.
  options.idle_timeout = std::min(options.idle_timeout, kAdminTimeout);
  options.header_timeout = std::min(options.header_timeout, kAdminTimeout);
  options.body_timeout = std::min(options.body_timeout, kAdminTimeout);
  options.write_timeout = std::min(options.write_timeout, kAdminTimeout);
  options.access_log = AccessLog::kErrors;
  return options;
}

transport::ServerOptions grpc_port_options(const Config& config, const Descriptors& descriptors) {
  transport::ServerOptions options = http_options(config, 0, descriptors);
  options.name = "grpc";
  options.port = config.listen.grpc_port;
  return options;
}

grpc::GrpcOptions grpc_options(const Config& config) {
  const Config::Grpc& from = config.grpc;
  return {.max_message_bytes = from.max_message_bytes,
          .max_in_flight = from.max_in_flight,
          .stream_in_flight = from.stream_in_flight,
          .request_timeout = config.limits.request_timeout,
          .access_log = config.http.access_log,
          .reflection = from.reflection,
          .repository_control = config.models.repository_api,
          .version = build_info().version};
}

}  // namespace podsense::server
