#include "metrics/metrics.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <list>
#include <map>
#include <utility>

#include "base/mutex.h"

namespace podsense::metrics {
namespace {

using prometheus::Counter;
using prometheus::Histogram;

/// From an inline forest (tens of microseconds) to a slow image model (seconds).
const Histogram::BucketBoundaries kLatencyBounds{
    0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.02,
    0.03,    0.05,   0.075,   0.1,    0.15,  0.25,  0.5,   1,     2.5,    5,    10};
const Histogram::BucketBoundaries kBatchBounds{1, 2, 4, 8, 16, 32, 64, 128, 256, 512};

std::string_view protocol_name(Protocol protocol) {
  return protocol == Protocol::kHttp ? "http" : "grpc";
}

using LatencyCounts = std::vector<std::uint64_t>;

void add_histogram(const prometheus::ClientMetric::Histogram& histogram, LatencyCounts& counts) {
  counts.resize(kLatencyBounds.size() + 1);
  std::uint64_t below = 0;
  for (std::size_t i = 0; i < histogram.bucket.size() && i < counts.size(); ++i) {
    counts[i] += histogram.bucket[i].cumulative_count - below;
    below = histogram.bucket[i].cumulative_count;
  }
}

/// Counters by protocol and outcome, made when first needed, then reached without a lock.
class OutcomeCounters {
 public:
  OutcomeCounters(prometheus::Family<Counter>& family, prometheus::Labels labels)
      : family_(family), labels_(std::move(labels)) {}

  void increment(Protocol protocol, std::size_t outcome, std::string_view name) {
    auto& slot = slots_[static_cast<std::size_t>(protocol)][outcome];
    Counter* counter = slot.load(std::memory_order_acquire);
    if (counter == nullptr) {
      prometheus::Labels labels = labels_;
      labels["protocol"] = protocol_name(protocol);
      labels["code"] = name;
      counter = &family_.Add(labels);
      slot.store(counter, std::memory_order_release);
    }
    counter->Increment();
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
  OutcomeCounters outcomes;
  Histogram& request;
  Histogram& queue;
  Histogram& preprocess;
  Histogram& compute;
  Histogram& batch;
};

ModelMetrics::ModelMetrics(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
ModelMetrics::~ModelMetrics() = default;

void ModelMetrics::ok(Protocol protocol, Duration total) {
  impl_->outcomes.increment(protocol, kOkOutcome, "OK");
  impl_->request.Observe(to_seconds(total));
}
void ModelMetrics::failed(Protocol protocol, ErrorCode code) {
  impl_->outcomes.increment(protocol, static_cast<std::size_t>(code), error_name(code));
}
void ModelMetrics::queued(Duration d) {
  impl_->queue.Observe(to_seconds(d));
}
void ModelMetrics::preprocessed(Duration d) {
  impl_->preprocess.Observe(to_seconds(d));
}
void ModelMetrics::computed(Duration d, std::size_t batch) {
  impl_->compute.Observe(to_seconds(d));
  impl_->batch.Observe(static_cast<double>(batch));
}
LatencyBuckets ModelMetrics::latency() const {
  LatencyBuckets buckets{.bounds = kLatencyBounds, .counts = {}};
  add_histogram(impl_->request.Collect().histogram, buckets.counts);
  return buckets;
}
std::uint64_t ModelMetrics::requests() const {
  return impl_->outcomes.sum();
}

ModelMetrics::Phases ModelMetrics::phases() const {
  const auto phase = [](const Histogram& histogram) {
    const auto now = histogram.Collect().histogram;
    return Phase{.count = now.sample_count, .total = from_seconds(now.sample_sum)};
  };
  Phases out{.request = phase(impl_->request),
             .queue = phase(impl_->queue),
             .preprocess = phase(impl_->preprocess),
             .compute = phase(impl_->compute)};
  out.rows = static_cast<std::uint64_t>(impl_->batch.Collect().histogram.sample_sum);
  const std::uint64_t all = requests();
  out.failed = all - std::min(all, out.request.count);
  return out;
}

/// A gauge or counter whose value is asked for at each scrape.
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

  Impl() : unrouted(requests, {{"model", ""}, {"version", ""}}) {}

  prometheus::Family<Counter>& counters(const char* name, const char* help) {
    return prometheus::BuildCounter().Name(name).Help(help).Register(registry);
  }
  prometheus::Family<Histogram>& histograms(const char* name, const char* help) {
    return prometheus::BuildHistogram().Name(name).Help(help).Register(registry);
  }

  std::unique_ptr<Gauge> add(Asked entry) {
    const MutexLock lock(mutex);
    return std::make_unique<Handle>(*this, asked.insert(asked.end(), std::move(entry)));
  }

  [[nodiscard]] std::vector<prometheus::MetricFamily> Collect() const override {
    std::map<std::string, prometheus::MetricFamily> families;
    const MutexLock lock(mutex);
    for (const Asked& entry : asked) {
      auto& family = families[entry.name];
      family.name = entry.name;
      family.help = entry.help;
      family.type = entry.type;
      prometheus::ClientMetric metric;
      for (const auto& [key, value] : entry.labels) {
        metric.label.push_back({key, value});
      }
      metric.gauge.value = metric.counter.value = entry.value();
      family.metric.push_back(std::move(metric));
    }
    std::vector<prometheus::MetricFamily> list;
    list.reserve(families.size());
    for (auto& [name, family] : families) {
      list.push_back(std::move(family));
    }
    return list;
  }

  prometheus::Registry registry;
  prometheus::Family<Counter>& requests =
      counters("podsense_requests_total", "Requests by outcome; no model: never reached one");
  prometheus::Family<Histogram>& request =
      histograms("podsense_request_seconds", "Successful requests, first byte to answer ready");
  prometheus::Family<Histogram>& queue =
      histograms("podsense_queue_seconds", "Time a request waited for an executor");
  prometheus::Family<Histogram>& preprocess =
      histograms("podsense_preprocess_seconds", "Image bytes to tensor");
  prometheus::Family<Histogram>& compute =
      histograms("podsense_compute_seconds", "One run of the model, whatever its batch");
  prometheus::Family<Histogram>& batch = histograms("podsense_batch_size", "Rows in one run");
  prometheus::Family<Histogram>& fetch =
      histograms("podsense_fetch_seconds", "Transfers from URLs by outcome");
  prometheus::Family<Counter>& refused =
      counters("podsense_connections_refused_total", "Connections not served, by reason");
  prometheus::Family<Counter>& reloads =
      counters("podsense_model_reloads_total", "Model versions loaded or refused since start");
  Counter& reload_ok = reloads.Add({{"result", "ok"}});
  Counter& reload_failed = reloads.Add({{"result", "failed"}});
  prometheus::Gauge& connections = prometheus::BuildGauge()
                                       .Name("podsense_connections")
                                       .Help("Open client connections")
                                       .Register(registry)
                                       .Add({});
  OutcomeCounters unrouted;

  mutable Mutex mutex;
  std::list<Asked> asked GUARDED_BY(mutex);
  std::map<std::pair<std::string, std::string>, std::shared_ptr<ModelMetrics>> models
      GUARDED_BY(mutex);
};

Registry::Registry() : impl_(std::make_unique<Impl>()) {}
Registry::~Registry() = default;

std::shared_ptr<ModelMetrics> Registry::for_model(std::string_view model,
                                                  std::string_view version) {
  const MutexLock lock(impl_->mutex);
  auto& slot = impl_->models[{std::string(model), std::string(version)}];
  if (!slot) {
    const prometheus::Labels labels{{"model", std::string(model)},
                                    {"version", std::string(version)}};
    slot =
        std::make_shared<ModelMetrics>(std::unique_ptr<ModelMetrics::Impl>(new ModelMetrics::Impl{
            .outcomes = {impl_->requests, labels},
            .request = impl_->request.Add(labels, kLatencyBounds),
            .queue = impl_->queue.Add(labels, kLatencyBounds),
            .preprocess = impl_->preprocess.Add(labels, kLatencyBounds),
            .compute = impl_->compute.Add(labels, kLatencyBounds),
            .batch = impl_->batch.Add(labels, kBatchBounds),
        }));
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
void Registry::fetched(std::string_view outcome, Duration elapsed) {
  impl_->fetch.Add({{"outcome", std::string(outcome)}}, kLatencyBounds)
      .Observe(to_seconds(elapsed));
}

std::unique_ptr<Registry::Gauge> Registry::gauge(std::string name, std::string help, Labels labels,
                                                 std::function<double()> value) {
  return impl_->add({prometheus::MetricType::Gauge, std::move(name), std::move(help),
                     std::move(labels), std::move(value)});
}
std::unique_ptr<Registry::Gauge> Registry::counter(std::string name, std::string help,
                                                   Labels labels, std::function<double()> value) {
  return impl_->add({prometheus::MetricType::Counter, std::move(name), std::move(help),
                     std::move(labels), std::move(value)});
}

std::string Registry::expose() const {
  auto families = impl_->registry.Collect();
  for (auto& family : impl_->Collect()) {
    families.push_back(std::move(family));
  }
  return prometheus::TextSerializer().Serialize(families);
}

Registry::Totals Registry::totals() const {
  Totals totals;
  totals.latency = {.bounds = kLatencyBounds, .counts = LatencyCounts(kLatencyBounds.size() + 1)};
  std::uint64_t served = 0;
  {
    const MutexLock lock(impl_->mutex);
    totals.requests = impl_->unrouted.sum();
    for (const auto& [key, model] : impl_->models) {
      totals.requests += model->requests();
      const LatencyBuckets latency = model->latency();
      for (std::size_t i = 0; i < latency.counts.size(); ++i) {
        totals.latency.counts[i] += latency.counts[i];
      }
    }
  }
  served = totals.latency.total();
  totals.failed = totals.requests - std::min(totals.requests, served);
  totals.connections = static_cast<std::int64_t>(impl_->connections.Value());
  return totals;
}

}  // namespace podsense::metrics
