#pragma once

/// A scenario played in virtual time, event by event. The same scenario and seed give the same
/// results, whatever the number of threads.

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <iosfwd>
#include <optional>
#include <string>
#include <vector>

#include "foresight/scenario.h"
#include "quantiles/duration_histogram.h"

namespace podsense::foresight {

/// What became of a request, its retries included.
enum class RequestEnding : std::uint8_t {
  kAnswered,
  kRefused,     ///< 503
  kTimedOut,    ///< its client left
  kBroken,      ///< no pod, or its pod ended
  kUnfinished,  ///< neither, when the run ended
};
inline constexpr std::array<std::string_view, 5> kEndingNames{"answered", "refused", "timed_out",
                                                              "broken", "unfinished"};
using Endings = std::array<std::uint64_t, kEndingNames.size()>;

/// One stretch of the run; requests belong to the one they were due in, pods are as at its end.
struct Slice {
  Endings endings{};
  std::uint64_t late = 0;  ///< above the objective, or not answered
  quantiles::DurationHistogram latency{quantiles::DurationHistogram::kCoarse};
  std::int32_t desired = 0;
  std::int32_t pods = 0;  ///< created and not being deleted
  std::int32_t ready = 0;
  std::int32_t draining = 0;
  std::optional<double> signal;  ///< the autoscaler's first metric as it is, averaged over pods
  std::optional<double> seen;    ///< and as its last look saw it; in percent for utilization
  std::vector<std::pair<std::uint32_t, std::size_t>> loads;  ///< pod, requests in it; for the page
};

struct Decision {
  Duration at{};
  std::int32_t current = 0;
  std::int32_t desired = 0;
  bool rescaled = false;
  std::string error;               ///< which metrics failed
  std::vector<std::string> words;  ///< of rescales, and of all looks where asked for
};

struct RunResult {
  std::uint64_t seed = 0;
  Endings endings{};  ///< of requests due after the warm-up, as all below
  std::uint64_t late = 0;
  quantiles::DurationHistogram latency;  ///< of what was answered, from the moment it was due
  quantiles::DurationHistogram run_time{
      quantiles::DurationHistogram::kCoarse};  ///< of runs, from begin to end:
                                               ///< their CPU time and throttling
  quantiles::DurationHistogram start_up{
      quantiles::DurationHistogram::kCoarse};  ///< from a pod's creation until it was
                                               ///< ready; those at the start are not in it
  quantiles::DurationHistogram signal_age{
      quantiles::DurationHistogram::kCoarse};  ///< at each look, of each metric's value of each pod
  std::uint64_t attempts = 0;
  double dispersion = 0;  ///< variance over mean of the requests due in a second
  std::vector<Slice> slices;
  std::vector<Decision> decisions;
  std::optional<Duration>
      second_ready;  ///< when there were first more pods ready than at the start
  std::int32_t most_pods = 0;
  double pod_seconds = 0;  ///< from creation until gone, of the whole run
  double cpu_seconds = 0;
  double throttled_seconds = 0;  ///< in which a pod's threads wanted to run and were held
  std::string hpa_case;          ///< lines of docs/reference/hpa-vectors.md, where asked for
  [[nodiscard]] std::uint64_t requests() const;
};

struct SimulateOptions {
  unsigned runs = 1;  ///< run k has the scenario's seed + k
  unsigned threads = 1;
  bool explain = false;  ///< words for every look
  bool dump_hpa = false;
  bool pod_loads = false;  ///< Slice::loads, which the page shows
  /// Called from any thread after each run.
  std::function<void(unsigned done)> progress;
  const std::atomic<bool>* stop = nullptr;  ///< set: end at once, without the runs under way
};

struct Simulation {
  std::vector<RunResult> runs;  ///< those that were played, by seed
  Duration slice{};             ///< length of one
};

Duration slice_length(const Scenario& scenario);
Simulation simulate(const Scenario& scenario, const SimulateOptions& options);

/// A figure over all runs.
struct Band {
  double low = 0;  ///< 5 %
  double median = 0;
  double high = 0;  ///< 95 %
};
/// @param values at least one
Band band_of(std::vector<double> values);

/// Every run kept the scenario's objective.
bool all_met(const Scenario& scenario, const Simulation& simulation);

std::string simulation_text(const Scenario& scenario, const Simulation& simulation);

/// One of two that are compared.
struct Played {
  std::string name;
  const Scenario& scenario;
  const Simulation& simulation;
};
/// Both side by side, and the mean of the differences run by run: those of one seed have the same
/// luck. @pre as many runs, at least one
std::string comparison_text(const Played& first, const Played& second);
/// docs/reference/simulate.schema.json; a slice at a time, without holding the text
void write_simulation_json(std::ostream& out, const Scenario& scenario,
                           const Simulation& simulation);
std::string simulation_json(const Scenario& scenario, const Simulation& simulation);
/// One page that loads nothing, with the course of the first run. @pre there is a run
std::string simulation_html(const Scenario& scenario, const Simulation& simulation);

}  // namespace podsense::foresight
