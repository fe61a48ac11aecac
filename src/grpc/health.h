#pragma once

/// grpc.health.v1.Health, which Kubernetes' gRPC probes ask. Services it knows:
///   ""  "readiness"  and the names of this server's services: SERVING while it is ready
///   "liveness": SERVING as long as there is an answer at all
///   a model's name, or "name/version": SERVING while that serves
/// What is not ready, or shuts down, is NOT_SERVING; a name that is none of these NOT_FOUND.

#include <memory>

#include "grpc/methods.h"

namespace podsense::grpc {

/// How often watched states are looked at.
inline constexpr Duration kHealthPeriod = std::chrono::milliseconds(250);
/// Watch calls at a time; a further one is refused.
inline constexpr std::size_t kMaxWatchers = 1024;

class Watchers;

/// Check, List and Watch. What is returned outlives every call.
std::shared_ptr<Watchers> add_health(Methods& methods, CallEnvironment& shared);

}  // namespace podsense::grpc
