#include <cmath>
#include <nlohmann/json.hpp>

#include "load/report.h"

namespace podsense::load {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view kFormat = "podsense.load/1";

Json summary(const Histogram& histogram) {
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
    json["confidence_95"][percent_name(q)] = {to_seconds(between.low), to_seconds(between.high)};
  }
  return json;
}

Json raw(const Histogram& histogram) {
  Json buckets = Json::array();
  for (const auto& [bucket, count] : histogram.buckets()) {
    buckets.push_back({bucket, count});
  }
  return {{"unit_bits", histogram.layout().unit_bits},
          {"sub_bits", histogram.layout().sub_bits},
          {"min_ns", histogram.min().count()},
          {"max_ns", histogram.max().count()},
          {"sum_ns", histogram.sum_ns()},
          {"buckets", std::move(buckets)}};
}

Histogram histogram_from(const Json& json, Histogram::Layout layout = Histogram::kFine) {
  std::vector<Histogram::Bucket> buckets;
  for (const Json& one : json.at("buckets")) {
    buckets.emplace_back(one.at(0).get<std::uint32_t>(), one.at(1).get<std::uint64_t>());
  }
  if (json.at("unit_bits").get<int>() != layout.unit_bits ||
      json.at("sub_bits").get<int>() != layout.sub_bits) {
    throw std::invalid_argument("a histogram of another layout");
  }
  auto histogram = Histogram::restore(layout, buckets,
                                      {.min = Duration(json.at("min_ns").get<Duration::rep>()),
                                       .max = Duration(json.at("max_ns").get<Duration::rep>()),
                                       .sum_ns = json.at("sum_ns").get<std::uint64_t>()});
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

Json counts_json(const Counts& counts) {
  return {
      {"planned", counts.planned},       {"sent", counts.sent},       {"ok", counts.ok},
      {"failed", counts.failed},         {"dropped", counts.dropped}, {"canceled", counts.canceled},
      {"outside_window", counts.outside}};
}

Json timeline_json(const Results& results) {
  Json slices = Json::array();
  for (std::size_t i = 0; i < results.slices.size(); ++i) {
    const Slice& slice = results.slices[i];
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
    one["latency"] = raw(slice.latency);
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
                     {"errors", step.errors},
                     {"reason", step.reason}});
  }
  return {{"objective", search.objective},     {"max_qps", search.best},
          {"not_held_qps", search.not_held},   {"limited", search.limited},
          {"out_of_time", search.out_of_time}, {"steps", std::move(steps)}};
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
    status[status_name(code)] = raw(one.latency);
  }
  json["histograms"] = {{"latency", raw(results.latency)},
                        {"service", raw(results.service)},
                        {"first_byte", raw(results.first_byte)},
                        {"connect", raw(results.connect)},
                        {"send_lag", raw(results.send_lag)},
                        {"failed", raw(results.failed)},
                        {"status", std::move(status)}};
}

Circumstances circumstances_from(const Json& json) {
  const Json& plan = json.at("plan");
  return {.tool = json.at("tool").get<std::string>(),
          .url = json.at("target").at("url").get<std::string>(),
          .method = json.at("target").at("method").get<std::string>(),
          .protocol = json.at("target").at("protocol").get<std::string>(),
          .open_loop = plan.at("mode").get<std::string>() == "open",
          .shape = plan.at("shape").get<std::string>(),
          .arrivals = plan.at("arrivals").get<std::string>(),
          .seconds = plan.at("seconds").get<double>(),
          .warm_up_seconds = plan.at("warm_up_seconds").get<double>(),
          .cool_down_seconds = plan.at("cool_down_seconds").get<double>(),
          .requests = plan.at("requests").get<std::uint64_t>(),
          .connections = plan.at("connections").get<unsigned>(),
          .max_connections = plan.at("max_connections").get<unsigned>(),
          .threads = plan.at("threads").get<unsigned>(),
          .generators = plan.at("generators").get<unsigned>(),
          .timeout_seconds = plan.at("timeout_seconds").get<double>(),
          .seed = plan.at("seed").get<std::uint64_t>(),
          .keep_alive = plan.at("keep_alive").get<bool>(),
          .started_at = json.at("started_at").get<std::string>()};
}

Duration seconds_from(const Json& json) {
  return Duration(std::llround(json.get<double>() * 1e9));
}

std::vector<Slice> slices_from(const Json& json) {
  std::vector<Slice> slices;
  for (const Json& one : json) {
    slices.push_back({.offered = one.at("offered").get<std::uint64_t>(),
                      .sent = one.at("sent").get<std::uint64_t>(),
                      .failed = one.at("failed").get<std::uint64_t>(),
                      .dropped = one.at("dropped").get<std::uint64_t>(),
                      .done = one.at("done").get<std::uint64_t>(),
                      .latency = histogram_from(one.at("latency"), Histogram::kCoarse),
                      .worst_lag = seconds_from(one.at("worst_send_lag"))});
  }
  return slices;
}

Results results_from(const Json& json) {
  const Json& requests = json.at("requests");
  const Json& raws = json.at("histograms");
  Results results{.counts = {.planned = requests.at("planned").get<std::uint64_t>(),
                             .sent = requests.at("sent").get<std::uint64_t>(),
                             .ok = requests.at("ok").get<std::uint64_t>(),
                             .failed = requests.at("failed").get<std::uint64_t>(),
                             .dropped = requests.at("dropped").get<std::uint64_t>(),
                             .canceled = requests.at("canceled").get<std::uint64_t>(),
                             .outside = requests.at("outside_window").get<std::uint64_t>(),
                             .connections = json.at("connections_opened").get<std::uint64_t>(),
                             .bytes_out = json.at("bytes_sent").get<std::uint64_t>(),
                             .bytes_in = json.at("bytes_received").get<std::uint64_t>()},
                  .latency = histogram_from(raws.at("latency")),
                  .service = histogram_from(raws.at("service")),
                  .first_byte = histogram_from(raws.at("first_byte")),
                  .connect = histogram_from(raws.at("connect")),
                  .send_lag = histogram_from(raws.at("send_lag")),
                  .failed = histogram_from(raws.at("failed")),
                  .slices = slices_from(json.at("timeline").at("slices")),
                  .slice_width = seconds_from(json.at("timeline").at("slice_seconds")),
                  .measured = seconds_from(json.at("measured_seconds")),
                  .last_answer = seconds_from(json.at("last_answer_seconds"))};
  for (const auto& [code, one] : json.at("status").items()) {
    const auto status = parse_status(code);
    if (!status) {
      throw std::invalid_argument("'" + code + "' is no status");
    }
    results.status[*status] = {.count = one.at("count").get<std::uint64_t>(),
                               .latency = histogram_from(raws.at("status").at(code))};
  }
  for (std::size_t i = 1; i < kErrorKinds; ++i) {
    const std::string name(error_kind_name(static_cast<ErrorKind>(i)));
    results.errors[i] = json.at("errors").value(name, std::uint64_t{0});
  }
  results.samples = json.at("samples").get<std::map<std::string, std::string>>();
  return results;
}

}  // namespace

std::string json_report(const Report& report) {
  const Results& results = report.results;
  const Circumstances& how = report.circumstances;
  Json json{{"format", kFormat},
            {"tool", how.tool},
            {"target", {{"url", how.url}, {"method", how.method}, {"protocol", how.protocol}}},
            {"plan", plan_json(how)},
            {"started_at", how.started_at},
            {"measured_seconds", to_seconds(results.measured)},
            {"last_answer_seconds", to_seconds(results.last_answer)},
            {"interrupted", report.interrupted},
            {"rate_applied", report.rate_applied()},
            {"requests", counts_json(results.counts)},
            {"error_share", error_share(results.counts)},
            {"rates", {{"offered", offered_rate(results)}, {"achieved", achieved_rate(results)}}},
            {"latency", summary(results.latency)},
            {"service_latency", summary(results.service)},
            {"first_byte", summary(results.first_byte)},
            {"connect", summary(results.connect)},
            {"send_lag", summary(results.send_lag)},
            {"failed_latency", summary(results.failed)},
            {"connections_opened", results.counts.connections},
            {"bytes_sent", results.counts.bytes_out},
            {"bytes_received", results.counts.bytes_in}};
  add_answers(results, json);
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
  json["timeline"] = timeline_json(results);
  add_histograms(results, json);
  return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

Result<Report> read_report(std::string_view text) {
  try {
    const Json json = Json::parse(text);
    if (!json.is_object() || json.value("format", "") != kFormat) {
      return fail(ErrorCode::kInvalidArgument,
                  "not a report of `podsense load --json` (no \"format\": \"" +
                      std::string(kFormat) + "\")");
    }
    return Report{.circumstances = circumstances_from(json),
                  .results = results_from(json),
                  .interrupted = json.at("interrupted").get<bool>()};
  } catch (const std::exception& error) {
    return fail(ErrorCode::kInvalidArgument,
                std::string("not a report of `podsense load --json`: ") + error.what());
  }
}

}  // namespace podsense::load
