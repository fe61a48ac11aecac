#include "http/status_api.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>

#include "base/log.h"
#include "http/assets.h"
#include "http/oip_documents.h"
#include "inference/model_facts.h"
#include "protocol/form.h"

namespace podsense::http {

using transport::error_response;
using transport::json_response;
using transport::Reply;
using transport::Request;
using transport::Response;
using transport::Router;
namespace {

using nlohmann::json;

/// External texts (file names, reasons) may contain any bytes: invalid UTF-8 is replaced.
Response reply_json(const json& body, int status = 200) {
  return json_response(body.dump(-1, ' ', false, json::error_handler_t::replace), status);
}

json model_json(const inference::ModelStatus& status) {
  json entry{{"name", status.name}, {"version", status.version}};
  if (!status.served) {
    entry["state"] = "failed";
    entry["reason"] = status.reason;
    return entry;
  }
  const inference::ModelFacts facts = inference::facts_of(*status.served);
  entry["task"] = facts.task;
  entry["state"] = "ready";
  entry["latest"] = status.latest;
  entry["plan"] = facts.plan;
  entry["inputs"] = tensor_list(facts.inputs);
  entry["outputs"] = tensor_list(facts.outputs);
  entry["labels"] = facts.labels;
  entry["file_bytes"] = facts.file_bytes;
  if (facts.features) {
    entry["features"] = *facts.features;
  }
  return entry;
}

json models_json(const inference::Catalog& catalog) {
  json list = json::array();
  for (const inference::ModelStatus& status : catalog.status()) {
    list.push_back(model_json(status));
  }
  return list;
}

json quantiles_json(const inference::Quantiles& quantiles) {
  return {{"p50", quantiles.p50 * 1e3},  // NaN is written as null
          {"p90", quantiles.p90 * 1e3},
          {"p99", quantiles.p99 * 1e3}};
}

json latency_ms(const metrics::LatencyBuckets& latency) {
  return quantiles_json(inference::quantiles_of(latency));
}

/// The same numbers for each of the last ticks.
json history_json(const inference::Stats& source, double now) {
  json list = json::array();
  for (const inference::Moment& past : source.history()) {
    list.push_back({{"time", now - to_seconds(past.age)},
                    {"rate", past.rate},
                    {"latency_ms", quantiles_json(past.latency)},
                    {"in_flight", past.running},
                    {"queue_depth", past.waiting},
                    {"saturation", past.saturation}});
  }
  return list;
}

/// The value of a query parameter; nothing if it is missing or the query is malformed.
std::optional<std::string> parameter(const Request& request, std::string_view name) {
  if (request.query.empty()) {
    return std::nullopt;
  }
  const auto query = protocol::parse_query(request.query);
  if (!query) {
    return std::nullopt;
  }
  const auto found = std::ranges::find(*query, name, &protocol::QueryParameter::name);
  return found == query->end() ? std::nullopt : std::optional(found->value);
}

/// With `?history=true` also the last two minutes, so that a newly opened page has a history.
Response stats(const inference::Stats& source, const Request& request) {
  const std::string wanted = parameter(request, "history").value_or("false");
  if (wanted != "true" && wanted != "false") {
    return error_response({.code = ErrorCode::kInvalidArgument,
                           .message = "/stats takes history=true, history=false, or nothing"},
                          request.id);
  }
  const inference::StatsReport report = source.report();
  json models = json::array();
  for (const inference::ModelReport& model : report.models) {
    models.push_back({{"name", model.name},
                      {"version", model.version},
                      {"requests_total", model.requests},
                      {"latency_ms", latency_ms(model.latency)},
                      {"service_ms", to_ms(model.queue.service)},
                      {"queue_depth", model.queue.waiting}});
  }
  const auto time = std::chrono::system_clock::now().time_since_epoch();
  const double now = std::chrono::duration<double>(time).count();
  json body{{"time", now},
            {"uptime_s", to_seconds(report.uptime)},
            {"requests_total", report.totals.requests},
            {"failed_total", report.totals.failed},
            {"rate", report.load.rate},
            {"latency_ms", latency_ms(report.load.latency)},
            {"in_flight", report.running},
            {"queue_depth", report.waiting},
            {"saturation", report.load.saturation},
            {"connections", report.totals.connections},
            {"cpu_cores_used", report.load.cpu_cores},
            {"cpu_cores", report.cpu_cores},
            {"models", std::move(models)}};
  if (report.process.resident_bytes) {
    body["rss_bytes"] = *report.process.resident_bytes;
  }
  if (wanted == "true") {
    body["history"] = history_json(source, now);
  }
  return reply_json(body);
}

bool is_ready(const StatusSources& sources) {
  return !sources.lifecycle.closed && !sources.lifecycle.unready && sources.catalog.ready();
}

Response health_document(const StatusSources& sources) {
  const bool ready = is_ready(sources);
  json problems = sources.catalog.problems();
  if (sources.lifecycle.draining) {
    problems.push_back("shutting down");
  }
  if (sources.lifecycle.unready) {
    problems.push_back("unready on purpose: a fault was set by the admin API");
  }
  if (sources.lifecycle.stuck) {
    problems.push_back("an executor is stuck: a run continues beyond limits.stuck_timeout");
  } else if (sources.catalog.situation().executors_lost) {
    problems.push_back(
        "more than half of the executors are stuck in runs that continue beyond their deadlines");
  }
  json warnings = sources.catalog.warnings();
  for (std::string& warning : sources.stats.warnings()) {
    warnings.push_back(std::move(warning));
  }
  json defaults = json::object();
  for (const auto& [task, name] : inference::default_models(sources.catalog)) {
    defaults[task] = name;
  }
  const char* status = ready ? (problems.empty() ? "ok" : "degraded") : "unavailable";
  const json body{{"status", status},
                  {"live", !sources.lifecycle.stuck},
                  {"ready", ready},
                  {"started", sources.catalog.started()},
                  {"draining", sources.lifecycle.draining.load()},
                  {"version", sources.build.version},
                  {"uptime_s", to_seconds(sources.stats.uptime())},
                  {"default_models", std::move(defaults)},
                  {"models", models_json(sources.catalog)},
                  {"problems", std::move(problems)},
                  {"warnings", std::move(warnings)}};
  return reply_json(body, ready ? 200 : 503);
}

/// Who calls a route: scripts of other origins (if CORS allows them); probes and scrapers.
struct Audience {
  bool scripts = false;
  bool machines = false;
  Readers readers = Readers::kAll;
};
constexpr Audience kMachines{.machines = true};
constexpr Audience kScriptsAndMachines{.scripts = true, .machines = true};

Response probe(const char* name, bool yes) {
  Response response = reply_json(json{{name, yes}}, yes ? 200 : 503);
  response.code = yes ? "OK" : error_name(ErrorCode::kUnavailable);
  return response;
}

/// With `?probe=…` the same as /livez, /readyz or /startupz, for platforms with one path for all
/// probes.
Response health(const StatusSources& sources, const Request& request) {
  const auto which = parameter(request, "probe");
  if (!which) {
    return health_document(sources);
  }
  if (which == "liveness") {
    return probe("live", !sources.lifecycle.stuck);
  }
  if (which == "readiness") {
    return probe("ready", is_ready(sources));
  }
  if (which == "startup") {
    return probe("started", sources.catalog.started());
  }
  return error_response(
      {.code = ErrorCode::kInvalidArgument,
       .message = "/health takes probe=liveness, probe=readiness, probe=startup, or nothing"},
      request.id);
}

/// /startupz. With `?wait` the answer comes when the first load has ended, so that a pod is ready
/// without waiting for the next probe. If too many requests wait, the answer comes at once.
void startup(const StatusSources& sources, const Request& request, Reply reply) {
  if (parameter(request, "wait") != "") {
    return reply(probe("started", sources.catalog.started()));
  }
  std::move_only_function<void()> tell = [&catalog = sources.catalog,
                                          reply = std::move(reply)]() mutable {
    reply(probe("started", catalog.started()));
  };
  if (!sources.catalog.when_started(tell)) {
    tell();
  }
}

/// Adds a GET route whose answer needs no waiting.
template <class Make>
void add_get(Router& router, std::string_view path, const Make& make, Audience audience) {
  router.add({.path = std::string(path),
              .get = [make](Request& request, Reply reply) { reply(make(request)); },
              .api = audience.scripts,
              .open = audience.readers == Readers::kAll,
              .quiet = audience.machines});
}

Response asset_response(const Asset& asset, const Request& request) {
  Response response{.content_type = asset.content_type};
  response.headers = {{"ETag", std::string(asset.etag)},
                      {"Cache-Control", "no-cache"},
                      {"Vary", "Accept-Encoding"},
                      {"X-Content-Type-Options", "nosniff"},
                      {"Referrer-Policy", "no-referrer"}};
  if (asset.content_type.starts_with("text/html")) {
    response.headers.emplace_back("Content-Security-Policy", std::string(kPagePolicy));
  }
  const std::string_view known = request.header("if-none-match");
  if (known == "*" || known.find(asset.etag) != std::string_view::npos) {
    response.status = 304;
    return response;
  }
  response.static_body = asset.body;
  if (!asset.gzip_body.empty() && transport::accepts_gzip(request.headers)) {
    response.static_body = asset.gzip_body;
    response.headers.emplace_back("Content-Encoding", "gzip");
  }
  return response;
}

using inference::FilesRead;

std::string_view outcome_name(FilesRead::Outcome outcome) {
  switch (outcome) {
    case FilesRead::Outcome::kRead:
      return "read";
    case FilesRead::Outcome::kRefused:
      return "refused";
    case FilesRead::Outcome::kUnchanged:
      break;
  }
  return "unchanged";
}

Response reload_response(const inference::ControlOutcome& outcome) {
  const inference::ReloadReport& report = outcome.models;
  json body{{"loaded", report.loaded}, {"retired", report.retired}, {"refused", report.refused}};
  bool all_taken = report.refused.empty();
  for (const FilesRead& read : outcome.files) {
    json& entry = body[std::string(read.files)];
    entry["result"] = outcome_name(read.outcome);
    if (read.outcome == FilesRead::Outcome::kRefused) {
      entry["reason"] = read.reason;
      all_taken = false;
    }
  }
  return reply_json(body, all_taken ? 200 : 409);
}

void reload(inference::Control& control, const Request& request, Reply reply) {
  control.submit({}, [id = request.id, reply = std::move(reply)](const auto& outcome) mutable {
    reply(outcome ? reload_response(*outcome) : error_response(outcome.error(), id));
  });
}

/// `{"level":"debug"}`
Result<log::Level> wanted_level(const std::string& body) {
  const json parsed = json::parse(body, nullptr, false);
  const auto found = parsed.is_object() ? parsed.find("level") : parsed.end();
  if (!parsed.is_object() || parsed.size() != 1 || found == parsed.end() || !found->is_string()) {
    return fail(ErrorCode::kInvalidArgument,
                R"(send {"level":"info"}; levels: trace, debug, info, warning, error, off)");
  }
  return log::parse_level(found->get<std::string>());
}

void add_log_level_route(Router& router) {
  const auto answer = [] { return reply_json(json{{"level", log::level_name(log::level())}}); };
  router.add({.path = "/v1/log-level",
              .get = [answer](Request&, Reply reply) { reply(answer()); },
              .post =
                  [answer](Request& request, Reply reply) {
                    const auto level = wanted_level(request.body);
                    if (!level) {
                      return reply(error_response(level.error(), request.id));
                    }
                    const auto before = log::level_name(log::level());
                    // Logged at the more verbose of the two levels, so that the change itself is
                    // visible.
                    log::set_level(std::min(log::level(), *level));
                    log::info("log_level_changed",
                              {{"from", before}, {"to", log::level_name(*level)}});
                    log::set_level(*level);
                    reply(answer());
                  },
              .max_body = 1024,
              .control = true});
}

}  // namespace

void add_status_routes(Router& router, StatusSources sources, Readers readers) {
  add_get(
      router, "/health", [sources](const Request& request) { return health(sources, request); },
      kScriptsAndMachines);
  add_get(
      router, "/livez",
      [sources](const Request&) { return probe("live", !sources.lifecycle.stuck); }, kMachines);
  add_get(
      router, "/readyz", [sources](const Request&) { return probe("ready", is_ready(sources)); },
      kMachines);
  router.add({.path = "/startupz",
              .get = [sources](Request& request,
                               Reply reply) { startup(sources, request, std::move(reply)); },
              .open = true,
              .quiet = true});
  add_get(router, "/stats",
          [sources](const Request& request) { return stats(sources.stats, request); },
          {.scripts = true, .machines = true, .readers = readers});
  add_get(router, "/version",
          [sources](const Request&) {
            return reply_json(json{{"name", "podsense"},
                                   {"version", sources.build.version},
                                   {"commit", sources.build.commit},
                                   {"compiler", sources.build.compiler},
                                   {"onnxruntime", sources.build.onnxruntime}});
          },
          {.scripts = true, .readers = readers});
}

void add_metrics_route(Router& router, metrics::Registry& registry) {
  add_get(
      router, "/metrics",
      [&registry](const Request& request) {
        const auto form = metrics::preferred_exposition(request.header("accept"));
        return Response{.content_type = metrics::content_type(form), .body = registry.expose(form)};
      },
      kMachines);
}

void add_models_route(Router& router, const StatusSources& sources, Readers readers) {
  add_get(router, "/v1/models",
          [sources](const Request&) {
            return reply_json(json{{"models", models_json(sources.catalog)}});
          },
          {.scripts = true, .readers = readers});
}

void add_admin_routes(Router& router, const StatusSources& sources, inference::Control* control) {
  add_models_route(router, sources, Readers::kAll);
  add_log_level_route(router);
  if (control != nullptr) {
    router.add({.path = "/v1/reload",
                .post = [control](Request& request,
                                  Reply reply) { reload(*control, request, std::move(reply)); },
                .max_body = 1024,
                .body_required = false,
                .control = true});
  }
}

void add_page_routes(Router& router) {
  for (const Asset& asset : assets()) {
    add_get(router, asset.path,
            [&asset](const Request& request) { return asset_response(asset, request); }, {});
  }
}

}  // namespace podsense::http
