#include "inference/stats.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

namespace podsense::inference {
namespace {

double per_second(double amount, Duration elapsed) {
  return elapsed > Duration::zero() ? amount / to_seconds(elapsed) : 0;
}

}  // namespace

Process process_now() {
  Process process;
  std::uint64_t pages = 0;
  std::ifstream("/proc/self/statm") >> pages >> pages;
  process.resident_bytes = pages * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto time = [](const timeval& t) {
    return std::chrono::seconds(t.tv_sec) + std::chrono::microseconds(t.tv_usec);
  };
  process.cpu = time(usage.ru_utime) + time(usage.ru_stime);
  std::error_code ignored;
  for (auto entry = std::filesystem::directory_iterator("/proc/self/fd", ignored);
       entry != std::filesystem::directory_iterator(); entry.increment(ignored)) {
    ++process.descriptors;
  }
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  process.max_descriptors = limit.rlim_cur;
  return process;
}

Stats::Stats(const metrics::Registry& registry, const batching::Scheduler& scheduler,
             const inference::Catalog& catalog, const batching::LatencyObjective& objective,
             const Clock& clock)
    : registry_(registry),
      scheduler_(scheduler),
      catalog_(catalog),
      objective_(objective),
      clock_(clock),
      begun_(clock.now()) {
  samples_.push_back(sample());
}

Stats::Sample Stats::sample() const {
  Sample sample{.at = clock_.now(),
                .totals = registry_.totals(),
                .runs = scheduler_.runs(),
                .cpu = process_now().cpu};
  for (const ModelStatus& status : catalog_.status()) {
    if (!status.served || !status.served->queue) {
      continue;
    }
    const auto load = status.served->queue->load();
    const double each = to_seconds(load.service);
    sample.crowded_out += each * static_cast<double>(load.unserved.crowded_out());
    sample.waiting += each * static_cast<double>(load.waiting);
  }
  return sample;
}

void Stats::tick() {
  Sample now = sample();
  const MutexLock lock(mutex_);
  samples_.push_back(std::move(now));
  if (samples_.size() > kWindow + 1) {
    samples_.pop_front();
  }
}

Load Stats::load() const {
  const MutexLock lock(mutex_);
  Load load;
  const Sample& last = samples_.back();
  const Sample& first = samples_.front();
  const Sample& previous = samples_.size() > 1 ? samples_[samples_.size() - 2] : first;
  load.rate = per_second(static_cast<double>(last.totals.requests - previous.totals.requests),
                         last.at - previous.at);
  load.latency = last.totals.latency.since(first.totals.latency);
  const Duration elapsed = last.at - first.at;
  load.cpu_cores = per_second(to_seconds(last.cpu - first.cpu), elapsed);
  const batching::Runs runs{.count = last.runs.count - first.runs.count,
                            .seconds = last.runs.seconds - first.runs.seconds,
                            .square_seconds = last.runs.square_seconds - first.runs.square_seconds};
  const batching::Demand demand{.window = elapsed,
                                .done = runs.seconds,
                                .refused = std::max(0.0, last.crowded_out - first.crowded_out),
                                .grown = last.waiting - first.waiting,
                                .cpu = to_seconds(last.cpu - first.cpu)};
  load.saturation = batching::saturation(
      demand, {.executors = scheduler_.executors(), .cpu_cores = cgroup::cpu_limit().cores}, runs,
      objective_);
  return load;
}

Report Stats::report() const {
  Report report{.load = load(),
                .totals = registry_.totals(),
                .process = process_now(),
                .uptime = uptime(),
                .cpu_cores = cgroup::cpu_limit().cores};
  for (const ModelStatus& status : catalog_.status()) {
    if (!status.served) {
      continue;
    }
    const ServedModel& served = *status.served;
    const auto queue =
        served.queue ? served.queue->load() : batching::Queue::Load{.service = served.service};
    report.waiting += queue.waiting;
    report.running += queue.running;
    report.models.push_back({.name = status.name,
                             .version = status.version,
                             .requests = served.metrics->requests(),
                             .latency = served.metrics->latency(),
                             .queue = queue});
  }
  return report;
}

}  // namespace podsense::inference
