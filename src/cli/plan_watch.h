#pragma once

/// What happens in a cluster while a plan is replayed there, and what servers say of themselves
/// before and after.

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
/// By pod, or one of the name "".
using ServerSumsByPod = std::map<std::string, ServerSums, std::less<>>;

/// Of one server's /metrics. @errors kUnavailable: it does not answer
Result<ServerSumsByPod> sums_of_server(const std::string& admin_url);
/// Of each pod of a workload that answers through the API server.
ServerSumsByPod sums_of_pods(const std::string& space, const std::string& name,
                             unsigned admin_port);

/// Sets what came in between, of `answered` requests.
void set_server_stages(const ServerSumsByPod& before, const ServerSumsByPod& after,
                       std::uint64_t answered, double pod_seconds, plan::Stages& out);

/// Asks kubectl once a second, on a thread of its own.
class ClusterWatch {
 public:
  /// The first look is taken at once. @errors as kubectl, or there is no such workload
  static Result<std::unique_ptr<ClusterWatch>> start(const std::string& space,
                                                     const std::string& name);
  ~ClusterWatch();
  ClusterWatch(const ClusterWatch&) = delete;
  ClusterWatch& operator=(const ClusterWatch&) = delete;
  /// Ends it. @pre once
  [[nodiscard]] const plan::PodWatch& stop();

 private:
  ClusterWatch(std::string space, const std::string& name)
      : space_(std::move(space)), watch_(name) {}
  Result<void> look();
  void run(const std::stop_token& stop);

  const std::string space_;
  plan::PodWatch watch_;  ///< of the thread, while there is one
  std::jthread thread_;
};

}  // namespace podsense::cli
