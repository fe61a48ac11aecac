#pragma once

/// The engines of this server: the one list of them.

#include <memory>

#include "base/error.h"
#include "model/backend.h"
#include "onnx/onnx_backend.h"

namespace podsense::server {

/// With OpenVINO where this build has it and its library is there.
/// @param runs of a model at the same time, for engines that want to know
/// @errors kInternal: an engine cannot start
Result<std::unique_ptr<const model::Backends>> make_backends(const onnx::Options& options,
                                                             unsigned runs = 1);

}  // namespace podsense::server
