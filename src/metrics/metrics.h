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
#include "metrics/exposition.h"

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

/// An observation of a histogram's bucket whose request was traced.
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
  /// `elapsed` since its first byte: kCancelled and kDeadlineExceeded after more than the latency
  /// objective count as slow.
  void failed(Protocol protocol, ErrorCode code, Duration elapsed = {});
  void queued(Duration d);
  void preprocessed(Duration d);
  /// A run of `batch` rows, which took `input` to prepare.
  void computed(Duration d, std::size_t batch, Duration input = {});

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

  /// The runs of one size since start.
  struct Batch {
    std::uint64_t size = 0;  ///< rows of each
    std::uint64_t runs = 0;
    Duration input{};    ///< in all
    Duration compute{};  ///< in all
  };
  /// By size. Bounded: the sizes up to 64, and the first 64 larger ones that were run.
  [[nodiscard]] std::vector<Batch> batches() const;

 private:
  friend class Registry;
  std::unique_ptr<Impl> impl_;
};

struct RegistryOptions {
  /// What a successful request may take: a bucket's bound of its own, and what counts as slow.
  Duration latency_objective = std::chrono::milliseconds(250);
  /// Model versions with metrics of their own, so that many reloads cannot grow what is scraped
  /// without end; those beyond share the model "(others)".
  std::size_t max_model_versions = 200;
};

class Registry {
 public:
  explicit Registry(const RegistryOptions& options = {});
  ~Registry();
  Registry(const Registry&) = delete;
  Registry& operator=(const Registry&) = delete;

  /// The same handles for the same names as long as anybody holds them. The scrape after the last
  /// handle is gone is the last to show their series.
  std::shared_ptr<ModelMetrics> for_model(std::string_view model, std::string_view version);
  /// Requests that reached no model: wrong route, bad input, a fetch that failed.
  void unrouted(Protocol protocol, ErrorCode code);
  void reload(bool ok);
  void connection_opened();
  void connection_closed();
  void connection_refused(std::string_view reason);  ///< descriptors, limit, memory, per_address
  /// In TLS: plain_http, client_certificate, closed, protocol, timeout.
  void handshake_failed(std::string_view reason);
  /// An HTTP/2 connection that passed a limit: flood, headers, too_many_pings.
  void connection_calmed(std::string_view reason);
  void fetched(std::string_view outcome, Duration elapsed);

  /// Read at each scrape. `value` must stay callable as long as the handle lives.
  class Gauge {
   public:
    virtual ~Gauge() = default;
  };
  using Labels = std::vector<std::pair<std::string, std::string>>;
  /// A gauge, or a counter whose value never falls: what `descriptions` says of the name.
  /// @requires the name is described. Where `value` gives NaN (it cannot be read) there is none.
  [[nodiscard]] std::unique_ptr<Gauge> watch(std::string_view name, Labels labels,
                                             std::function<double()> value);

  [[nodiscard]] std::string expose(Exposition form = Exposition::kPrometheusText) const;

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
