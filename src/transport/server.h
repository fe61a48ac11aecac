#pragma once

/// A server for HTTP/1.1 and HTTP/2: sockets, connections, limits, drain. What is answered is the
/// Router's.
///
/// One io_context per I/O thread; a connection stays on the one that it was given. Handlers run on
/// that thread and must not block; their answer may come from any thread. Servers may share their
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

/// Of connections that speak HTTP/2. Zero durations: no limit.
struct Http2Options {
  std::uint32_t max_streams = 256;  ///< requests at a time on one connection
  Duration max_idle{};              ///< without a stream; zero: ServerOptions::idle_timeout
  Duration max_age{};               ///< then GOAWAY: load spreads to new pods
  Duration max_age_grace{};         ///< for what is in flight then
  Duration keepalive_time{};        ///< a ping after so much silence
  Duration keepalive_timeout = std::chrono::seconds(20);
  Duration min_ping_interval = std::chrono::seconds(10);  ///< clients that ping more often are cut
};

struct ServerOptions {
  std::string name = "http";             ///< in log lines
  std::vector<std::string> hosts{"::"};  ///< addresses; as listeners.h has it
  std::uint16_t port = 0;                ///< 0: any free one
  int listener = -1;  ///< a listening TCP socket, taken over; -1: hosts and port say where
  unsigned threads = 1;
  std::uint32_t max_header_bytes = 16U << 10U;
  std::uint64_t max_inflated_bytes = 16ULL << 20U;  ///< of a body when its gzip is undone
  std::size_t max_connections = 16'384;
  std::size_t max_connections_per_address = 0;  ///< 0: no limit
  std::vector<std::string> trusted_proxies;     ///< networks whose word on their clients counts
  ForwardedBy forwarded_by = ForwardedBy::kAny;
  bool proxy_protocol = false;        ///< their connections begin with its header
  std::size_t kept_connections = 64;  ///< further ones, in which only probes are served
  int most_descriptor = 0;  ///< connections with a higher number are too many; 0: no limit
  Duration request_timeout = std::chrono::seconds(30);  ///< last byte of a request to its answer
  Duration idle_timeout = std::chrono::seconds(620);    ///< between requests
  Duration header_timeout = std::chrono::seconds(10);   ///< first byte to end of headers
  Duration body_timeout = std::chrono::seconds(30);     ///< end of headers to end of body
  Duration write_timeout = std::chrono::seconds(30);    ///< whole answer
  std::vector<std::string> cors_origins;                ///< exact, or "*"; empty: no CORS
  std::vector<std::string> own_names;  ///< of this host, for what changes something: same_site.h
  std::size_t gzip_from = 32U << 10U;  ///< smaller answers in JSON are not compressed; 0: none is
  Duration cors_max_age = std::chrono::minutes(10);
  Http2Options http2;
  AccessLog access_log = AccessLog::kSampled;
  access::Guard* guard = nullptr;                ///< outlives the server; null: everybody may come
  access::Certificates* certificates = nullptr;  ///< outlives the server; null: no TLS
  unsigned access_log_rate = 20;                 ///< kSampled: successes a second and I/O thread
  trace::Tracer* tracer = nullptr;               ///< outlives the server; null: no traces
  MemoryBudget* memory = nullptr;                ///< outlives the server; null: no budget
};

/// The I/O threads of one or more servers.
class Workers;

class Server {
 public:
  /// Binds and listens; nothing is accepted before `start`.
  /// `router`, `registry` and `clock` must outlive the server.
  /// @errors kUnavailable: the address cannot be bound, saying why
  static Result<std::unique_ptr<Server>> create(ServerOptions options, const Router& router,
                                                metrics::Registry& registry, const Clock& clock);
  /// One more that is served by the threads of `other`, which is started first; when either is
  /// destroyed, both are at their end.
  static Result<std::unique_ptr<Server>> create_beside(Server& other, ServerOptions options,
                                                       const Router& router,
                                                       metrics::Registry& registry,
                                                       const Clock& clock);
  virtual ~Server() = default;

  virtual void start() = 0;
  [[nodiscard]] virtual std::uint16_t port() const = 0;

  virtual void announce_close() = 0;
  virtual void stop_accepting() = 0;
  /// After `stop_accepting`. True when every connection has ended and with them every request;
  /// false when a request is in flight after `timeout`.
  virtual bool wait_idle(Duration timeout) = 0;
  [[nodiscard]] virtual std::size_t in_flight() const = 0;

 private:
  [[nodiscard]] virtual std::shared_ptr<Workers> workers() const = 0;
};

}  // namespace podsense::transport
