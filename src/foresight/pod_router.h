#pragma once

/// Which pod a request goes to.

#include <algorithm>
#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "foresight/pod_server.h"
#include "foresight/random.h"

namespace podsense::foresight {

/// @threads confined to one thread
class PodRouter {
 public:
  /// Requests in flight in a pod; nothing: it takes no connection.
  using Load = std::function<std::optional<std::size_t>(std::uint32_t pod)>;

  PodRouter(const Scenario& scenario, std::uint64_t seed, Load load);

  void add(std::uint32_t pod) { pods_.push_back(pod); }
  /// One that clients know as well, and whose requests are not simulated.
  void add_other(std::uint32_t pod) { others_.push_back(pod); }
  void remove(std::uint32_t pod) {
    std::erase(pods_, pod);
    std::erase(others_, pod);
  }
  [[nodiscard]] const std::vector<std::uint32_t>& pods() const { return pods_; }
  [[nodiscard]] const std::vector<std::uint32_t>& others() const { return others_; }

  /// Sets the attempt's connection where clients keep some. A pod that takes no connection may come
  /// out, as clients learn late; nothing: no pod is known.
  std::optional<std::uint32_t> pick(Attempt& attempt);
  /// The pod asked the client to close the connection, or broke it.
  void close(const Attempt& attempt);

 private:
  struct Connection {
    std::optional<std::uint32_t> pod;
    std::uint64_t requests = 0;
  };
  std::uint32_t random_pod(RandomStream& stream) const { return pods_[stream.below(pods_.size())]; }
  std::uint32_t less_loaded(RandomStream& stream) const;
  std::uint32_t by_connection(Attempt& attempt, RandomStream& stream);

  const Scenario& scenario_;
  const std::uint64_t seed_;
  Load load_;
  std::vector<std::uint32_t> pods_;  ///< in the order they became known
  std::vector<std::uint32_t> others_;
  std::vector<Connection> connections_;
  std::size_t turn_ = 0;
};

}  // namespace podsense::foresight
