#pragma once

/// Traces of requests: W3C context in, OTLP out. Off unless an endpoint is set.
///
///   auto trace = tracer.begin(header, now);          // null when tracing is off
///   trace->add("queue", enqueued, started);          // any thread, one after another
///   tracer.end(std::move(trace), {.name = …}, now);  // exported when sampled, or when it failed
///
/// Sampling is parent-based: the caller decides. Without the caller's decision a ratio of the
/// traces is sampled by trace id, so that all services with the same ratio sample the same traces.
/// Failed requests are always exported, unless the sampler is kAlwaysOff. If the collector is
/// temporarily unavailable (429, 502, 503, 504, no connection), the export is retried with growing
/// pauses. Exporting never delays a request: spans that do not fit into the queue are dropped and
/// counted.
/// @source W3C Trace Context; OpenTelemetry specification, trace/sdk (TraceIdRatioBased),
/// protocol/otlp (OTLP/HTTP: failures, retries), protocol/exporter

#include <array>
#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/error.h"

namespace podsense::trace {

/// The `traceparent` header.
struct Context {
  std::array<std::uint64_t, 2> trace_id{};
  std::uint64_t span_id = 0;
  bool sampled = false;

  [[nodiscard]] std::string traceparent() const;
  [[nodiscard]] std::string trace_id_text() const;  ///< 32 hexadecimal digits
};

/// False if the header is missing or malformed; `out` is then unchanged.
bool parse_traceparent(std::string_view header, Context& out);

/// The `traceparent` of a new child span of `parent`, in the same trace. Empty if `parent` is
/// invalid.
std::string child_traceparent(std::string_view parent);

/// The trace id of a sampled `traceparent` that this server made; empty otherwise.
std::string_view sampled_trace_id(std::string_view traceparent);

struct Span {
  std::string_view name;  ///< a constant
  TimePoint begin;
  TimePoint end;
};

/// The attributes of a request's span.
struct Outcome {
  std::string_view method;
  std::string_view path;
  std::string_view request_id;
  int status = 200;       ///< of HTTP
  std::string_view code;  ///< OK or error_name
  bool failed = false;    ///< by the server's fault
};

/// One request under way. @threads one after another, with a happens-before between them
class Request {
 public:
  Request(const Context& own, std::uint64_t parent_span, TimePoint begin)
      : own_(own), parent_span_(parent_span), begin_(begin) {}

  [[nodiscard]] const Context& context() const { return own_; }
  /// Adds a span for a part of the request. More than kMaxSpans are ignored.
  void add(std::string_view name, TimePoint begin, TimePoint end);
  /// Sets the model version of the request, once known.
  void set_model(std::string_view name, std::string_view version);

 private:
  friend class Tracer;
  friend struct Encoder;
  static constexpr std::size_t kMaxSpans = 32;

  const Context own_;
  const std::uint64_t parent_span_;  ///< 0: none
  const TimePoint begin_;
  TimePoint end_{};
  std::int64_t unix_offset_ns_ = 0;  ///< Unix time minus TimePoint
  std::vector<Span> spans_;
  std::string name_;
  std::string method_, path_, request_id_, code_;
  std::string model_, version_;  ///< empty: none was reached
  int status_ = 0;
  bool failed_ = false;
};

/// OpenTelemetry's samplers. Parent-based ones follow the caller's decision if there is one.
enum class Sampler {
  kAlwaysOn,
  kAlwaysOff,
  kRatio,
  kParentAlwaysOn,
  kParentAlwaysOff,
  kParentRatio
};

using Pairs = std::map<std::string, std::string>;

struct Options {
  std::string endpoint;         ///< "http://collector:4318"; spans go to /v1/traces below it
  std::string traces_endpoint;  ///< complete URL for spans, instead of `endpoint`
  Pairs headers{};              ///< of each export, such as credentials: never printed
  std::string ca_file{};        ///< PEM, trusted authorities; empty: the system's
  std::string certificate{};    ///< PEM, client certificate; empty: none
  std::string key{};            ///< its private key
  Sampler sampler = Sampler::kParentRatio;
  double ratio = 0.01;  ///< 0 to 1, of traces without a caller's decision
  std::string service_name = "podsense";
  std::string service_version;
  std::string instance;  ///< the pod's name; empty: left out
  Pairs attributes{};    ///< further resource attributes; the three members above have priority
  std::size_t max_waiting = 2048;
  Duration interval = std::chrono::seconds(1);  ///< between exports
  Duration timeout = std::chrono::seconds(10);  ///< of one export
  /// before the second attempt; then doubled each time
  Duration first_pause = std::chrono::seconds(1);
  Duration longest_pause = std::chrono::seconds(30);
  Duration patience = std::chrono::minutes(5);            ///< from the first attempt to the last
  Duration last_chance = std::chrono::milliseconds(500);  ///< time to export the rest at shutdown
};

/// Spans, since start.
struct Counts {
  std::uint64_t exported = 0;
  std::uint64_t dropped = 0;  ///< the queue was full, or the process ended before
  std::uint64_t failed = 0;   ///< refused, or the collector was unreachable for too long
  std::uint64_t retries = 0;  ///< exports, not spans
};

/// @threads thread-safe
class Tracer {
 public:
  /// @errors kInvalidArgument: the endpoint is not an http or https URL; kUnavailable: the system
  /// cannot start a thread
  static Result<std::unique_ptr<Tracer>> create(Options options);
  /// Exports waiting spans; takes at most `last_chance`, even if the collector does not respond.
  ~Tracer();
  Tracer(const Tracer&) = delete;
  Tracer& operator=(const Tracer&) = delete;

  [[nodiscard]] std::shared_ptr<Request> begin(std::string_view traceparent, TimePoint now) const;
  void end(const std::shared_ptr<Request>& request, const Outcome& outcome, TimePoint now);
  [[nodiscard]] Counts counts() const;

 private:
  class Exporter;
  explicit Tracer(Options options);

  const Options options_;
  std::unique_ptr<Exporter> exporter_;
};

}  // namespace podsense::trace
