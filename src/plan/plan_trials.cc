#include "plan/plan_trials.h"

#include <algorithm>
#include <mutex>
#include <thread>

namespace podsense::plan {
namespace {

/// More than is requested there need not be, whatever the limit.
double busiest_use(const Problem& problem, const foresight::Scenario& scenario,
                   const foresight::RunResult& run) {
  const double request = scenario.pod.cpu_request.approximate();
  if (scenario.pod.cpu_limit && *scenario.pod.cpu_limit <= request) {
    return 0;
  }
  const double each = run.cpu_seconds / std::max(1.0, static_cast<double>(run.latency.count()));
  // Of this run's traffic, which may be more than was planned for.
  const double rate =
      problem.demand.peak().rate * static_cast<double>(run.requests()) / problem.demand.requests();
  return rate * each / std::max(1, run.most_pods) / request;
}

TrialRun outcome_of(const Problem& problem, const foresight::Scenario& scenario,
                    const foresight::RunResult& run) {
  TrialRun out{.requests = run.requests(),
               .late = {},
               .errors = run.requests() - run.latency.count(),
               .cost = run_cost(problem.request.prices, size_of(scenario), run,
                                foresight::slice_length(scenario)) /
                       to_seconds(scenario.length) * 3600,
               .use = busiest_use(problem, scenario, run),
               .figures = {},
               .more_ready = run.second_ready};
  for (const LatencyGoal& goal : problem.objective.latencies) {
    const bool is_exact = goal.latency == scenario.objective.latency;
    out.late.push_back(is_exact ? run.late : run.requests() - run.latency.count_to(goal.latency));
  }
  for (std::size_t i = 0; i < out.figures.size(); ++i) {
    out.figures[i] = foresight::kFigures[i].of(run);
  }
  return out;
}

std::optional<foresight::RunResult> one_run(const foresight::Scenario& scenario,
                                            std::uint64_t number, const PlayOptions& options) {
  foresight::Scenario one = scenario;
  one.seed += number;
  auto played = foresight::simulate(one, {.runs = 1, .threads = 1, .stop = options.stop});
  return played.runs.empty() ? std::nullopt : std::optional(std::move(played.runs.front()));
}

/// Calls work(0), …, work(count - 1) on several threads.
void in_parallel(unsigned threads, std::size_t count,
                 const std::function<void(std::size_t)>& work) {
  std::atomic<std::size_t> next = 0;
  const auto loop = [&] {
    for (std::size_t i = next++; i < count; i = next++) {
      work(i);
    }
  };
  std::vector<std::jthread> more;
  for (std::size_t i = 1; i < std::min<std::size_t>(threads, count); ++i) {
    more.emplace_back(loop);
  }
  loop();
}

bool is_stopped(const PlayOptions& options) {
  return options.stop != nullptr && *options.stop;
}

double ratio(double share, double allowed) {
  constexpr double kLeast = 1e-9;
  return share <= 0 ? 0 : share / std::max(kLeast, allowed);
}

void add(Judgement& out, const ShareEstimate& share, double allowed) {
  out.violation = std::max(out.violation, ratio(share.mean, allowed));
  out.reach = std::max(out.reach, ratio(share.upper, allowed));
  out.holds = out.holds && share.upper <= allowed;
  out.might = out.might && share.lower <= allowed;
}

}  // namespace

Judgement judge(const Objective& objective, const std::vector<TrialRun>& runs) {
  Judgement out{.holds = true, .might = true};
  std::vector<Counted> counted(runs.size());
  for (std::size_t goal = 0; goal < objective.latencies.size(); ++goal) {
    std::ranges::transform(runs, counted.begin(), [goal](const TrialRun& run) {
      return Counted{.bad = run.late[goal], .all = run.requests};
    });
    out.late.push_back(share_of(counted));
    add(out, out.late.back(), objective.latencies[goal].allowed());
  }
  std::ranges::transform(runs, counted.begin(), [](const TrialRun& run) {
    return Counted{.bad = run.errors, .all = run.requests};
  });
  out.errors = share_of(counted);
  if (objective.errors) {
    add(out, out.errors, *objective.errors);
  }
  for (const TrialRun& run : runs) {
    out.cost += run.cost / static_cast<double>(runs.size());
    out.use += run.use / static_cast<double>(runs.size());
  }
  out.violation = std::max(out.violation, out.use);
  out.reach = std::max(out.reach, out.use);
  out.holds = out.holds && out.use <= 1;
  out.might = out.might && out.use <= 1;
  return out;
}

bool play(const Problem& problem, const std::vector<PlanTrial*>& trials, unsigned runs,
          const PlayOptions& options) {
  struct Job {
    PlanTrial* trial = nullptr;
    std::uint64_t run = 0;
    std::optional<TrialRun> outcome;
  };
  std::vector<Job> jobs;
  for (PlanTrial* const trial : trials) {
    for (std::uint64_t run = trial->runs.size(); run < runs; ++run) {
      jobs.push_back({.trial = trial, .run = run, .outcome = {}});
    }
  }
  std::atomic<std::uint64_t> done = 0;
  in_parallel(options.threads, jobs.size(), [&](std::size_t i) {
    Job& job = jobs[i];
    if (is_stopped(options)) {
      return;
    }
    if (const auto run = one_run(*job.trial->scenario, job.run, options)) {
      job.outcome = outcome_of(problem, *job.trial->scenario, *run);
      if (options.progress) {
        options.progress(++done);
      }
    }
  });
  if (std::ranges::any_of(jobs, [](const Job& job) { return !job.outcome; })) {
    return false;
  }
  for (Job& job : jobs) {
    job.trial->runs.push_back(std::move(*job.outcome));
  }
  return true;
}

std::optional<Fresh> play_fresh(const Problem& problem, const foresight::Scenario& scenario,
                                unsigned runs, const PlayOptions& options) {
  std::vector<std::optional<TrialRun>> outcomes(runs);
  Fresh out;
  std::mutex mutex;  // sums of histograms are the same in any order
  std::atomic<std::uint64_t> done = 0;
  in_parallel(options.threads, runs, [&](std::size_t i) {
    const auto run =
        is_stopped(options) ? std::nullopt : one_run(scenario, kFreshSeeds + i, options);
    if (!run) {
      return;
    }
    outcomes[i] = outcome_of(problem, scenario, *run);
    {
      const std::lock_guard lock(mutex);
      out.latency.merge(run->latency);
      out.run_time.merge(run->run_time);
      out.start_up.merge(run->start_up);
      out.signal_age.merge(run->signal_age);
    }
    if (options.progress) {
      options.progress(++done);
    }
  });
  for (auto& outcome : outcomes) {
    if (!outcome) {
      return std::nullopt;
    }
    out.runs.push_back(std::move(*outcome));
  }
  return out;
}

}  // namespace podsense::plan
