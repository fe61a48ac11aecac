#include "plan/plan_settings.h"

#include <nlohmann/json.hpp>

#include "text/numbers.h"

namespace podsense::plan {
namespace {

using Json = nlohmann::ordered_json;

/// Sum over pods of what KEDA's query asks for.
constexpr const char* kKedaMetric = "podsense_saturation_sum";

Json metric_of(const PlanSettings& settings, const Aim& aim) {
  if (aim.signal == SignalKind::kCpu) {
    return {{"type", "Resource"},
            {"resource",
             {{"name", "cpu"},
              {"target", {{"type", "Utilization"}, {"averageUtilization", aim.milli / 1000}}}}}};
  }
  const Json target{{"type", "AverageValue"}, {"averageValue", milli_quantity(aim.milli)}};
  if (settings.scaler == Scaler::kKeda) {
    return {{"type", "External"},
            {"external", {{"metric", {{"name", kKedaMetric}}}, {"target", target}}}};
  }
  return {{"type", "Pods"},
          {"pods",
           {{"metric", {{"name", "podsense_" + std::string(signal_name(aim.signal))}}},
            {"target", target}}}};
}

Json autoscaler_of(const PlanSettings& settings) {
  Json metrics = Json::array();
  for (const Aim& aim : settings.aims) {
    metrics.push_back(metric_of(settings, aim));
  }
  Json up{{"stabilizationWindowSeconds", 0},
          {"selectPolicy", "Max"},
          {"policies", Json::parse(kUpPolicies[settings.up].json)}};
  Json down{{"stabilizationWindowSeconds",
             std::chrono::duration_cast<std::chrono::seconds>(settings.down_window).count()},
            {"policies", Json::parse(kDownPolicies)}};
  if (settings.tolerance) {
    up["tolerance"] = milli_quantity(*settings.tolerance);
    down["tolerance"] = milli_quantity(*settings.tolerance);
  }
  return {{"minReplicas", settings.min},
          {"maxReplicas", settings.max},
          {"metrics", std::move(metrics)},
          {"behavior", {{"scaleUp", std::move(up)}, {"scaleDown", std::move(down)}}}};
}

}  // namespace

std::string milli_quantity(std::int64_t milli) {
  return milli % 1000 == 0 ? std::to_string(milli / 1000) : std::to_string(milli) + "m";
}

std::string_view signal_name(SignalKind signal) {
  return kSignalKindNames[static_cast<std::size_t>(signal)];
}

std::string aims_text(const PlanSettings& settings) {
  if (settings.scaler == Scaler::kNone) {
    return "no autoscaler";
  }
  std::string out = settings.scaler == Scaler::kKeda ? "KEDA: " : "";
  for (const Aim& aim : settings.aims) {
    out += &aim == settings.aims.data() ? "" : " + ";
    out += std::string(signal_name(aim.signal)) + " " +
           text::format_number(static_cast<double>(aim.milli) / 1000) +
           (aim.signal == SignalKind::kCpu ? " %" : "");
  }
  return out;
}

std::string settings_text(const PlanSettings& settings) {
  std::string out = "cpu " + milli_quantity(settings.cpu_request) + "/" +
                    (settings.cpu_limit ? milli_quantity(*settings.cpu_limit) : "no limit");
  if (settings.executors != 0) {
    out += ", " + std::to_string(settings.executors) + " executors";
  }
  if (settings.max_batch > 1) {
    out += ", batches of " + std::to_string(settings.max_batch) + " within " +
           text::format_duration(settings.max_delay);
  }
  out += ", " + aims_text(settings) + ", ";
  if (settings.scaler == Scaler::kNone) {
    return out + std::to_string(settings.min) + (settings.min == 1 ? " pod" : " pods");
  }
  out += std::to_string(settings.min) + " to " + std::to_string(settings.max) + " pods, up " +
         std::string(kUpPolicies[settings.up].name) + ", down after " +
         text::format_duration(settings.down_window);
  return settings.tolerance ? out + ", tolerance " + milli_quantity(*settings.tolerance) : out;
}

std::vector<foresight::Override> overrides_of(const PlanSettings& settings) {
  const auto seconds = [](Duration time) { return text::format_rate(to_seconds(time)) + "s"; };
  std::vector<foresight::Override> out{
      {.path = "pod.cpu_request", .value = milli_quantity(settings.cpu_request)},
      {.path = "pod.cpu_limit",
       .value = settings.cpu_limit ? milli_quantity(*settings.cpu_limit) : "null"},
      {.path = "service.executors", .value = std::to_string(settings.executors)},
      {.path = "service.max_batch", .value = std::to_string(settings.max_batch)},
      {.path = "service.max_delay", .value = seconds(settings.max_delay)},
      {.path = "hpa",
       .value = settings.scaler == Scaler::kNone ? "null" : autoscaler_of(settings).dump()}};
  if (settings.scaler == Scaler::kKeda) {
    out.push_back(
        {.path = "metrics.external", .value = Json{{kKedaMetric, "podsense_saturation"}}.dump()});
  }
  return out;
}

}  // namespace podsense::plan
