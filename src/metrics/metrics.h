#pragma once

/// The metrics of one process: prometheus-cpp inside, typed handles outside. Every name is
/// `podsense_*` in base units with bounded labels; handles are looked up once per model version,
/// never per request.
/// @threads thread-safe

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/error.h"

namespace podsense::metrics {

enum class Protocol { kHttp, kGrpc };

/// A cumulative count per latency bucket, comparable between two moments.
struct LatencyBuckets {
  std::vector<double> bounds;         ///< upper bounds in seconds; the last bucket is open
  std::vector<std::uint64_t> counts;  ///< bounds.size() + 1, each bucket alone
  [[nodiscard]] std::uint64_t total() const;
  /// Seconds below which the share `q` of the observations lies, interpolated inside the bucket;
  /// 0 without any.
  [[nodiscard]] double quantile(double q) const;
  /// What came since `earlier`, a snapshot of the same histogram.
  [[nodiscard]] LatencyBuckets since(const LatencyBuckets& earlier) const;
};

/// Handles of one model version; the Registry must outlive them.
class ModelMetrics {
 public:
  struct Impl;
  explicit ModelMetrics(std::unique_ptr<Impl> impl);
  ~ModelMetrics();
  ModelMetrics(const ModelMetrics&) = delete;
  ModelMetrics& operator=(const ModelMetrics&) = delete;

  void ok(Protocol protocol, Duration total);
  void failed(Protocol protocol, ErrorCode code);
  void queued(Duration d);
  void preprocessed(Duration d);
  void computed(Duration d, std::size_t batch);

  /// Latency of successful requests since start.
  [[nodiscard]] LatencyBuckets latency() const;
  [[nodiscard]] std::uint64_t requests() const;

  /// How often and how long in all, since start.
  struct Phase {
    std::uint64_t count = 0;
    Duration total{};
  };
  struct Phases {
    Phase request, queue, preprocess, compute;  ///< request: successful ones
    std::uint64_t rows = 0;                     ///< in all runs together
    std::uint64_t failed = 0;                   ///< requests
  };
  [[nodiscard]] Phases phases() const;

 private:
  std::unique_ptr<Impl> impl_;
};

class Registry {
 public:
  Registry();
  ~Registry();
  Registry(const Registry&) = delete;
  Registry& operator=(const Registry&) = delete;

  /// The same handles for the same names, however often a version comes back.
  std::shared_ptr<ModelMetrics> for_model(std::string_view model, std::string_view version);
  /// Requests that reached no model: wrong route, bad input, a fetch that failed.
  void unrouted(Protocol protocol, ErrorCode code);
  void reload(bool ok);
  void connection_opened();
  void connection_closed();
  void connection_refused(std::string_view reason);  ///< descriptors, limit, per_address
  void fetched(std::string_view outcome, Duration elapsed);

  /// Read at each scrape. `value` must stay callable as long as the handle lives.
  class Gauge {
   public:
    virtual ~Gauge() = default;
  };
  using Labels = std::vector<std::pair<std::string, std::string>>;
  [[nodiscard]] std::unique_ptr<Gauge> gauge(std::string name, std::string help, Labels labels,
                                             std::function<double()> value);
  /// As gauge, but what is read never falls.
  [[nodiscard]] std::unique_ptr<Gauge> counter(std::string name, std::string help, Labels labels,
                                               std::function<double()> value);

  /// Prometheus text format 0.0.4.
  [[nodiscard]] std::string expose() const;

  /// All models together, since start.
  struct Totals {
    std::uint64_t requests = 0;
    std::uint64_t failed = 0;
    std::int64_t connections = 0;
    LatencyBuckets latency;
  };
  [[nodiscard]] Totals totals() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace podsense::metrics
