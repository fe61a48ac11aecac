#pragma once

/// Watches a cluster while a plan's traffic is replayed, and reads the servers' metrics before and
/// after.

#include <map>
#include <memory>
#include <string>
#include <thread>

#include "base/error.h"
#include "plan/verify.h"

namespace podsense::cli {

/// Sums over servers since they started.
struct ServerSums {
  double run_seconds = 0;
  double runs = 0;
  double cpu_seconds = 0;
  double throttled_seconds = 0;
};
/// By pod; a single server has the name "".
using ServerSumsByPod = std::map<std::string, ServerSums, std::less<>>;

/// Reads /metrics of one server. @errors kUnavailable: no answer
Result<ServerSumsByPod> sums_of_server(const std::string& admin_url);
/// Reads the metrics of all pods of a workload that are reachable through the API server.
ServerSumsByPod sums_of_pods(const std::string& space, const std::string& name,
                             unsigned admin_port);

/// Computes the stages from the difference, for `answered` requests.
void set_server_stages(const ServerSumsByPod& before, const ServerSumsByPod& after,
                       std::uint64_t answered, double pod_seconds, plan::Stages& out);

/// Polls kubectl once per second on its own thread.
class ClusterWatch {
 public:
  /// Polls once before it returns. @errors as kubectl, or no such workload
  static Result<std::unique_ptr<ClusterWatch>> start(const std::string& space,
                                                     const std::string& name);
  ~ClusterWatch();
  ClusterWatch(const ClusterWatch&) = delete;
  ClusterWatch& operator=(const ClusterWatch&) = delete;
  /// Stops polling. @pre not called before
  [[nodiscard]] const plan::PodWatch& stop();

 private:
  ClusterWatch(std::string space, const std::string& name)
      : space_(std::move(space)), watch_(name) {}
  Result<void> look();
  void run(const std::stop_token& stop);

  const std::string space_;
  plan::PodWatch watch_;  ///< used by the thread while it runs
  std::jthread thread_;
};

}  // namespace podsense::cli
