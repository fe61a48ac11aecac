#include <cmath>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <utility>

#include "load/reports/report.h"
#include "quantiles/histogram_json.h"

namespace podsense::load {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view kFormat = "podsense.load/2";

Json summary(const quantiles::DurationHistogram& histogram) {
  Json json{{"count", histogram.count()}};
  if (histogram.count() == 0) {
    return json;
  }
  json["min"] = to_seconds(histogram.min());
  json["mean"] = to_seconds(histogram.mean());
  json["stddev"] = to_seconds(histogram.stddev());
  json["max"] = to_seconds(histogram.max());
  for (const double q : reported_quantiles(histogram)) {
    json["percentiles"][percent_name(q)] = to_seconds(histogram.quantile(q));
    const auto between = histogram.confidence(q);
    json["confidence_95"][percent_name(q)] = {
        to_seconds(between.low), between.high ? Json(to_seconds(*between.high)) : Json(nullptr)};
  }
  return json;
}

/// Percentiles of answered and failed requests together, and which of them are lower bounds.
Json of_all(const Results& results) {
  Json json{{"count", results.latency.count() + results.failed.count()},
            {"percentiles", Json::object()},
            {"at_least", Json::array()}};
  if (results.latency.count() + results.failed.count() == 0) {
    return json;
  }
  for (const double q : reported_quantiles(results.latency)) {
    const OfAll figure = quantile_of_all(results.latency, results.failed, q);
    json["percentiles"][percent_name(q)] = to_seconds(figure.value);
    if (figure.at_least) {
      json["at_least"].push_back(percent_name(q));
    }
  }
  return json;
}

/// What stands there, if it is a whole number that `T` can hold: the library would convert any
/// number, and one beyond `T` is undefined behaviour.
template <class T>
T whole(const Json& json) {
  if (json.is_number_unsigned() && std::in_range<T>(json.get<std::uint64_t>())) {
    return static_cast<T>(json.get<std::uint64_t>());
  }
  if (json.is_number_integer() && !json.is_number_unsigned() &&
      std::in_range<T>(json.get<std::int64_t>())) {
    return static_cast<T>(json.get<std::int64_t>());
  }
  throw std::invalid_argument(json.dump().substr(0, 40) + " where a whole number belongs");
}

double seconds(const Json& json) {
  constexpr double kMost = 1e9;  // some thirty years; 2^63 ns are nine times that
  if (!json.is_number() || std::abs(json.get<double>()) > kMost) {
    throw std::invalid_argument(json.dump().substr(0, 40) + " where seconds belong");
  }
  return json.get<double>();
}

quantiles::DurationHistogram histogram_from(
    const Json& json,
    quantiles::DurationHistogram::Layout layout = quantiles::DurationHistogram::kFine) {
  std::vector<quantiles::DurationHistogram::Bucket> buckets;
  for (const Json& one : json.at("buckets")) {
    buckets.emplace_back(whole<std::uint32_t>(one.at(0)), whole<std::uint64_t>(one.at(1)));
  }
  if (whole<int>(json.at("unit_bits")) != layout.unit_bits ||
      whole<int>(json.at("sub_bits")) != layout.sub_bits) {
    throw std::invalid_argument("a histogram of another layout");
  }
  auto histogram = quantiles::DurationHistogram::restore(
      layout, buckets,
      {.min = Duration(whole<Duration::rep>(json.at("min_ns"))),
       .max = Duration(whole<Duration::rep>(json.at("max_ns"))),
       .sum_ns = whole<std::uint64_t>(json.at("sum_ns"))});
  if (!histogram) {
    throw std::invalid_argument(histogram.error().message);
  }
  return std::move(*histogram);
}

Json plan_json(const Circumstances& how) {
  return {{"mode", how.open_loop ? "open" : "closed"},
          {"shape", how.shape},
          {"arrivals", how.arrivals},
          {"seconds", how.seconds},
          {"warm_up_seconds", how.warm_up_seconds},
          {"cool_down_seconds", how.cool_down_seconds},
          {"requests", how.requests},
          {"connections", how.connections},
          {"max_connections", how.max_connections},
          {"threads", how.threads},
          {"generators", how.generators},
          {"timeout_seconds", how.timeout_seconds},
          {"keep_alive", how.keep_alive},
          {"seed", how.seed}};
}

Json counts_json(const RequestCounts& counts) {
  return {
      {"planned", counts.planned},       {"sent", counts.sent},       {"ok", counts.ok},
      {"failed", counts.failed},         {"dropped", counts.dropped}, {"canceled", counts.canceled},
      {"outside_window", counts.outside}};
}

Json timeline_json(const Results& results) {
  Json slices = Json::array();
  for (std::size_t i = 0; i < results.slices.size(); ++i) {
    const LoadSlice& slice = results.slices[i];
    Json one{{"start", to_seconds(results.slice_width) * static_cast<double>(i)},
             {"offered", slice.offered},
             {"sent", slice.sent},
             {"done", slice.done},
             {"failed", slice.failed},
             {"dropped", slice.dropped},
             {"worst_send_lag", to_seconds(slice.worst_lag)}};
    if (slice.latency.count() > 0) {
      one["p50"] = to_seconds(slice.latency.quantile(0.5));
      one["p90"] = to_seconds(slice.latency.quantile(0.9));
      one["p99"] = to_seconds(slice.latency.quantile(0.99));
      one["max"] = to_seconds(slice.latency.max());
    }
    one["latency"] = quantiles::histogram_json(slice.latency);
    slices.push_back(std::move(one));
  }
  return {{"slice_seconds", to_seconds(results.slice_width)}, {"slices", std::move(slices)}};
}

Json search_json(const Search& search) {
  Json steps = Json::array();
  for (const SearchStep& step : search.steps) {
    steps.push_back({{"rate", step.rate},
                     {"achieved", step.achieved},
                     {"stable", step.stable},
                     {"met", step.met},
                     {"windows", step.windows},
                     {"p50", to_seconds(step.p50)},
                     {"p99", to_seconds(step.p99)},
                     {"p99_at_least", step.p99_at_least},
                     {"errors", step.errors},
                     {"reason", step.reason},
                     {"generator_limit", step.generator_limit}});
  }
  return {{"objective", search.objective},     {"max_qps", search.best},
          {"not_held_qps", search.not_held},   {"limited", search.limited},
          {"out_of_time", search.out_of_time}, {"steps", std::move(steps)}};
}

Json generator_json(const LoadReport& report) {
  Json limits = Json::array();
  for (const GeneratorLimit& limit : generator_limits(report)) {
    limits.push_back({{"name", limit.name}, {"text", limit.text}});
  }
  const GeneratorUse& use = report.results.generator;
  return {{"cpu_busy", use.busy},
          {"cpu_waited", use.waited},
          {"throttled_seconds", to_seconds(use.throttled)},
          {"limits", std::move(limits)}};
}

void add_answers(const Results& results, Json& json) {
  json["status"] = Json::object();
  for (const auto& [code, status] : results.status) {
    json["status"][status_name(code)] = {{"count", status.count},
                                         {"latency", summary(status.latency)}};
  }
  json["errors"] = Json::object();
  for (std::size_t i = 1; i < kErrorKinds; ++i) {
    if (results.errors[i] > 0) {
      json["errors"][std::string(error_kind_name(static_cast<ErrorKind>(i)))] = results.errors[i];
    }
  }
  json["samples"] = results.samples;
  if (results.samples.empty()) {
    json["samples"] = Json::object();
  }
}

void add_histograms(const Results& results, Json& json) {
  Json status = Json::object();
  for (const auto& [code, one] : results.status) {
    status[status_name(code)] = quantiles::histogram_json(one.latency);
  }
  json["histograms"] = {{"latency", quantiles::histogram_json(results.latency)},
                        {"service", quantiles::histogram_json(results.service)},
                        {"first_byte", quantiles::histogram_json(results.first_byte)},
                        {"connect", quantiles::histogram_json(results.connect)},
                        {"send_lag", quantiles::histogram_json(results.send_lag)},
                        {"failed", quantiles::histogram_json(results.failed)},
                        {"failed_service", quantiles::histogram_json(results.failed_service)},
                        {"status", std::move(status)}};
}

Circumstances circumstances_from(const Json& json) {
  const Json& plan = json.at("plan");
  Circumstances how{.tool = json.at("tool").get<std::string>(),
                    .url = json.at("target").at("url").get<std::string>(),
                    .method = json.at("target").at("method").get<std::string>(),
                    .protocol = json.at("target").at("protocol").get<std::string>(),
                    .open_loop = plan.at("mode").get<std::string>() == "open",
                    .shape = plan.at("shape").get<std::string>(),
                    .arrivals = plan.at("arrivals").get<std::string>(),
                    .seconds = seconds(plan.at("seconds")),
                    .warm_up_seconds = seconds(plan.at("warm_up_seconds")),
                    .cool_down_seconds = seconds(plan.at("cool_down_seconds")),
                    .requests = whole<std::uint64_t>(plan.at("requests")),
                    .connections = whole<unsigned>(plan.at("connections")),
                    .max_connections = whole<unsigned>(plan.at("max_connections")),
                    .threads = whole<unsigned>(plan.at("threads")),
                    .generators = whole<unsigned>(plan.at("generators")),
                    .timeout_seconds = seconds(plan.at("timeout_seconds")),
                    .seed = whole<std::uint64_t>(plan.at("seed")),
                    .keep_alive = plan.at("keep_alive").get<bool>(),
                    .started_at = json.at("started_at").get<std::string>()};
  if (json.contains("targets")) {
    for (const Json& target : json.at("targets")) {
      how.targets.push_back({.name = target.at("name").get<std::string>(),
                             .url = target.at("url").get<std::string>(),
                             .weight = whole<unsigned>(target.at("weight"))});
    }
  }
  return how;
}

Duration seconds_from(const Json& json) {
  return Duration(std::llround(seconds(json) * 1e9));
}

std::vector<LoadSlice> slices_from(const Json& json) {
  std::vector<LoadSlice> slices;
  for (const Json& one : json) {
    slices.push_back(
        {.offered = whole<std::uint64_t>(one.at("offered")),
         .sent = whole<std::uint64_t>(one.at("sent")),
         .failed = whole<std::uint64_t>(one.at("failed")),
         .dropped = whole<std::uint64_t>(one.at("dropped")),
         .done = whole<std::uint64_t>(one.at("done")),
         .latency = histogram_from(one.at("latency"), quantiles::DurationHistogram::kCoarse),
         .worst_lag = seconds_from(one.at("worst_send_lag"))});
  }
  return slices;
}

Results results_from(const Json& json) {
  const Json& requests = json.at("requests");
  const Json& raws = json.at("histograms");
  Results results{.counts = {.planned = whole<std::uint64_t>(requests.at("planned")),
                             .sent = whole<std::uint64_t>(requests.at("sent")),
                             .ok = whole<std::uint64_t>(requests.at("ok")),
                             .failed = whole<std::uint64_t>(requests.at("failed")),
                             .dropped = whole<std::uint64_t>(requests.at("dropped")),
                             .canceled = whole<std::uint64_t>(requests.at("canceled")),
                             .outside = whole<std::uint64_t>(requests.at("outside_window")),
                             .connections = whole<std::uint64_t>(json.at("connections_opened")),
                             .bytes_out = whole<std::uint64_t>(json.at("bytes_sent")),
                             .bytes_in = whole<std::uint64_t>(json.at("bytes_received"))},
                  .latency = histogram_from(raws.at("latency")),
                  .service = histogram_from(raws.at("service")),
                  .first_byte = histogram_from(raws.at("first_byte")),
                  .connect = histogram_from(raws.at("connect")),
                  .send_lag = histogram_from(raws.at("send_lag")),
                  .failed = histogram_from(raws.at("failed")),
                  .failed_service = histogram_from(raws.at("failed_service")),
                  .measured = seconds_from(json.at("measured_seconds")),
                  .last_answer = seconds_from(json.at("last_answer_seconds"))};
  for (const auto& [code, one] : json.at("status").items()) {
    const auto status = parse_status(code);
    if (!status) {
      throw std::invalid_argument("'" + code + "' is no status");
    }
    results.status[*status] = {.count = whole<std::uint64_t>(one.at("count")),
                               .latency = histogram_from(raws.at("status").at(code))};
  }
  const Json& errors = json.at("errors");
  for (std::size_t i = 1; i < kErrorKinds; ++i) {
    const std::string name(error_kind_name(static_cast<ErrorKind>(i)));
    if (const auto found = errors.find(name); found != errors.end()) {
      results.errors[i] = whole<std::uint64_t>(*found);
    }
  }
  results.samples = json.at("samples").get<std::map<std::string, std::string>>();
  return results;
}

/// The figures of all targets, or of one.
void add_results(const Results& results, Json& json) {
  json.update(
      {{"measured_seconds", to_seconds(results.measured)},
       {"last_answer_seconds", to_seconds(results.last_answer)},
       {"requests", counts_json(results.counts)},
       {"error_share", error_share(results.counts)},
       {"rates", {{"offered", offered_rate(results)}, {"achieved", achieved_rate(results)}}},
       {"latency", summary(results.latency)},
       {"service_latency", summary(results.service)},
       {"first_byte", summary(results.first_byte)},
       {"connect", summary(results.connect)},
       {"send_lag", summary(results.send_lag)},
       {"failed_latency", summary(results.failed)},
       {"latency_of_all", of_all(results)},
       {"connections_opened", results.counts.connections},
       {"bytes_sent", results.counts.bytes_out},
       {"bytes_received", results.counts.bytes_in}});
  add_answers(results, json);
}

}  // namespace

std::string json_report(const LoadReport& report) {
  const Results& results = report.results;
  const Circumstances& how = report.circumstances;
  Json json{{"format", kFormat},
            {"tool", how.tool},
            {"target", {{"url", how.url}, {"method", how.method}, {"protocol", how.protocol}}},
            {"plan", plan_json(how)},
            {"started_at", how.started_at},
            {"interrupted", report.interrupted},
            {"rate_applied", report.rate_applied()}};
  add_results(results, json);
  json["generator"] = generator_json(report);
  json["thresholds"] = Json::array();
  for (const auto& [threshold, verdict] : report.thresholds) {
    json["thresholds"].push_back({{"expression", threshold.text()},
                                  {"value", verdict.value},
                                  {"measured", verdict.measured},
                                  {"failed", verdict.holds}});
  }
  if (report.search) {
    json["search"] = search_json(*report.search);
  }
  for (std::size_t i = 0; i < report.target_results.size(); ++i) {
    Json one{{"name", how.targets[i].name},
             {"url", how.targets[i].url},
             {"weight", how.targets[i].weight}};
    add_results(report.target_results[i], one);
    add_histograms(report.target_results[i], one);
    json["targets"].push_back(std::move(one));
  }
  json["timeline"] = timeline_json(results);
  add_histograms(results, json);
  return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

namespace {

/// What is only in the figures of all targets.
void add_whole_run(const Json& json, Results& results) {
  const Json& generator = json.at("generator");
  results.slices = slices_from(json.at("timeline").at("slices"));
  results.slice_width = seconds_from(json.at("timeline").at("slice_seconds"));
  results.generator = {.busy = seconds(generator.at("cpu_busy")),
                       .waited = seconds(generator.at("cpu_waited")),
                       .throttled = seconds_from(generator.at("throttled_seconds"))};
}

}  // namespace

Result<LoadReport> read_load_report(std::string_view text) {
  try {
    const Json json = Json::parse(text);
    if (!json.is_object() || json.value("format", "") != kFormat) {
      return fail(ErrorCode::kInvalidArgument,
                  "not a report of `podsense load --json` (no \"format\": \"" +
                      std::string(kFormat) + "\")");
    }
    LoadReport report{.circumstances = circumstances_from(json),
                      .results = results_from(json),
                      .target_results = {},
                      .interrupted = json.at("interrupted").get<bool>()};
    add_whole_run(json, report.results);
    for (std::size_t i = 0; i < report.circumstances.targets.size(); ++i) {
      report.target_results.push_back(results_from(json.at("targets").at(i)));
    }
    return report;
  } catch (const std::exception& error) {
    return fail(ErrorCode::kInvalidArgument,
                std::string("not a report of `podsense load --json`: ") + error.what());
  }
}

}  // namespace podsense::load
