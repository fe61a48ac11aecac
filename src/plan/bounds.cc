#include "plan/bounds.h"

#include <algorithm>
#include <cmath>

#include "text/numbers.h"

namespace podsense::plan {
namespace {

constexpr int kMostSteps = 20'000;
constexpr double kPeakSeconds = 60;

/// So far Poisson counts and sums of random times stray from their mean, and no further.
double strays(double count) {
  return 4 * std::sqrt(std::max(1.0, count));
}

double mean_run(const foresight::ServicePlan& service, std::size_t rows) {
  const auto above = std::ranges::lower_bound(service.runs, rows, {}, &foresight::RunCost::rows);
  if (above == service.runs.end()) {
    const foresight::RunCost& last = service.runs.back();
    return last.cpu.mean_seconds() / static_cast<double>(last.rows) * static_cast<double>(rows);
  }
  if (above->rows == rows) {
    return above->cpu.mean_seconds();
  }
  const foresight::RunCost& below = *std::prev(above);
  const double part =
      static_cast<double>(rows - below.rows) / static_cast<double>(above->rows - below.rows);
  return below.cpu.mean_seconds() + part * (above->cpu.mean_seconds() - below.cpu.mean_seconds());
}

/// The least mean CPU time of a row in any run that may happen.
double best_row(const foresight::ServicePlan& service) {
  double best = mean_run(service, service.max_batch) / static_cast<double>(service.max_batch);
  for (const foresight::RunCost& run : service.runs) {
    if (run.rows <= service.max_batch) {
      best = std::min(best, run.cpu.mean_seconds() / static_cast<double>(run.rows));
    }
  }
  return best;
}

double cores_of(const foresight::Scenario& scenario) {
  return scenario.pod.cpu_limit.value_or(scenario.pod.node_cores);
}

/// Squared coefficient of variation of the first run's time.
double variation_of(const foresight::Distribution& time) {
  constexpr int kPoints = 400;
  double sum = 0;
  double squares = 0;
  for (int i = 0; i < kPoints; ++i) {
    const double seconds = to_seconds(time.at((i + 0.5) / kPoints));
    sum += seconds;
    squares += seconds * seconds;
  }
  const double mean = sum / kPoints;
  return mean > 0 ? std::max(0.0, squares / kPoints / (mean * mean) - 1) : 0;
}

std::string of_requests(double count) {
  return text::format_number(std::ceil(count));
}

}  // namespace

RequestDemand::RequestDemand(const foresight::Scenario& scenario)
    : is_random_(scenario.arrivals.process == arrivals::ArrivalProcess::kPoisson &&
                 scenario.arrivals.shape->is_rate()) {
  const double begin = to_seconds(scenario.warm_up);
  const double length = to_seconds(scenario.length) - begin;
  const auto steps = static_cast<std::size_t>(std::clamp(std::ceil(length), 1.0, kMostSteps * 1.0));
  step_ = length / static_cast<double>(steps);
  const arrivals::ArrivalShape& shape = *scenario.arrivals.shape;
  double before = begin > 0 ? shape.due_by(begin) : 0;
  for (std::size_t i = 1; i <= steps; ++i) {
    const double by = shape.due_by(begin + step_ * static_cast<double>(i));
    counts_.push_back(by - before);
    before = by;
  }
  for (const double count : counts_) {
    sum_ += count;
  }
  const auto wide =
      std::clamp<std::size_t>(static_cast<std::size_t>(kPeakSeconds / step_), 1, counts_.size());
  double within = 0;
  double most = -1;
  for (std::size_t i = 0; i < counts_.size(); ++i) {
    within += counts_[i] - (i >= wide ? counts_[i - wide] : 0);
    if (i + 1 >= wide && within > most) {
      most = within;
      const double seconds = step_ * static_cast<double>(wide);
      peak_ = {.at = begin + step_ * static_cast<double>(i + 1) - seconds / 2,
               .seconds = seconds,
               .rate = within / seconds};
    }
  }
}

double RequestDemand::first_rate() const {
  constexpr double kFirst = 30;
  const auto steps =
      std::clamp<std::size_t>(static_cast<std::size_t>(kFirst / step_), 1, counts_.size());
  double sum = 0;
  for (std::size_t i = 0; i < steps; ++i) {
    sum += counts_[i];
  }
  return sum / (step_ * static_cast<double>(steps));
}

double RequestDemand::least_late(double rate, Duration latency) const {
  // Of the requests due in a stretch, what is answered in time is answered within it or its
  // latency afterwards. The stretch with the largest excess is found in one pass.
  double best = 0;
  double excess = 0;
  double due = 0;
  for (const double count : counts_) {
    if (excess <= 0) {
      excess = 0;
      due = 0;
    }
    excess += count - rate * step_;
    due += count;
    const double sure =
        excess - rate * to_seconds(latency) - (is_random_ ? 2 * strays(due) : strays(due));
    best = std::max(best, sure);
  }
  return best;
}

PodRate pod_rate(const foresight::Scenario& scenario) {
  const foresight::ServicePlan& service = scenario.service;
  const double row = best_row(service);
  const double all = row + service.request_cpu.mean_seconds();
  const double cores = cores_of(scenario);
  const auto executors = static_cast<double>(foresight::executors_of(scenario));
  PodRate out{.per_second = all > 0 ? cores / all : INFINITY,
              .servers = std::min(executors, cores),
              .run_seconds = service.runs.front().cpu.mean_seconds()};
  if (row > 0) {
    out.per_second = std::min(out.per_second, executors / row);
  }
  return out;
}

double erlang_c(double servers, double erlangs) {
  if (erlangs >= servers) {
    return 1;
  }
  double b = 1;  // Erlang's loss formula, by its recursion
  for (double n = 1; n <= servers; ++n) {
    b = erlangs * b / (n + erlangs * b);
  }
  const double use = erlangs / servers;
  return b / (1 - use * (1 - b));
}

double waits_longer(const QueueModel& queue, double patience) {
  const double erlangs = queue.rate * queue.service;
  const double servers = std::max(1.0, std::floor(queue.servers));
  if (erlangs >= servers) {
    return 1;
  }
  if (patience <= 0) {
    return 1;
  }
  const double drain = (servers - erlangs) / queue.service / std::max(0.1, queue.variation);
  return erlang_c(servers, erlangs) * std::exp(-drain * patience);
}

namespace {

/// The share of all requests that is late by the queue of the busiest minute, at least.
double late_at_peak(const foresight::Scenario& scenario, std::int32_t pods,
                    const RequestDemand& demand, const LatencyGoal& goal) {
  const PodRate pod = pod_rate(scenario);
  const RequestDemand::Peak& peak = demand.peak();
  // The queue of the fastest that these pods may be: as if each server did its part of the rate.
  const double servers = std::max(1.0, pod.servers) * pods;
  const double service = servers / (pod.per_second * pods);
  const bool is_random = scenario.arrivals.process == arrivals::ArrivalProcess::kPoisson;
  const QueueModel queue{
      .rate = peak.rate,
      .servers = servers,
      .service = service,
      .variation = ((is_random ? 1 : 0) + variation_of(scenario.service.runs.front().cpu)) / 2};
  const double tail = waits_longer(queue, to_seconds(goal.latency) - pod.run_seconds);
  return tail * peak.rate * peak.seconds / std::max(1.0, demand.requests());
}

}  // namespace

std::int32_t least_pods(const foresight::Scenario& scenario, const RequestDemand& demand,
                        const Objective& objective) {
  constexpr std::int32_t kMost = 100'000;
  const auto holds = [&](std::int32_t pods) {
    return std::ranges::all_of(objective.latencies, [&](const LatencyGoal& goal) {
      return late_at_peak(scenario, pods, demand, goal) <= goal.allowed();
    });
  };
  std::int32_t high = 1;
  while (high < kMost && !holds(high)) {
    high *= 2;
  }
  std::int32_t low = high / 2;  // does not hold, or is 0
  while (high - low > 1) {
    const std::int32_t middle = low + (high - low) / 2;
    (holds(middle) ? high : low) = middle;
  }
  return std::min(high, kMost);
}

std::string refused_by_bounds(const foresight::Scenario& scenario, std::int32_t pods,
                              const RequestDemand& demand, const Objective& objective) {
  // Pods that are going still answer what they hold, within their grace.
  const double rate = pod_rate(scenario).per_second * pods;
  const Duration more = scenario.autoscaler ? scenario.stop.grace : Duration();
  for (const LatencyGoal& goal : objective.latencies) {
    const double allowed = goal.allowed() * demand.requests();
    const double late = demand.least_late(rate, goal.latency + more);
    if (late > 1.2 * allowed + strays(allowed)) {
      return std::to_string(pods) + (pods == 1 ? " pod does " : " pods do ") +
             text::format_number(rate) + " requests a second at most: at least " +
             of_requests(late) + " would be late, " + of_requests(allowed) + " may";
    }
    // A server that refuses in time keeps the rest in time, which a queue's formula does not know:
    // only what is far off counts.
    constexpr double kFarOff = 10;
    const double share = late_at_peak(scenario, pods, demand, goal);
    if (!scenario.autoscaler && demand.peak().seconds >= 30 && share > kFarOff * goal.allowed()) {
      return std::to_string(pods) + (pods == 1 ? " pod leaves " : " pods leave ") +
             text::format_number(100 * share) + " % late by the queue of the busiest minute";
    }
  }
  return {};
}

}  // namespace podsense::plan
