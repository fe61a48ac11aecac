#include "foresight/pod_router.h"

#include <utility>

namespace podsense::foresight {

PodRouter::PodRouter(const Scenario& scenario, std::uint64_t seed, Load load)
    : scenario_(scenario),
      seed_(seed),
      load_(std::move(load)),
      connections_(scenario.clients.connections) {}

/// @source Envoy, least request with weights equal: the less loaded of two random hosts
std::uint32_t PodRouter::less_loaded(RandomStream& stream) const {
  const std::uint32_t first = random_pod(stream);
  const std::uint32_t second = random_pod(stream);
  return load_(second).value_or(0) < load_(first).value_or(0) ? second : first;
}

std::uint32_t PodRouter::by_connection(Attempt& attempt, RandomStream& stream) {
  if (connections_.empty()) {
    return random_pod(stream);
  }
  attempt.connection = static_cast<std::uint32_t>(stream.below(connections_.size()));
  Connection& connection = connections_[attempt.connection];
  const std::uint64_t most = scenario_.clients.requests_per_connection;
  const bool is_used_up = most != 0 && connection.requests >= most;
  if (!connection.pod || is_used_up || !load_(*connection.pod)) {
    connection = {.pod = random_pod(stream), .requests = 0};
  }
  ++connection.requests;
  return *connection.pod;
}

std::optional<std::uint32_t> PodRouter::pick(Attempt& attempt) {
  if (pods_.empty()) {
    return std::nullopt;
  }
  RandomStream stream(seed_, Purpose::kRoute, attempt.request, attempt.tries);
  switch (scenario_.routing) {
    case Routing::kRandom:
      break;
    case Routing::kConnection:
      return by_connection(attempt, stream);
    case Routing::kRoundRobin:
      return pods_[turn_++ % pods_.size()];
    case Routing::kLeastRequest:
      return less_loaded(stream);
  }
  return random_pod(stream);
}

void PodRouter::close(const Attempt& attempt) {
  if (scenario_.routing == Routing::kConnection && !connections_.empty()) {
    Connection& connection = connections_[attempt.connection];
    if (connection.pod == attempt.pod) {
      connection = {};
    }
  }
}

}  // namespace podsense::foresight
