#pragma once

/// All settings that a plan may choose: a grid with one axis for each.

#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "plan/plan_settings.h"

namespace podsense::plan {

enum class SettingAxis : std::uint8_t {
  kCpuRequest,
  kCpuLimit,
  kExecutors,
  kMaxBatch,
  kMaxDelay,
  kSignal,
  kCpuTarget,
  kQueueTarget,
  kSaturationTarget,
  kMin,
  kMax,
  kUp,
  kDownWindow,
  kTolerance,
};
/// As files and flags have them.
inline constexpr std::array<std::string_view, 14> kAxisNames{
    "cpu_request", "cpu_limit",  "executors",    "max_batch",         "max_delay",
    "signal",      "cpu_target", "queue_target", "saturation_target", "min",
    "max",         "up",         "down_window",  "tolerance"};
inline constexpr std::size_t kAxes = kAxisNames.size();

/// One value of an axis; which members count depends on the axis.
struct AxisValue {
  std::string text;                 ///< as people write it
  std::int64_t number = 0;          ///< thousandths of cores, percent or a pod's value; pods; rows
  bool is_set = true;               ///< no limit, the controller's tolerance: false
  Duration time{};                  ///< kMaxDelay, kDownWindow
  Scaler scaler = Scaler::kNone;    ///< kSignal
  std::vector<SignalKind> signals;  ///< kSignal
};

/// Which value of each axis; of those without a meaning the first.
using Point = std::array<std::uint16_t, kAxes>;

class Space {
 public:
  /// Values of an axis, in place of what was there: ascending where they are numbers.
  /// @param texts each as in docs/reference/plan.md
  /// @errors kInvalidArgument, naming the axis, the value and what is accepted
  Result<void> set(SettingAxis axis, const std::vector<std::string>& texts);
  [[nodiscard]] const std::vector<AxisValue>& values(SettingAxis axis) const {
    return values_[static_cast<std::size_t>(axis)];
  }

  [[nodiscard]] PlanSettings settings_of(const Point& point) const;
  /// Without what has no meaning at it, such as the target of a signal that is not used; and
  /// whether it makes sense: a limit below the request or fewer pods at most than at least do not.
  [[nodiscard]] Point reduced(Point point) const;
  [[nodiscard]] bool makes_sense(const Point& point) const;
  /// Each point that makes sense, once.
  void each(const std::function<void(const Point&)>& visit) const;
  /// One step away: the next number each way, any other value of what has no order.
  [[nodiscard]] std::vector<Point> neighbours(const Point& point) const;
  /// The same point with this value of an axis.
  [[nodiscard]] Point moved(Point point, SettingAxis axis, std::size_t value) const;

  /// Points of the grid, senseless ones included.
  [[nodiscard]] double size() const;

 private:
  [[nodiscard]] const AxisValue& at(const Point& point, SettingAxis axis) const {
    return values(axis)[point[static_cast<std::size_t>(axis)]];
  }
  std::array<std::vector<AxisValue>, kAxes> values_;
};

bool has_order(SettingAxis axis);

/// A YAML mapping from axes to a value or a list of them, in place of those of `space`.
/// @param name for messages
/// @errors kInvalidArgument, naming field and what is accepted
Result<void> read_space(std::string_view text, std::string_view name, Space& space);
/// "min=1,2,3"
Result<void> read_allowed(std::string_view text, Space& space);

}  // namespace podsense::plan
