#pragma once

/// From what the metrics ask for to what is allowed now: stabilization windows and scaling
/// policies, with the memory that they need. The controller keeps this memory per autoscaler and
/// loses it when it restarts or another one takes the lead.
/// @source pkg/controller/podautoscaler/horizontal.go

#include <cstdint>
#include <optional>
#include <vector>

#include "base/clock.h"
#include "foresight/hpa_spec.h"

namespace podsense::foresight {

enum class AbleReason : std::uint8_t {
  kReadyForNewScale,
  kScaleUpStabilized,
  kScaleDownStabilized
};
enum class LimitReason : std::uint8_t {
  kDesiredWithinRange,
  kScaleUpLimit,
  kScaleDownLimit,
  kTooManyReplicas,
  kTooFewReplicas
};

/// One policy as it was applied.
struct PolicyTrace {
  ScalingPolicy policy;
  std::int32_t added = 0;    ///< replicas within the period
  std::int32_t removed = 0;  ///< replicas within the period
  std::int32_t limit = 0;
};

/// What became of a wish.
struct RulesTrace {
  bool has_behavior = false;
  std::int32_t wish = 0;
  std::int32_t lowest = 0;   ///< within the window up (behavior only)
  std::int32_t highest = 0;  ///< within the window down
  std::int32_t up_window_seconds = 0;
  Duration down_window{};
  std::int32_t stabilized = 0;
  std::optional<SelectPolicy> select;  ///< of the direction that applies
  std::vector<PolicyTrace> policies;   ///< of that direction
  std::int32_t bound = 0;              ///< of that direction, min or max included
  std::int32_t result = 0;
  AbleReason able = AbleReason::kReadyForNewScale;
  LimitReason limited = LimitReason::kDesiredWithinRange;
};

struct ReplicaBounds {
  std::int32_t least = 1;
  std::int32_t most = 1;
};

/// @threads confined to one thread
class ScalingMemory {
 public:
  /// Remembers where it began, once.
  void begin(Duration now, std::int32_t replicas);

  /// @param spec with defaults
  RulesTrace apply(Duration now, std::int32_t current, std::int32_t wish, const HpaSpec& spec,
                   const ControllerFlags& flags);

  /// Call after the target's scale was written; only an autoscaler with `behavior` remembers it.
  void record_rescale(Duration now, std::int32_t from, std::int32_t to, const HpaSpec& spec);

 private:
  struct Recommendation {
    std::int32_t replicas = 0;
    Duration at{};
  };
  struct Event {
    std::int32_t change = 0;  ///< absolute
    Duration at{};
    bool outdated = false;
  };
  using Events = std::vector<Event>;

  void stabilize_plain(Duration now, RulesTrace& trace);
  void stabilize(Duration now, std::int32_t current, RulesTrace& trace);
  void limit(Duration now, std::int32_t current, ReplicaBounds bounds, const Behavior& behavior,
             RulesTrace& trace) const;
  std::int32_t policy_limit(Duration now, std::int32_t current, const ScalingRules& rules,
                            bool is_up, RulesTrace& trace) const;

  std::vector<Recommendation> recommendations_;
  Events ups_;
  Events downs_;
};

}  // namespace podsense::foresight
