// The autoscaler's looks as vectors (docs/reference/hpa-vectors.md), so that `podsense simulate
// hpa` and the real controller can be asked the same.

#include <nlohmann/json.hpp>

#include "base/text.h"
#include "foresight/world.h"

namespace podsense::foresight {
namespace {

void append_key(std::string& out, std::string_view key) {
  out += out.empty() || out.back() == '{' || out.back() == '[' ? "" : ",";
  append_json_string(out, key);
  out += ':';
}
void append_seconds(std::string& out, std::string_view key, Duration time) {
  append_key(out, key);
  append_json_number(out, to_seconds(time));
}
void append_text(std::string& out, std::string_view key, std::string_view text) {
  append_key(out, key);
  append_json_string(out, text);
}

/// The vectors' container has one name.
std::string with_container_main(const std::string& spec) {
  nlohmann::json document = nlohmann::json::parse(spec);
  if (document.contains("metrics")) {
    for (nlohmann::json& metric : document["metrics"]) {
      if (metric.contains("containerResource")) {
        metric["containerResource"]["container"] = "main";
      }
    }
  }
  return document.dump();
}

std::string conditions_text(const Conditions& conditions) {
  std::string out = "[";
  for (std::size_t i = 0; i < conditions.size(); ++i) {
    if (conditions[i]) {
      out += out.size() > 1 ? ",{" : "{";
      append_text(out, "type", kConditionNames[i]);
      append_text(out, "status", conditions[i]->status ? "True" : "False");
      append_text(out, "reason", conditions[i]->reason);
      out += '}';
    }
  }
  return out + "]";
}

}  // namespace

void World::dump_pod(const SimPod& pod, std::string& out) const {
  out += out.back() == '[' ? "{" : ",{";
  append_text(out, "name", "pod-" + std::to_string(pod.number));
  if (!pod.container) {
    append_text(out, "phase", "Pending");
  }
  out += !pod.start ? ",\"noReady\":true" : pod.ready ? ",\"ready\":true" : ",\"ready\":false";
  append_seconds(out, "readyAt", wire_time(since_start(pod.ready_since)));
  if (pod.start) {
    append_seconds(out, "start", wire_time(since_start(*pod.start)));
  }
  out += pod.deleted ? ",\"deleted\":true" : "";
  append_key(out, "request");
  out += '{';
  if (scenario_.pod.cpu_request.sign() > 0) {
    append_text(out, "cpu", milli_text(scenario_.pod.cpu_request.milli()));
  }
  if (scenario_.pod.memory_request.sign() > 0) {
    append_text(out, "memory", milli_text(scenario_.pod.memory_request.milli()));
  }
  out += '}';
  if (const auto usage = pod.signals ? pod.signals->usage() : std::nullopt) {
    append_key(out, "usage");
    out += '{';
    append_text(out, "cpu", std::to_string(usage->nanocores) + "n");
    append_text(out, "memory", std::to_string(scenario_.pod.memory_bytes));
    out += '}';
    append_seconds(out, "usageAt", wire_time(since_start(usage->at)));
    append_seconds(out, "window", usage->window / kGrain * kGrain);
  }
  out += '}';
}

void World::dump_metrics(std::string& out) const {
  append_key(out, "custom");
  out += '{';
  for (std::size_t i = 0; i < kSignalNames.size(); ++i) {
    std::string values;
    for (const std::uint32_t number : live_) {
      const SimPod& pod = *pods_[number];
      const auto milli = scraped(pod, static_cast<Signal>(i));
      if (milli) {
        append_text(values, "pod-" + std::to_string(number), std::to_string(*milli) + "m");
      }
    }
    if (!values.empty()) {
      append_key(out, kSignalNames[i]);
      out += '{' + values + '}';
    }
  }
  out += '}';
  append_key(out, "external");
  out += '{';
  for (const auto& [metric, milli] : external_milli()) {
    append_key(out, metric);
    out += "[\"" + std::to_string(milli) + "m\"]";
  }
  out += '}';
  append_key(out, "fail");
  out += '[';
  const auto failing = [&](FaultKind kind, std::string_view text) {
    if (fails(kind)) {
      out += out.back() == '[' ? "" : ",";
      out += text;
    }
  };
  failing(FaultKind::kNoResourceMetrics, "\"resource\"");
  failing(FaultKind::kNoCustomMetrics, "\"custom\",\"object\"");
  failing(FaultKind::kNoExternalMetrics, "\"external\"");
  out += ']';
}

void World::dump_look() {
  std::string& out = dump_ticks_;
  out += out.empty() ? "{" : ",{";
  append_seconds(out, "at", since_start(now_));
  if (dump_replicas_) {
    append_key(out, "spec");
    append_json_number(out, *dump_replicas_);
  }
  append_key(out, "status");
  append_json_number(out, active_pods());
  append_key(out, "pods");
  out += '[';
  for (const std::uint32_t number : live_) {
    dump_pod(*pods_[number], out);
  }
  out += ']';
  dump_metrics(out);
  out += '}';
}

/// Ends a case; the looks after it, if any, belong to a controller that has just started.
void World::end_dump() {
  const Autoscaler& autoscaler = *scenario_.autoscaler;
  const ControllerFlags& flags = autoscaler.settings.flags;
  std::string out = "{";
  const std::string name = scenario_.name.empty() ? "simulation" : scenario_.name;
  append_text(out, "name",
              name + " seed " + std::to_string(seed_) +
                  (dump_cases_ == 0 ? "" : " controller " + std::to_string(dump_cases_ + 1)));
  append_text(out, "mode", "direct");
  append_text(out, "kubernetes", version_name(autoscaler.settings.version));
  append_key(out, "controller");
  out += '{';
  append_seconds(out, "syncPeriod", flags.sync_period);
  append_seconds(out, "downscaleStabilization", flags.downscale_stabilization);
  append_key(out, "tolerance");
  append_json_number(out, flags.tolerance);
  append_seconds(out, "cpuInitializationPeriod", flags.cpu_initialization_period);
  append_seconds(out, "initialReadinessDelay", flags.initial_readiness_delay);
  out += '}';
  append_key(out, "hpa");
  out += "{\"spec\":" + with_container_main(autoscaler.written) +
         ",\"status\":{\"conditions\":" + conditions_text(dump_conditions_) + "}}";
  append_key(out, "replicas");
  append_json_number(out, dump_begin_replicas_);
  append_key(out, "ticks");
  out += '[' + dump_ticks_ + "]}\n";
  if (options_.dump_hpa && !dump_ticks_.empty()) {
    result_.hpa_case += out;
    ++dump_cases_;
  }
  dump_ticks_.clear();
  dump_conditions_ = hpa_->conditions();
  dump_begin_replicas_ = replicas_;
  dump_replicas_.reset();
}

}  // namespace podsense::foresight
