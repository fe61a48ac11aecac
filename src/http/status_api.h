#pragma once

/// Endpoints about the server: health, versions, statistics, metrics, reload, the web page.

#include <atomic>
#include <string>

#include "inference/catalog.h"
#include "inference/control.h"
#include "inference/stats.h"
#include "metrics/metrics.h"
#include "transport/router.h"

namespace podsense::http {

/// The state of this process between start and exit. @threads thread-safe
struct Lifecycle {
  std::atomic<bool> draining{false};  ///< asked to stop; still answers
  std::atomic<bool> closed{false};    ///< no longer ready
  std::atomic<bool> unready{false};   ///< reports "not ready" on purpose (fault injection)
  /// A run has taken so long that it will not end, so only a restart helps. Only this makes
  /// liveness fail.
  std::atomic<bool> stuck{false};
};

/// What GET /version says.
struct VersionAnswer {
  std::string version, commit, compiler, onnxruntime;
};

/// What these endpoints read; everything must outlive the routers.
struct StatusSources {
  inference::Catalog& catalog;
  metrics::Registry& registry;
  inference::Stats& stats;
  Lifecycle& lifecycle;
  VersionAnswer build;
};

/// Who may read details beyond health: models, statistics, version. On the public port (kWithKeys)
/// clients need the same keys as for inference.
enum class Readers { kWithKeys, kAll };

/// GET /health (also ?probe=liveness|readiness|startup) /livez /readyz /startupz /version /stats
void add_status_routes(transport::Router& router, StatusSources sources, Readers readers);
/// GET /metrics
void add_metrics_route(transport::Router& router, metrics::Registry& registry);
/// GET /v1/models
void add_models_route(transport::Router& router, const StatusSources& sources, Readers readers);
/// GET /v1/models and /v1/log-level, and POST /v1/reload where there is a `control`, which outlives
/// the router.
void add_admin_routes(transport::Router& router, const StatusSources& sources,
                      inference::Control* control);
/// GET / /docs /openapi.json and the pages' assets
void add_page_routes(transport::Router& router);

}  // namespace podsense::http
