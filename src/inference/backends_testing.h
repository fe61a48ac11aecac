#pragma once

/// The server's backends, for tests.

#include <memory>
#include <utility>
#include <vector>

#include "model/backend.h"
#include "onnx/onnx_backend.h"
#include "simulated/simulated_backend.h"

namespace podsense::inference {

inline std::unique_ptr<const model::Backends> test_backends(const onnx::Options& options = {}) {
  std::vector<std::unique_ptr<model::Backend>> list;
  list.push_back(std::move(*onnx::make_backend(options)));
  list.push_back(simulated::make_backend());
  return std::make_unique<const model::Backends>(std::move(list));
}

}  // namespace podsense::inference
