#include "foresight/hpa_metrics.h"

#include <cmath>
#include <limits>
#include <map>
#include <string_view>

#include "foresight/go_numbers.h"
#include "foresight/pod_requests.h"

namespace podsense::foresight {
namespace {

struct Sample {
  std::int64_t value = 0;
  Duration at{};
  Duration window{};
};
using Samples = std::map<std::string_view, Sample>;

constexpr std::string_view kCpu = "cpu";

/// A look at one metric that goes by pods.
class PodMetric {
 public:
  PodMetric(const ClusterView& view, Duration now, const HpaSettings& settings, MetricTrace& trace)
      : view_(view), now_(now), settings_(settings), trace_(trace) {}

  void set_error(std::string error) { trace_.error = std::move(error); }

  bool take_resource_samples(std::string_view resource, std::string_view container);
  bool take_custom_samples(std::string_view metric);
  /// Sorts pods; false where nothing is left to go by.
  bool sort_pods(std::string_view resource);
  bool take_requests(std::string_view container, std::string_view resource);
  void decide();

 private:
  [[nodiscard]] PodFate fate_of(const PodState& pod, std::string_view resource) const;
  [[nodiscard]] PodFate cpu_fate(const PodState& pod, const Sample& sample) const;
  [[nodiscard]] std::optional<Reckoning> reckon() const;
  void fill(double ratio, bool is_up_with_unready);

  const ClusterView& view_;
  Duration now_;
  const HpaSettings& settings_;
  MetricTrace& trace_;
  Samples samples_;
  std::map<std::string_view, std::int64_t> requests_;
  std::vector<std::string_view> unready_;
  std::vector<std::string_view> missing_;
};

std::optional<std::int64_t> pod_usage(const PodSample& sample, std::string_view resource) {
  if (sample.containers.empty()) {
    return std::nullopt;
  }
  std::int64_t sum = 0;
  for (const auto& [name, usage] : sample.containers) {
    const auto found = usage.find(resource);
    if (found == usage.end()) {
      return std::nullopt;
    }
    sum = wrap_add(sum, found->second.milli());
  }
  return sum;
}

std::optional<std::int64_t> container_usage(const PodSample& sample, std::string_view resource,
                                            std::string_view container) {
  for (const auto& [name, usage] : sample.containers) {
    if (name == container) {
      const auto found = usage.find(resource);
      return found == usage.end() ? std::nullopt : std::optional(found->second.milli());
    }
  }
  return std::nullopt;
}

bool PodMetric::take_resource_samples(std::string_view resource, std::string_view container) {
  const auto& items = view_.metrics.resource;
  if (!items || items->empty()) {
    set_error(items ? "the metrics API (metrics.k8s.io) returned no pods"
                    : "the metrics API (metrics.k8s.io) failed");
    return false;
  }
  for (const PodSample& item : *items) {
    const auto value =
        container.empty() ? pod_usage(item, resource) : container_usage(item, resource, container);
    if (value) {
      samples_[item.pod] = {.value = *value, .at = item.at, .window = item.window};
    }
  }
  return true;
}

bool PodMetric::take_custom_samples(std::string_view metric) {
  const auto& metrics = view_.metrics.pods;
  const auto found = metrics ? metrics->find(metric) : decltype(metrics->end()){};
  if (!metrics || found == metrics->end() || found->second.empty()) {
    set_error(metrics ? "the custom metrics API returned no value for any pod"
                      : "the custom metrics API failed");
    return false;
  }
  for (const auto& [pod, value] : found->second) {
    samples_[pod] = {.value = value.milli()};
  }
  return true;
}

PodFate PodMetric::cpu_fate(const PodState& pod, const Sample& sample) const {
  if (pod.ready == ReadyCondition::kAbsent) {
    return PodFate::kNoReadyCondition;
  }
  if (!pod.start) {
    return PodFate::kNoStartTime;
  }
  const bool is_false = pod.ready == ReadyCondition::kFalse;
  if (*pod.start + settings_.flags.cpu_initialization_period > now_) {
    if (is_false) {
      return PodFate::kNotReadyYet;
    }
    return sample.at < pod.ready_since + sample.window ? PodFate::kSampleTooEarly : PodFate::kReady;
  }
  const bool never = *pod.start + settings_.flags.initial_readiness_delay > pod.ready_since;
  return is_false && never ? PodFate::kNeverReady : PodFate::kReady;
}

PodFate PodMetric::fate_of(const PodState& pod, std::string_view resource) const {
  if (pod.deleted) {
    return PodFate::kDeleted;
  }
  if (pod.phase == PodPhase::kFailed) {
    return PodFate::kFailed;
  }
  if (pod.phase == PodPhase::kPending) {
    return PodFate::kPending;
  }
  const auto sample = samples_.find(pod.name);
  if (sample == samples_.end()) {
    return PodFate::kNoSample;
  }
  return resource == kCpu ? cpu_fate(pod, sample->second) : PodFate::kReady;
}

bool PodMetric::sort_pods(std::string_view resource) {
  if (view_.pods.empty()) {
    set_error("the target's selector finds no pods");
    return false;
  }
  std::vector<std::string_view> ignored;
  for (const PodState& pod : view_.pods) {
    const PodFate fate = fate_of(pod, resource);
    if (fate == PodFate::kReady) {
      ++trace_.ready_pods;
      continue;
    }
    const bool is_ignored = fate == PodFate::kDeleted || fate == PodFate::kFailed;
    (is_ignored ? ignored : (fate == PodFate::kNoSample ? missing_ : unready_)).push_back(pod.name);
    trace_.other_pods.push_back({pod.name, fate});
  }
  for (const auto* const names : {&ignored, &unready_}) {
    for (const std::string_view name : *names) {
      samples_.erase(name);
    }
  }
  if (samples_.empty()) {
    set_error("no sample is left: pods are unready, going, or have none");
    return false;
  }
  return true;
}

bool PodMetric::take_requests(std::string_view container, std::string_view resource) {
  for (const PodState& pod : view_.pods) {
    const auto request = pod_request(pod, {.container = container, .resource = resource},
                                     settings_.version, settings_.gates);
    if (!request) {
      set_error(request.error().message);
      return false;
    }
    requests_[pod.name] = *request;
  }
  return true;
}

std::optional<Reckoning> PodMetric::reckon() const {
  Reckoning out;
  for (const auto& [name, sample] : samples_) {
    if (trace_.is_utilization) {
      const auto request = requests_.find(name);
      if (request == requests_.end()) {
        continue;
      }
      out.requests = wrap_add(out.requests, request->second);
    }
    out.total = wrap_add(out.total, sample.value);
    ++out.samples;
  }
  if (trace_.is_utilization && out.requests == 0) {
    return std::nullopt;
  }
  out.current = trace_.is_utilization
                    ? static_cast<std::int32_t>(
                          divide(wrap_multiply(out.total, std::int64_t{100}), out.requests))
                    : divide(out.total, out.samples);
  out.ratio = static_cast<double>(out.current) / static_cast<double>(trace_.target);
  return out;
}

void PodMetric::fill(double ratio, bool is_up_with_unready) {
  constexpr std::int64_t kWhole = 100;
  for (const std::string_view name : missing_) {
    if (ratio < 1.0 && trace_.is_utilization) {
      const std::int64_t percent = std::max(kWhole, trace_.target);
      samples_[name].value = wrap_multiply(requests_[name], percent) / kWhole;
    } else if (ratio < 1.0) {
      samples_[name].value = trace_.target;
    } else if (ratio > 1.0) {
      samples_[name].value = 0;
    }
  }
  for (std::size_t i = 0; is_up_with_unready && i < unready_.size(); ++i) {
    samples_[unready_[i]].value = 0;
  }
}

void PodMetric::decide() {
  const auto settle = [this](MetricOutcome outcome, std::int32_t replicas) {
    trace_.outcome = outcome;
    trace_.proposal = replicas;
  };
  const auto measured = reckon();
  if (!measured) {
    set_error("the pods that have samples have no requests");
    return;
  }
  trace_.measured = *measured;
  const double ratio = measured->ratio;
  const bool is_up_with_unready = !unready_.empty() && ratio > 1.0;
  if (!is_up_with_unready && missing_.empty()) {
    if (trace_.tolerances.holds(ratio)) {
      settle(MetricOutcome::kWithinTolerance, trace_.current);
    } else {
      settle(MetricOutcome::kByReadyPods, to_int32(std::ceil(ratio * trace_.ready_pods)));
    }
    return;
  }
  fill(ratio, is_up_with_unready);
  trace_.filled = reckon();
  if (!trace_.filled) {
    set_error("the pods that have samples have no requests");
    return;
  }
  const double again = trace_.filled->ratio;
  if (trace_.tolerances.holds(again)) {
    settle(MetricOutcome::kWithinTolerance, trace_.current);
    return;
  }
  if ((ratio < 1.0 && again > 1.0) || (ratio > 1.0 && again < 1.0)) {
    settle(MetricOutcome::kTurnsAround, trace_.current);
    return;
  }
  const std::int32_t replicas = to_int32(std::ceil(again * static_cast<double>(samples_.size())));
  const bool is_against =
      (again < 1.0 && replicas > trace_.current) || (again > 1.0 && replicas < trace_.current);
  settle(is_against ? MetricOutcome::kMovesAgainst : MetricOutcome::kBySamples,
         is_against ? trace_.current : replicas);
}

void propose_by_resource(const MetricSpec& metric, PodMetric& pods, MetricTrace& trace) {
  const MetricTarget& target = metric.target;
  trace.is_utilization = !target.average_value;
  trace.target =
      trace.is_utilization ? target.average_utilization.value_or(0) : target.average_value->milli();
  if (pods.take_resource_samples(metric.name, metric.container) && pods.sort_pods(metric.name) &&
      (!trace.is_utilization || pods.take_requests(metric.container, metric.name))) {
    pods.decide();
  }
}

void propose_by_pods(const MetricSpec& metric, PodMetric& pods, MetricTrace& trace) {
  trace.target = metric.target.average_value->milli();
  if (pods.take_custom_samples(metric.name) && pods.sort_pods("")) {
    pods.decide();
  }
}

/// A `value` target: the ratio of the whole, times the pods that run and are ready.
void propose_by_value(const ClusterView& view, KubernetesVersion version, MetricTrace& trace) {
  const double ratio =
      static_cast<double>(trace.measured.total) / static_cast<double>(trace.target);
  trace.measured.ratio = ratio;
  if (trace.current == 0) {
    trace.outcome = MetricOutcome::kFromZero;
    trace.proposal = to_int32(std::ceil(ratio));
    return;
  }
  if (trace.tolerances.holds(ratio)) {
    trace.proposal = trace.current;
    return;
  }
  if (view.pods.empty()) {
    trace.error = "the target's selector finds no pods";
    return;
  }
  for (const PodState& pod : view.pods) {
    trace.ready_pods +=
        pod.phase == PodPhase::kRunning && pod.ready == ReadyCondition::kTrue ? 1 : 0;
  }
  const double replicas = ratio * trace.ready_pods;
  constexpr std::int32_t kMost = std::numeric_limits<std::int32_t>::max();
  const bool is_capped = version >= KubernetesVersion::k135 && replicas > kMost;
  trace.outcome = MetricOutcome::kByReadyPods;
  trace.proposal = is_capped ? kMost : to_int32(std::ceil(replicas));
}

/// An `averageValue` target of a metric that is not the pods': it goes by status.replicas.
void propose_by_average(MetricSource source, std::int32_t status, MetricTrace& trace) {
  trace.current = status;
  const auto usage = static_cast<double>(trace.measured.total);
  const auto target = static_cast<double>(trace.target);
  trace.measured.ratio = usage / (target * static_cast<double>(status));
  if (trace.tolerances.holds(trace.measured.ratio)) {
    trace.proposal = status;
    return;
  }
  const double replicas = std::ceil(usage / target);
  constexpr std::int32_t kMost = std::numeric_limits<std::int32_t>::max();
  const bool is_capped = source == MetricSource::kExternal && replicas > kMost;
  trace.outcome = MetricOutcome::kByTotal;
  trace.proposal = is_capped ? kMost : to_int32(replicas);
}

/// The sum, with each version's treatment of overflow.
std::int64_t external_total(const std::vector<Quantity>& values, bool is_average,
                            KubernetesVersion version) {
  constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();
  std::int64_t total = 0;
  for (const Quantity& one : values) {
    const std::int64_t value = one.milli();
    if (!is_average && version >= KubernetesVersion::k135 && value > 0 && total > kMost - value) {
      return kMost;
    }
    total = wrap_add(total, value);
    if (is_average && total < 0) {
      return kMost;
    }
  }
  return total;
}

/// False, with the error set, where the API has no such metric.
bool take_whole(const MetricSpec& metric, const MetricsView& metrics, KubernetesVersion version,
                MetricTrace& trace) {
  if (metric.source == MetricSource::kObject) {
    const auto& values = metrics.object;
    const auto found = values ? values->find(metric.name) : decltype(values->end()){};
    if (!values || found == values->end()) {
      trace.error = values ? "the custom metrics API has no value for the object"
                           : "the custom metrics API failed";
      return false;
    }
    trace.measured.total = found->second.milli();
    return true;
  }
  const auto& values = metrics.external;
  const auto found = values ? values->find(metric.name) : decltype(values->end()){};
  if (!values || found == values->end() || found->second.empty()) {
    trace.error =
        values ? "the external metrics API has no value" : "the external metrics API failed";
    return false;
  }
  trace.measured.samples = static_cast<std::int64_t>(found->second.size());
  trace.measured.total =
      external_total(found->second, metric.target.average_value.has_value(), version);
  return true;
}

void propose_by_whole(const MetricSpec& metric, const ClusterView& view,
                      const HpaSettings& settings, MetricTrace& trace) {
  const MetricTarget& target = metric.target;
  // An External metric goes by what is set, an Object metric by what its type says.
  const bool is_object = metric.source == MetricSource::kObject;
  const bool by_average =
      target.average_value.has_value() && (!is_object || target.type == TargetType::kAverageValue);
  const bool by_value =
      !by_average && target.value && (!is_object || target.type == TargetType::kValue);
  if (!by_average && !by_value) {
    trace.error = "the target's type does not go with the value that is set";
    return;
  }
  trace.target = by_average ? target.average_value->milli() : target.value->milli();
  if (!take_whole(metric, view.metrics, settings.version, trace)) {
    return;
  }
  if (by_average) {
    propose_by_average(metric.source, view.status_replicas, trace);
  } else {
    propose_by_value(view, settings.version, trace);
  }
}

}  // namespace

MetricTrace propose(const MetricSpec& metric, const ClusterView& view, Duration now,
                    const HpaSettings& settings, const Tolerances& tolerances) {
  MetricTrace trace{.current = view.spec_replicas, .tolerances = tolerances};
  PodMetric pods(view, now, settings, trace);
  switch (metric.source) {
    case MetricSource::kResource:
    case MetricSource::kContainerResource:
      propose_by_resource(metric, pods, trace);
      break;
    case MetricSource::kPods:
      propose_by_pods(metric, pods, trace);
      break;
    case MetricSource::kObject:
    case MetricSource::kExternal:
      propose_by_whole(metric, view, settings, trace);
      break;
  }
  return trace;
}

}  // namespace podsense::foresight
