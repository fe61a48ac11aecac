#include "metrics/metrics.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <deque>
#include <functional>
#include <limits>
#include <list>
#include <map>
#include <numeric>
#include <utility>

#include "base/mutex.h"
#include "metrics/batch_table.h"
#include "metrics/descriptions.h"
#include "metrics/histogram.h"
#include "metrics/openmetrics.h"
#include "metrics/protobuf.h"

namespace podsense::metrics {
namespace {

using prometheus::Counter;

/// From an inline forest (tens of microseconds) to a slow image model (seconds).
const std::vector<double> kLatencyBounds{
    0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.02,
    0.03,    0.05,   0.075,   0.1,    0.15,  0.25,  0.5,   1,     2.5,    5,    10};
const std::vector<double> kBatchBounds{1, 2, 4, 8, 16, 32, 64, 128, 256, 512};

/// The objective is a bound, so that requests within it are counted exactly.
std::vector<double> latency_bounds(Duration objective) {
  std::vector<double> bounds = kLatencyBounds;
  const double seconds = to_seconds(objective);
  const auto at = std::ranges::lower_bound(bounds, seconds);
  if (at == bounds.end() || *at != seconds) {
    bounds.insert(at, seconds);
  }
  return bounds;
}

std::string_view protocol_name(Protocol protocol) {
  return protocol == Protocol::kHttp ? "http" : "grpc";
}

/// Counters by protocol and outcome: created on first use, then read without a lock.
class OutcomeCounters {
 public:
  OutcomeCounters(prometheus::Family<Counter>& family, prometheus::Labels labels)
      : family_(family), labels_(std::move(labels)) {}

  void increment(Protocol protocol, std::size_t outcome, std::string_view name) {
    at(protocol, outcome, name).Increment();
  }

  Counter& at(Protocol protocol, std::size_t outcome, std::string_view name) {
    auto& slot = slots_[static_cast<std::size_t>(protocol)][outcome];
    Counter* counter = slot.load(std::memory_order_acquire);
    if (counter == nullptr) {
      prometheus::Labels labels = labels_;
      labels["protocol"] = protocol_name(protocol);
      labels["code"] = name;
      counter = &family_.Add(labels);
      slot.store(counter, std::memory_order_release);
    }
    return *counter;
  }

  /// @requires no further counting
  void remove() {
    for (auto& protocol : slots_) {
      for (auto& slot : protocol) {
        family_.Remove(slot.exchange(nullptr));
      }
    }
  }

  [[nodiscard]] std::uint64_t sum() const {
    double all = 0;
    for (const auto& protocol : slots_) {
      for (const auto& slot : protocol) {
        const Counter* counter = slot.load(std::memory_order_acquire);
        all += counter == nullptr ? 0 : counter->Value();
      }
    }
    return static_cast<std::uint64_t>(all);
  }

 private:
  prometheus::Family<Counter>& family_;
  prometheus::Labels labels_;
  std::array<std::array<std::atomic<Counter*>, kErrorCodeCount + 1>, 2> slots_{};
};

constexpr std::size_t kOkOutcome = kErrorCodeCount;

/// The codes in the objectives' queries. Their series start at 0, because `rate` ignores the first
/// value of a series.
constexpr std::array kObjectiveCodes{ErrorCode::kInternal, ErrorCode::kOverloaded,
                                     ErrorCode::kUnavailable, ErrorCode::kDeadlineExceeded,
                                     ErrorCode::kCancelled};

void begin_at_zero(OutcomeCounters& outcomes) {
  for (const Protocol protocol : {Protocol::kHttp, Protocol::kGrpc}) {
    for (const ErrorCode code : kObjectiveCodes) {
      outcomes.at(protocol, static_cast<std::size_t>(code), error_name(code));
    }
  }
}

/// Requests that took longer than the objective, by how they ended.
struct SlowCounters {
  Counter& answered;
  Counter& abandoned;  ///< the client gave up
  Counter& expired;    ///< the deadline passed
};

}  // namespace

std::uint64_t LatencyBuckets::total() const {
  std::uint64_t sum = 0;
  for (const std::uint64_t count : counts) {
    sum += count;
  }
  return sum;
}

double LatencyBuckets::quantile(double q) const {
  const double wanted = q * static_cast<double>(total());
  double below = 0;
  for (std::size_t i = 0; i < counts.size(); ++i) {
    const auto here = static_cast<double>(counts[i]);
    if (here > 0 && below + here >= wanted) {
      if (i == bounds.size()) {
        return bounds.back();
      }
      const double low = i == 0 ? 0 : bounds[i - 1];
      return low + (bounds[i] - low) * (wanted - below) / here;
    }
    below += here;
  }
  return 0;
}

LatencyBuckets LatencyBuckets::since(const LatencyBuckets& earlier) const {
  LatencyBuckets difference = *this;
  for (std::size_t i = 0; i < earlier.counts.size() && i < counts.size(); ++i) {
    difference.counts[i] -= std::min(counts[i], earlier.counts[i]);
  }
  return difference;
}

struct ModelMetrics::Impl {
  const double objective;  ///< seconds
  OutcomeCounters outcomes;
  SlowCounters slow;
  Histogram& request;
  Histogram& queue;
  Histogram& preprocess;
  Histogram& compute;
  Histogram& batch;
  BatchTable batches{};
};

ModelMetrics::ModelMetrics(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
ModelMetrics::~ModelMetrics() = default;

void ModelMetrics::ok(Protocol protocol, Duration total, std::string_view trace_id) {
  const double seconds = to_seconds(total);
  impl_->outcomes.increment(protocol, kOkOutcome, "OK");
  impl_->request.observe(seconds);
  if (seconds > impl_->objective) {
    impl_->slow.answered.Increment();
  }
  if (!trace_id.empty()) {
    impl_->request.keep_exemplar(seconds, trace_id);
  }
}
void ModelMetrics::failed(Protocol protocol, ErrorCode code, Duration elapsed) {
  impl_->outcomes.increment(protocol, static_cast<std::size_t>(code), error_name(code));
  if (to_seconds(elapsed) <= impl_->objective) {
    return;
  }
  if (code == ErrorCode::kCancelled) {
    impl_->slow.abandoned.Increment();
  } else if (code == ErrorCode::kDeadlineExceeded) {
    impl_->slow.expired.Increment();
  }
}
void ModelMetrics::queued(Duration d) {
  impl_->queue.observe(to_seconds(d));
}
void ModelMetrics::preprocessed(Duration d) {
  impl_->preprocess.observe(to_seconds(d));
}
void ModelMetrics::computed(Duration d, std::size_t batch, Duration input) {
  impl_->compute.observe(to_seconds(d));
  impl_->batch.observe(static_cast<double>(batch));
  impl_->batches.add(batch, input, d);
}
LatencyBuckets ModelMetrics::latency() const {
  return {.bounds = impl_->request.bounds(), .counts = impl_->request.counts()};
}
std::uint64_t ModelMetrics::requests() const {
  return impl_->outcomes.sum();
}

ModelMetrics::Phases ModelMetrics::phases() const {
  const auto phase = [](const Histogram& histogram) {
    const auto counts = histogram.counts();
    return Phase{.count = std::reduce(counts.begin(), counts.end()),
                 .total = from_seconds(histogram.sum())};
  };
  Phases out{.request = phase(impl_->request),
             .queue = phase(impl_->queue),
             .preprocess = phase(impl_->preprocess),
             .compute = phase(impl_->compute)};
  out.rows = static_cast<std::uint64_t>(impl_->batch.sum());
  const std::uint64_t all = requests();
  out.failed = all - std::min(all, out.request.count);
  return out;
}

std::vector<ModelMetrics::Batch> ModelMetrics::batches() const {
  return impl_->batches.all();
}

namespace {

prometheus::ClientMetric::Histogram cumulative(const Histogram& histogram) {
  prometheus::ClientMetric::Histogram out;
  const auto counts = histogram.counts();
  for (std::size_t i = 0; i < counts.size(); ++i) {
    out.sample_count += counts[i];
    out.bucket.push_back({.cumulative_count = out.sample_count,
                          .upper_bound = i < histogram.bounds().size()
                                             ? histogram.bounds()[i]
                                             : std::numeric_limits<double>::infinity()});
  }
  out.sample_sum = histogram.sum();
  return out;
}

prometheus::MetricFamily collected(const HistogramFamily& histograms) {
  prometheus::MetricFamily family;
  family.name = histograms.name();
  family.help = description(histograms.name()).help;
  family.type = prometheus::MetricType::Histogram;
  for (const auto& [labels, histogram] : histograms.all()) {
    prometheus::ClientMetric metric;
    for (const auto& [name, value] : labels) {
      metric.label.push_back({name, value});
    }
    metric.histogram = cumulative(*histogram);
    family.metric.push_back(std::move(metric));
  }
  return family;
}

}  // namespace

/// A gauge or counter whose value is read at each scrape.
struct Registry::Impl final : prometheus::Collectable {
  struct Asked {
    prometheus::MetricType type;
    std::string name;
    std::string help;
    Labels labels;
    std::function<double()> value;
  };
  class Handle final : public Gauge {
   public:
    Handle(Impl& impl, std::list<Asked>::iterator entry) : impl_(impl), entry_(entry) {}
    ~Handle() override {
      const MutexLock lock(impl_.mutex);
      impl_.asked.erase(entry_);
    }

   private:
    Impl& impl_;
    std::list<Asked>::iterator entry_;
  };

  explicit Impl(const RegistryOptions& given)
      : options(given),
        bounds(latency_bounds(given.latency_objective)),
        unrouted(requests, {{"model", ""}, {"version", ""}}) {
    begin_at_zero(unrouted);
    for (const char* reason : {"descriptors", "limit", "memory", "per_address"}) {
      refused.Add({{"reason", reason}});
    }
    for (const char* reason : {"flood", "headers", "too_many_pings"}) {
      calmed.Add({{"reason", reason}});
    }
  }

  template <class Builder>
  auto& family(Builder builder, const char* name) {
    return builder.Name(name).Help(std::string(description(name).help)).Register(registry);
  }
  prometheus::Family<Counter>& counters(const char* name) {
    return family(prometheus::BuildCounter(), name);
  }
  HistogramFamily& durations(const char* name) {
    return histograms.emplace_back(name, bounds, HistogramForm::kFixedAndNative);
  }
  prometheus::Family<prometheus::Gauge>& gauges(const char* name) {
    return family(prometheus::BuildGauge(), name);
  }

  std::shared_ptr<ModelMetrics> make_model(const std::string& model, const std::string& version) {
    const prometheus::Labels labels{{"model", model}, {"version", version}};
    const auto slow_counter = [&](const char* outcome) -> Counter& {
      auto all = labels;
      all["outcome"] = outcome;
      return slow.Add(all);
    };
    auto made =
        std::make_shared<ModelMetrics>(std::unique_ptr<ModelMetrics::Impl>(new ModelMetrics::Impl{
            .objective = to_seconds(options.latency_objective),
            .outcomes = {requests, labels},
            .slow = {.answered = slow_counter("answered"),
                     .abandoned = slow_counter("abandoned"),
                     .expired = slow_counter("expired")},
            .request = request.with(labels),
            .queue = queue.with(labels),
            .preprocess = preprocess.with(labels),
            .compute = compute.with(labels),
            .batch = batch.with(labels),
        }));
    begin_at_zero(made->impl_->outcomes);
    for (const Protocol protocol : {Protocol::kHttp, Protocol::kGrpc}) {
      made->impl_->outcomes.at(protocol, kOkOutcome, "OK");
    }
    return made;
  }

  /// Removes the series of versions that are no longer served; their requests stay in the totals.
  void forget_unused() {
    const MutexLock lock(mutex);
    for (auto entry = models.begin(); entry != models.end();) {
      const auto& [key, model] = *entry;
      // Only `for_model` creates further references, and it needs the mutex.
      if (model.use_count() > 1) {
        ++entry;
        continue;
      }
      forgotten.add(*model);
      end_series(key.first, key.second, *model->impl_);
      entry = models.erase(entry);
    }
  }

  void end_series(const std::string& model, const std::string& version, ModelMetrics::Impl& its) {
    its.outcomes.remove();
    for (Counter* counter : {&its.slow.answered, &its.slow.abandoned, &its.slow.expired}) {
      slow.Remove(counter);
    }
    const HistogramFamily::Labels labels{{"model", model}, {"version", version}};
    for (HistogramFamily* family : {&request, &queue, &preprocess, &compute, &batch}) {
      family->remove(labels);
    }
  }

  /// Requests of several versions together.
  struct Sum {
    std::uint64_t requests = 0;
    std::vector<std::uint64_t> latency;

    void add(const ModelMetrics& model) {
      requests += model.requests();
      const LatencyBuckets more = model.latency();
      latency.resize(more.counts.size());
      std::ranges::transform(latency, more.counts, latency.begin(), std::plus{});
    }
  };

  /// @requires the metric was collected from `histograms`
  [[nodiscard]] const Histogram& histogram_of(const std::string& name,
                                              const prometheus::ClientMetric& metric) {
    HistogramFamily::Labels labels;
    for (const auto& label : metric.label) {
      labels[label.name] = label.value;
    }
    return std::ranges::find(histograms, name, &HistogramFamily::name)->with(labels);
  }

  std::unique_ptr<Gauge> add(Asked entry) {
    const MutexLock lock(mutex);
    return std::make_unique<Handle>(*this, asked.insert(asked.end(), std::move(entry)));
  }

  std::string expose(Exposition form);

  [[nodiscard]] std::vector<prometheus::MetricFamily> Collect() const override {
    std::map<std::string, prometheus::MetricFamily> families;
    const MutexLock lock(mutex);
    for (const Asked& entry : asked) {
      const double now = entry.value();
      if (std::isnan(now)) {
        continue;  // it cannot be read: no value rather than a wrong one
      }
      auto& family = families[entry.name];
      family.name = entry.name;
      family.help = entry.help;
      family.type = entry.type;
      prometheus::ClientMetric metric;
      for (const auto& [key, value] : entry.labels) {
        metric.label.push_back({key, value});
      }
      metric.gauge.value = metric.counter.value = now;
      family.metric.push_back(std::move(metric));
    }
    std::vector<prometheus::MetricFamily> list;
    list.reserve(families.size() + histograms.size());
    for (const HistogramFamily& family : histograms) {
      list.push_back(collected(family));
    }
    std::erase_if(list, [](const auto& family) { return family.metric.empty(); });
    for (auto& [name, family] : families) {
      list.push_back(std::move(family));
    }
    return list;
  }

  const RegistryOptions options;
  const std::vector<double> bounds;
  prometheus::Registry registry;
  std::deque<HistogramFamily> histograms;  ///< a deque, as their addresses must not change
  prometheus::Family<Counter>& requests = counters("podsense_requests_total");
  HistogramFamily& request = durations("podsense_request_seconds");
  prometheus::Family<Counter>& slow = counters("podsense_slow_requests_total");
  HistogramFamily& queue = durations("podsense_queue_seconds");
  HistogramFamily& preprocess = durations("podsense_preprocess_seconds");
  HistogramFamily& compute = durations("podsense_compute_seconds");
  HistogramFamily& batch =
      histograms.emplace_back("podsense_batch_size", kBatchBounds, HistogramForm::kFixed);
  HistogramFamily& fetch = durations("podsense_fetch_seconds");
  prometheus::Family<Counter>& refused = counters("podsense_connections_refused_total");
  prometheus::Family<Counter>& handshakes = counters("podsense_tls_handshakes_failed_total");
  prometheus::Family<Counter>& calmed = counters("podsense_http2_connections_calmed_total");
  prometheus::Family<Counter>& reloads = counters("podsense_model_reloads_total");
  Counter& reload_ok = reloads.Add({{"result", "ok"}});
  Counter& reload_failed = reloads.Add({{"result", "failed"}});
  prometheus::Gauge& connections = gauges("podsense_connections").Add({});
  OutcomeCounters unrouted;

  Mutex exposing;  ///< one scrape at a time: series are removed between scrapes
  mutable Mutex mutex;
  Sum forgotten GUARDED_BY(mutex);
  std::list<Asked> asked GUARDED_BY(mutex);
  std::map<std::pair<std::string, std::string>, std::shared_ptr<ModelMetrics>> models
      GUARDED_BY(mutex);
};

Registry::Registry(const RegistryOptions& options) : impl_(std::make_unique<Impl>(options)) {}
Registry::~Registry() = default;

std::shared_ptr<ModelMetrics> Registry::for_model(std::string_view model,
                                                  std::string_view version) {
  const MutexLock lock(impl_->mutex);
  std::pair<std::string, std::string> key(model, version);
  const auto known = impl_->models.find(key);
  if (known != impl_->models.end()) {
    return known->second;
  }
  if (impl_->models.size() >= impl_->options.max_model_versions) {
    key = {"(others)", ""};
  }
  auto& slot = impl_->models[key];
  if (!slot) {
    slot = impl_->make_model(key.first, key.second);
  }
  return slot;
}

void Registry::unrouted(Protocol protocol, ErrorCode code) {
  impl_->unrouted.increment(protocol, static_cast<std::size_t>(code), error_name(code));
}
void Registry::reload(bool ok) {
  (ok ? impl_->reload_ok : impl_->reload_failed).Increment();
}
void Registry::connection_opened() {
  impl_->connections.Increment();
}
void Registry::connection_closed() {
  impl_->connections.Decrement();
}
void Registry::connection_refused(std::string_view reason) {
  impl_->refused.Add({{"reason", std::string(reason)}}).Increment();
}
void Registry::handshake_failed(std::string_view reason) {
  impl_->handshakes.Add({{"reason", std::string(reason)}}).Increment();
}
void Registry::connection_calmed(std::string_view reason) {
  impl_->calmed.Add({{"reason", std::string(reason)}}).Increment();
}
void Registry::fetched(std::string_view outcome, Duration elapsed) {
  impl_->fetch.with({{"outcome", std::string(outcome)}}).observe(to_seconds(elapsed));
}

std::unique_ptr<Registry::Gauge> Registry::watch(std::string_view name, Labels labels,
                                                 std::function<double()> value) {
  const Description& known = description(name);
  const auto type = known.kind == Kind::kCounter ? prometheus::MetricType::Counter
                                                 : prometheus::MetricType::Gauge;
  return impl_->add(
      {type, std::string(name), std::string(known.help), std::move(labels), std::move(value)});
}

std::string Registry::expose(Exposition form) const {
  const MutexLock one_at_a_time(impl_->exposing);
  std::string text = impl_->expose(form);
  impl_->forget_unused();  // only now: this scrape still has their last values
  return text;
}

std::string Registry::Impl::expose(Exposition form) {
  auto families = registry.Collect();
  for (auto& family : Collect()) {
    families.push_back(std::move(family));
  }
  const HistogramOf is_of = [this](const auto& family, const auto& metric) -> const auto& {
    return histogram_of(family, metric);
  };
  switch (form) {
    case Exposition::kProtobuf:
      return protobuf_exposition(families, is_of);
    case Exposition::kOpenMetrics:
      return openmetrics_text(families, is_of);
    case Exposition::kPrometheusText:
      break;
  }
  return prometheus::TextSerializer().Serialize(families);
}

Registry::Totals Registry::totals() const {
  Totals totals;
  Impl::Sum sum;
  {
    const MutexLock lock(impl_->mutex);
    sum = impl_->forgotten;
    for (const auto& [key, model] : impl_->models) {
      sum.add(*model);
    }
  }
  sum.latency.resize(impl_->bounds.size() + 1);
  totals.requests = impl_->unrouted.sum() + sum.requests;
  totals.latency = {.bounds = impl_->bounds, .counts = std::move(sum.latency)};
  const std::uint64_t served = totals.latency.total();
  totals.failed = totals.requests - std::min(totals.requests, served);
  totals.connections = static_cast<std::int64_t>(impl_->connections.Value());
  return totals;
}

}  // namespace podsense::metrics
