#pragma once

/// What a run leaves: a table for people, JSON for programs and for merging, CSV, and one HTML
/// page.

#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "load/measuring/results.h"
#include "load/measuring/threshold.h"

namespace podsense::load {

/// How the load was made, for readers of the report.
struct Circumstances {
  std::string tool;  ///< name and version
  std::string url;
  std::string method;
  std::string protocol;  ///< http/1.1, http/2, grpc
  bool open_loop = true;
  std::string shape;     ///< as one writes it: constant:30
  std::string arrivals;  ///< even, poisson
  double seconds = 0;    ///< planned length; 0: until the requests are through
  double warm_up_seconds = 0;
  double cool_down_seconds = 0;
  std::uint64_t requests = 0;  ///< planned number; 0: as many as there is time for
  unsigned connections = 0;
  unsigned max_connections = 0;
  unsigned threads = 0;
  unsigned generators = 1;
  double timeout_seconds = 0;  ///< 0: none
  std::uint64_t seed = 0;
  bool keep_alive = true;
  std::string started_at;  ///< RFC 3339, UTC
  struct Target {
    std::string name;
    std::string url;
    unsigned weight = 1;
    friend bool operator==(const Target&, const Target&) = default;
  };
  std::vector<Target> targets;  ///< empty: there is one, at `url`
};

/// One rate that a search tried.
struct SearchStep {
  double rate = 0;
  double achieved = 0;
  bool stable = false;  ///< met over several windows, not only in one
  bool met = false;     ///< the objective, with nothing in the way
  unsigned windows = 0;
  Duration p50{};
  Duration p99{};
  bool p99_at_least = false;  ///< failed requests are at or below it
  double errors = 0;          ///< share
  std::string reason;
  std::string generator_limit;  ///< what was its own doing in that; empty: nothing
};
struct Search {
  std::string objective;
  double best = 0;                ///< 0: none was confirmed
  double not_held = 0;            ///< the lowest rate that does not hold; 0: none was tried
  bool limited = false;           ///< the upper bound of the search still met the objective
  bool out_of_time = false;       ///< the time was up before both were near each other
  std::vector<SearchStep> steps;  ///< in the order of trying
};

struct LoadReport {
  Circumstances circumstances;
  Results results;
  std::vector<Results> target_results;  ///< as many as `circumstances.targets`
  bool interrupted = false;
  std::vector<std::pair<LoadThreshold, LoadThreshold::Verdict>> thresholds;
  std::optional<Search> search;

  /// An open loop that sent everything that was due, within the meaning of its send lag.
  [[nodiscard]] bool rate_applied() const;
};

/// In what the generator itself, and not the server, was the limit: `cpu`, `cpu_wait`, `throttled`,
/// `descriptors`, `ports`, `send_lag`, each with a sentence.
struct GeneratorLimit {
  std::string name;
  std::string text;
};
std::vector<GeneratorLimit> generator_limits(const LoadReport& report);

std::string text_report(const LoadReport& report);
std::string json_report(const LoadReport& report);
/// One line per slice of the run.
std::string csv_report(const LoadReport& report);
std::string html_report(const LoadReport& report);

/// Reads what `json_report` wrote. @errors kInvalidArgument: not such a file
Result<LoadReport> read_load_report(std::string_view json);
/// One report as if one generator had sent it all.
/// @errors kInvalidArgument: none, or slices of different width
Result<LoadReport> merge_reports(std::vector<LoadReport> reports);

/// The shares that reports show: 0.5 … 0.9999.
std::vector<double> reported_quantiles(const quantiles::DurationHistogram& histogram);
std::string percent_name(double quantile);  ///< p99.9

}  // namespace podsense::load
