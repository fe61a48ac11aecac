#include "foresight/world.h"

#include <array>
#include <chrono>

namespace podsense::foresight {
namespace {

std::uint32_t second_of(Duration since_start) {
  return static_cast<std::uint32_t>(since_start / std::chrono::seconds(1));
}

/// Variance over mean: 1 for a Poisson process of one rate.
double dispersion_of(const std::vector<std::uint32_t>& counts) {
  double sum = 0;
  double squares = 0;
  for (const std::uint32_t count : counts) {
    sum += count;
    squares += static_cast<double>(count) * count;
  }
  const double seconds = static_cast<double>(counts.size());
  const double mean = sum / seconds;
  return mean > 0 ? (squares / seconds - mean * mean) / mean : 0;
}

}  // namespace

World::World(const Scenario& scenario, std::uint64_t seed, const SimulateOptions& options)
    : scenario_(scenario),
      options_(options),
      seed_(seed),
      slice_(slice_length(scenario)),
      schedule_(scenario.arrivals.shape,
                {.arrivals = scenario.arrivals.process, .seed = seed, .end = scenario.length}),
      router_(scenario, seed,
              [this](std::uint32_t pod) {
                const SimPod& one = *pods_[pod];
                return one.listening ? std::optional(one.server->in_flight()) : std::nullopt;
              }),
      replicas_(scenario.replicas) {
  result_.seed = seed;
  const auto slices = (scenario.length + slice_ - Duration(1)) / slice_;
  result_.slices.resize(static_cast<std::size_t>(slices));
  const auto seconds = second_of(scenario.length - Duration(1)) - second_of(scenario.warm_up) + 1;
  due_by_second_.resize(seconds);
  if (sampled_share(scenario) < 1) {
    thinned_.emplace(scenario, seed);
    weights_.resize(result_.slices.size());
  }
}

/// When something periodic begins.
TimePoint World::phase(std::uint64_t which, Duration period) const {
  RandomStream stream(seed_, Purpose::kPhase, which);
  const auto grains = std::max<std::int64_t>(1, period / kGrain);
  return TimePoint(kGrain *
                   static_cast<std::int64_t>(stream.below(static_cast<std::uint64_t>(grains))));
}

void World::begin() {
  add_first_pods();
  timeline_.plan(now_ + phase(0, scenario_.metrics.resolution).time_since_epoch(),
                 EventKind::kResourceCycle);
  if (scenario_.autoscaler) {
    const Autoscaler& autoscaler = *scenario_.autoscaler;
    hpa_.emplace(autoscaler.settings, autoscaler.spec);
    dump_begin_replicas_ = replicas_;
    timeline_.plan(kStart + phase(1, autoscaler.settings.flags.sync_period).time_since_epoch(),
                   EventKind::kLook);
  }
  for (std::size_t i = 0; i < scenario_.faults.size(); ++i) {
    const ScenarioFault& fault = scenario_.faults[i];
    timeline_.plan(kStart + fault.at, EventKind::kFault, 0, i);
    if (fault.length > Duration::zero()) {
      timeline_.plan(kStart + fault.at + fault.length, EventKind::kFaultEnd, 0, i);
    }
  }
  timeline_.plan(kStart + std::min(slice_, scenario_.length), EventKind::kSlice, 0, 0);
  if (is_sample()) {
    return routes_changed();
  }
  arrival_ = schedule_.next();
}

/// Asked now and then, as it is between all events.
bool World::is_stopped() {
  constexpr std::uint64_t kOften = 4096;
  return options_.stop != nullptr && ++steps_ % kOften == 0 && *options_.stop;
}

std::optional<RunResult> World::run() {
  begin();
  // The last requests may take until their clients leave.
  const TimePoint end = kStart + scenario_.length;
  const TimePoint last = end + scenario_.clients.timeout;
  for (;;) {
    const TimePoint arrival = arrival_ ? kStart + arrival_->at : TimePoint::max();
    const TimePoint leave =
        waiting_clients_.empty() ? TimePoint::max() : waiting_clients_.front().until;
    const TimePoint next = std::min({timeline_.next(), arrival, leave});
    if (next > last || (next > end && open_ == 0)) {
      break;
    }
    if (is_stopped()) {
      return std::nullopt;
    }
    now_ = next;
    step();
  }
  finish_result();
  return std::move(result_);
}

/// One event: in one moment first what was planned, then clients that leave, then newcomers.
void World::step() {
  if (timeline_.next() == now_) {
    return handle(timeline_.pop());
  }
  if (!waiting_clients_.empty() && waiting_clients_.front().until == now_) {
    const Patience patience = waiting_clients_.front();
    waiting_clients_.pop_front();
    return time_out(patience);
  }
  const arrivals::Schedule::Arrival arrival = *arrival_;
  arrival_ = is_sample() ? thinned_->next() : schedule_.next();
  note_arrival(now_, arrival.index);
}

void World::handle(const Event& event) {
  switch (event.kind) {
    case EventKind::kRetry:
      return begin_attempt(attempts_[event.item]);
    case EventKind::kResourceCycle:
      ask_kubelets();
      return timeline_.plan(now_ + scenario_.metrics.resolution, EventKind::kResourceCycle);
    case EventKind::kLook:
      if (now_ < kStart + scenario_.length) {
        look();
        timeline_.plan(now_ + scenario_.autoscaler->settings.flags.sync_period, EventKind::kLook);
      }
      return;
    case EventKind::kFault:
      return begin_fault(event.item);
    case EventKind::kFaultEnd:
      return end_fault(event.item);
    case EventKind::kSlice:
      return note_slice();
    default:
      if (!pods_[event.pod]->gone) {
        handle_pod(event);
      } else if (event.kind == EventKind::kUnroute) {
        remove_route(*pods_[event.pod]);
      }
  }
}

// --- requests

void World::note_arrival(TimePoint at, std::uint64_t number) {
  ++open_;
  if (is_counted(at)) {
    ++due_by_second_[second_of(since_start(at)) - second_of(scenario_.warm_up)];
    if (is_sample()) {
      note_weight(at);
    }
  }
  begin_attempt(new_attempt(number, 0, at));
}

Attempt& World::new_attempt(std::uint64_t request, std::uint32_t tries, TimePoint due) {
  std::uint32_t id = 0;
  if (free_attempts_.empty()) {
    id = static_cast<std::uint32_t>(attempts_.size());
    attempts_.emplace_back();
  } else {
    id = free_attempts_.back();
    free_attempts_.pop_back();
  }
  Attempt& attempt = attempts_[id];
  const std::uint32_t serial = attempt.serial + 1;
  attempt = {};
  attempt.id = id;
  attempt.serial = serial;
  attempt.request = request;
  attempt.tries = tries;
  attempt.due = due;
  return attempt;
}

void World::forget(Attempt& attempt) {
  ++attempt.serial;
  free_attempts_.push_back(attempt.id);
}

void World::begin_attempt(Attempt& attempt) {
  result_.attempts += is_counted(attempt.due) ? 1 : 0;
  const auto pod = router_.pick(attempt);
  if (!pod || !pods_[*pod]->listening) {
    fail_attempt(attempt, RequestEnding::kBroken);
    return forget(attempt);
  }
  attempt.pod = *pod;
  if (scenario_.service.deadline > Duration::zero()) {
    attempt.deadline = Deadline::after(now_, scenario_.service.deadline);
  }
  waiting_clients_.push_back(
      {.until = now_ + scenario_.clients.timeout, .attempt = attempt.id, .serial = attempt.serial});
  SimPod& target = *pods_[*pod];
  happened_.clear();
  target.server->take(&attempt, now_, happened_);
  settle(target);
}

void World::time_out(const Patience& patience) {
  Attempt& attempt = attempts_[patience.attempt];
  if (attempt.serial != patience.serial) {
    return;
  }
  attempt.left = true;
  router_.close(attempt);
  fail_attempt(attempt, RequestEnding::kTimedOut);
}

/// The request goes on with another attempt, or ends so.
void World::fail_attempt(const Attempt& attempt, RequestEnding ending) {
  if (attempt.tries >= scenario_.clients.retries) {
    return finish_request(attempt.due, ending);
  }
  RandomStream stream(seed_, Purpose::kBackoff, attempt.request, attempt.tries);
  const Duration wait = scenario_.clients.backoff.at(stream.uniform());
  const Attempt& again = new_attempt(attempt.request, attempt.tries + 1, attempt.due);
  timeline_.plan(now_ + wait, EventKind::kRetry, 0, again.id);
}

void World::finish_request(TimePoint due, RequestEnding ending) {
  --open_;
  if (!is_counted(due)) {
    return;
  }
  const Duration latency = now_ - due;
  const bool is_late = ending != RequestEnding::kAnswered || latency > scenario_.objective.latency;
  ++result_.endings[static_cast<std::size_t>(ending)];
  result_.late += is_late ? 1 : 0;
  Slice& slice = *slice_at(due);
  ++slice.endings[static_cast<std::size_t>(ending)];
  slice.late += is_late ? 1 : 0;
  if (ending == RequestEnding::kAnswered) {
    result_.latency.record(latency);
    slice.latency.record(latency);
  }
}

/// What a pod's step brought, and when it wants the next.
void World::settle(SimPod& pod) {
  if (happened_.warmed_up) {
    timeline_.plan(next_probe(pod), EventKind::kReady, pod.number);
  }
  for (const Duration time : happened_.ran) {
    result_.run_time.record(time);
  }
  for (Attempt* const attempt : happened_.answered) {
    if (pod.deleted) {
      router_.close(*attempt);
    }
    if (!attempt->left) {
      finish_request(attempt->due, RequestEnding::kAnswered);
    }
    forget(*attempt);
  }
  for (Attempt* const attempt : happened_.refused) {
    if (!attempt->left) {
      fail_attempt(*attempt, RequestEnding::kRefused);
    }
    forget(*attempt);
  }
  for (Attempt* const attempt : happened_.unwanted) {
    forget(*attempt);
  }
  happened_.clear();
  if (pod.deleted && !pod.listening && pod.server->in_flight() == 0) {
    return remove(pod);
  }
  if (const TimePoint next = pod.server->next_step(); next < pod.wake) {
    pod.wake = next;
    timeline_.plan(next, EventKind::kServer, pod.number);
  }
}

void World::serve(SimPod& pod) {
  happened_.clear();
  pod.server->advance(now_, happened_);
  settle(pod);
}

void World::break_all(const std::vector<Attempt*>& attempts) {
  for (Attempt* const attempt : attempts) {
    router_.close(*attempt);
    if (!attempt->left) {
      fail_attempt(*attempt, RequestEnding::kBroken);
    }
    forget(*attempt);
  }
}

// --- results

Slice* World::slice_at(TimePoint moment) {
  const auto index = static_cast<std::size_t>(since_start(moment) / slice_);
  return &result_.slices[std::min(index, result_.slices.size() - 1)];
}

void World::note_slice() {
  Slice& slice = *slice_at(now_ - Duration(1));
  slice.desired = replicas_;
  for (const std::uint32_t number : live_) {
    const SimPod& pod = *pods_[number];
    slice.pods += pod.deleted ? 0 : 1;
    slice.draining += pod.deleted ? 1 : 0;
    slice.ready += pod.ready && !pod.deleted ? 1 : 0;
    if (options_.pod_loads && pod.server) {
      slice.loads.emplace_back(number, pod.server->in_flight());
    }
  }
  slice.signal = true_signal();
  slice.seen = seen_;
  const TimePoint end = kStart + scenario_.length;
  if (now_ < end) {
    timeline_.plan(std::min(end, now_ + slice_), EventKind::kSlice);
  }
}

void World::finish_result() {
  const TimePoint end = kStart + scenario_.length;
  for (const std::uint32_t number : live_) {
    SimPod& pod = *pods_[number];
    result_.pod_seconds += to_seconds(end - std::clamp(pod.created, kStart, end));
    if (pod.container) {
      const CpuUse use = use_of(pod);
      result_.cpu_seconds += to_seconds(use.used);
      result_.throttled_seconds += to_seconds(use.throttled);
    }
  }
  std::uint64_t due = 0;
  for (const std::uint32_t count : due_by_second_) {
    due += count;
  }
  // Those due in the warm-up may be open, too.
  const std::uint64_t ended = result_.requests();
  result_.endings[static_cast<std::size_t>(RequestEnding::kUnfinished)] = due - ended;
  result_.late += due - ended;
  result_.dispersion = dispersion_of(due_by_second_);
  if (is_sample()) {
    scale_result();
  }
  if (options_.dump_hpa && hpa_) {
    end_dump();
  }
}

}  // namespace podsense::foresight
