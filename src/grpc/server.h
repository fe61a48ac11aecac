#pragma once

/// The gRPC server: podsense.v1.InferenceService, the Open Inference Protocol
/// (inference.GRPCInferenceService), grpc.health.v1 and reflection on one port. Calls the same use
/// cases as HTTP does. Handlers run on gRPC's own threads and do not block; answers may come from
/// any thread.
///
/// Shutdown, called in this order: `stop_accepting` (health says NOT_SERVING, no new connections,
/// GOAWAY), then `wait_idle`, then destruction.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "access/access.h"
#include "access/certificates.h"
#include "base/access_log.h"
#include "base/clock.h"
#include "base/error.h"
#include "inference/control.h"
#include "inference/service.h"
#include "metrics/metrics.h"
#include "trace/trace.h"

namespace podsense::grpc {

inline constexpr unsigned kSampledPerSecond = 40;  ///< successes that are logged, where some are

struct ServerOptions {
  std::string host = "0.0.0.0";
  std::uint16_t port = 0;                          ///< 0: any free one
  std::uint64_t max_message_bytes = 32ULL << 20U;  ///< one request message
  std::uint32_t max_streams = 1024;                ///< calls at a time on one connection
  std::uint32_t max_in_flight = 8192;              ///< calls at a time on all of them
  std::uint32_t stream_in_flight = 16;             ///< requests of one stream worked on at a time
  std::uint64_t max_memory = 1ULL << 30U;          ///< of gRPC's own buffers; beyond, reads wait
  Duration request_timeout = std::chrono::seconds(30);    ///< a call's, where its deadline is later
  Duration handshake_timeout = std::chrono::seconds(10);  ///< of TLS and HTTP/2
  Duration keepalive_time = std::chrono::minutes(2);      ///< a ping after so much silence
  Duration keepalive_timeout = std::chrono::seconds(20);
  Duration min_ping_interval = std::chrono::seconds(10);  ///< clients that ping more often are cut
  Duration max_connection_idle{};                         ///< 0: no limit, as the next
  Duration max_connection_age{};        ///< then GOAWAY, so that load spreads to new pods
  Duration max_connection_age_grace{};  ///< for what is in flight then; 0: as long as it takes
  AccessLog access_log = AccessLog::kSampled;
  access::Certificates* certificates = nullptr;  ///< outlives the server; null: no TLS
  bool reflection = true;
  bool repository_control = false;  ///< whether clients may load and unload models
  std::string version;              ///< of the server, for metadata
};

/// What the services use; all of it outlives the server.
struct Sources {
  inference::Service& service;
  const Clock& clock;
  std::function<bool()> draining;         ///< told to stop, still answers; for Health
  access::Guard* guard = nullptr;         ///< null: everybody may come
  trace::Tracer* tracer = nullptr;        ///< null: nothing is traced
  inference::Control* control = nullptr;  ///< loads and unloads; null: nobody may
};

class Server {
 public:
  /// Binds, listens and answers; as long as no model is loaded, with UNAVAILABLE.
  /// @errors kUnavailable: the address cannot be bound
  static Result<std::unique_ptr<Server>> create(ServerOptions options, const Sources& sources);
  virtual ~Server() = default;

  [[nodiscard]] virtual std::uint16_t port() const = 0;
  virtual void stop_accepting() = 0;
  /// After `stop_accepting`. True when every call has ended and every client has read the GOAWAY,
  /// or has not answered to it for a second; false when a call is in flight after `timeout`.
  virtual bool wait_idle(Duration timeout) = 0;
  [[nodiscard]] virtual std::size_t in_flight() const = 0;
};

}  // namespace podsense::grpc
