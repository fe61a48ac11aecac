// What is planned for where a Prometheus tells it: its traffic, times and starts, and in their
// place what a scenario of one's own says.

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <numeric>
#include <utility>

#include "base/text.h"
#include "plan/prometheus.h"
#include "text/numbers.h"

namespace podsense::plan {
namespace {

using Json = nlohmann::json;

constexpr double kMebibyte = 1024 * 1024;

/// Of one's own: what is recorded of a model and its start gives way to a profile.
struct Own {
  Json document = Json::object();
  [[nodiscard]] bool has(const char* key) const { return document.contains(key); }
};

Result<Own> read_own(const std::optional<foresight::ScenarioText>& text) {
  if (!text) {
    return Own{};
  }
  const auto document = foresight::scenario_document(*text);
  if (!document) {
    return fail(document.error());
  }
  Own own{.document = Json::parse(*document)};
  if (!own.document.is_object()) {
    return fail(ErrorCode::kInvalidArgument, text->name + ": must be a scenario's fields");
  }
  return own;
}

/// Field by field, one level deep. The recorded traffic stays.
void put_own(const Json& own, std::vector<foresight::Override>& out) {
  for (const auto& [key, value] : own.items()) {
    if (key == "length") {
      continue;
    }
    if (!value.is_object()) {
      out.push_back({.path = key, .value = value.dump()});
      continue;
    }
    for (const auto& [name, part] : value.items()) {
      if (key != "arrivals" || (name != "shape" && name != "trace")) {
        std::string path = key;
        path.append(".").append(name);
        out.push_back({.path = std::move(path), .value = part.dump()});
      }
    }
  }
}

/// A quarter above the most that was used, in steps of 16 MiB.
void put_memory_request(double used, RecordedTraffic& traffic,
                        std::vector<foresight::Override>& out) {
  constexpr double kStep = 16 * kMebibyte;
  const auto request = static_cast<std::int64_t>(std::ceil(used * 1.25 / kStep) * 16);
  out.push_back({.path = "pod.memory_request", .value = std::to_string(request) + "Mi"});
  traffic.notes.push_back("pods request " + std::to_string(request) +
                          " MiB of memory, a quarter above the most that one used");
}

std::string models_text(const RecordedTraffic& traffic) {
  double all = 0;
  for (const auto& [name, requests] : traffic.models) {
    all += requests;
  }
  std::string out;
  for (const auto& [name, requests] : traffic.models) {
    out += (out.empty() ? "" : ", ") + name + " (" +
           text::format_number(std::round(1000 * requests / all) / 10) + " %)";
  }
  return out;
}

Result<void> check_models(const RecordedTraffic& traffic, const TrafficOptions& options) {
  if (!options.model.empty() || traffic.models.size() < 2) {
    return {};
  }
  return fail(ErrorCode::kInvalidArgument,
              "the traffic is of several models: " + models_text(traffic) +
                  "; a plan is of one Deployment with one queue: plan each by itself with --model "
                  "NAME and an objective of its own (deployments of the chart install them "
                  "together), or narrow --selector");
}

Result<void> check_start(const RecordedTraffic& traffic, const TrafficOptions& options,
                         bool is_given) {
  if (is_given || !traffic.starts.empty()) {
    return {};
  }
  return fail(
      ErrorCode::kInvalidArgument,
      "start: no pod of " + (options.selector.empty() ? "podsense" : options.selector) +
          " began within the range and was seen ready (process_start_time_seconds, "
          "podsense_ready), so how long pods take to start is not known, and it decides what an "
          "autoscaler can do; accepted: a longer --range, a scenario with start or profile, --set "
          "start.load=DURATION as measured, or --assume-start DURATION");
}

/// @param factor  times every value
std::string values_text(const WeightedValues& values, double factor = 1) {
  std::string out = "{values: [";
  for (const auto& [value, count] : values) {
    const double seconds = value * factor;
    const auto whole = static_cast<std::uint64_t>(std::llround(count));
    if (whole > 0) {
      out += (out.back() == '[' ? "[" : ", [") +
             text::format_rate(std::round(seconds * 1e7) / 1e4) + "ms, " + std::to_string(whole) +
             "]";
    }
  }
  return out + "]}";
}

/// On lines between what is known, and on from the last.
double seconds_of_rows(const std::map<unsigned, double>& known, double rows) {
  const auto above = known.lower_bound(static_cast<unsigned>(std::ceil(rows)));
  if (above == known.end()) {
    const auto& [last, seconds] = *known.rbegin();
    return seconds * rows / last;
  }
  if (above == known.begin()) {
    return above->second;
  }
  const auto& [low, before] = *std::prev(above);
  const double part = (rows - low) / (above->first - low);
  return before + part * (above->second - before);
}

std::string service_text(const RecordedTraffic& traffic) {
  std::string out = "service:\n  run_cpu:";
  if (traffic.rows_seconds.empty()) {
    out += " " + values_text(traffic.runs) + "\n";
  } else {
    const double seen = seconds_of_rows(traffic.rows_seconds, traffic.rows);
    for (const auto& [rows, seconds] : traffic.rows_seconds) {
      out += "\n    - {rows: " + std::to_string(rows) +
             ", cpu: " + values_text(traffic.runs, seconds / seen) + "}";
    }
    out += "\n  max_batch: " + std::to_string(traffic.rows_seconds.rbegin()->first) + "\n";
  }
  return out + "  request_cpu: " + text::format_rate(std::round(traffic.request_cpu * 1e7) / 1e4) +
         "ms\n";
}

}  // namespace

void keep_busiest(RecordedTraffic& traffic, Duration length) {
  const auto minutes = static_cast<std::size_t>(
      std::max<std::int64_t>(1, std::chrono::duration_cast<std::chrono::minutes>(length).count()));
  const std::vector<std::uint64_t>& all = traffic.counts;
  if (minutes >= all.size()) {
    return;
  }
  const auto peak = static_cast<std::size_t>(std::ranges::max_element(all) - all.begin());
  std::size_t best = 0;
  std::uint64_t most = 0;
  for (std::size_t first = peak < minutes ? 0 : peak + 1 - minutes;
       first <= std::min(peak, all.size() - minutes); ++first) {
    const auto begin = all.begin() + static_cast<std::ptrdiff_t>(first);
    const std::uint64_t sum =
        std::accumulate(begin, begin + static_cast<std::ptrdiff_t>(minutes), std::uint64_t{0});
    if (sum >= most) {
      best = first;
      most = sum;
    }
  }
  const std::uint64_t whole = std::accumulate(all.begin(), all.end(), std::uint64_t{0});
  const auto ago = std::chrono::minutes(all.size() - best);
  traffic.notes.push_back("traffic: the " + std::to_string(minutes) +
                          " minutes with the busiest one (" + text::format_count(most) + " of " +
                          text::format_count(whole) + " requests), which began " +
                          text::format_duration(ago) + " before the end");
  const auto begin = all.begin() + static_cast<std::ptrdiff_t>(best);
  traffic.counts = std::vector<std::uint64_t>(begin, begin + static_cast<std::ptrdiff_t>(minutes));
}

std::string traffic_csv(const RecordedTraffic& traffic) {
  std::string out = "minute,count\n";
  for (std::size_t i = 0; i < traffic.counts.size(); ++i) {
    out += std::to_string(i + 1) + "," + std::to_string(traffic.counts[i]) + "\n";
  }
  return out;
}

std::string traffic_scenario(const RecordedTraffic& traffic, const TrafficOptions& options,
                             std::string_view trace) {
  std::string out = "# Made by `podsense plan traffic` from a Prometheus, " +
                    (options.selector.empty() ? "all of podsense" : options.selector) + ".\n";
  for (const std::string& note : traffic.notes) {
    out += "# " + note + "\n";
  }
  std::string quoted;
  append_json_string(quoted, trace);
  out += "length: " + std::to_string(traffic.counts.size()) + "m\narrivals: {trace: " + quoted +
         ", process: poisson}\n";
  if (!traffic.runs.empty()) {
    out += service_text(traffic);
  }
  if (traffic.memory > 0) {
    out += "pod:\n  memory_used: " +
           std::to_string(static_cast<std::int64_t>(std::ceil(traffic.memory / kMebibyte))) +
           "Mi\n";
  }
  out += traffic.waits.empty() && traffic.starts.empty() ? "" : "start:\n";
  out += traffic.waits.empty() ? "" : "  pull: " + values_text(traffic.waits) + "\n";
  out += traffic.starts.empty() ? "" : "  load: " + values_text(traffic.starts) + "\n";
  return out +
         "# What a Prometheus does not know: cpu_request and cpu_limit of `pod`, and\n"
         "# hpa: hpa.yaml\n";
}

Result<foresight::ScenarioText> recorded_scenario(
    RecordedTraffic& traffic, const TrafficOptions& options,
    const std::optional<foresight::ScenarioText>& own_text, bool has_start) {
  const auto own = read_own(own_text);
  if (!own) {
    return fail(own.error());
  }
  if (auto good = check_models(traffic, options); !good) {
    return fail(good.error());
  }
  const bool has_profile = own->has("profile");
  if (auto good = check_start(traffic, options, has_start || has_profile || own->has("start"));
      !good) {
    return fail(good.error());
  }
  if (traffic.runs.empty() && !has_profile && !own->has("service")) {
    return fail(ErrorCode::kInvalidArgument,
                "service: Prometheus has no run of podsense_compute_seconds within the range; "
                "accepted: a longer --range, or a scenario with service.run_cpu or profile");
  }
  RecordedTraffic told = traffic;
  if (has_profile) {
    told.runs.clear();
    told.starts.clear();
  }
  foresight::ScenarioText out{.name = "what Prometheus has recorded",
                              .text = traffic_scenario(told, options, kRecordedTrace),
                              .overrides = {}};
  put_own(own->document, out.overrides);
  const Json::json_pointer request("/pod/memory_request");
  if (traffic.memory > 0 && !own->document.contains(request)) {
    put_memory_request(traffic.memory, traffic, out.overrides);
  }
  return out;
}

}  // namespace podsense::plan
