#pragma once

/// What a pod requests of a resource, as the autoscaler counts it. Private to this module.

#include <cstdint>
#include <optional>
#include <string_view>

#include "base/error.h"
#include "foresight/hpa_spec.h"
#include "foresight/hpa_view.h"

namespace podsense::foresight {

struct RequestOf {
  std::string_view container;  ///< empty: the whole pod
  std::string_view resource;
};

/// In milli-units.
/// @errors kInvalidArgument: a container (or the pod's own requests) lacks the resource, or, from
/// 1.35 on, there is no such container
Result<std::int64_t> pod_request(const PodState& pod, const RequestOf& wanted,
                                 KubernetesVersion version, const Gates& gates);

/// What the scheduler and a quota count, in milli-units: init containers and overhead included;
/// nothing where neither the pod nor a container has any.
std::optional<std::int64_t> total_request(const PodState& pod, std::string_view resource);

}  // namespace podsense::foresight
