// Start-up, windows and the traffic that they have to keep up with.

#include "plan/findings_case.h"
#include "text/numbers.h"

namespace podsense::plan {
namespace {

/// How much use may grow before pods are full, at the target that leaves most room.
double headroom(const Case& one) {
  double room = 0;
  for (const foresight::MetricSpec& metric : one.spec->metrics) {
    const auto& target = metric.target;
    if (const auto reach = reach_of(one, metric)) {
      room = std::max(room, *reach);
    } else if (target.average_utilization) {
      room = std::max(room, 100.0 / *target.average_utilization);
    } else if (metric.name == "podsense_saturation" && target.average_value &&
               target.average_value->milli() > 0) {
      room = std::max(room, 1000.0 / static_cast<double>(target.average_value->milli()));
    }
  }
  return room;
}

/// The steepest rise of the rate within `span`.
struct Rise {
  double times = 0;
  double at = 0;  ///< seconds: where it begins
};
Rise steepest(const ExpectedTraffic& traffic, double span) {
  constexpr int kSteps = 2000;
  const double length = to_seconds(traffic.length);
  if (length <= 0) {
    return {};
  }
  const double stretch = std::max(span / 2, length / kSteps);  // a rate needs some time
  const auto rate = [&](double from) {
    return (traffic.shape->due_by(from + stretch) - traffic.shape->due_by(from)) / stretch;
  };
  const double mean = traffic.shape->due_by(length) / length;
  Rise most;
  for (int i = 0; i < kSteps; ++i) {
    const double at = length * i / kSteps;
    if (at + span + stretch > length) {
      break;
    }
    // A quiet minute is no load to multiply.
    const double before = std::max(rate(at), mean / 10);
    const double times = rate(at + span) / before;
    if (times > most.times) {
      most = {.times = times, .at = at};
    }
  }
  return most;
}

std::string start_text(const Case& one) {
  const StartTimes& start = *one.start;
  return "A pod takes " + time_text(start.median) + " to be ready" +
         (start.pods > 0
              ? " (median of " + count_of(static_cast<std::int64_t>(start.pods), "pod") + ")"
              : "");
}

void check_ramp(const Case& one, Findings& out) {
  const double room = headroom(one);
  if (room <= 0) {
    return;
  }
  const Duration late = one.start->median + one.options.metric_age + sync_of(one);
  const std::string begin = start_text(one) + ", and " + time_text(late - one.start->median) +
                            " pass before it is asked for: the load may grow by " +
                            times_text(room) + " times within " + time_text(late) +
                            " before pods are full.";
  if (!one.options.traffic) {
    out.push_back({.severity = Severity::kNote,
                   .id = "ramp-limit",
                   .object = one.autoscaler->name.text(),
                   .what = begin,
                   .change =
                       "hold that against your traffic (--trace); a lower target or a quicker "
                       "start leaves more",
                   .figures = {{"seconds", to_seconds(late)}, {"headroom", room}}});
    return;
  }
  const Rise rise = steepest(*one.options.traffic, to_seconds(late));
  if (rise.times > room) {
    out.push_back(
        {.severity = Severity::kError,
         .id = "ramp-beats-start",
         .object = one.autoscaler->name.text(),
         .what = begin + " The traffic grows by " + times_text(rise.times) + " times from " +
                 text::format_duration(
                     std::chrono::milliseconds(static_cast<std::int64_t>(rise.at * 1000))) +
                 " on.",
         .change = "a lower target, more pods at least, a quicker start, or a schedule "
                   "that scales ahead",
         .figures = {{"seconds", to_seconds(late)},
                     {"headroom", room},
                     {"rise", rise.times},
                     {"rise_at_seconds", rise.at}}});
  }
}

bool scales_on_cpu(const Case& one) {
  return std::ranges::any_of(
      one.spec->metrics, [](const foresight::MetricSpec& metric) { return metric.name == "cpu"; });
}

Duration window_down(const Case& one) {
  const auto& behavior = one.spec->behavior;
  return behavior && behavior->down && behavior->down->window_seconds
             ? Duration(std::chrono::seconds(*behavior->down->window_seconds))
             : one.options.settings.flags.downscale_stabilization;
}

}  // namespace

void check_times(const Case& one, Findings& out) {
  if (!one.spec || one.most <= one.least) {
    return;
  }
  const std::string object = one.autoscaler->name.text();
  const Duration window = window_down(one);
  if (one.options.traffic && window >= one.options.traffic->length) {
    const double length = to_seconds(one.options.traffic->length);
    out.push_back(
        {.severity = Severity::kWarning,
         .id = "window-outlives-traffic",
         .object = object,
         .what = "Its window for scaling down is " + time_text(window) + ", the traffic lasts " +
                 time_text(one.options.traffic->length) +
                 ": no pod goes within it, so it says nothing about scaling down.",
         .change = "take traffic of several windows, or a shorter window",
         .figures = {{"window_seconds", to_seconds(window)}, {"traffic_seconds", length}}});
  }
  if (!one.start) {
    return;
  }
  check_ramp(one, out);
  const Duration grace = one.options.settings.flags.cpu_initialization_period;
  if (scales_on_cpu(one) && one.start->median > grace) {
    out.push_back(
        {.severity = Severity::kWarning,
         .id = "start-beyond-cpu-initialization",
         .object = object,
         .what = start_text(one) + ", longer than the CPU initialization period of " +
                 time_text(grace) +
                 ": as soon as it is ready, the CPU of its start counts as load, and more "
                 "pods are added.",
         .change = "a quicker start, --horizontal-pod-autoscaler-cpu-initialization-period "
                   "above it, or another metric than CPU",
         .figures = {{"start_seconds", to_seconds(one.start->median)},
                     {"period_seconds", to_seconds(grace)}}});
  }
  if (one.start->median > window) {
    out.push_back({.severity = Severity::kWarning,
                   .id = "start-beyond-window",
                   .object = object,
                   .what = start_text(one) + ", and pods may go " + time_text(window) +
                           " after the load has: pods are taken away before they have served.",
                   .change = "a scaleDown window of several times the start",
                   .figures = {{"start_seconds", to_seconds(one.start->median)},
                               {"window_seconds", to_seconds(window)}}});
  }
}

}  // namespace podsense::plan
