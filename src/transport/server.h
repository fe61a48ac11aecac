#pragma once

/// A server for HTTP/1.1 and HTTP/2: sockets, connections, limits, drain. The Router's handlers
/// make the answers.
///
/// Each I/O thread has one io_context; a connection stays on one thread. Handlers run on that
/// thread and must not block; their answer may come from any thread. Several servers can share I/O
/// threads.
///
/// Shutdown, called in this order: `announce_close` (answers carry Connection: close), then
/// `stop_accepting` (no new connections, idle ones end), then `wait_idle`, then destruction.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "access/access.h"
#include "access/certificates.h"
#include "base/access_log.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/memory_budget.h"
#include "metrics/metrics.h"
#include "trace/trace.h"
#include "transport/router.h"
#include "transport/trusted.h"

namespace podsense::transport {

/// Options of HTTP/2 connections. Zero durations: no limit.
struct Http2Options {
  std::uint32_t max_streams = 256;  ///< requests at a time on one connection
  Duration max_idle{};              ///< without a stream; zero: ServerOptions::idle_timeout
  Duration max_age{};               ///< then GOAWAY, so that load moves to new pods
  Duration max_age_grace{};         ///< after `max_age`, for requests in flight
  Duration keepalive_time{};        ///< silence before the server sends a ping
  Duration keepalive_timeout = std::chrono::seconds(20);
  /// clients that ping more often are disconnected
  Duration min_ping_interval = std::chrono::seconds(10);
};

struct ServerOptions {
  std::string name = "http";             ///< in log lines
  std::vector<std::string> hosts{"::"};  ///< addresses, see open_listeners
  std::uint16_t port = 0;                ///< 0: any free one
  int listener = -1;  ///< a listening TCP socket to take over; -1: use hosts and port
  unsigned threads = 1;
  std::uint32_t max_header_bytes = 16U << 10U;
  std::uint64_t max_inflated_bytes = 16ULL << 20U;  ///< of a decompressed body
  std::size_t max_connections = 16'384;
  std::size_t max_connections_per_address = 0;  ///< 0: no limit
  std::vector<std::string> trusted_proxies;     ///< networks of proxies that may name their clients
  ForwardedBy forwarded_by = ForwardedBy::kAny;
  bool proxy_protocol = false;        ///< trusted proxies send its header first
  std::size_t kept_connections = 64;  ///< additional places, which serve only probes
  int most_descriptor = 0;  ///< connections with a higher descriptor are too many; 0: no limit
  Duration request_timeout = std::chrono::seconds(30);  ///< last byte of a request to its answer
  Duration idle_timeout = std::chrono::seconds(620);    ///< between requests
  Duration header_timeout = std::chrono::seconds(10);   ///< first byte to end of headers
  Duration body_timeout = std::chrono::seconds(30);     ///< end of headers to end of body
  Duration write_timeout = std::chrono::seconds(30);    ///< whole answer
  std::vector<std::string> cors_origins;                ///< exact, or "*"; empty: no CORS
  std::vector<std::string> own_names;                   ///< of this host, see same_site.h
  std::size_t gzip_from = 32U << 10U;  ///< smaller JSON answers are not compressed; 0: no answer is
  Duration cors_max_age = std::chrono::minutes(10);
  Http2Options http2;
  AccessLog access_log = AccessLog::kSampled;
  access::Guard* guard = nullptr;                ///< outlives the server; null: no authentication
  access::Certificates* certificates = nullptr;  ///< outlives the server; null: no TLS
  unsigned access_log_rate = 20;                 ///< kSampled: successes a second and I/O thread
  trace::Tracer* tracer = nullptr;               ///< outlives the server; null: no traces
  MemoryBudget* memory = nullptr;                ///< outlives the server; null: no budget
};

/// The I/O threads of one or more servers.
class Workers;

class Server {
 public:
  /// Binds and listens; accepts no connection before `start`. `router`, `registry` and `clock` must
  /// outlive the server.
  /// @errors kUnavailable: the address cannot be bound, saying why
  static Result<std::unique_ptr<Server>> create(ServerOptions options, const Router& router,
                                                metrics::Registry& registry, const Clock& clock);
  /// Creates another server on the threads of `other`, which must be started first. When either is
  /// destroyed, both have stopped.
  static Result<std::unique_ptr<Server>> create_beside(Server& other, ServerOptions options,
                                                       const Router& router,
                                                       metrics::Registry& registry,
                                                       const Clock& clock);
  virtual ~Server() = default;

  virtual void start() = 0;
  [[nodiscard]] virtual std::uint16_t port() const = 0;

  virtual void announce_close() = 0;
  virtual void stop_accepting() = 0;
  /// Call after `stop_accepting`. True: all connections, and so all requests, have ended. False: a
  /// request is still in flight after `timeout`.
  virtual bool wait_idle(Duration timeout) = 0;
  [[nodiscard]] virtual std::size_t in_flight() const = 0;

 private:
  [[nodiscard]] virtual std::shared_ptr<Workers> workers() const = 0;
};

}  // namespace podsense::transport
