#pragma once

/// The Open Inference Protocol v2 over REST, with Triton's extensions: binary tensor data,
/// classification, statistics, model configuration, schedule policy, parameters; and, on the admin
/// port, the model repository. docs/reference/oip.md says what each route takes.

#include <cstdint>

#include "http/status_api.h"
#include "inference/service.h"
#include "transport/router.h"

namespace podsense::http {

struct OipLimits {
  std::uint64_t max_body_bytes = 64ULL << 20U;  ///< an infer request before decompression
  std::uint64_t max_json_bytes = 28ULL << 20U;  ///< its JSON, without binary data
  MemoryBudget* memory = nullptr;               ///< outlives the router and its answers; null: none
};

/// `/v2` and everything below it except the repository. `service` must outlive the router.
void add_oip_routes(transport::Router& router, inference::Service& service,
                    const StatusSources& sources, const OipLimits& limits);

/// `/v2/repository/index` and `/v2/repository/models/{model}/load|unload`: for the admin port.
void add_oip_repository_routes(transport::Router& router, inference::Catalog& catalog,
                               inference::Control& control);

}  // namespace podsense::http
