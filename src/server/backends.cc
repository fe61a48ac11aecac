#include "server/backends.h"

#include <utility>
#include <vector>

#include "simulated/simulated_backend.h"
#ifdef PODSENSE_OPENVINO
#include "openvino/openvino_backend.h"
#endif

namespace podsense::server {

Result<std::unique_ptr<const model::Backends>> make_backends(const onnx::Options& options,
                                                             [[maybe_unused]] unsigned runs) {
  auto onnx = onnx::make_backend(options);
  if (!onnx) {
    return fail(std::move(onnx.error()));
  }
  std::vector<std::unique_ptr<model::Backend>> list;
  list.push_back(std::move(*onnx));
#ifdef PODSENSE_OPENVINO
  if (auto openvino = openvino::make_backend({.threads = options.threads,
                                              .runs = runs,
                                              .keep_profiles = !options.cache_dir.empty()})) {
    list.push_back(std::move(openvino));
  }
#endif
  list.push_back(simulated::make_backend());
  return std::make_unique<const model::Backends>(std::move(list));
}

}  // namespace podsense::server
