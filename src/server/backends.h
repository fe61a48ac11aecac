#pragma once

/// The list of this server's backends.

#include <memory>

#include "base/error.h"
#include "model/backend.h"
#include "onnx/onnx_backend.h"

namespace podsense::server {

/// Creates all backends; OpenVINO only if this build includes it and its library is installed.
/// @param runs concurrent runs of a model, for engines that need the number
/// @errors kInternal: an engine cannot start
Result<std::unique_ptr<const model::Backends>> make_backends(const onnx::Options& options,
                                                             unsigned runs = 1);

}  // namespace podsense::server
