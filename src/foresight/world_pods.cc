// The ReplicaSet, and what a pod goes through from its creation until it is gone.

#include <bit>
#include <chrono>
#include <tuple>

#include "foresight/world.h"

namespace podsense::foresight {
namespace {

constexpr Duration kTick = std::chrono::seconds(1);  ///< of the server's own ticker
/// How long the pods of the beginning have been there.
constexpr Duration kOld = std::chrono::hours(1);

/// Of the random numbers of a pod's start.
enum Stage : std::uint64_t { kScheduleStage, kPullStage, kLoadStage, kRouteStage, kUnrouteStage };

/// @source pkg/controller/controller_utils.go, ActivePodsWithRanks with LogarithmicScaleDown:
///         younger first, where ages whose binary logarithms have one whole part are alike
int age_class(Duration age) {
  const auto count = static_cast<std::uint64_t>(std::max<Duration::rep>(0, age.count()));
  return static_cast<int>(std::bit_width(count));
}

/// By which a ReplicaSet deletes; those of one rank are alike to it.
auto rank_of(const SimPod& pod, TimePoint now) {
  return std::tuple(pod.start.has_value(), pod.container.has_value(), pod.ready,
                    pod.ready ? age_class(now - pod.ready_since) : 0, age_class(now - pod.created));
}

}  // namespace

Duration World::stage(const SimPod& pod, const Distribution& time, std::uint64_t which) const {
  RandomStream stream(seed_, Purpose::kStart, pod.number, which);
  return time.at(stream.uniform());
}

SimPod& World::add_pod() {
  const auto number = static_cast<std::uint32_t>(pods_.size());
  pods_.push_back(std::make_unique<SimPod>());
  live_.push_back(number);
  SimPod& pod = *pods_.back();
  pod.number = number;
  pod.created = now_;
  pod.tie = mix(seed_ + number + 1);
  return pod;
}

void World::add_first_pods() {
  for (std::int32_t i = 0; i < replicas_; ++i) {
    SimPod& pod = add_pod();
    pod.created = kStart - kOld;
    pod.start = pod.created;
    pod.scheduled = true;
    begin_container(pod);
    pod.listening = true;
    pod.ready = true;
    pod.ready_since = pod.created;
  }
  sample_new(0);
  for (const bool sampled : {true, false}) {
    for (const auto& pod : pods_) {
      if (pod->sampled == sampled) {
        add_route(*pod);
      }
    }
  }
  ready_at_start_ = replicas_;
  result_.most_pods = replicas_;
}

std::int32_t World::active_pods() const {
  return static_cast<std::int32_t>(std::ranges::count_if(
      live_, [this](std::uint32_t number) { return !pods_[number]->deleted; }));
}

void World::schedule(SimPod& pod) {
  pod.scheduled = true;
  timeline_.plan(now_ + stage(pod, scenario_.start.schedule, kScheduleStage), EventKind::kKubelet,
                 pod.number);
}

/// Those that found no room, as room comes.
void World::schedule_waiting() {
  if (unscheduled_.empty()) {
    return;
  }
  auto held = std::ranges::count_if(
      live_, [this](std::uint32_t number) { return pods_[number]->scheduled; });
  while (!unscheduled_.empty() && (scenario_.capacity == 0 || held < scenario_.capacity)) {
    SimPod& pod = *pods_[unscheduled_.front()];
    unscheduled_.pop_front();
    if (!pod.gone) {
      schedule(pod);
      ++held;
    }
  }
}

void World::begin_container(SimPod& pod) {
  pod.container = now_;
  pod.signals.emplace(RandomStream(seed_, Purpose::kSampler, pod.number), now_);
  start_server(pod);
  if (scenario_.metrics.kubelet == KubeletStats::kCadvisor) {
    timeline_.plan(now_, EventKind::kSample, pod.number);
  }
}

void World::start_server(SimPod& pod) {
  const Duration offset = phase(1000 + pod.number * 4ULL, CpuShare::kPeriod).time_since_epoch();
  pod.server = std::make_unique<PodServer>(scenario_, seed_, now_ - offset);
  pod.server->set_slowness(slowness_);
  pod.server->tick(now_);
  timeline_.plan(now_ + kTick, EventKind::kTick, pod.number);
  timeline_.plan(
      now_ + phase(1001 + pod.number * 4ULL, scenario_.metrics.scrape).time_since_epoch(),
      EventKind::kScrape, pod.number);
}

void World::handle_pod(const Event& event) {
  SimPod& pod = *pods_[event.pod];
  switch (event.kind) {
    case EventKind::kServer:
      if (pod.wake == now_) {
        pod.wake = TimePoint::max();
        serve(pod);
      }
      return;
    case EventKind::kKubelet:
      pod.start = now_;
      pod.ready_since = now_;
      return timeline_.plan(now_ + stage(pod, scenario_.start.pull, kPullStage),
                            EventKind::kContainer, pod.number);
    case EventKind::kContainer:
      begin_container(pod);
      return timeline_.plan(
          now_ + stage(pod, scenario_.start.load, kLoadStage) + scenario_.start.extra,
          EventKind::kLoaded, pod.number);
    case EventKind::kLoaded:
      return loaded(pod);
    case EventKind::kReady:
      return become_ready(pod);
    case EventKind::kRoute:
      return pod.deleted ? void() : add_route(pod);
    case EventKind::kUnroute:
      return remove_route(pod);
    case EventKind::kCloseListener:
      return step_down(pod);
    case EventKind::kKill:
      return remove(pod);
    case EventKind::kTick:
      if (!pod.server) {
        return;  // it does as the mean does by now
      }
      pod.server->tick(now_);
      return timeline_.plan(now_ + kTick, EventKind::kTick, pod.number);
    case EventKind::kSample:
      return sample(pod);
    case EventKind::kScrape:
      return pod.server ? scrape(pod) : void();
    default:
      return;
  }
}

void World::loaded(SimPod& pod) {
  if (pod.deleted) {
    return;
  }
  pod.listening = true;
  if (scenario_.start.warm_up_cpu > Duration::zero()) {
    pod.server->warm_up(scenario_.start.warm_up_cpu, now_);
    return serve(pod);
  }
  timeline_.plan(next_probe(pod), EventKind::kReady, pod.number);
}

/// The kubelet probes each period from the container's start on.
TimePoint World::next_probe(const SimPod& pod) const {
  const Duration period = scenario_.start.probe_period;
  const auto past = (now_ - *pod.container + period - Duration(1)) / period;
  return *pod.container + period * std::max<std::int64_t>(1, past);
}

void World::become_ready(SimPod& pod) {
  if (pod.deleted) {
    return;
  }
  pod.ready = true;
  pod.ready_since = now_;
  if (pod.created >= kStart) {
    result_.start_up.record(now_ - pod.created);
  }
  timeline_.plan(now_ + stage(pod, scenario_.start.propagation, kRouteStage), EventKind::kRoute,
                 pod.number);
  const auto ready = std::ranges::count_if(live_, [this](std::uint32_t number) {
    return pods_[number]->ready && !pods_[number]->deleted;
  });
  if (!result_.second_ready && ready > ready_at_start_ && now_ >= kStart) {
    result_.second_ready = since_start(now_);
  }
}

void World::delete_pod(SimPod& pod) {
  pod.deleted = now_;
  if (!pod.container) {
    return remove(pod);
  }
  timeline_.plan(now_ + stage(pod, scenario_.start.propagation, kUnrouteStage), EventKind::kUnroute,
                 pod.number);
  timeline_.plan(now_ + scenario_.stop.drain_delay, EventKind::kCloseListener, pod.number);
  timeline_.plan(now_ + scenario_.stop.grace, EventKind::kKill, pod.number);
}

void World::step_down(SimPod& pod) {
  pod.listening = false;
  pod.ready = false;
  pod.ready_since = now_;
  if (!pod.server || pod.server->in_flight() == 0) {
    remove(pod);
  }
}

/// It ends, whatever it was doing.
void World::remove(SimPod& pod) {
  pod.gone = true;
  pod.listening = false;
  std::erase(live_, pod.number);
  result_.pod_seconds += to_seconds(std::clamp(now_, kStart, kStart + scenario_.length) -
                                    std::clamp(pod.created, kStart, kStart + scenario_.length));
  if (pod.container) {
    leave_mean(pod);
    const std::vector<Attempt*> broken =
        pod.server ? pod.server->kill(now_) : std::vector<Attempt*>();
    const CpuUse use = use_of(pod);
    result_.cpu_seconds += to_seconds(use.used);
    result_.throttled_seconds += to_seconds(use.throttled);
    pod.server.reset();
    break_all(broken);
  }
  schedule_waiting();
}

/// Which of two a ReplicaSet deletes first.
bool World::goes_before(const SimPod& a, const SimPod& b) const {
  return std::tuple(rank_of(a, now_), a.tie) < std::tuple(rank_of(b, now_), b.tie);
}
bool World::is_alike(const SimPod& a, const SimPod& b) const {
  return rank_of(a, now_) == rank_of(b, now_);
}

void World::reconcile() {
  const std::int32_t active = active_pods();
  const std::size_t known = pods_.size();
  for (std::int32_t i = active; i < replicas_; ++i) {
    unscheduled_.push_back(add_pod().number);
  }
  sample_new(known);
  result_.most_pods = std::max(result_.most_pods, std::max(active, replicas_));
  if (active > replicas_) {
    std::vector<SimPod*> candidates;
    for (const std::uint32_t number : live_) {
      if (!pods_[number]->deleted) {
        candidates.push_back(pods_[number].get());
      }
    }
    std::ranges::sort(candidates,
                      [this](const SimPod* a, const SimPod* b) { return goes_before(*a, *b); });
    const auto count = static_cast<std::size_t>(active - replicas_);
    sample_victims(candidates, count);
    candidates.resize(count);
    for (SimPod* const pod : candidates) {
      delete_pod(*pod);
    }
  }
  schedule_waiting();
}

// --- faults

void World::begin_fault(std::size_t index) {
  const ScenarioFault& fault = scenario_.faults[index];
  switch (fault.kind) {
    case FaultKind::kKillPods:
      kill_pods(fault.share > 0 ? static_cast<std::int32_t>(
                                      std::ceil(fault.share * static_cast<double>(live_.size())))
                                : fault.count);
      return;
    case FaultKind::kSetReplicas:
      replicas_ = fault.count;
      dump_replicas_ = replicas_;
      return reconcile();
    case FaultKind::kControllerRestart:
      if (hpa_) {
        end_dump();
        const Autoscaler& autoscaler = *scenario_.autoscaler;
        hpa_.emplace(autoscaler.settings, autoscaler.spec, Conditions(hpa_->conditions()));
      }
      return;
    case FaultKind::kSlow:
      slowness_ *= fault.factor;
      break;
    default:
      break;
  }
  ++faults_[static_cast<std::size_t>(fault.kind)];
  for (const std::uint32_t number : live_) {
    if (pods_[number]->server) {
      pods_[number]->server->set_slowness(slowness_);
    }
  }
}

void World::end_fault(std::size_t index) {
  const ScenarioFault& fault = scenario_.faults[index];
  if (--faults_[static_cast<std::size_t>(fault.kind)] == 0 && fault.kind == FaultKind::kSlow) {
    slowness_ = 1;
  } else if (fault.kind == FaultKind::kSlow) {
    slowness_ /= fault.factor;
  }
  for (const std::uint32_t number : live_) {
    if (pods_[number]->server) {
      pods_[number]->server->set_slowness(slowness_);
    }
  }
}

/// Nodes fail: pods end at once, clients and proxies know later.
void World::kill_pods(std::int32_t count) {
  for (std::int32_t i = 0; i < count && !live_.empty(); ++i) {
    RandomStream stream(seed_, Purpose::kRoute, UINT64_MAX,
                        result_.attempts + static_cast<unsigned>(i));
    SimPod& pod = *pods_[live_[stream.below(live_.size())]];
    timeline_.plan(now_ + stage(pod, scenario_.start.propagation, kUnrouteStage),
                   EventKind::kUnroute, pod.number);
    remove(pod);
  }
  reconcile();
}

}  // namespace podsense::foresight
