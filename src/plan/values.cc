// Values for the chart in helm/podsense.

#include "plan/values.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "plan/plan.h"
#include "text/numbers.h"
#include "text/split.h"

namespace podsense::plan {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::int64_t kChartMemoryLimit = std::int64_t{512} << 20U;

/// "resources.requests.cpu"
void put(Json& values, std::string_view path, Json value) {
  Json* at = &values;
  for (const std::string_view part : text::split(path, '.')) {
    at = &(*at)[std::string(part)];
  }
  *at = std::move(value);
}

std::string bytes_quantity(double bytes) {
  constexpr double kMebi = 1024.0 * 1024;
  const double mebi = bytes / kMebi;
  return mebi == std::floor(mebi) ? std::to_string(std::llround(mebi)) + "Mi"
                                  : std::to_string(std::llround(bytes));
}

void put_resources(const PlanTrial& best, std::vector<ValueLine>& out) {
  const PlanSettings& settings = best.settings;
  const double memory = best.scenario->pod.memory_request.approximate();
  out.emplace_back("resources.requests.cpu", milli_quantity(settings.cpu_request),
                   SettingAxis::kCpuRequest);
  if (memory > 0) {
    out.emplace_back("resources.requests.memory", bytes_quantity(memory), std::nullopt,
                     "of the scenario");
  }
  out.emplace_back("resources.limits.cpu",
                   settings.cpu_limit ? Json(milli_quantity(*settings.cpu_limit)) : Json(nullptr),
                   SettingAxis::kCpuLimit);
  if (memory > kChartMemoryLimit) {
    out.emplace_back("resources.limits.memory", bytes_quantity(memory), std::nullopt,
                     "at least the request; the chart's own is below it");
  }
}

void put_config(const Plan& plan, std::vector<ValueLine>& out) {
  const PlanSettings& settings = plan.best().settings;
  const foresight::Scenario& scenario = *plan.best().scenario;
  const auto seconds = [](Duration time) { return text::format_rate(to_seconds(time)) + "s"; };
  if (settings.executors != 0) {
    out.push_back({"config.threads.executors", settings.executors, SettingAxis::kExecutors});
  }
  if (scenario.service.max_wait > Duration::zero()) {
    out.push_back(
        {"config.limits.max_wait", seconds(scenario.service.max_wait), {}, "of the scenario"});
  }
  out.push_back({"config.objective.latency",
                 seconds(scenario.objective.latency),
                 {},
                 "the objective, which saturation is measured against"});
  out.push_back({"config.objective.quantile", scenario.objective.quantile, {}, "as before"});
}

void put_behavior(const PlanSettings& settings, const std::string& begin,
                  std::vector<ValueLine>& out) {
  const std::string up = begin + "behavior.scaleUp.";
  const std::string down = begin + "behavior.scaleDown.";
  const auto as_chart = [&out](const std::string& path, Json value) {
    out.emplace_back(path, std::move(value), std::nullopt, "as the chart has it");
  };
  const auto tolerance = [&](const std::string& side) {
    if (settings.tolerance) {
      out.emplace_back(side + "tolerance", milli_quantity(*settings.tolerance),
                       SettingAxis::kTolerance);
    }
  };
  as_chart(up + "stabilizationWindowSeconds", 0);
  as_chart(up + "selectPolicy", "Max");
  out.emplace_back(up + "policies", Json::parse(kUpPolicies[settings.up].json), SettingAxis::kUp);
  tolerance(up);
  out.emplace_back(down + "stabilizationWindowSeconds",
                   std::chrono::duration_cast<std::chrono::seconds>(settings.down_window).count(),
                   SettingAxis::kDownWindow);
  as_chart(down + "policies", Json::parse(kDownPolicies));
  tolerance(down);
}

std::optional<std::int64_t> target_of(const PlanSettings& settings, SignalKind signal) {
  const auto found = std::ranges::find(settings.aims, signal, &Aim::signal);
  return found == settings.aims.end() ? std::nullopt : std::optional(found->milli);
}

void put_hpa(const PlanSettings& settings, std::vector<ValueLine>& out) {
  out.push_back({"autoscaling.enabled", true, SettingAxis::kSignal});
  out.push_back({"autoscaling.minReplicas", settings.min, SettingAxis::kMin});
  out.push_back({"autoscaling.maxReplicas", settings.max, SettingAxis::kMax});
  const auto cpu = target_of(settings, SignalKind::kCpu);
  out.push_back(
      {"autoscaling.targetCPUUtilizationPercentage", cpu ? Json(*cpu / 1000) : Json(nullptr),
       cpu ? std::optional(SettingAxis::kCpuTarget) : std::nullopt, "not a signal of this plan"});
  const auto saturation = target_of(settings, SignalKind::kSaturation);
  out.push_back({"autoscaling.targetSaturation",
                 saturation ? Json(milli_quantity(*saturation)) : Json(nullptr),
                 saturation ? std::optional(SettingAxis::kSaturationTarget) : std::nullopt,
                 "not a signal of this plan"});
  const auto queue = target_of(settings, SignalKind::kQueueDepth);
  out.push_back({"autoscaling.targetQueueDepth",
                 queue ? Json(milli_quantity(*queue)) : Json(nullptr),
                 queue ? std::optional(SettingAxis::kQueueTarget) : std::nullopt,
                 "not a signal of this plan"});
  put_behavior(settings, "autoscaling.", out);
}

void put_keda(const PlanSettings& settings, std::vector<ValueLine>& out) {
  out.push_back({"autoscaling.enabled", false, {}, "KEDA makes the autoscaler"});
  out.push_back({"keda.enabled", true, SettingAxis::kSignal});
  out.push_back({"keda.minReplicas", settings.min, SettingAxis::kMin});
  out.push_back({"keda.maxReplicas", settings.max, SettingAxis::kMax});
  out.push_back({"keda.prometheus.threshold", milli_quantity(settings.aims.front().milli),
                 SettingAxis::kSaturationTarget});
  put_behavior(settings, "keda.", out);
}

/// `#` before each line; nothing of it can end the comment.
std::string comment(std::string_view text, std::size_t indent) {
  constexpr std::size_t kWidth = 100;
  std::string out;
  std::string line = std::string(indent, ' ') + "#";
  std::string word;
  const auto end_word = [&] {
    if (!word.empty() && line.size() + 1 + word.size() > kWidth) {
      out += line + "\n";
      line = std::string(indent, ' ') + "#";
    }
    line += word.empty() ? "" : " " + word;
    word.clear();
  };
  for (const char c : text) {
    if (static_cast<unsigned char>(c) <= ' ') {
      end_word();
    } else {
      word += c;
    }
  }
  end_word();
  return out + line + "\n";
}

/// In one line. Keys are words; strings stay in quotes, so that 1 and "1" stay apart.
std::string flow(const Json& value) {
  if (!value.is_structured()) {
    return value.dump();
  }
  std::string out;
  for (const auto& [key, member] : value.items()) {
    out += (out.empty() ? "" : ", ") + (value.is_object() ? key + ": " : "") + flow(member);
  }
  return value.is_object() ? "{" + out + "}" : "[" + out + "]";
}

/// Mappings by indentation; what is deeper than what has a reason stays JSON in one line.
class Yaml {
 public:
  void line(const ValueLine& one, const std::string& reason) {
    const auto parts = text::split(one.path, '.');
    std::size_t same = 0;
    while (same + 1 < parts.size() && same < open_.size() && open_[same] == parts[same]) {
      ++same;
    }
    open_.resize(same);
    for (std::size_t i = same; i + 1 < parts.size(); ++i) {
      text_ += std::string(2 * i, ' ') + std::string(parts[i]) + ":\n";
      open_.emplace_back(parts[i]);
    }
    const std::size_t indent = 2 * (parts.size() - 1);
    if (!reason.empty()) {
      text_ += comment(reason, indent);
    }
    text_ += std::string(indent, ' ') + std::string(parts.back()) + ": " + flow(one.value) + "\n";
  }
  [[nodiscard]] std::string take() { return std::move(text_); }

 private:
  std::vector<std::string> open_;
  std::string text_;
};

std::string head(const Plan& plan) {
  const Problem& problem = plan.problem;
  std::string out =
      comment("Made by `podsense plan` for " + problem.objective.text + " under " +
                  problem.base.arrivals.text + " of " + text::format_duration(problem.base.length) +
                  " (" + text::format_number(problem.demand.peak().rate) +
                  " a second in the busiest minute), seed " + std::to_string(problem.base.seed) +
                  ".",
              0) +
      comment("In " + std::to_string(plan.runs().size()) +
                  " runs of seeds that it was not chosen by: " +
                  outcome_text(problem, plan.runs()) + ".",
              0);
  std::vector<std::string> assumed = problem.assumed;
  for (std::string& one : foresight::extrapolations(*plan.best().scenario)) {
    assumed.push_back(std::move(one));
  }
  for (const std::string& one : assumed) {
    out += comment("ASSUMED: " + one + ".", 0);
  }
  return out;
}

}  // namespace

std::vector<ValueLine> value_lines(const Plan& plan) {
  const PlanSettings& settings = plan.best().settings;
  std::vector<ValueLine> out;
  put_resources(plan.best(), out);
  if (settings.scaler == Scaler::kNone) {
    out.push_back({"replicaCount", settings.min, SettingAxis::kMin});
    out.push_back({"autoscaling.enabled", false, SettingAxis::kSignal});
  } else if (settings.scaler == Scaler::kKeda) {
    put_keda(settings, out);
  } else {
    put_hpa(settings, out);
  }
  put_config(plan, out);
  return out;
}

nlohmann::ordered_json values_json(const Plan& plan) {
  Json out = Json::object();
  for (const ValueLine& line : value_lines(plan)) {
    put(out, line.path, line.value);
  }
  return out;
}

std::string reason_of(const Plan& plan, const ValueLine& line) {
  if (!line.axis) {
    return line.reason;
  }
  const auto found = std::ranges::find(plan.lines, *line.axis, &Line::axis);
  return found == plan.lines.end() ? "" : found->reason;
}

std::string values_yaml(const Plan& plan) {
  Yaml yaml;
  for (const ValueLine& line : value_lines(plan)) {
    yaml.line(line, reason_of(plan, line));
  }
  std::string out = head(plan);
  const PlanSettings& settings = plan.best().settings;
  if (settings.max_batch > 1) {
    out += comment(
        "Batches belong to the model, not to these values: in its model.yaml, max_batch: " +
            std::to_string(settings.max_batch) +
            " and max_delay_ms: " + text::format_rate(to_seconds(settings.max_delay) * 1000) + ".",
        0);
  }
  return out + yaml.take();
}

}  // namespace podsense::plan
