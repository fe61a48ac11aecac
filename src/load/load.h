#pragma once

/// `podsense load`: what to send where, and what to do with the result. Fill an Options, call
/// `run`.

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "load/arrivals.h"
#include "load/report.h"

namespace podsense::load {

struct Options {
  // --- the target
  std::string url;     ///< may lack a path: then the kind of body says which; a template
  std::string method;  ///< empty: GET, or POST with a body
  std::vector<std::pair<std::string, std::string>> headers;
  std::string content_type;
  bool keep_alive = true;
  bool verify_tls = true;
  std::string ca_file;           ///< PEM; empty: the system's
  std::string certificate_file;  ///< PEM, shown to servers that ask for one; empty: none
  std::string key_file;          ///< PEM; empty: it is in `certificate_file`
  bool public_host_allowed = false;
  Duration wait_for_target{};  ///< so long is connecting tried again before the run

  // --- gRPC: podsense.v1 with the bodies below (texts are its messages as JSON), or `oip`
  bool grpc = false;  ///< also by the URL's scheme
  bool tls = false;
  std::string model;        ///< for messages that name none; empty: the server chooses
  bool oip = false;         ///< ModelInfer with random tensors of `model`'s shapes
  std::uint64_t batch = 1;  ///< `oip`: the first dimension where it is open
  unsigned streams = 0;     ///< calls on a connection at a time; 0: 100, closed loop 1

  // --- the body: at most one of these
  std::optional<std::string> body;  ///< as it is
  std::filesystem::path body_file;  ///< a template
  std::filesystem::path image;      ///< a file, or a folder of them
  std::string features;             ///< numbers with commas, or a CSV file
  std::filesystem::path rows;       ///< CSV file for {{row}}, also in the URL
  bool multipart = false;           ///< the image as a form's field

  // --- the load
  std::optional<double> rate;   ///< open loop at a constant rate
  std::string shape;            ///< open loop, see parse_shape
  std::filesystem::path trace;  ///< open loop, see parse_trace
  double trace_speed = 1;       ///< 2: twice as fast
  double trace_scale = 1;       ///< 2: twice as many, for counts
  Arrivals arrivals = Arrivals::kEven;
  std::optional<Duration> duration;
  std::optional<std::uint64_t> requests;
  std::optional<unsigned> connections;  ///< closed loop: workers; open loop: opened ahead
  unsigned max_connections = 1000;
  double worker_rate = 0;
  Duration warm_up{};
  Duration cool_down{};
  Duration timeout = std::chrono::seconds(20);
  unsigned threads = 0;  ///< 0: chosen
  std::uint64_t seed = 1;

  // --- search
  bool find_max = false;
  std::string objective = "p99=100ms,errors=0.1%";
  // `duration`: what it may take; unset: five minutes
  double search_from = 10;
  double search_to = 100000;
  Duration window = std::chrono::seconds(5);

  // --- what comes out
  std::vector<Threshold> fail_if;
  std::filesystem::path json;  ///< "-": standard output, and no text
  std::filesystem::path csv;
  std::filesystem::path html;
  std::string prometheus;  ///< ADDRESS:PORT to scrape while it runs
  bool quiet = false;      ///< no live view
  std::string tool;        ///< name and version, for the report

  /// Every fault at once.
  [[nodiscard]] Result<void> validate() const;
};

/// How a run ended.
enum class Ending {
  kOk = 0,
  kNotRun = 1,     ///< the target cannot be reached, or nothing succeeded
  kThreshold = 3,  ///< a --fail-if condition held, or a search found no rate
  kInterrupted = 130,
};

/// Runs and reports: the live view on stderr, the report on stdout, files as asked. SIGINT and
/// SIGTERM end the run and what was measured is reported; a second one ends the process.
/// @errors kInvalidArgument: options; kUnavailable and others: the target, in one line
/// @threads from main's, before any other thread exists: it blocks signals for those to come
Result<Ending> run(const Options& options);

/// Reads reports, merges them and writes one, with `fail_if` checked, as the options ask.
/// @errors kInvalidArgument names the file
Result<Ending> merge_files(const std::vector<std::string>& files, const Options& output);

}  // namespace podsense::load
