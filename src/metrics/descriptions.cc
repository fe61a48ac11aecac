#include "metrics/descriptions.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <string>

namespace podsense::metrics {
namespace {

using enum Kind;

constexpr std::array kDescriptions{
    // Requests and their latency.
    Description{"podsense_requests_total", kCounter, "model version protocol code",
                "Requests by outcome; without a model: never reached one"},
    Description{"podsense_request_seconds", kHistogram, "model version",
                "Successful requests, first byte to answer ready"},
    Description{"podsense_slow_requests_total", kCounter, "model version outcome",
                "Requests that took longer than the latency objective: answered, abandoned (the "
                "client gave up), expired (the deadline passed)"},
    Description{"podsense_latency_objective_seconds", kGauge, "",
                "The latency objective: what a request may take"},
    Description{"podsense_models_beyond_objective", kGauge, "",
                "Model versions of which a single run takes the latency objective or more: no "
                "number of pods meets it"},
    Description{"podsense_refused_total", kCounter, "model version reason",
                "Requests refused at arrival: queue_time (the queue cannot meet the deadline), "
                "queue_length, wait_bound (longer than clients wait, or than limits.max_wait), "
                "deadline (already past), cost (asks for more than fits)"},
    Description{"podsense_dropped_total", kCounter, "model version reason",
                "Queued requests that were not run: deadline (passed, or could not be met any "
                "more), wait_bound (waited longer than clients do), client_gone"},
    Description{"podsense_unreceived_answers_total", kCounter, "model version",
                "Answers that nobody received: the client left during the run"},
    // Phases of a request.
    Description{"podsense_queue_seconds", kHistogram, "model version",
                "Time a request waited for an executor"},
    Description{"podsense_preprocess_seconds", kHistogram, "model version",
                "Image bytes to tensor"},
    Description{"podsense_compute_seconds", kHistogram, "model version",
                "One run of the model, whatever its batch"},
    Description{"podsense_batch_size", kHistogram, "model version", "Rows in one run"},
    Description{"podsense_fetch_seconds", kHistogram, "outcome", "Transfers from URLs by outcome"},
    // Load and saturation.
    Description{"podsense_saturation", kGauge, "",
                "Demand over what this pod can do within the latency objective; 1: the objective "
                "starts to break"},
    Description{"podsense_queue_depth", kGauge, "model version",
                "Requests that wait for an executor"},
    Description{"podsense_requests_waiting", kGauge, "",
                "The same, of all models together: for who compares pods"},
    Description{"podsense_wait_bound_seconds", kGauge, "model version",
                "The longest wait that a new request may expect before it is refused; 0: no bound "
                "but its deadline"},
    Description{"podsense_in_flight", kGauge, "model version", "Requests inside runs"},
    Description{"podsense_requests_running", kGauge, "",
                "The same, of all models together: for who compares pods"},
    Description{"podsense_service_seconds", kGauge, "model version",
                "Estimated executor time per request"},
    Description{"podsense_requests_in_flight", kGauge, "",
                "Requests being read, worked on or answered"},
    Description{"podsense_connections", kGauge, "", "Open client connections"},
    Description{"podsense_connections_refused_total", kCounter, "reason",
                "Connections not served: descriptors, limit, memory, per_address"},
    Description{"podsense_http2_connections_calmed_total", kCounter, "reason",
                "HTTP/2 connections that were ended with ENHANCE_YOUR_CALM: flood (more frames "
                "than requests need), headers (far over limits.max_header_bytes), "
                "too_many_pings"},
    Description{"podsense_tls_handshakes_failed_total", kCounter, "reason",
                "TLS handshakes on the HTTP port that failed: plain_http (not TLS at all), "
                "client_certificate (none, or not from tls.client_ca), closed (by the client), "
                "timeout, protocol (anything else)"},
    Description{"podsense_tls_certificate_expiry_timestamp_seconds", kGauge, "",
                "When the certificate that is in force expires, Unix time; absent without TLS"},
    Description{"podsense_tls_certificate_reloads_total", kCounter, "result",
                "Changed certificate files taken (ok) or refused (failed); absent without TLS"},
    Description{"podsense_executors", kGauge, "", "Threads that decode images and run models"},
    Description{"podsense_stuck_executors", kGauge, "",
                "Runs that go on although the deadlines of all their requests have passed; another "
                "executor has taken the place of each, while there may be one"},
    Description{"podsense_cancelled_runs_total", kCounter, "model version",
                "Runs cancelled because nobody waited for them any more: the deadlines of all "
                "their requests had passed, or all their clients had left"},
    Description{
        "podsense_memory_budget_bytes", kGauge, "use",
        "Memory that requests hold, counted before it is allocated: connections, bodies, "
        "fetches, decoding, tensors (of runs), answers (as JSON); limit: all of them together"},
    Description{
        "podsense_memory_refused_total", kCounter, "use",
        "Requests for memory that was not there: connections, bodies, fetches, decoding, tensors, "
        "answers"},
    // Models and lifecycle.
    Description{"podsense_model_info", kGauge, "model version task plan",
                "Model versions that are loaded; always 1"},
    Description{"podsense_profile_seconds", kGauge, "model version rows threads profile",
                "Time of one run by its rows and the threads it has, measured when the version was "
                "loaded, or saved by an earlier start on the same machine"},
    Description{"podsense_requests_share_runs", kGauge, "model version",
                "1 while requests may share a run of the model, 0 while each runs alone"},
    Description{
        "podsense_stacking_ended_total", kCounter, "model version",
        "Model versions whose requests no longer share runs, because an answer could not be "
        "divided among them"},
    Description{"podsense_model_reloads_total", kCounter, "result",
                "Model versions loaded (ok) or refused (failed) since start"},
    Description{"podsense_ready", kGauge, "", "1 while readyz says yes"},
    Description{"podsense_build_info", kGauge, "version commit onnxruntime",
                "What this binary is; always 1"},
    // Limits and usage of the container.
    Description{"podsense_cpu_cores", kGauge, "",
                "CPU cores this process may use, by quota or affinity"},
    Description{"podsense_cpu_throttled_seconds_total", kCounter, "",
                "Time the cgroup's CPU quota held threads back"},
    Description{"podsense_cpu_throttled_periods_total", kCounter, "",
                "Enforcement periods in which the cgroup's CPU quota held threads back"},
    Description{"podsense_memory_working_set_bytes", kGauge, "",
                "The container's working set, as the kubelet counts it"},
    Description{"podsense_memory_limit_bytes", kGauge, "",
                "The container's memory limit; absent without one"},
    Description{"process_cpu_seconds_total", kCounter, "", "User and system CPU time"},
    Description{"process_resident_memory_bytes", kGauge, "", "Resident memory"},
    Description{"process_open_fds", kGauge, "", "Open file descriptors"},
    Description{"process_max_fds", kGauge, "", "Most file descriptors that may be open"},
    Description{"process_start_time_seconds", kGauge, "", "When the process began, Unix time"},
    Description{"podsense_log_dropped_total", kCounter, "",
                "Log lines that were dropped since nobody read them"},
    Description{"podsense_spans_total", kCounter, "result",
                "Spans of traces: exported, dropped (the queue was full), failed (not taken by the "
                "collector); absent where tracing is off"},
    Description{"podsense_trace_export_retries_total", kCounter, "",
                "Exports of traces that were tried again; absent where tracing is off"},
};

std::string_view kind_name(Kind kind) {
  return kind == kCounter ? "counter" : kind == kGauge ? "gauge" : "histogram";
}

}  // namespace

std::span<const Description> descriptions() {
  return kDescriptions;
}

const Description& description(std::string_view name) {
  const auto* found = std::ranges::find(kDescriptions, name, &Description::name);
  if (found == kDescriptions.end()) {
    // A bug: write the metric's name directly, as the log may not be written any more.
    const std::string line =
        "podsense: the metric '" + std::string(name) +
        "' has no description: add it to the table in metrics/descriptions.cc\n";
    std::fputs(line.c_str(), stderr);
    std::abort();
  }
  return *found;
}

std::string reference_markdown() {
  std::string page =
      "# Metrics\n\n"
      "<!-- Made by `podsense metrics-reference`; do not edit. -->\n\n"
      "`GET /metrics` on the admin port (8000), and on the HTTP port with `--metrics-on-http`: "
      "Prometheus text\n"
      "format, or OpenMetrics with exemplars (trace ids) when the scraper's `Accept` asks for it.\n"
      "Times are in seconds and sizes in bytes. `code` is `OK` or the `code` of an error answer.\n"
      "A model's name and version become labels once it is loaded: what clients send never does.\n"
      "\n| metric | type | labels | meaning |\n|---|---|---|---|\n";
  for (const Description& row : kDescriptions) {
    page.append("| `").append(row.name).append("` | ").append(kind_name(row.kind)).append(" | ");
    for (std::size_t at = 0; at < row.labels.size();) {
      const std::size_t end = std::min(row.labels.find(' ', at), row.labels.size());
      page.append(at == 0 ? "`" : ", `").append(row.labels.substr(at, end - at)).append("`");
      at = end + 1;
    }
    page.append(row.labels.empty() ? "| " : " | ").append(row.help).append(" |\n");
  }
  return page;
}

}  // namespace podsense::metrics
