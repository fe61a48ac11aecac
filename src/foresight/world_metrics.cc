// The pipelines that carry metrics, and the autoscaler's looks.

#include "foresight/explain.h"
#include "foresight/world.h"

namespace podsense::foresight {
namespace {

Quantity nano(std::int64_t count) {
  auto parsed = Quantity::parse(std::to_string(count) + "n");
  return parsed ? *parsed : Quantity();
}
Quantity whole(std::int64_t count) {
  auto parsed = Quantity::parse(std::to_string(count));
  return parsed ? *parsed : Quantity();
}

/// The autoscaler's first metric, as far as it is a signal of the pods.
const MetricSpec* first_metric(const std::optional<Hpa>& hpa) {
  return hpa && !hpa->spec().metrics.empty() ? &hpa->spec().metrics.front() : nullptr;
}

std::optional<Signal> signal_of(const MetricSpec& metric, const MetricsPlan& plan) {
  if (metric.source == MetricSource::kExternal) {
    return plan.external.find(metric.name)->second;
  }
  const auto* const name = std::ranges::find(kSignalNames, metric.name);
  return metric.source == MetricSource::kPods && name != kSignalNames.end()
             ? std::optional(static_cast<Signal>(name - kSignalNames.begin()))
             : std::nullopt;
}

}  // namespace

void World::sample(SimPod& pod) {
  const Duration gap = pod.signals->sample({.at = now_, .used = use_of(pod).used});
  timeline_.plan(now_ + gap, EventKind::kSample, pod.number);
}

void World::scrape(SimPod& pod) {
  if (!fails(FaultKind::kNoScrapes)) {
    PodSignals::Values values{};
    for (std::size_t i = 0; i < values.size(); ++i) {
      values[i] = pod.server->value(static_cast<Signal>(i));
    }
    pod.signals->scrape(now_, values);
  }
  timeline_.plan(now_ + scenario_.metrics.scrape, EventKind::kScrape, pod.number);
}

void World::ask_kubelets() {
  const MetricsPlan& plan = scenario_.metrics;
  for (const std::uint32_t number : live_) {
    SimPod& pod = *pods_[number];
    if (pod.signals) {
      const bool is_cri = plan.kubelet == KubeletStats::kCri;
      pod.signals->ask(
          is_cri ? std::optional<CpuPoint>({.at = now_, .used = use_of(pod).used}) : std::nullopt,
          plan.resolution);
    }
  }
}

// --- what the controller sees

PodState World::state_of(const SimPod& pod) const {
  PodState state{
      .name = "pod-" + std::to_string(pod.number),
      .phase = pod.container ? PodPhase::kRunning : PodPhase::kPending,
      .ready = !pod.start  ? ReadyCondition::kAbsent
               : pod.ready ? ReadyCondition::kTrue
                           : ReadyCondition::kFalse,
      .ready_since = wire_time(since_start(pod.ready_since)),
      .start = pod.start ? std::optional(wire_time(since_start(*pod.start))) : std::nullopt,
      .deleted = pod.deleted.has_value(),
      .containers = {},
      .pod_requests = {},
      .overhead = {}};
  ContainerState container{.name = scenario_.pod.container, .requests = {}};
  if (scenario_.pod.cpu_request.sign() > 0) {
    container.requests["cpu"] = scenario_.pod.cpu_request;
  }
  if (scenario_.pod.memory_request.sign() > 0) {
    container.requests["memory"] = scenario_.pod.memory_request;
  }
  state.containers.push_back(std::move(container));
  return state;
}

/// Prometheus keeps the last value of a pod that has gone, and a sum counts it.
std::map<std::string, std::int64_t> World::external_milli() const {
  std::map<std::string, std::int64_t> out;
  for (const auto& [metric, signal] : scenario_.metrics.external) {
    for (const auto& pod : pods_) {
      const auto milli = scraped(*pod, signal);
      if (milli) {
        out[metric] += *milli;
      }
    }
  }
  return out;
}

MetricsView World::metrics() const {
  MetricsView out{.resource = std::vector<PodSample>(),
                  .pods = std::map<std::string, std::map<std::string, Quantity>, std::less<>>(),
                  .object = std::map<std::string, Quantity, std::less<>>(),
                  .external = std::map<std::string, std::vector<Quantity>, std::less<>>()};
  // Of a thousand pods, what it does not ask for would be most of the work.
  std::array<bool, kSignalNames.size()> asks{};
  bool asks_resources = false;
  for (const MetricSpec& metric : hpa_->spec().metrics) {
    asks_resources = asks_resources || metric.source == MetricSource::kResource ||
                     metric.source == MetricSource::kContainerResource;
    for (std::size_t i = 0; i < asks.size(); ++i) {
      asks[i] = asks[i] || (metric.source == MetricSource::kPods && metric.name == kSignalNames[i]);
    }
  }
  for (const std::uint32_t number : live_) {
    const SimPod& pod = *pods_[number];
    const std::string name = "pod-" + std::to_string(number);
    if (const auto usage = asks_resources && pod.signals ? pod.signals->usage() : std::nullopt) {
      const Resources used{{"cpu", nano(usage->nanocores)},
                           {"memory", whole(scenario_.pod.memory_bytes)}};
      out.resource->push_back({.pod = name,
                               .at = wire_time(since_start(usage->at)),
                               .window = usage->window / kGrain * kGrain,
                               .containers = {{scenario_.pod.container, used}}});
    }
    for (std::size_t i = 0; pod.signals && i < kSignalNames.size(); ++i) {
      if (!asks[i]) {
        continue;
      }
      if (const auto milli = scraped(pod, static_cast<Signal>(i))) {
        (*out.pods)[std::string(kSignalNames[i])][name] = Quantity::of_milli(*milli);
      }
    }
  }
  for (const auto& [metric, milli] : external_milli()) {
    (*out.external)[metric] = {Quantity::of_milli(milli)};
  }
  return out;
}

ClusterView World::view() const {
  ClusterView out{.spec_replicas = replicas_,
                  .status_replicas = active_pods(),
                  .pods = {},
                  .metrics = metrics()};
  for (const std::uint32_t number : live_) {
    out.pods.push_back(state_of(*pods_[number]));
  }
  if (fails(FaultKind::kNoResourceMetrics)) {
    out.metrics.resource.reset();
  }
  if (fails(FaultKind::kNoCustomMetrics)) {
    out.metrics.pods.reset();
    out.metrics.object.reset();
  }
  if (fails(FaultKind::kNoExternalMetrics)) {
    out.metrics.external.reset();
  }
  return out;
}

void World::note_signal_ages() {
  for (const MetricSpec& metric : hpa_->spec().metrics) {
    const bool is_resource = metric.source == MetricSource::kResource ||
                             metric.source == MetricSource::kContainerResource;
    for (const std::uint32_t number : live_) {
      const auto& signals = pods_[number]->signals;
      if (!signals) {
        continue;
      }
      const auto usage = is_resource ? signals->usage() : std::nullopt;
      const auto at = usage         ? std::optional(usage->at)
                      : is_resource ? std::nullopt
                                    : signals->scraped_at(now_, scenario_.metrics.window);
      if (at) {
        result_.signal_age.record(now_ - *at);
      }
    }
  }
}

void World::look() {
  note_signal_ages();
  note_mean_scraped();
  const ClusterView seen = view();
  if (options_.dump_hpa) {
    dump_look();
  }
  dump_replicas_.reset();
  const Look look = hpa_->look(since_start(now_), seen);
  Decision decision{.at = look.at,
                    .current = look.current,
                    .desired = look.desired,
                    .rescaled = look.rescaled,
                    .error = metrics_error(look, hpa_->spec()),
                    .words = {}};
  if (look.rescaled || options_.explain) {
    decision.words = explain(look, *hpa_);
  }
  result_.decisions.push_back(std::move(decision));
  if (!look.metrics.empty() && look.metrics.front().proposal) {
    const MetricTrace& first = look.metrics.front();
    const auto current = static_cast<double>(first.measured.current);
    seen_ = first.is_utilization ? current : current / 1000;
  }
  if (look.desired != replicas_) {
    replicas_ = look.desired;
    reconcile();
  }
}

/// In the unit of the autoscaler's first metric: percent of the requests since the last slice, or
/// the average over pods that serve.
std::optional<double> World::true_signal() {
  const MetricSpec* const metric = first_metric(hpa_);
  if (metric == nullptr) {
    return std::nullopt;
  }
  Duration used{};
  double sum = 0;
  double pods = 0;
  const auto signal = signal_of(*metric, scenario_.metrics);
  const double mean = is_sample() && signal ? mean_value(*signal) : 0;
  for (const std::uint32_t number : live_) {
    SimPod& pod = *pods_[number];
    if (pod.server || pod.follows) {
      const Duration before = std::exchange(pod.cpu_before, use_of(pod).used);
      used += pod.cpu_before - before;
      sum += signal ? (pod.server ? pod.server->value(*signal) : mean) : 0;
      ++pods;
    }
  }
  if (pods == 0) {
    return std::nullopt;
  }
  if (signal) {
    return sum / pods;
  }
  if (metric->name != "cpu") {
    return std::nullopt;
  }
  const double cores = to_seconds(used) / to_seconds(slice_) / pods;
  return metric->target.type == TargetType::kUtilization
             ? 100 * cores / scenario_.pod.cpu_request.approximate()
             : cores;
}

}  // namespace podsense::foresight
