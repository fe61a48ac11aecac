#pragma once

/// The endpoints for people: pictures, rows, the simulated model. Reads a request's forms, calls
/// the use case, writes its answer.

#include <cstdint>
#include <string>

#include "inference/service.h"
#include "transport/router.h"

namespace podsense::http {

struct ApiLimits {
  std::uint64_t max_image_bytes = 20ULL << 20U;  ///< a picture, raw or inside a form
  std::uint64_t max_json_bytes = 28ULL << 20U;   ///< a JSON body; base64 takes a third more
};

/// What a body of pictures may have, in JSON, a form or as they are.
std::uint64_t largest_body(const ApiLimits& limits);
/// Behind that number, for a message: which settings hold for what.
std::string limits_of_pictures(const ApiLimits& limits);

/// `service` must outlive the router.
void add_inference_routes(transport::Router& router, inference::Service& service,
                          const ApiLimits& limits);

}  // namespace podsense::http
