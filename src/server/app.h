#pragma once

/// The composition root: builds every object, in the order in which they depend on each other, and
/// ends them in the reverse one. Owns the life of a serving process:
///
///   start → models load (startupz) → ready (readyz) → SIGTERM or SIGINT → still ready and
///   accepting, answers carry Connection: close → after drain_delay not ready, stop accepting, idle
///   connections end → in-flight requests finish → exit 0. A second signal exits at once. SIGHUP
///   reloads credentials, certificates and models. Liveness stays true throughout.

#include "base/error.h"
#include "server/config.h"

namespace podsense::server {

/// Serves until told to stop. Blocks SIGTERM, SIGINT and SIGHUP for the whole process: call it
/// before any other thread exists.
/// @returns the process's exit code: 0 after a drain, 1 when in-flight requests were cut off
/// @errors what kept it from starting
Result<int> serve(const LoadedConfig& loaded);

}  // namespace podsense::server
