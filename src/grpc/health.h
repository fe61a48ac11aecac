#pragma once

/// grpc.health.v1.Health, which Kubernetes' gRPC probes call. It knows these services:
///   "", "readiness" and the names of this server's services: SERVING while the server is ready
///   "liveness": always SERVING
///   a model's name, or "name/version": SERVING while that model or version serves
/// Otherwise, and during shutdown, the status is NOT_SERVING. Unknown names get NOT_FOUND.

#include <memory>

#include "grpc/methods.h"

namespace podsense::grpc {

/// The interval at which watched states are polled.
inline constexpr Duration kHealthPeriod = std::chrono::milliseconds(250);
/// The maximum of concurrent Watch calls; further ones are refused.
inline constexpr std::size_t kMaxWatchers = 1024;

class Watchers;

/// Adds Check, List and Watch. The result must outlive every call.
std::shared_ptr<Watchers> add_health(Methods& methods, CallEnvironment& shared);

}  // namespace podsense::grpc
