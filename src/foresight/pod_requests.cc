#include "foresight/pod_requests.h"

#include <algorithm>
#include <array>

#include "foresight/go_numbers.h"

namespace podsense::foresight {
namespace {

/// Resources that spec.resources of a pod may have.
bool is_pod_level(std::string_view resource) {
  return resource == "cpu" || resource == "memory" || resource.starts_with("hugepages-");
}

Quantity amount(const Resources& resources, std::string_view name) {
  const auto found = resources.find(name);
  return found == resources.end() ? Quantity() : found->second;
}

/// Containers add up, init containers set a minimum.
/// @source k8s.io/component-helpers/resource/helpers.go: AggregateContainerRequests
Quantity aggregated(const PodState& pod, std::string_view resource) {
  Quantity sum;
  for (const ContainerState& container : pod.containers) {
    if (container.kind == ContainerKind::kMain) {
      sum = sum.plus(amount(container.requests, resource));
    }
  }
  Quantity sidecars;
  Quantity peak;
  for (const ContainerState& container : pod.containers) {
    const Quantity own = amount(container.requests, resource);
    Quantity needed = sidecars.plus(own);
    if (container.kind == ContainerKind::kSidecar) {
      sum = sum.plus(own);
      sidecars = needed;
    } else if (container.kind == ContainerKind::kMain) {
      continue;
    }
    peak = std::max(peak, needed);
  }
  return std::max(sum, peak);
}

Result<std::int64_t> pod_level_request(const PodState& pod, std::string_view resource) {
  const bool is_listed = std::ranges::any_of(
      pod.containers, [&](const ContainerState& one) { return one.requests.contains(resource); });
  const auto own =
      is_pod_level(resource) ? pod.pod_requests.find(resource) : pod.pod_requests.end();
  if (own == pod.pod_requests.end() && !is_listed && !pod.overhead.contains(resource)) {
    return fail(
        ErrorCode::kInvalidArgument,
        "pod " + pod.name + " has requests of its own, but none for " + std::string(resource));
  }
  const Quantity base = own == pod.pod_requests.end() ? aggregated(pod, resource) : own->second;
  return base.plus(amount(pod.overhead, resource)).milli();
}

}  // namespace

Result<std::int64_t> pod_request(const PodState& pod, const RequestOf& wanted,
                                 KubernetesVersion version, const Gates& gates) {
  const bool has_own = std::ranges::any_of(pod.pod_requests,
                                           [](const auto& one) { return is_pod_level(one.first); });
  if (gates.pod_level_resources && has_own && wanted.container.empty()) {
    return pod_level_request(pod, wanted.resource);
  }
  std::int64_t sum = 0;
  // The sidecars come after all other containers, which matters for the error alone.
  for (const ContainerKind kind : {ContainerKind::kMain, ContainerKind::kSidecar}) {
    for (const ContainerState& container : pod.containers) {
      if (container.kind != kind ||
          (!wanted.container.empty() && container.name != wanted.container)) {
        continue;
      }
      const auto request = container.requests.find(wanted.resource);
      if (request == container.requests.end()) {
        return fail(ErrorCode::kInvalidArgument, "container " + container.name + " of pod " +
                                                     pod.name + " has no request for " +
                                                     std::string(wanted.resource));
      }
      sum = wrap_add(sum, request->second.milli());
      if (!wanted.container.empty() && version >= KubernetesVersion::k135) {
        return sum;
      }
    }
  }
  if (!wanted.container.empty() && version >= KubernetesVersion::k135) {
    return fail(ErrorCode::kInvalidArgument,
                "pod " + pod.name + " has no container " + std::string(wanted.container));
  }
  return sum;
}

std::optional<std::int64_t> total_request(const PodState& pod, std::string_view resource) {
  const auto own = pod.pod_requests.find(resource);
  const bool is_listed = std::ranges::any_of(
      pod.containers, [&](const ContainerState& one) { return one.requests.contains(resource); });
  if (own == pod.pod_requests.end() && !is_listed) {
    return std::nullopt;
  }
  const Quantity base = own == pod.pod_requests.end() ? aggregated(pod, resource) : own->second;
  return base.plus(amount(pod.overhead, resource)).milli();
}

}  // namespace podsense::foresight
