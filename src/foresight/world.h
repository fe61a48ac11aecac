#pragma once

/// One run of a scenario: the events of requests, pods, metrics and the autoscaler in the order of
/// their time, and within one moment in the order they were planned. Private to this module.

#include <algorithm>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "foresight/hpa.h"
#include "foresight/pod_router.h"
#include "foresight/pod_server.h"
#include "foresight/pod_signals.h"
#include "foresight/random.h"
#include "foresight/simulate.h"
#include "foresight/thinned.h"

namespace podsense::foresight {

/// Moments that go into a replay are whole numbers of these, which decimal text holds exactly.
inline constexpr Duration kGrain(1'953'125);  // 1/512 s

enum class EventKind : std::uint8_t {
  kServer,         ///< a pod's process has something to do
  kRetry,          ///< an attempt begins
  kKubelet,        ///< the kubelet has the pod
  kContainer,      ///< its container begins
  kLoaded,         ///< its model is loaded
  kReady,          ///< a probe says so
  kRoute,          ///< clients and proxies know
  kUnroute,        ///< they know that it is going
  kCloseListener,  ///< the end of its drain delay
  kKill,           ///< the end of its grace period
  kTick,           ///< its own, once a second
  kSample,         ///< cAdvisor
  kScrape,         ///< Prometheus
  kResourceCycle,  ///< metrics-server
  kLook,           ///< the autoscaler
  kFault,
  kFaultEnd,
  kSlice,
};

struct Event {
  TimePoint at;
  std::uint64_t order = 0;
  EventKind kind = EventKind::kServer;
  std::uint32_t pod = 0;
  std::uint64_t item = 0;
  [[nodiscard]] bool operator>(const Event& other) const {
    return std::pair(at, order) > std::pair(other.at, other.order);
  }
};

/// What is planned, earliest first. @threads confined to one thread
class Timeline {
 public:
  void plan(TimePoint at, EventKind kind, std::uint32_t pod = 0, std::uint64_t item = 0) {
    const Event event{.at = at, .order = ++order_, .kind = kind, .pod = pod, .item = item};
    if (is_first_taken_) {
      is_first_taken_ = false;
      return put_first(event);
    }
    events_.push_back(event);
    std::ranges::push_heap(events_, std::greater<>());
  }
  [[nodiscard]] TimePoint next() {
    remove_taken();
    return events_.empty() ? TimePoint::max() : events_.front().at;
  }
  Event pop() {
    remove_taken();
    is_first_taken_ = true;
    return events_.front();
  }

 private:
  void remove_taken() {
    if (!std::exchange(is_first_taken_, false)) {
      return;
    }
    const Event last = events_.back();
    events_.pop_back();
    if (!events_.empty()) {
      put_first(last);
    }
  }
  /// In place of the first, as far down as it belongs.
  void put_first(const Event& event) {
    std::size_t place = 0;
    for (std::size_t below = 1; below < events_.size(); below = 2 * place + 1) {
      below += below + 1 < events_.size() && events_[below] > events_[below + 1] ? 1 : 0;
      if (!(event > events_[below])) {
        break;
      }
      events_[place] = events_[below];
      place = below;
    }
    events_[place] = event;
  }

  std::vector<Event> events_;    ///< a heap
  bool is_first_taken_ = false;  ///< its place is for the next that is planned: mostly a near one
  std::uint64_t order_ = 0;
};

/// Of a pod's threads, since it began.
struct CpuUse {
  Duration used{};
  Duration throttled{};
};

struct SimPod {
  std::uint32_t number = 0;
  TimePoint created;
  std::optional<TimePoint> start;      ///< status.startTime
  std::optional<TimePoint> container;  ///< when it began
  bool scheduled = false;
  bool ready = false;
  TimePoint ready_since;  ///< last change of `ready`
  std::optional<TimePoint> deleted;
  bool listening = false;
  bool gone = false;
  std::uint64_t tie = 0;  ///< as a UID: which of two alike goes first
  std::unique_ptr<PodServer> server;
  std::optional<PodSignals> signals;
  TimePoint wake = TimePoint::max();  ///< of its planned kServer
  Duration cpu_before{};              ///< used by the end of the last slice

  // Where only a sample of the pods serves (world_sample.cc):
  bool sampled = true;
  CpuUse earlier;                 ///< before its server, or in place of it, so far
  std::optional<CpuUse> follows;  ///< it does as the mean does since that had used so much
  CpuUse in_mean;                 ///< use that the mean has had of it
};

/// @threads confined to one thread
class World {
 public:
  World(const Scenario& scenario, std::uint64_t seed, const SimulateOptions& options);
  /// Nothing: asked to stop before its end.
  std::optional<RunResult> run();

 private:
  /// Of simulated time: pods and pipelines are there for a while before the first request.
  static constexpr TimePoint kStart{std::chrono::hours(2)};
  static constexpr Duration kLead = std::chrono::minutes(2);
  using ApiFaults = std::array<int, kFaultNames.size()>;

  struct Patience {
    TimePoint until;
    std::uint32_t attempt = 0;
    std::uint32_t serial = 0;
  };

  // world.cc: the loop and the requests
  void begin();
  [[nodiscard]] bool is_stopped();
  void step();
  void handle(const Event& event);
  void note_arrival(TimePoint at, std::uint64_t number);
  Attempt& new_attempt(std::uint64_t request, std::uint32_t tries, TimePoint due);
  void forget(Attempt& attempt);
  void begin_attempt(Attempt& attempt);
  void time_out(const Patience& patience);
  void fail_attempt(const Attempt& attempt, RequestEnding ending);
  void finish_request(TimePoint due, RequestEnding ending);
  void serve(SimPod& pod);
  void settle(SimPod& pod);
  void break_all(const std::vector<Attempt*>& attempts);
  [[nodiscard]] bool is_counted(TimePoint due) const { return due >= kStart + scenario_.warm_up; }
  [[nodiscard]] Slice* slice_at(TimePoint moment);
  void note_slice();
  void finish_result();

  // world_pods.cc: the ReplicaSet and a pod's life
  SimPod& add_pod();
  void add_first_pods();
  void schedule(SimPod& pod);
  void schedule_waiting();
  [[nodiscard]] Duration stage(const SimPod& pod, const Distribution& time,
                               std::uint64_t which) const;
  void begin_container(SimPod& pod);
  void start_server(SimPod& pod);
  void handle_pod(const Event& event);
  void become_ready(SimPod& pod);
  [[nodiscard]] TimePoint next_probe(const SimPod& pod) const;
  void loaded(SimPod& pod);
  void step_down(SimPod& pod);
  void delete_pod(SimPod& pod);
  void remove(SimPod& pod);
  void reconcile();
  [[nodiscard]] bool goes_before(const SimPod& a, const SimPod& b) const;
  [[nodiscard]] bool is_alike(const SimPod& a, const SimPod& b) const;
  [[nodiscard]] std::int32_t active_pods() const;
  void begin_fault(std::size_t index);
  void end_fault(std::size_t index);
  void kill_pods(std::int32_t count);

  // world_sample.cc: k of n pods
  [[nodiscard]] bool is_sample() const { return thinned_.has_value(); }
  [[nodiscard]] std::int32_t sampled_of(std::int32_t pods) const;
  void sample_new(std::size_t first);
  void sample_victims(std::vector<SimPod*>& candidates, std::size_t count) const;
  [[nodiscard]] std::int32_t active_sampled() const;
  void add_route(SimPod& pod);
  void remove_route(SimPod& pod);
  void routes_changed();
  void promote(SimPod& pod);
  void follow_mean(SimPod& pod);
  void leave_mean(SimPod& pod);
  void advance_mean();
  [[nodiscard]] CpuUse use_of(SimPod& pod);
  [[nodiscard]] std::optional<std::int64_t> scraped(const SimPod& pod, Signal signal) const;
  void note_mean_scraped();
  [[nodiscard]] double mean_value(Signal signal) const;
  void note_weight(TimePoint due);
  void scale_result();

  // world_metrics.cc: pipelines and the autoscaler
  void sample(SimPod& pod);
  void scrape(SimPod& pod);
  void ask_kubelets();
  void look();
  void note_signal_ages();
  [[nodiscard]] ClusterView view() const;
  [[nodiscard]] MetricsView metrics() const;
  [[nodiscard]] PodState state_of(const SimPod& pod) const;
  [[nodiscard]] bool fails(FaultKind kind) const {
    return faults_[static_cast<std::size_t>(kind)] > 0;
  }
  [[nodiscard]] std::optional<double> true_signal();
  [[nodiscard]] TimePoint phase(std::uint64_t which, Duration period) const;

  // world_dump.cc
  void dump_look();
  void dump_pod(const SimPod& pod, std::string& out) const;
  void dump_metrics(std::string& out) const;
  [[nodiscard]] std::map<std::string, std::int64_t> external_milli() const;
  void end_dump();

  [[nodiscard]] Duration since_start(TimePoint moment) const { return moment - kStart; }

  const Scenario& scenario_;
  const SimulateOptions& options_;
  const std::uint64_t seed_;
  const Duration slice_;
  RunResult result_;
  TimePoint now_ = kStart - kLead;
  Timeline timeline_;
  arrivals::Schedule schedule_;
  std::optional<ThinnedSchedule> thinned_;  ///< in place of it, for a sample of the pods
  std::optional<arrivals::Schedule::Arrival> arrival_;
  std::deque<Patience> waiting_clients_;  ///< in the order of their time-outs
  std::deque<Attempt> attempts_;
  std::vector<std::uint32_t> free_attempts_;
  std::uint64_t open_ = 0;  ///< requests without an ending
  std::uint64_t steps_ = 0;
  std::vector<std::uint32_t> due_by_second_;
  PodServer::Happened happened_;

  std::vector<std::unique_ptr<SimPod>> pods_;  ///< all that ever were
  std::vector<std::uint32_t> live_;            ///< those not gone, in the order of creation
  std::deque<std::uint32_t> unscheduled_;
  PodRouter router_;
  std::int32_t replicas_;
  std::int32_t ready_at_start_ = 0;
  ApiFaults faults_{};  ///< how many of a kind last now
  double slowness_ = 1;

  TimePoint mean_until_;
  CpuUse mean_;  ///< of a pod of the sample that takes requests
  std::array<std::optional<std::int64_t>, kSignalNames.size()> mean_scraped_;  ///< thousandths
  struct Weight {
    double due = 0;  ///< requests of all pods
    std::uint64_t taken = 0;
  };
  std::vector<Weight> weights_;  ///< by slice

  std::optional<Hpa> hpa_;
  std::optional<double> seen_;
  std::string dump_ticks_;
  std::optional<std::int32_t> dump_replicas_;  ///< set from outside since the last look
  std::int32_t dump_begin_replicas_ = 0;
  Conditions dump_conditions_;
  unsigned dump_cases_ = 0;
};

}  // namespace podsense::foresight
