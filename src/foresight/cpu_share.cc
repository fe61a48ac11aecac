#include "foresight/cpu_share.h"

#include <algorithm>

namespace podsense::foresight {
namespace {

Duration of_period(std::optional<double> cores) {
  return cores ? std::max(Duration(1), from_seconds(*cores * to_seconds(CpuShare::kPeriod)))
               : Duration::zero();
}

}  // namespace

CpuShare::CpuShare(std::optional<double> cores, TimePoint phase)
    : quota_(of_period(cores)),
      budget_{.at = phase, .period_end = phase + kPeriod, .left = quota_} {}

Duration CpuShare::stretch(const Budget& budget, Duration most) const {
  if (!limited()) {
    return most;
  }
  const auto threads = static_cast<Duration::rep>(jobs_.size());
  const Duration by_quota((budget.left.count() + threads - 1) / threads);
  return std::min({most, by_quota, budget.period_end - budget.at});
}

void CpuShare::spend(Budget& budget, Duration time) const {
  budget.at += time;
  if (limited()) {
    budget.left =
        std::max(Duration::zero(), budget.left - time * static_cast<Duration::rep>(jobs_.size()));
  }
}

void CpuShare::begin_period(Budget& budget) const {
  budget.left = quota_;
  budget.period_end += kPeriod;
}

void CpuShare::advance(TimePoint now) {
  while (budget_.at < now) {
    if (limited() && budget_.at >= budget_.period_end) {
      // Periods in which nothing was wanted only set the quota back.
      const auto idle = jobs_.empty() ? (now - budget_.period_end) / kPeriod : 0;
      budget_.period_end += kPeriod * idle;
      begin_period(budget_);
    }
    if (jobs_.empty()) {
      budget_.at = limited() ? std::min(now, budget_.period_end) : now;
      continue;
    }
    const Duration run = stretch(budget_, now - budget_.at);
    if (run == Duration::zero()) {
      const TimePoint until = std::min(now, budget_.period_end);
      throttled_ += until - budget_.at;
      budget_.at = until;
      continue;
    }
    for (Job& job : jobs_) {
      job.left -= std::min(job.left, run);
    }
    used_ += run * static_cast<Duration::rep>(jobs_.size());
    spend(budget_, run);
  }
}

void CpuShare::begin(std::uint64_t job, Duration cpu, TimePoint now) {
  advance(now);
  jobs_.push_back({.id = job, .left = std::max(Duration(1), cpu)});
}

const std::vector<std::uint64_t>& CpuShare::ended(TimePoint now) {
  advance(now);
  done_.clear();
  std::erase_if(jobs_, [&](const Job& job) {
    if (job.left == Duration::zero()) {
      done_.push_back(job.id);
      return true;
    }
    return false;
  });
  return done_;
}

TimePoint CpuShare::next_end() const {
  if (jobs_.empty()) {
    return TimePoint::max();
  }
  Duration left = std::ranges::min_element(jobs_, {}, &Job::left)->left;
  Budget budget = budget_;
  while (left > Duration::zero()) {
    if (limited() && budget.at >= budget.period_end) {
      begin_period(budget);
    }
    const Duration run = stretch(budget, left);
    if (run == Duration::zero()) {
      budget.at = budget.period_end;
      continue;
    }
    left -= run;
    spend(budget, run);
  }
  return budget.at;
}

void CpuShare::stop(TimePoint now) {
  advance(now);
  jobs_.clear();
}

Duration CpuShare::used(TimePoint now) {
  advance(now);
  return used_;
}
Duration CpuShare::throttled(TimePoint now) {
  advance(now);
  return throttled_;
}

}  // namespace podsense::foresight
