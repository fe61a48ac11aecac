#include "plan/space.h"

#include <algorithm>
#include <cmath>

#include "foresight/json_field.h"
#include "foresight/quantity.h"
#include "foresight/yaml_json.h"
#include "text/numbers.h"
#include "text/split.h"

namespace podsense::plan {
namespace {

using Read = std::optional<AxisValue> (*)(std::string_view text);

constexpr std::size_t kMostValues = 1000;

std::optional<std::int64_t> milli_in(std::string_view text, std::int64_t least, std::int64_t most) {
  const auto quantity = foresight::Quantity::parse(text);
  const std::int64_t milli = quantity ? quantity->milli() : -1;
  return milli >= least && milli <= most ? std::optional(milli) : std::nullopt;
}

template <std::int64_t Least, std::int64_t Most>
std::optional<AxisValue> milli_value(std::string_view text) {
  const auto milli = milli_in(text, Least, Most);
  return milli ? std::optional(AxisValue{.text = std::string(text), .number = *milli})
               : std::nullopt;
}

template <std::int64_t Least, std::int64_t Most>
std::optional<AxisValue> whole_value(std::string_view text) {
  const auto number = text::parse_number(text);
  const bool is_good = number && std::floor(*number) == *number &&
                       *number >= static_cast<double>(Least) &&
                       *number <= static_cast<double>(Most);
  return is_good ? std::optional(AxisValue{.text = std::string(text),
                                           .number = static_cast<std::int64_t>(*number)})
                 : std::nullopt;
}

std::optional<AxisValue> percent_value(std::string_view text) {
  auto value = whole_value<1, 1000>(text);
  if (value) {
    value->number *= 1000;
  }
  return value;
}

std::optional<AxisValue> limit_value(std::string_view text) {
  if (text == "none") {
    return AxisValue{.text = "none", .number = 0, .is_set = false};
  }
  if (text == "request") {
    return AxisValue{.text = "request", .number = 0};
  }
  return milli_value<10, 1'024'000>(text);
}

template <std::int64_t MostSeconds>
std::optional<AxisValue> time_value(std::string_view text) {
  const auto time = text::parse_duration(text);
  return time && *time <= std::chrono::seconds(MostSeconds)
             ? std::optional(
                   AxisValue{.text = std::string(text), .number = time->count(), .time = *time})
             : std::nullopt;
}

std::optional<AxisValue> window_value(std::string_view text) {
  auto value = time_value<3600>(text);
  return value && value->time % std::chrono::seconds(1) == Duration::zero() ? value : std::nullopt;
}

/// "cpu", "cpu+saturation", "keda:saturation", "none"
std::optional<AxisValue> signal_value(std::string_view text) {
  AxisValue value{.text = std::string(text)};
  if (text == "none") {
    return value;
  }
  const bool is_keda = text.starts_with("keda:");
  value.scaler = is_keda ? Scaler::kKeda : Scaler::kHpa;
  for (const std::string_view name : text::split(is_keda ? text.substr(5) : text, '+')) {
    const auto* const found = std::ranges::find(kSignalKindNames, name);
    const auto kind = static_cast<SignalKind>(found - kSignalKindNames.begin());
    if (found == kSignalKindNames.end() ||
        std::ranges::find(value.signals, kind) != value.signals.end()) {
      return std::nullopt;
    }
    value.signals.push_back(kind);
  }
  std::ranges::sort(value.signals);  // as the chart renders them
  const bool is_good =
      !is_keda || value.signals == std::vector<SignalKind>{SignalKind::kSaturation};
  return is_good ? std::optional(value) : std::nullopt;
}

std::optional<AxisValue> up_value(std::string_view text) {
  const auto* const found = std::ranges::find(kUpPolicies, text, &UpPolicy::name);
  return found == kUpPolicies.end()
             ? std::nullopt
             : std::optional(
                   AxisValue{.text = std::string(text), .number = found - kUpPolicies.begin()});
}

std::optional<AxisValue> tolerance_value(std::string_view text) {
  return text == "default"
             ? std::optional(AxisValue{.text = "default", .number = 100, .is_set = false})
             : milli_value<0, 1000>(text);
}

struct AxisRule {
  Read read;
  std::string_view accepted;
};
constexpr std::array<AxisRule, kAxes> kRules{{
    {milli_value<10, 1'024'000>, "cores such as 250m or 2, from 10m to 1024"},
    {limit_value, "none, request (as much as it), or cores such as 500m"},
    {whole_value<0, 1024>, "0 (as `podsense serve` plans them) to 1024"},
    {whole_value<1, 4096>, "1 to 4096 rows"},
    {time_value<10>, "a duration up to 10s"},
    {signal_value,
     "cpu, saturation, queue_depth, several of them as cpu+saturation, keda:saturation, or none "
     "(no autoscaler)"},
    {percent_value, "whole percent of the request, 1 to 1000"},
    {milli_value<1, 1'000'000>, "requests waiting in a pod, 1m to 1000"},
    {milli_value<10, 10'000>, "0.01 to 10"},
    {whole_value<1, 100'000>, "1 to 100000 pods"},
    {whole_value<1, 100'000>, "1 to 100000 pods"},
    {up_value, "chart, fast, steady"},
    {window_value, "whole seconds up to 1h"},
    {tolerance_value, "default, or 0 to 1"},
}};

std::size_t index(SettingAxis axis) {
  return static_cast<std::size_t>(axis);
}

bool aims_at(const AxisValue& signal, SignalKind kind) {
  return std::ranges::find(signal.signals, kind) != signal.signals.end();
}

}  // namespace

bool has_order(SettingAxis axis) {
  return axis != SettingAxis::kCpuLimit && axis != SettingAxis::kSignal && axis != SettingAxis::kUp;
}

Result<void> Space::set(SettingAxis axis, const std::vector<std::string>& texts) {
  const AxisRule& rule = kRules[index(axis)];
  const std::string name(kAxisNames[index(axis)]);
  std::vector<AxisValue> values;
  for (const std::string& text : texts) {
    auto value = rule.read(text);
    if (!value) {
      return fail(ErrorCode::kInvalidArgument,
                  name + ": '" + text.substr(0, 60) +
                      "' is not accepted; accepted: " + std::string(rule.accepted));
    }
    if (std::ranges::find(values, value->text, &AxisValue::text) == values.end()) {
      values.push_back(std::move(*value));
    }
  }
  if (values.empty() || values.size() > kMostValues) {
    return fail(ErrorCode::kInvalidArgument, name + ": has " + std::to_string(values.size()) +
                                                 " values; accepted: 1 to " +
                                                 std::to_string(kMostValues));
  }
  if (has_order(axis)) {
    std::ranges::sort(values, {}, &AxisValue::number);
    const auto doubled = std::ranges::unique(values, {}, &AxisValue::number);
    values.erase(doubled.begin(), doubled.end());
  }
  values_[index(axis)] = std::move(values);
  return {};
}

PlanSettings Space::settings_of(const Point& point) const {
  const auto value = [&](SettingAxis axis) -> const AxisValue& { return at(point, axis); };
  PlanSettings out;
  out.cpu_request = value(SettingAxis::kCpuRequest).number;
  const AxisValue& limit = value(SettingAxis::kCpuLimit);
  if (limit.is_set) {
    out.cpu_limit = limit.number == 0 ? out.cpu_request : limit.number;
  }
  out.executors = static_cast<unsigned>(value(SettingAxis::kExecutors).number);
  out.max_batch = static_cast<std::size_t>(value(SettingAxis::kMaxBatch).number);
  out.max_delay = out.max_batch > 1 ? value(SettingAxis::kMaxDelay).time : Duration();
  const AxisValue& signal = value(SettingAxis::kSignal);
  out.scaler = signal.scaler;
  constexpr std::array kTargets{SettingAxis::kCpuTarget, SettingAxis::kQueueTarget,
                                SettingAxis::kSaturationTarget};
  for (const SignalKind kind : signal.signals) {
    out.aims.push_back(
        {.signal = kind, .milli = value(kTargets[static_cast<std::size_t>(kind)]).number});
  }
  out.min = static_cast<std::int32_t>(value(SettingAxis::kMin).number);
  out.max = out.scaler == Scaler::kNone
                ? out.min
                : static_cast<std::int32_t>(value(SettingAxis::kMax).number);
  out.up = static_cast<std::size_t>(value(SettingAxis::kUp).number);
  out.down_window = value(SettingAxis::kDownWindow).time;
  const AxisValue& tolerance = value(SettingAxis::kTolerance);
  if (tolerance.is_set && out.scaler != Scaler::kNone) {
    out.tolerance = tolerance.number;
  }
  return out;
}

Point Space::reduced(Point point) const {
  const auto drop = [&](SettingAxis axis) { point[index(axis)] = 0; };
  const AxisValue& signal = at(point, SettingAxis::kSignal);
  if (!aims_at(signal, SignalKind::kCpu)) {
    drop(SettingAxis::kCpuTarget);
  }
  if (!aims_at(signal, SignalKind::kQueueDepth)) {
    drop(SettingAxis::kQueueTarget);
  }
  if (!aims_at(signal, SignalKind::kSaturation)) {
    drop(SettingAxis::kSaturationTarget);
  }
  if (signal.scaler == Scaler::kNone) {
    drop(SettingAxis::kMax);
    drop(SettingAxis::kUp);
    drop(SettingAxis::kDownWindow);
    drop(SettingAxis::kTolerance);
  }
  if (at(point, SettingAxis::kMaxBatch).number == 1) {
    drop(SettingAxis::kMaxDelay);
  }
  return point;
}

bool Space::makes_sense(const Point& point) const {
  const PlanSettings settings = settings_of(point);
  return settings.min <= settings.max &&
         (!settings.cpu_limit || *settings.cpu_limit >= settings.cpu_request);
}

double Space::size() const {
  double size = 1;
  for (const auto& values : values_) {
    size *= static_cast<double>(values.size());
  }
  return size;
}

void Space::each(const std::function<void(const Point&)>& visit) const {
  Point point{};
  for (;;) {
    if (reduced(point) == point && makes_sense(point)) {
      visit(point);
    }
    std::size_t axis = kAxes;
    while (axis > 0 && ++point[axis - 1] == values_[axis - 1].size()) {
      point[--axis] = 0;
    }
    if (axis == 0) {
      return;
    }
  }
}

Point Space::moved(Point point, SettingAxis axis, std::size_t value) const {
  point[index(axis)] = static_cast<std::uint16_t>(value);
  return reduced(point);
}

std::vector<Point> Space::neighbours(const Point& point) const {
  std::vector<Point> out;
  for (std::size_t i = 0; i < kAxes; ++i) {
    const auto axis = static_cast<SettingAxis>(i);
    const std::size_t here = point[i];
    for (std::size_t value = 0; value < values_[i].size(); ++value) {
      const bool is_near = !has_order(axis) || value + 1 == here || value == here + 1;
      if (value == here || !is_near) {
        continue;
      }
      // A signal that comes into use begins with the middle of its targets.
      Point from = point;
      if (axis == SettingAxis::kSignal) {
        for (const SettingAxis target :
             {SettingAxis::kCpuTarget, SettingAxis::kQueueTarget, SettingAxis::kSaturationTarget}) {
          if (from[index(target)] == 0) {
            from[index(target)] = static_cast<std::uint16_t>(values(target).size() / 2);
          }
        }
        if (at(point, SettingAxis::kSignal).scaler == Scaler::kNone) {
          from[index(SettingAxis::kMax)] =
              static_cast<std::uint16_t>(values(SettingAxis::kMax).size() - 1);
        }
      }
      const Point next = moved(from, axis, value);
      if (next != point && makes_sense(next)) {
        out.push_back(next);
      }
    }
  }
  std::ranges::sort(out);
  const auto doubled = std::ranges::unique(out);
  out.erase(doubled.begin(), doubled.end());
  return out;
}

namespace {

Result<SettingAxis> axis_of(std::string_view name) {
  const auto* const found = std::ranges::find(kAxisNames, name);
  if (found != kAxisNames.end()) {
    return static_cast<SettingAxis>(found - kAxisNames.begin());
  }
  std::string all;
  for (const std::string_view one : kAxisNames) {
    all += (all.empty() ? "" : ", ") + std::string(one);
  }
  return fail(ErrorCode::kInvalidArgument,
              "'" + std::string(name.substr(0, 60)) + "' is nothing to choose; accepted: " + all);
}

std::string text_of(const nlohmann::json& value) {
  return value.is_string() ? value.get<std::string>() : value.dump();
}

}  // namespace

Result<void> read_space(std::string_view text, std::string_view name, Space& space) {
  const std::string begin = std::string(name) + ": ";
  const auto document = foresight::parse_yaml(text);
  if (!document) {
    return fail(ErrorCode::kInvalidArgument, begin + document.error().message);
  }
  const foresight::JsonField root(*document, begin);
  return root.members([&](std::string_view key, const foresight::JsonField& field) -> Result<void> {
    const auto axis = axis_of(key);
    if (!axis) {
      return root.refuse(axis.error().message);
    }
    std::vector<std::string> texts;
    if (!field.value().is_array()) {
      texts.push_back(text_of(field.value()));
    }
    for (const auto& one : field.value().is_array() ? field.value() : nlohmann::json::array()) {
      texts.push_back(text_of(one));
    }
    auto done = space.set(*axis, texts);
    return done ? done : root.refuse(done.error().message);
  });
}

Result<void> read_allowed(std::string_view text, Space& space) {
  const std::size_t equals = text.find('=');
  if (equals == text.npos) {
    return fail(ErrorCode::kInvalidArgument,
                "'" + std::string(text.substr(0, 60)) + "' must be FIELD=VALUE,VALUE: min=1,2,3");
  }
  return axis_of(text::trim(text.substr(0, equals))).and_then([&](SettingAxis axis) {
    std::vector<std::string> texts;
    for (const std::string_view one : text::split(text.substr(equals + 1), ',')) {
      texts.emplace_back(text::trim(one));
    }
    return space.set(axis, texts);
  });
}

}  // namespace podsense::plan
