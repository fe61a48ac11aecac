#include "model/backend.h"

#include <algorithm>

namespace podsense::model {

Result<Backend*> Backends::find(const Candidate& candidate) const {
  const std::string& wanted = candidate.manifest.backend;
  const auto at = std::ranges::find_if(backends_, [&](const auto& backend) {
    return wanted.empty() ? backend->accepts(candidate) : backend->name() == wanted;
  });
  if (at != backends_.end()) {
    return at->get();
  }
  if (wanted.empty()) {
    return fail(ErrorCode::kInvalidArgument, "there is no model.onnx");
  }
  std::string names;
  for (const auto& backend : backends_) {
    names += (names.empty() ? "" : ", ") + std::string(backend->name());
  }
  return fail(ErrorCode::kInvalidArgument,
              "there is no backend '" + wanted + "' (accepted: " + names + ")");
}

Result<std::shared_ptr<const Model>> Backends::load(const Candidate& candidate) const {
  const auto backend = find(candidate);
  if (!backend) {
    return fail(backend.error());
  }
  return (*backend)->load(candidate);
}

std::string_view Backends::version(std::string_view name) const {
  for (const auto& backend : backends_) {
    if (backend->name() == name) {
      return backend->version();
    }
  }
  return {};
}

}  // namespace podsense::model
