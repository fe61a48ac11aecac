#pragma once

/// `podsense load`: what to send where, and what to do with the result. Fill a LoadOptions, call
/// `run_load`.

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "arrivals/arrivals.h"
#include "base/clock.h"
#include "base/error.h"
#include "load/reports/report.h"
#include "load/requests/expectation.h"
#include "text/csv.h"

namespace podsense::load {

/// One of several targets: each gets its share of the requests, by weight.
struct TargetOption {
  std::string name;
  std::string url;
  unsigned weight = 1;
};
/// NAME=URL or NAME:WEIGHT=URL. @errors kInvalidArgument
Result<TargetOption> parse_target_option(std::string_view text);

struct LoadOptions {
  // --- the target
  std::string url;  ///< may lack a path: then the kind of body says which; a template
  std::vector<TargetOption> targets;    ///< in place of `url`: two at least
  std::vector<std::string> connect_to;  ///< HOST1:PORT1:HOST2:PORT2, as curl has it
  std::string method;                   ///< empty: GET, or POST with a body
  std::vector<std::pair<std::string, std::string>> headers;
  std::string content_type;
  bool keep_alive = true;
  unsigned redirects = 0;  ///< followed at most, each request; on the same host only
  bool verify_tls = true;
  std::string ca_file;           ///< PEM; empty: the system's
  std::string certificate_file;  ///< PEM, shown to servers that ask for one; empty: none
  std::string key_file;          ///< PEM; empty: it is in `certificate_file`
  bool public_host_allowed = false;
  Duration wait_for_target{};  ///< so long is connecting tried again before the run
  bool http2 = false;          ///< HTTP/2, over TLS by ALPN, else with prior knowledge
  unsigned streams =
      0;  ///< HTTP/2, gRPC: requests on a connection at a time; 0: 100, closed loop 1

  // --- gRPC: podsense.v1 with the bodies below (texts are its messages as JSON), or `oip`
  bool grpc = false;  ///< also by the URL's scheme
  bool tls = false;
  std::string model;        ///< for messages that name none; empty: the server chooses
  bool oip = false;         ///< ModelInfer with random tensors of `model`'s shapes
  std::uint64_t batch = 1;  ///< `oip`: the first dimension where it is open

  // --- the body: at most one of these
  std::optional<std::string> body;           ///< as it is
  std::filesystem::path body_file;           ///< a template; "-": standard input
  std::optional<std::string> body_template;  ///< its text, where it was read already
  std::filesystem::path image;               ///< a file, or a folder of them
  std::string features;                      ///< numbers with commas, or a CSV file
  std::filesystem::path rows;                ///< CSV file for {{row}}, also in the URL
  bool multipart = false;                    ///< the image as a form's field
  text::HeaderLine csv_header = text::HeaderLine::kGuess;  ///< of --rows, --features and --trace

  // --- the load
  std::optional<double> rate;   ///< open loop at a constant rate
  std::string shape;            ///< open loop, see parse_shape
  std::filesystem::path trace;  ///< open loop, see parse_trace
  double trace_speed = 1;       ///< 2: twice as fast
  double trace_scale = 1;       ///< 2: twice as many, for counts
  bool keep_offset = false;     ///< a trace begins at 0, not at its first moment
  arrivals::ArrivalProcess arrivals = arrivals::ArrivalProcess::kEven;
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
  std::vector<AnswerExpectation> expect;  ///< of every answer with a 2xx status
  std::vector<LoadThreshold> fail_if;
  // "-" is standard output: then the text is not written there. One of them at most.
  std::filesystem::path json;
  std::filesystem::path csv;  ///< slices over time
  std::filesystem::path html;
  std::filesystem::path log;  ///< every request
  bool hey_rows = false;      ///< every answer to standard output, in hey's columns
  std::string prometheus;     ///< ADDRESS:PORT to scrape while it runs
  bool quiet = false;         ///< no live view
  std::string tool;           ///< name and version, for the report

  /// `url`, or those of `targets`.
  [[nodiscard]] std::vector<std::string> urls() const;
  /// Every fault at once.
  [[nodiscard]] Result<void> validate() const;
};

/// By a flag, or by the scheme of the first URL.
bool is_grpc(const LoadOptions& options);

/// How a run ended.
enum class RunEnding {
  kOk = 0,
  kNotRun = 1,     ///< the target cannot be reached, or nothing succeeded
  kThreshold = 3,  ///< a --fail-if condition held, or a search found no rate
  kInterrupted = 130,
};

/// Runs and reports: the live view on stderr, the report on stdout, files as asked. SIGINT and
/// SIGTERM end the run and what was measured is reported; a second one ends the process.
/// @errors kInvalidArgument: options; kUnavailable and others: the target, in one line
/// @threads from main's, before any other thread exists: it blocks signals for those to come
Result<RunEnding> run_load(const LoadOptions& options);

/// Runs and says nothing: for callers that report in their own words. The options' outputs are not
/// looked at.
/// @errors, @threads as `run_load`
Result<LoadReport> measure_load(const LoadOptions& options);

/// An answer of HTTP.
struct Document {
  int status = 0;
  std::string body;  ///< cut at 16 MiB
};
/// One GET over HTTP/2, with the options' headers, certificates and limits. Blocks.
/// @errors kInvalidArgument: options; kUnavailable: why there is no answer
Result<Document> get_over_http2(const LoadOptions& options, const std::string& address);

/// Reads reports, merges them and writes one, with `fail_if` checked, as the options ask.
/// @errors kInvalidArgument names the file
Result<RunEnding> merge_files(const std::vector<std::string>& files, const LoadOptions& output);

}  // namespace podsense::load
