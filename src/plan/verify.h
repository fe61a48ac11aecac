#pragma once

/// What a plan predicted, compared with what was measured: the error of each figure, and which
/// assumption is off where it is large. docs/how-to/plan-verify.md

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "foresight/deployed.h"
#include "foresight/scenario.h"
#include "foresight/simulate.h"
#include "quantiles/duration_histogram.h"

namespace podsense::plan {

/// What happens on the way to the figures; absent where nobody saw it.
struct Stages {
  /// Seconds; several runs differ by their phases, which one run keeps all the time.
  std::optional<foresight::Band> start_up;    ///< median, from a pod's creation until it is ready
  std::optional<foresight::Band> signal_age;  ///< p90, of what the autoscaler sees
  std::optional<double> run_seconds;          ///< mean of runs, throttling included
  std::optional<double> cpu_per_request;      ///< seconds
  std::optional<double> throttled_share;      ///< of pod-seconds
};
Stages stages_of(const foresight::Simulation& simulation);

/// One that differs, the one with the largest consequence first.
struct StageFault {
  std::string_view stage;  ///< "start-up", "metric age", "service time", "CPU limit"
  double predicted = 0;
  double measured = 0;
  std::string text;
};
/// A service time that is off also changes throttling, which is then not named.
std::vector<StageFault> diagnose(const Stages& predicted, const Stages& measured);

enum class FigureKind : std::uint8_t { kSeconds, kShare, kNumber };
struct VerifiedFigure {
  std::string_view key;
  std::string_view text;
  FigureKind kind = FigureKind::kSeconds;
  foresight::Band predicted;
  double measured = 0;
  /// measured ÷ predicted - 1; of shares the difference.
  [[nodiscard]] double error() const;
  /// Within the range of 90 % of the runs, or near enough to the median.
  [[nodiscard]] bool is_within(double bound) const;
};

/// What was measured; pods where a cluster was watched.
struct Measurement {
  std::uint64_t requests = 0;
  std::uint64_t late = 0;                ///< above the objective, or not answered
  std::uint64_t failed = 0;              ///< not answered
  quantiles::DurationHistogram latency;  ///< of what was answered
  struct Pods {
    std::int32_t most = 0;
    double seconds = 0;
    std::optional<Duration> second_ready;
  };
  std::optional<Pods> pods;
  Stages stages;
};

struct Verification {
  std::string cluster;  ///< the context of kubectl, or the host
  std::string plan;     ///< name of its file
  double bound = 0.09;
  std::vector<VerifiedFigure> figures;
  std::vector<StageFault> faults;  ///< looked for where a figure is outside
  bool has_stages = false;         ///< something was seen of them
  [[nodiscard]] bool is_within() const;
};

/// All its autoscaler's metrics come from metrics.k8s.io, whose samples tell their age.
bool tells_metric_age(const foresight::Scenario& scenario);

/// @pre there is a run
Verification verify(const foresight::Simulation& predicted, const Measurement& measured,
                    double bound);
std::string verification_text(const Verification& verification);
/// One line of JSON.
std::string verification_line(const Verification& verification, std::string_view time);

/// Where the last plan was verified; empty: nowhere yet.
std::string last_cluster(std::string_view lines);
/// "error of the last 3 verified plans on kind: p99 6 %, …": mean of the errors without their sign;
/// empty where there is none. Lines that are none of these are passed over.
std::string recent_errors(std::string_view lines, std::string_view cluster, std::size_t most = 5);

/// What `podsense plan` wrote, or a scenario.
struct Verifiable {
  std::string text;                                       ///< of the scenario
  std::map<std::string, std::string, std::less<>> files;  ///< that it names
  std::optional<std::uint64_t> seed;
};
/// @errors kInvalidArgument: neither
Result<Verifiable> read_verifiable(std::string_view text, std::string_view name);

/// Watches the pods of a workload, look by look.
class PodWatch {
 public:
  explicit PodWatch(std::string workload) : workload_(std::move(workload)) {}
  /// @param now  since 1970
  void add(Duration now, const foresight::Deployed& seen);
  /// @param now  since 1970; of samples of metrics.k8s.io
  void add_samples(Duration now, const std::vector<Duration>& at);
  /// @errors kInvalidArgument: there was never such a workload
  [[nodiscard]] Result<Measurement::Pods> pods() const;
  [[nodiscard]] std::optional<foresight::Band> start_up() const;
  [[nodiscard]] std::optional<foresight::Band> signal_age() const;

 private:
  std::string workload_;
  std::optional<Duration> begin_;
  Duration last_{};
  std::int32_t there_ = 0;
  std::int32_t ready_at_begin_ = 0;
  bool is_found_ = false;
  Measurement::Pods pods_;
  std::map<std::string, Duration, std::less<>> starts_;  ///< pod → how long it took
  quantiles::DurationHistogram ages_{quantiles::DurationHistogram::kCoarse};
};

}  // namespace podsense::plan
