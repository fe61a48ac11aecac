#include "inference/stats.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <limits>

#include "base/log.h"

namespace podsense::inference {
namespace {

double per_second(double amount, Duration elapsed) {
  return elapsed > Duration::zero() ? amount / to_seconds(elapsed) : 0;
}

}  // namespace

Quantiles quantiles_of(const metrics::LatencyBuckets& latency) {
  if (latency.total() == 0) {
    constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
    return {.p50 = kNone, .p90 = kNone, .p99 = kNone};
  }
  return {
      .p50 = latency.quantile(0.5), .p90 = latency.quantile(0.9), .p99 = latency.quantile(0.99)};
}

Process process_now(const std::filesystem::path& proc) {
  Process process;
  std::uint64_t pages = 0;
  if (std::ifstream(proc / "self/statm") >> pages >> pages) {
    process.resident_bytes = pages * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
  }
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto time = [](const timeval& t) {
    return std::chrono::seconds(t.tv_sec) + std::chrono::microseconds(t.tv_usec);
  };
  process.cpu = time(usage.ru_utime) + time(usage.ru_stime);
  std::error_code error;
  std::uint64_t descriptors = 0;
  for (std::filesystem::directory_iterator entry(proc / "self/fd", error), end;
       !error && entry != end; entry.increment(error)) {
    ++descriptors;
  }
  if (!error) {
    process.descriptors = descriptors;
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
      begun_(clock.now()),
      window_(objective) {
  Look first = look();
  const MutexLock lock(mutex_);
  take(std::move(first));
}

Stats::Look Stats::look() const {
  const TimePoint now = clock_.now();
  const Duration cpu = process_now().cpu;
  Look look{.sample = {.at = now, .totals = registry_.totals(), .cpu = cpu},
            .saturation = {.at = now, .runs = scheduler_.runs(), .cpu = to_seconds(cpu)}};
  const SlowModels before = [this] {
    const MutexLock lock(mutex_);
    return slow_;
  }();
  for (const ModelStatus& status : catalog_.status()) {
    if (!status.served || !status.served->queue) {
      continue;
    }
    const auto load = status.served->queue->load();
    const double each = to_seconds(load.service);
    look.saturation.crowded_out += each * static_cast<double>(load.unserved.crowded_out());
    look.saturation.waiting += each * static_cast<double>(load.waiting);
    std::pair key(status.name, status.version);
    if (batching::objective_out_of_reach(before.contains(key), load.service, objective_.latency)) {
      look.slow.emplace(std::move(key), load.service);
    }
  }
  return look;
}

void Stats::take(Look look) {
  samples_.push_back(std::move(look.sample));
  if (samples_.size() > kWindow + 1) {
    samples_.pop_front();
  }
  window_.add(look.saturation);
  for (const auto& [model, run] : look.slow) {
    if (!slow_.contains(model)) {
      log::warning("objective_out_of_reach", {{"model", model.first},
                                              {"version", model.second},
                                              {"run_ms", to_ms(run)},
                                              {"objective_ms", to_ms(objective_.latency)}});
    }
  }
  slow_ = std::move(look.slow);
}

void Stats::tick() {
  Look now = look();
  const TimePoint at = now.sample.at;
  {
    const MutexLock lock(mutex_);
    take(std::move(now));
  }
  remember(at);
}

void Stats::remember(TimePoint at) {
  const RecentLoad load = this->load();
  const Queues queues = this->queues();
  const MutexLock lock(mutex_);
  history_.push_back({.at = at,
                      .moment = {.rate = load.rate,
                                 .latency = quantiles_of(load.latency),
                                 .waiting = queues.waiting,
                                 .running = queues.running,
                                 .saturation = load.saturation}});
  if (history_.size() > kHistory) {
    history_.pop_front();
  }
}

std::vector<Moment> Stats::history() const {
  const TimePoint now = clock_.now();
  const MutexLock lock(mutex_);
  std::vector<Moment> moments;
  moments.reserve(history_.size());
  for (const Past& past : history_) {
    moments.push_back(past.moment);
    moments.back().age = now - past.at;
  }
  return moments;
}

std::vector<std::string> Stats::warnings() const {
  const MutexLock lock(mutex_);
  std::vector<std::string> sentences;
  const auto whole_ms = [](Duration time) {
    return std::to_string(std::chrono::round<std::chrono::milliseconds>(time).count()) + " ms";
  };
  for (const auto& [model, run] : slow_) {
    sentences.push_back("model '" + model.first + "' version " + model.second + ": one run takes " +
                        whole_ms(run) + ", and the latency objective is " +
                        whole_ms(objective_.latency) +
                        ": more pods cannot meet it; raise objective.latency or make runs shorter");
  }
  return sentences;
}

std::size_t Stats::out_of_reach() const {
  const MutexLock lock(mutex_);
  return slow_.size();
}

RecentLoad Stats::load() const {
  const MutexLock lock(mutex_);
  RecentLoad load;
  const Sample& last = samples_.back();
  const Sample& first = samples_.front();
  const Sample& previous = samples_.size() > 1 ? samples_[samples_.size() - 2] : first;
  load.rate = per_second(static_cast<double>(last.totals.requests - previous.totals.requests),
                         last.at - previous.at);
  load.latency = last.totals.latency.since(first.totals.latency);
  load.cpu_cores = per_second(to_seconds(last.cpu - first.cpu), last.at - first.at);
  // A stuck executor is replaced by another one, but still uses its share of the cores.
  const unsigned executors = scheduler_.executors();
  const unsigned stuck = std::min(executors - 1, scheduler_.overdue().runs);
  load.saturation =
      window_.saturation({.executors = executors - stuck, .cpu_cores = cgroup::cpu_limit().cores});
  return load;
}

Stats::Queues Stats::queues() const {
  Queues all;
  for (const ModelStatus& status : catalog_.status()) {
    if (status.served && status.served->queue) {
      const auto load = status.served->queue->load();
      all.waiting += load.waiting;
      all.running += load.running;
    }
  }
  return all;
}

StatsReport Stats::report() const {
  StatsReport report{.load = load(),
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
