#pragma once

/// The engines of this server: the one list of them.

#include <memory>

#include "base/error.h"
#include "model/backend.h"
#include "onnx/onnx_backend.h"

namespace podsense::server {

/// @errors kInternal: an engine cannot start
Result<std::unique_ptr<const model::Backends>> make_backends(const onnx::Options& options);

}  // namespace podsense::server
