#include "cli/plan_watch.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <csignal>
#include <mutex>
#include <nlohmann/json.hpp>

#include "cli/kubectl.h"
#include "cli/top_view.h"
#include "foresight/deployed.h"
#include "foresight/snapshot.h"
#include "http/probe.h"

namespace podsense::cli {
namespace {

constexpr Duration kLook = std::chrono::seconds(1);

Duration now() {
  return std::chrono::system_clock::now().time_since_epoch();
}

ServerSums sums_of(const std::vector<Sample>& samples) {
  ServerSums out;
  for (const Sample& sample : samples) {
    double* const to = sample.name == "podsense_compute_seconds_sum"     ? &out.run_seconds
                       : sample.name == "podsense_compute_seconds_count" ? &out.runs
                       : sample.name == "process_cpu_seconds_total"      ? &out.cpu_seconds
                       : sample.name == "podsense_cpu_throttled_seconds_total"
                           ? &out.throttled_seconds
                           : nullptr;
    if (to != nullptr) {
      *to += sample.value;
    }
  }
  return out;
}

Result<foresight::Deployed> deployed_in(const std::string& space) {
  auto text = ask_kubectl({"get", "deployments,statefulsets,pods", "-n", space, "-o", "json"});
  if (!text) {
    return fail(text.error());
  }
  const foresight::SnapshotFile file{"kubectl", std::move(*text)};
  return foresight::read_deployed({&file, 1});
}

/// The times of the samples of metrics.k8s.io; empty: no such API.
std::vector<Duration> sample_times(const std::string& space) {
  std::vector<Duration> out;
  const auto text =
      ask_kubectl({"get", "--raw", "/apis/metrics.k8s.io/v1beta1/namespaces/" + space + "/pods"});
  const auto json = nlohmann::json::parse(text ? *text : "", nullptr, false);
  const auto items = json.is_object() ? json.find("items") : json.end();
  for (const auto& item : items == json.end() ? nlohmann::json::array() : *items) {
    const auto found = item.is_object() ? item.find("timestamp") : item.end();
    if (found != item.end() && found->is_string()) {
      if (const auto at = foresight::parse_rfc3339(found->get<std::string>())) {
        out.push_back(*at);
      }
    }
  }
  return out;
}

}  // namespace

Result<ServerSumsByPod> sums_of_server(const std::string& admin_url) {
  const auto answer = http::probe(admin_url + "/metrics", {});
  if (!answer) {
    return fail(answer.error());
  }
  const auto samples = parse_metrics(answer->body);
  return samples ? Result<ServerSumsByPod>(ServerSumsByPod{{"", sums_of(*samples)}})
                 : Result<ServerSumsByPod>(fail(samples.error()));
}

ServerSumsByPod sums_of_pods(const std::string& space, const std::string& name,
                             unsigned admin_port) {
  ServerSumsByPod out;
  const auto deployed = deployed_in(space);
  if (!deployed) {
    return out;
  }
  const auto workload = std::ranges::find_if(
      deployed->workloads, [&](const auto& one) { return one.name.name == name; });
  for (const auto& pod : deployed->pods) {
    if (workload == deployed->workloads.end() || !workload->selector.finds(pod.labels)) {
      continue;
    }
    const auto text = ask_kubectl({"get", "--raw",
                                   "/api/v1/namespaces/" + space + "/pods/" + pod.name.name + ":" +
                                       std::to_string(admin_port) + "/proxy/metrics"});
    if (const auto samples =
            text ? parse_metrics(*text) : Result<std::vector<Sample>>(fail(text.error()))) {
      out[pod.name.name] = sums_of(*samples);
    }
  }
  return out;
}

void set_server_stages(const ServerSumsByPod& before, const ServerSumsByPod& after,
                       std::uint64_t answered, double pod_seconds, plan::Stages& out) {
  ServerSums all;
  for (const auto& [pod, sums] : after) {
    const auto old = before.find(pod);
    const ServerSums begin = old == before.end() ? ServerSums() : old->second;
    all.run_seconds += sums.run_seconds - begin.run_seconds;
    all.runs += sums.runs - begin.runs;
    all.cpu_seconds += sums.cpu_seconds - begin.cpu_seconds;
    all.throttled_seconds += sums.throttled_seconds - begin.throttled_seconds;
  }
  if (all.runs > 0) {
    out.run_seconds = all.run_seconds / all.runs;
  }
  if (answered > 0 && all.cpu_seconds > 0) {
    out.cpu_per_request = all.cpu_seconds / static_cast<double>(answered);
  }
  if (pod_seconds > 0 && all.cpu_seconds > 0) {
    out.throttled_share = all.throttled_seconds / pod_seconds;
  }
}

Result<std::unique_ptr<ClusterWatch>> ClusterWatch::start(const std::string& space,
                                                          const std::string& name) {
  std::unique_ptr<ClusterWatch> made(new ClusterWatch(space, name));
  if (auto done = made->look(); !done) {
    return fail(done.error());
  }
  if (const auto pods = made->watch_.pods(); !pods) {
    return fail(pods.error());
  }
  // Block signals here: the thread that sends the load handles them.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  made->thread_ =
      std::jthread([watch = made.get()](const std::stop_token& stop) { watch->run(stop); });
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return made;
}

ClusterWatch::~ClusterWatch() = default;

const plan::PodWatch& ClusterWatch::stop() {
  thread_.request_stop();
  thread_.join();
  return watch_;
}

Result<void> ClusterWatch::look() {
  const auto deployed = deployed_in(space_);
  if (!deployed) {
    return fail(deployed.error());
  }
  watch_.add(now(), *deployed);
  const auto at = sample_times(space_);
  watch_.add_samples(now(), at);
  return {};
}

void ClusterWatch::run(const std::stop_token& stop) {
  std::mutex mutex;
  std::condition_variable_any wake;
  std::unique_lock lock(mutex);
  while (!wake.wait_for(lock, stop, kLook, [] { return false; }) && !stop.stop_requested()) {
    [[maybe_unused]] const auto done = look();  // a failed poll is skipped
  }
  [[maybe_unused]] const auto last = look();
}

}  // namespace podsense::cli
