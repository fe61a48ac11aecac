#pragma once

/// What is simulated: one Deployment of `podsense serve` with one model, its clients, its
/// autoscaler and the pipelines that carry its metrics. docs/reference/simulate.md describes the
/// file.

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "arrivals/arrivals.h"
#include "base/clock.h"
#include "base/error.h"
#include "batching/saturation.h"
#include "foresight/distribution.h"
#include "foresight/hpa.h"

namespace podsense::foresight {

struct ArrivalPlan {
  std::shared_ptr<const arrivals::ArrivalShape> shape;
  std::string text;  ///< as it was written
  double scale = 1;  ///< the shape has so many times what was written, already
  arrivals::ArrivalProcess process = arrivals::ArrivalProcess::kPoisson;
};

struct ClientPlan {
  Duration timeout = std::chrono::seconds(30);
  unsigned retries = 0;      ///< after a time-out, a refusal or a broken connection
  Distribution backoff;      ///< before each of them
  unsigned connections = 0;  ///< 0: as many as requests, each with its own
  std::uint64_t requests_per_connection = 0;  ///< 0: it is kept as long as its pod lives
};

/// CPU time of a run of so many rows.
struct RunCost {
  std::size_t rows = 1;
  Distribution cpu;
};

struct ServicePlan {
  std::vector<RunCost> runs;  ///< ascending in rows, from 1 on; between them it is interpolated
  Distribution request_cpu;   ///< of a request beside its run: HTTP, JSON, decoding
  std::size_t max_batch = 1;  ///< rows
  Duration max_delay{};
  Duration max_wait{};
  Duration deadline = std::chrono::seconds(30);  ///< zero: none
  std::size_t max_waiting = 4096;
  unsigned executors = 0;  ///< 0: as `podsense serve` plans them
};

struct PodPlan {
  Quantity cpu_request;  ///< zero: none, as the next
  Quantity memory_request;
  std::optional<double> cpu_limit;  ///< cores
  double node_cores = 4;            ///< what a pod without a limit may use
  std::int64_t memory_bytes = 0;    ///< used all the time
  std::string container = "podsense";
};

/// From a pod's creation until requests reach it.
struct StartPlan {
  Distribution schedule;                            ///< until the kubelet has it (status.startTime)
  Distribution pull;                                ///< until its container is created
  Distribution load;                                ///< until the model is loaded; waiting, not CPU
  Duration extra{};                                 ///< to `load`, always: for what-ifs
  Duration warm_up_cpu{};                           ///< CPU time after that, under the pod's limit
  Duration probe_period = std::chrono::seconds(1);  ///< readiness
  Distribution propagation;  ///< until clients and proxies know; also at its end
};

struct StopPlan {
  Duration drain_delay = std::chrono::seconds(5);  ///< still accepting
  Duration grace = std::chrono::seconds(30);       ///< then it is killed
};

enum class Routing : std::uint8_t { kRandom, kConnection, kRoundRobin, kLeastRequest };
inline constexpr std::array<std::string_view, 4> kRoutingNames{"random", "connection",
                                                               "round_robin", "least_request"};

/// What podsense says of itself, as far as it is simulated.
enum class Signal : std::uint8_t { kSaturation, kQueueDepth, kInFlight };
inline constexpr std::array<std::string_view, 3> kSignalNames{
    "podsense_saturation", "podsense_queue_depth", "podsense_requests_in_flight"};

enum class KubeletStats : std::uint8_t { kCadvisor, kCri };
inline constexpr std::array<std::string_view, 2> kKubeletStatsNames{"cadvisor", "cri"};

struct MetricsPlan {
  KubeletStats kubelet = KubeletStats::kCri;
  Duration resolution = std::chrono::seconds(15);       ///< of metrics-server
  Duration scrape = std::chrono::seconds(15);           ///< of Prometheus
  Duration window = std::chrono::minutes(1);            ///< a pod's last value counts for so long
  std::map<std::string, Signal, std::less<>> external;  ///< metric → sum over pods of what
};

struct Autoscaler {
  HpaSettings settings;
  HpaSpec spec;
  std::string written;  ///< its `spec` as JSON
};

enum class FaultKind : std::uint8_t {
  kKillPods,           ///< `count` of them end at once
  kSlow,               ///< runs take `factor` times their CPU time
  kNoResourceMetrics,  ///< metrics.k8s.io fails
  kNoCustomMetrics,    ///< custom.metrics.k8s.io fails
  kNoExternalMetrics,  ///< external.metrics.k8s.io fails
  kNoScrapes,          ///< Prometheus takes no samples
  kControllerRestart,  ///< the autoscaler's memory is lost
  kSetReplicas,        ///< somebody sets the target's spec.replicas to `count`
};
inline constexpr std::array<std::string_view, 8> kFaultNames{
    "kill_pods",           "slow",       "no_resource_metrics", "no_custom_metrics",
    "no_external_metrics", "no_scrapes", "controller_restart",  "set_replicas"};
struct ScenarioFault {
  FaultKind kind = FaultKind::kKillPods;
  Duration at{};
  Duration length{};
  std::int32_t count = 1;
  double share = 0;  ///< kKillPods: of all pods, rounded up; 0: `count` of them
  double factor = 1;
};

struct Scenario {
  std::string name;
  Duration length = std::chrono::minutes(1);
  Duration warm_up{};  ///< requests due before it are simulated, and not counted
  std::uint64_t seed = 1;
  batching::LatencyObjective objective;
  ArrivalPlan arrivals;
  ClientPlan clients;
  ServicePlan service;
  PodPlan pod;
  StartPlan start;
  StopPlan stop;
  std::int32_t replicas = 1;  ///< at the beginning; all the time without an autoscaler
  std::int32_t capacity = 0;  ///< pods that the nodes hold; 0: any number
  std::optional<Autoscaler> autoscaler;
  MetricsPlan metrics;
  Routing routing = Routing::kRandom;
  std::vector<ScenarioFault> faults;
  std::vector<std::string> cautions;  ///< of the profile that it was made with
  std::int32_t sample_pods = 0;       ///< that serve in the simulation, of most_pods; 0: all
};

/// @errors kInvalidArgument: names the file and the reason
using FileReader = std::function<Result<std::string>(const std::string& path)>;

/// "arrivals.shape=constant:20": in place of what the file says.
struct Override {
  std::string path;
  std::string value;  ///< YAML
};

struct ScenarioText {
  std::string name;  ///< for messages
  std::string text;
  std::vector<Override> overrides;
};

/// @param files  reads what the scenario names: a trace, the autoscaler
/// @errors kInvalidArgument, naming the field and what it accepts
Result<Scenario> read_scenario(const ScenarioText& text, const FileReader& files);

/// The file with the overrides in place, as JSON that `read_scenario` reads; what is in it need not
/// be right.
/// @errors kInvalidArgument: not YAML, or an override without a place
Result<std::string> scenario_document(const ScenarioText& text);

/// Executors of a pod, as `podsense serve` plans them from its quota.
unsigned executors_of(const Scenario& scenario);

/// The most pods that a scenario asks for at one time: at its beginning, by its autoscaler, by
/// faults.
std::int32_t most_pods(const Scenario& scenario);
/// Of any number of pods, the part that serves in the simulation; 1: all.
double sampled_share(const Scenario& scenario);

/// What stands beyond what was given, in sentences: batches larger than measured, a sample
/// of pods, and what its profile says of itself.
std::vector<std::string> extrapolations(const Scenario& scenario);

}  // namespace podsense::foresight
