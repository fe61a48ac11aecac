#include "foresight/hpa_rules.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>

#include "foresight/go_numbers.h"

namespace podsense::foresight {
namespace {

constexpr std::int32_t kLeast = std::numeric_limits<std::int32_t>::min();
constexpr std::int32_t kMost = std::numeric_limits<std::int32_t>::max();

Duration seconds(std::int32_t count) {
  return std::chrono::seconds(count);
}

/// Replicas that came or went after `now - period`.
template <class Events>
std::int32_t change_within(const Events& events, Duration now, Duration period) {
  std::int32_t sum = 0;
  for (const auto& event : events) {
    if (event.at > now - period) {
      sum = wrap_add(sum, event.change);
    }
  }
  return sum;
}

/// Overwrites the last outdated event, so that memory does not grow.
template <class Events>
void store(Events& events, Duration now, std::int32_t change, const ScalingRules& rules) {
  std::int32_t longest = 0;
  for (const ScalingPolicy& policy : *rules.policies) {
    longest = std::max(longest, policy.period_seconds);
  }
  auto place = events.end();
  for (auto event = events.begin(); event != events.end(); ++event) {
    event->outdated = event->outdated || event->at < now - seconds(longest);
    if (event->outdated) {
      place = event;
    }
  }
  if (place == events.end()) {
    place = events.insert(events.end(), typename Events::value_type{});
  }
  *place = {.change = change, .at = now};
}

/// Without `behavior` a look may double the replicas, or bring them to four.
void limit_plain(std::int32_t current, ReplicaBounds bounds, RulesTrace& trace) {
  const std::int32_t fastest = to_int32(std::max(2.0 * current, 4.0));
  trace.bound = std::min(bounds.most, fastest);
  trace.result = trace.stabilized;
  if (trace.stabilized < bounds.least) {
    trace.limited = LimitReason::kTooFewReplicas;
    trace.result = bounds.least;
  } else if (trace.stabilized > trace.bound) {
    trace.limited =
        bounds.most > fastest ? LimitReason::kScaleUpLimit : LimitReason::kTooManyReplicas;
    trace.result = trace.bound;
  }
}

}  // namespace

void ScalingMemory::begin(Duration now, std::int32_t replicas) {
  if (recommendations_.empty()) {
    recommendations_.push_back({.replicas = replicas, .at = now});
  }
}

RulesTrace ScalingMemory::apply(Duration now, std::int32_t current, std::int32_t wish,
                                const HpaSpec& spec, const ControllerFlags& flags) {
  const ReplicaBounds bounds{.least = spec.min_replicas.value_or(1), .most = spec.max_replicas};
  RulesTrace trace{.has_behavior = spec.behavior.has_value(),
                   .wish = wish,
                   .lowest = wish,
                   .highest = wish,
                   .down_window = flags.downscale_stabilization};
  if (!spec.behavior) {
    stabilize_plain(now, trace);
    limit_plain(current, bounds, trace);
    return trace;
  }
  trace.up_window_seconds = *spec.behavior->up->window_seconds;
  const auto flag = std::chrono::duration_cast<std::chrono::seconds>(flags.downscale_stabilization);
  trace.down_window = seconds(
      spec.behavior->down->window_seconds.value_or(static_cast<std::int32_t>(flag.count())));
  stabilize(now, current, trace);
  limit(now, current, bounds, *spec.behavior, trace);
  return trace;
}

void ScalingMemory::stabilize_plain(Duration now, RulesTrace& trace) {
  auto place = recommendations_.end();
  for (auto one = recommendations_.begin(); one != recommendations_.end(); ++one) {
    if (one->at < now - trace.down_window) {
      place = one;
    } else {
      trace.highest = std::max(trace.highest, one->replicas);
    }
  }
  if (place == recommendations_.end()) {
    place = recommendations_.insert(place, Recommendation{});
  }
  *place = {.replicas = trace.wish, .at = now};
  trace.stabilized = trace.highest;
  if (trace.stabilized != trace.wish) {
    trace.able = AbleReason::kScaleDownStabilized;
  }
}

void ScalingMemory::stabilize(Duration now, std::int32_t current, RulesTrace& trace) {
  const Duration up_cut = now - seconds(trace.up_window_seconds);
  const Duration down_cut = now - trace.down_window;
  auto place = recommendations_.end();
  for (auto one = recommendations_.begin(); one != recommendations_.end(); ++one) {
    if (one->at > up_cut) {
      trace.lowest = std::min(trace.lowest, one->replicas);
    }
    if (one->at > down_cut) {
      trace.highest = std::max(trace.highest, one->replicas);
    }
    if (one->at < up_cut && one->at < down_cut) {
      place = one;
    }
  }
  // Not a clamp: where the lowest is above the highest, the highest wins.
  trace.stabilized = std::min(std::max(current, trace.lowest), trace.highest);
  if (place == recommendations_.end()) {
    place = recommendations_.insert(place, Recommendation{});
  }
  *place = {.replicas = trace.wish, .at = now};
  if (trace.stabilized != trace.wish) {
    trace.able =
        trace.wish >= current ? AbleReason::kScaleUpStabilized : AbleReason::kScaleDownStabilized;
  }
}

std::int32_t ScalingMemory::policy_limit(Duration now, std::int32_t current,
                                         const ScalingRules& rules, bool is_up,
                                         RulesTrace& trace) const {
  trace.select = rules.select;
  if (rules.select == SelectPolicy::kDisabled) {
    return current;
  }
  // The largest change is the highest limit on the way up, the lowest on the way down.
  const bool wants_highest = is_up == (*rules.select == SelectPolicy::kMax);
  std::int32_t result = wants_highest ? kLeast : kMost;
  for (const ScalingPolicy& policy : *rules.policies) {
    PolicyTrace one{.policy = policy};
    one.added = change_within(ups_, now, seconds(policy.period_seconds));
    one.removed = change_within(downs_, now, seconds(policy.period_seconds));
    const std::int32_t start = wrap_add(wrap_subtract(current, one.added), one.removed);
    // The order of these operations is Go's: 50 pods and 10 % give 56, not 55.
    const double share = static_cast<double>(policy.value) / 100;
    if (policy.type == PolicyType::kPods) {
      one.limit = is_up ? wrap_add(start, policy.value) : wrap_subtract(start, policy.value);
    } else if (is_up) {
      one.limit = to_int32(std::ceil(static_cast<double>(start) * (1 + share)));
    } else {
      one.limit = to_int32(static_cast<double>(start) * (1 - share));
    }
    result = wants_highest ? std::max(result, one.limit) : std::min(result, one.limit);
    trace.policies.push_back(one);
  }
  return result;
}

void ScalingMemory::limit(Duration now, std::int32_t current, ReplicaBounds bounds,
                          const Behavior& behavior, RulesTrace& trace) const {
  trace.result = trace.stabilized;
  if (trace.stabilized > current) {
    const std::int32_t fastest =
        std::max(policy_limit(now, current, *behavior.up, true, trace), current);
    trace.bound = std::min(bounds.most, fastest);
    if (trace.stabilized > trace.bound) {
      trace.limited =
          bounds.most > fastest ? LimitReason::kScaleUpLimit : LimitReason::kTooManyReplicas;
      trace.result = trace.bound;
    }
  } else if (trace.stabilized < current) {
    const std::int32_t fastest =
        std::min(policy_limit(now, current, *behavior.down, false, trace), current);
    trace.bound = std::max(bounds.least, fastest);
    if (trace.stabilized < trace.bound) {
      trace.limited =
          bounds.least < fastest ? LimitReason::kScaleDownLimit : LimitReason::kTooFewReplicas;
      trace.result = trace.bound;
    }
  }
}

void ScalingMemory::record_rescale(Duration now, std::int32_t from, std::int32_t to,
                                   const HpaSpec& spec) {
  if (!spec.behavior) {
    return;
  }
  if (to > from) {
    store(ups_, now, wrap_subtract(to, from), *spec.behavior->up);
  } else {
    store(downs_, now, wrap_subtract(from, to), *spec.behavior->down);
  }
}

}  // namespace podsense::foresight
