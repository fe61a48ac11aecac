#pragma once

/// The metrics of one process: typed handles on top of prometheus-cpp. Every name is `podsense_*`
/// in base units with bounded labels; handles are looked up once per model version, never per
/// request.
/// @threads thread-safe

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "metrics/exposition.h"

namespace podsense::metrics {

enum class Protocol { kHttp, kGrpc };

/// Counts since start, by latency bucket. Two snapshots can be subtracted.
struct LatencyBuckets {
  std::vector<double> bounds;         ///< upper bounds in seconds; the last bucket is open
  std::vector<std::uint64_t> counts;  ///< bounds.size() + 1 values, not cumulative
  [[nodiscard]] std::uint64_t total() const;
  /// The `q`-quantile in seconds, interpolated inside its bucket; 0 without observations.
  [[nodiscard]] double quantile(double q) const;
  /// The counts since `earlier`, a snapshot of the same histogram.
  [[nodiscard]] LatencyBuckets since(const LatencyBuckets& earlier) const;
};

/// An observation in a histogram's bucket whose request was traced.
struct Exemplar {
  std::string trace_id;  ///< empty: none
  double value = 0;
  double unix_seconds = 0;
};
/// One for each bucket.
using Exemplars = std::vector<Exemplar>;

/// Handles of one model version; the Registry must outlive them.
class ModelMetrics {
 public:
  struct Impl;
  explicit ModelMetrics(std::unique_ptr<Impl> impl);
  ~ModelMetrics();
  ModelMetrics(const ModelMetrics&) = delete;
  ModelMetrics& operator=(const ModelMetrics&) = delete;

  /// `trace_id`: 32 hexadecimal digits of a sampled trace, which becomes the exemplar of the
  /// latency's bucket; empty: none.
  void ok(Protocol protocol, Duration total, std::string_view trace_id = {});
  /// `elapsed`: since the request's first byte. kCancelled and kDeadlineExceeded count as slow if
  /// it exceeds the latency objective.
  void failed(Protocol protocol, ErrorCode code, Duration elapsed = {});
  void queued(Duration d);
  void preprocessed(Duration d);
  /// Counts a run of `batch` rows; preparing its input took `input`.
  void computed(Duration d, std::size_t batch, Duration input = {});

  /// The latency of successful requests since start.
  [[nodiscard]] LatencyBuckets latency() const;
  [[nodiscard]] std::uint64_t requests() const;

  /// Count and total duration since start.
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

  /// The runs with one number of rows, since start.
  struct Batch {
    std::uint64_t size = 0;  ///< rows of each
    std::uint64_t runs = 0;
    Duration input{};    ///< in all
    Duration compute{};  ///< in all
  };
  /// Runs by size. Bounded: the sizes up to 64, and the first 64 larger ones that occurred.
  [[nodiscard]] std::vector<Batch> batches() const;

 private:
  friend class Registry;
  std::unique_ptr<Impl> impl_;
};

struct RegistryOptions {
  /// The latency objective: one bucket ends exactly there, and slower requests count as slow.
  Duration latency_objective = std::chrono::milliseconds(250);
  /// The maximum number of model versions with their own metrics, so that reloads cannot grow the
  /// scrape without limit. Further versions share the model "(others)".
  std::size_t max_model_versions = 200;
};

class Registry {
 public:
  explicit Registry(const RegistryOptions& options = {});
  ~Registry();
  Registry(const Registry&) = delete;
  Registry& operator=(const Registry&) = delete;

  /// Returns the same handles for the same names while somebody holds them. The first scrape after
  /// the last handle is released is the last one with their series.
  std::shared_ptr<ModelMetrics> for_model(std::string_view model, std::string_view version);
  /// Counts a request that reached no model: wrong route, bad input, failed fetch.
  void unrouted(Protocol protocol, ErrorCode code);
  void reload(bool ok);
  void connection_opened();
  void connection_closed();
  void connection_refused(std::string_view reason);  ///< descriptors, limit, memory, per_address
  /// A failed TLS handshake; reasons: plain_http, client_certificate, closed, protocol, timeout.
  void handshake_failed(std::string_view reason);
  /// An HTTP/2 connection that exceeded a limit; reasons: flood, headers, too_many_pings.
  void connection_calmed(std::string_view reason);
  void fetched(std::string_view outcome, Duration elapsed);

  /// A metric read at each scrape. `value` must stay callable while the handle lives.
  class Gauge {
   public:
    virtual ~Gauge() = default;
  };
  using Labels = std::vector<std::pair<std::string, std::string>>;
  /// A gauge, or a counter whose value never falls, as in `descriptions`. While `value` returns NaN
  /// (it cannot be read), the metric is left out.
  /// @requires `name` is in the table of descriptions
  [[nodiscard]] std::unique_ptr<Gauge> watch(std::string_view name, Labels labels,
                                             std::function<double()> value);

  [[nodiscard]] std::string expose(Exposition form = Exposition::kPrometheusText) const;

  /// Totals of all models since start.
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
