#pragma once

/// Endpoints about the server itself: health, versions, statistics, metrics, reload, the web page.

#include <atomic>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "http/router.h"
#include "inference/catalog.h"
#include "inference/stats.h"
#include "metrics/metrics.h"

namespace podsense::http {

/// Where this process is in its life. @threads thread-safe
struct Lifecycle {
  std::atomic<bool> draining{false};  ///< told to stop; still answers
  std::atomic<bool> closed{false};    ///< no longer ready
  std::atomic<bool> unready{false};   ///< says so on purpose
  /// A run has gone on for so long that it will not end: only a restart helps. Nothing else makes
  /// liveness fail.
  std::atomic<bool> stuck{false};
};

struct BuildInfo {
  std::string version, commit, compiler, onnxruntime;
};

/// What these endpoints read; all of it outlives the routers.
struct StatusSources {
  inference::Catalog& catalog;
  metrics::Registry& registry;
  inference::Stats& stats;
  Lifecycle& lifecycle;
  BuildInfo build;
};

/// GET /health /livez /readyz /startupz /version /stats
void add_status_routes(Router& router, StatusSources sources);
/// GET /metrics
void add_metrics_route(Router& router, metrics::Registry& registry);
/// GET /v1/models
void add_models_route(Router& router, const StatusSources& sources);
/// What became of files beside the models at a reload.
struct FilesRead {
  enum class Outcome { kUnchanged, kRead, kRefused };
  std::string_view files;  ///< "credentials", "certificates"
  Outcome outcome = Outcome::kUnchanged;
  std::string reason;  ///< of a refusal: what was read before is still in force
};
/// Looks at them; may block. @threads any
using ReadFiles = std::function<std::vector<FilesRead>()>;

/// GET /v1/models and /v1/log-level, and POST /v1/reload where there is a `read_files`, which is
/// called before the models are looked at.
void add_admin_routes(Router& router, StatusSources sources, ReadFiles read_files);
/// GET / /docs /openapi.json and what the pages need
void add_page_routes(Router& router);

}  // namespace podsense::http
