#include "foresight/pod_server.h"

#include <algorithm>
#include <utility>

#include "foresight/random.h"

namespace podsense::foresight {
namespace {

batching::QueueOptions queue_options(const ServicePlan& service) {
  return {.max_batch = service.max_batch,
          .max_delay = service.max_delay,
          .instances = 0,
          .max_waiting = service.max_waiting,
          .max_wait = service.max_wait,
          .service = from_seconds(service.runs.front().cpu.mean_seconds())};
}

}  // namespace

Duration run_cpu(const ServicePlan& service, std::size_t rows, double u) {
  const auto above = std::ranges::lower_bound(service.runs, rows, {}, &RunCost::rows);
  if (above == service.runs.end()) {
    const RunCost& last = service.runs.back();
    const double each = to_seconds(last.cpu.at(u)) / static_cast<double>(last.rows);
    return from_seconds(each * static_cast<double>(rows));
  }
  if (above->rows == rows) {
    return above->cpu.at(u);
  }
  const RunCost& below = *std::prev(above);
  const double part =
      static_cast<double>(rows - below.rows) / static_cast<double>(above->rows - below.rows);
  const double low = to_seconds(below.cpu.at(u));
  return from_seconds(low + part * (to_seconds(above->cpu.at(u)) - low));
}

void PodServer::Happened::clear() {
  answered.clear();
  refused.clear();
  unwanted.clear();
  ran.clear();
  warmed_up = false;
}

PodServer::PodServer(const Scenario& scenario, std::uint64_t seed, TimePoint phase)
    : scenario_(scenario),
      seed_(seed),
      core_({.executors = executors_of(scenario)}),
      queue_(core_.add_queue(queue_options(scenario.service))),
      cpu_(scenario.pod.cpu_limit, phase),
      window_(scenario.objective),
      draws_runs_(!std::ranges::all_of(scenario.service.runs,
                                       [](const RunCost& run) { return run.cpu.is_constant(); })) {}

Duration PodServer::run_cost(const Core::Next& next) const {
  const Attempt& first = *next.batch.front();
  const double u =
      draws_runs_ ? RandomStream(seed_, Purpose::kRun, first.request, first.tries).uniform() : 0;
  const Duration cpu = run_cpu(scenario_.service, next.run.rows, u);
  return slowness_ == 1 ? cpu : from_seconds(to_seconds(cpu) * slowness_);
}

Duration PodServer::request_cost(const Attempt& attempt) const {
  const Distribution& cpu = scenario_.service.request_cpu;
  if (cpu.is_constant()) {
    return cpu.at(0);
  }
  RandomStream stream(seed_, Purpose::kRun, attempt.request, attempt.tries);
  stream.next();  // the run's
  return cpu.at(stream.uniform());
}

void PodServer::begin(Job job, Duration cpu, TimePoint now) {
  std::uint64_t id = jobs_.size();
  if (free_jobs_.empty()) {
    jobs_.push_back(std::move(job));
  } else {
    id = free_jobs_.back();
    free_jobs_.pop_back();
    jobs_[id] = std::move(job);
  }
  cpu_.begin(id, cpu, now);
}

void PodServer::warm_up(Duration cpu, TimePoint now) {
  begin({.kind = JobKind::kWarmUp, .attempt = nullptr, .run = {}}, cpu, now);
}

void PodServer::take(Attempt* attempt, TimePoint now, Happened& happened) {
  ++in_flight_;
  const Duration own = request_cost(*attempt);
  if (own > Duration::zero()) {
    begin({.kind = JobKind::kRequest, .attempt = attempt, .run = {}}, own, now);
    return;
  }
  submit(attempt, now, happened);
  serve(now, happened);
}

void PodServer::submit(Attempt* attempt, TimePoint now, Happened& happened) {
  if (attempt->left) {
    --in_flight_;
    happened.unwanted.push_back(attempt);
    return;
  }
  if (!core_.submit(queue_, attempt, now).admitted()) {
    --in_flight_;
    happened.refused.push_back(attempt);
  }
}

void PodServer::serve(TimePoint now, Happened& happened) {
  for (;;) {
    Core::Next next = core_.next(now);
    for (const Core::Dropped& dropped : next.dropped) {
      --in_flight_;
      const bool is_gone = dropped.reason == batching::DropReason::kClientDisconnected;
      (is_gone ? happened.unwanted : happened.refused).push_back(dropped.task);
    }
    if (next.batch.empty()) {
      ask_again_ = next.again;
      return;
    }
    const Duration cost = run_cost(next);
    begin({.kind = JobKind::kRun, .attempt = nullptr, .run = std::move(next)}, cost, now);
  }
}

void PodServer::end(std::uint64_t id, TimePoint now, Happened& happened) {
  const Job job = std::exchange(jobs_[id], {});
  free_jobs_.push_back(id);
  switch (job.kind) {
    case JobKind::kWarmUp:
      happened.warmed_up = true;
      return;
    case JobKind::kRequest:
      submit(job.attempt, now, happened);
      return;
    case JobKind::kRun:
      break;
  }
  happened.ran.push_back(now - job.run.run.started);
  for (Attempt* const attempt : job.run.batch) {
    attempt->unreceived = attempt->left;
    --in_flight_;
    happened.answered.push_back(attempt);
  }
  core_.finish(
      job.run.run, now,
      batching::outcome_of(std::span<Attempt* const>(job.run.batch), now - job.run.run.started));
}

void PodServer::advance(TimePoint now, Happened& happened) {
  for (const std::uint64_t id : cpu_.ended(now)) {
    end(id, now, happened);
  }
  serve(now, happened);
}

TimePoint PodServer::next_step() const {
  return std::min(cpu_.next_end(), ask_again_);
}

std::vector<Attempt*> PodServer::kill(TimePoint now) {
  std::vector<Attempt*> broken = core_.drain();
  for (Job& job : jobs_) {
    if (job.attempt != nullptr) {
      broken.push_back(job.attempt);
    }
    broken.insert(broken.end(), job.run.batch.begin(), job.run.batch.end());
    job = {};
  }
  cpu_.stop(now);
  in_flight_ = 0;
  ask_again_ = TimePoint::max();
  return broken;
}

void PodServer::tick(TimePoint now) {
  const batching::QueueLoad load = core_.load(queue_);
  const double each = to_seconds(load.service);
  window_.add({.at = now,
               .runs = core_.runs(now),
               .crowded_out = each * static_cast<double>(load.unserved.crowded_out()),
               .waiting = each * static_cast<double>(load.waiting),
               .cpu = to_seconds(cpu_.used(now))});
}

double PodServer::value(Signal signal) const {
  switch (signal) {
    case Signal::kSaturation: {
      const PodPlan& pod = scenario_.pod;
      return window_.saturation(
          {.executors = core_.executors(), .cpu_cores = pod.cpu_limit.value_or(pod.node_cores)});
    }
    case Signal::kQueueDepth:
      return static_cast<double>(core_.load(queue_).waiting);
    case Signal::kInFlight:
      break;
  }
  return static_cast<double>(in_flight_);
}

}  // namespace podsense::foresight
