#pragma once

/// gRPC over the server's own HTTP/2 (src/transport): podsense.v1.InferenceService, the Open
/// Inference Protocol (inference.GRPCInferenceService), grpc.health.v1 and reflection. Calls the
/// same use cases as HTTP. gRPC-Web reaches the same methods, also over HTTP/1.1.
///
/// Calls run on their connection's thread and do not block; answers may come from any thread.

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "access/access.h"
#include "base/access_log.h"
#include "base/clock.h"
#include "base/memory_budget.h"
#include "inference/control.h"
#include "inference/service.h"
#include "trace/trace.h"
#include "transport/router.h"

namespace podsense::grpc {

inline constexpr unsigned kSampledPerSecond = 40;  ///< successes logged per second with kSampled

struct GrpcOptions {
  std::uint64_t max_message_bytes = 32ULL << 20U;  ///< one request message
  std::uint32_t max_in_flight = 8192;              ///< concurrent calls on all connections
  std::uint32_t stream_in_flight = 16;             ///< concurrent requests of one stream
  /// limit of a call whose own deadline is later
  Duration request_timeout = std::chrono::seconds(30);
  AccessLog access_log = AccessLog::kSampled;
  bool reflection = true;
  bool repository_control = false;  ///< whether clients may load and unload models
  std::string version;              ///< of the server, for metadata
};

/// What the services use; everything must outlive them.
struct Sources {
  inference::Service& service;
  const Clock& clock;
  std::function<bool()> draining;         ///< asked to stop, still answers; for Health
  std::function<bool()> closed;           ///< no longer ready
  access::Guard* guard = nullptr;         ///< null: no authentication
  trace::Tracer* tracer = nullptr;        ///< null: nothing is traced
  inference::Control* control = nullptr;  ///< loads and unloads; null: not allowed
  MemoryBudget* memory = nullptr;         ///< null: no budget
};

/// All methods of all services. @threads thread-safe
class Services {
 public:
  Services(GrpcOptions options, Sources sources);
  ~Services();
  Services(const Services&) = delete;
  Services& operator=(const Services&) = delete;

  /// Adds gRPC and gRPC-Web to the router, which must not outlive this object.
  void add_to(transport::Router& router);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace podsense::grpc
