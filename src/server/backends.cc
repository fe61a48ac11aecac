#include "server/backends.h"

#include <utility>
#include <vector>

#include "simulated/simulated_backend.h"

namespace podsense::server {

Result<std::unique_ptr<const model::Backends>> make_backends(const onnx::Options& options) {
  auto onnx = onnx::make_backend(options);
  if (!onnx) {
    return fail(std::move(onnx.error()));
  }
  std::vector<std::unique_ptr<model::Backend>> list;
  list.push_back(std::move(*onnx));
  list.push_back(simulated::make_backend());
  return std::make_unique<const model::Backends>(std::move(list));
}

}  // namespace podsense::server
