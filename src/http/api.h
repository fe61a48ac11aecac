#pragma once

/// PodSense's own inference endpoints: pictures, rows, the simulated model. They parse the request,
/// call the use case and write its answer.

#include <cstdint>
#include <string>

#include "inference/service.h"
#include "transport/router.h"

namespace podsense::http {

struct ApiLimits {
  std::uint64_t max_image_bytes = 20ULL << 20U;  ///< a picture, raw or inside a form
  std::uint64_t max_json_bytes = 28ULL << 20U;   ///< a JSON body; base64 takes a third more
};

/// The size limit of a request with pictures, in bytes: JSON, form or raw.
std::uint64_t largest_body(const ApiLimits& limits);
/// For error messages: which setting limits which format.
std::string limits_of_pictures(const ApiLimits& limits);

/// `service` must outlive the router.
void add_inference_routes(transport::Router& router, inference::Service& service,
                          const ApiLimits& limits);

}  // namespace podsense::http
