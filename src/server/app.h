#pragma once

/// The composition root: creates all objects in the order of their dependencies, and destroys them
/// in reverse. Owns the lifecycle of a serving process:
///
///   start → models load (startupz) → ready (readyz) → SIGTERM or SIGINT → not ready, unless
///   shutdown.ready_while_draining; still accepting, answers carry Connection: close → after
///   drain_delay: stops accepting, idle connections end → in-flight requests finish → exit 0.
///   A second signal exits at once. SIGHUP reloads credentials, certificates and models. Liveness
///   stays true throughout.

#include "base/error.h"
#include "server/config.h"

namespace podsense::server {

/// Serves until a signal to stop. Blocks SIGTERM, SIGINT and SIGHUP for the whole process: call it
/// before any other thread exists.
/// @returns the exit code of the process: 0 after a complete drain, 1 if in-flight requests were
/// cut off
/// @errors why it could not start
Result<int> serve(const LoadedConfig& loaded);

}  // namespace podsense::server
