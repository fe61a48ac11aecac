#pragma once

/// From what a server says of itself before and after a run to a profile: how long its parts take,
/// and how much CPU time. docs/reference/profile.schema.json describes the file.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "plan/native_metrics.h"
#include "quantiles/duration_histogram.h"

namespace podsense::plan {

/// A server at one moment.
struct ServerReading {
  std::vector<MetricPoint> metrics;
  Duration ran{};     ///< CPU time of all its threads
  Duration waited{};  ///< of its threads for a core, while they could run
};

/// What requests of one kind, one after the other, brought.
struct Measured {
  std::size_t rows = 1;  ///< of each request, and so of each run
  ServerReading before;
  ServerReading after;
  quantiles::DurationHistogram service;  ///< as the client saw them
};

/// Of a run of so many rows.
struct RunProfile {
  std::size_t rows = 1;
  quantiles::DurationHistogram wall;
  quantiles::DurationHistogram
      cpu;                   ///< as unequal as `wall`, with the mean that the CPU time gives
  double stretch = 1;        ///< wall time over CPU time
  double mean_interval = 0;  ///< half the 95 % interval of the mean, as a share of it
};

struct StartProfile {
  Duration ready{};  ///< from the process's begin until it is ready
  Duration cpu{};    ///< used until then
};

/// Of the machine, while nothing was asked of the server.
struct Calmness {
  double machine_cores = 1;
  double other_cores = 0;   ///< that others use
  double waited_share = 0;  ///< of the time that the server's threads could run
  bool forced = false;
};
inline constexpr double kCalmCores = 0.1;
inline constexpr double kCalmShare = 0.05;  ///< of a machine with more cores
inline constexpr double kCalmWaited = 0.05;
/// Why it is not calm, or nothing.
std::string busy_text(const Calmness& calm);

struct MeasuredProfile {
  std::string model;
  std::string task;
  std::string plan;
  std::string request;  ///< what was sent, in words
  double cores = 0;
  double executors = 0;
  std::size_t threads = 1;  ///< of a run
  std::size_t max_batch = 1;
  std::uint64_t memory_bytes = 0;
  Calmness calm;
  std::vector<RunProfile> runs;             ///< ascending in rows, from 1 on
  quantiles::DurationHistogram preprocess;  ///< wall time; empty: there is none
  quantiles::DurationHistogram
      rest;  ///< wall time of a request without its wait, preprocessing and run
  quantiles::DurationHistogram request_cpu;  ///< CPU time of a request without its run
  std::vector<StartProfile> starts;
  std::optional<double> contention;  ///< a run while all executors are busy, over one alone
};

/// @param threads  of a run
/// @errors kInvalidArgument: there were no runs, or not of so many rows
Result<RunProfile> run_of(const Measured& measured, std::string_view model, std::size_t threads);

/// Preprocessing, the rest and its CPU time, from requests of one row.
/// @pre `run_of` took the same
void add_request(const Measured& measured, const RunProfile& run, MeasuredProfile& out);

/// What readers should know: a busy machine, few requests, a wide interval.
std::vector<std::string> cautions_of(const MeasuredProfile& profile);
std::string profile_json(const MeasuredProfile& profile);
std::string profile_text(const MeasuredProfile& profile);

}  // namespace podsense::plan
