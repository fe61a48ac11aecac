#include <algorithm>
#include <cmath>

#include "load/reports/report.h"
#include "text/numbers.h"

namespace podsense::load {
namespace {

constexpr double kBusy = 0.9;
constexpr double kWaited = 0.2;
constexpr double kThrottled = 0.01;

std::string percent(double share) {
  return text::format_number(std::round(share * 100)) + " %";
}

/// A tenth of what is reported is the generator's own doing.
bool was_late(const LoadReport& report) {
  const Results& results = report.results;
  const Duration limit = std::max(Duration(std::chrono::milliseconds(1)),
                                  Duration(results.latency.quantile(0.99) / 10));
  return report.circumstances.open_loop && results.latency.count() > 0 &&
         results.send_lag.quantile(0.99) > limit;
}

}  // namespace

std::vector<GeneratorLimit> generator_limits(const LoadReport& report) {
  const Results& results = report.results;
  std::vector<GeneratorLimit> limits;
  for (const ErrorKind kind : {ErrorKind::kDescriptors, ErrorKind::kPorts}) {
    const std::string name(error_kind_name(kind));
    if (const auto count = results.errors[static_cast<std::size_t>(kind)]; count > 0) {
      const auto sample = results.samples.find(name);
      limits.push_back({.name = name,
                        .text = text::format_count(count) + " requests were not sent, " +
                                (sample == results.samples.end() ? name : sample->second)});
    }
  }
  const GeneratorUse& use = results.generator;
  if (use.busy >= kBusy) {
    limits.push_back({.name = "cpu",
                      .text = "it was busy " + percent(use.busy) +
                              " of the time; the server may do more: give it more --threads, more "
                              "cores, or use several generators"});
  }
  if (to_seconds(use.throttled) > kThrottled * to_seconds(results.measured)) {
    limits.push_back({.name = "throttled",
                      .text = "its CPU quota held it up for " +
                              text::format_duration(use.throttled) + ": raise its CPU limit"});
  }
  if (use.waited >= kWaited) {
    limits.push_back({.name = "cpu_wait",
                      .text = "it waited for a core " + percent(use.waited) +
                              " of the time: something else uses this machine's CPU"});
  }
  if (was_late(report)) {
    limits.push_back({.name = "send_lag",
                      .text = "it sent late (send lag p99 " +
                              text::format_duration(results.send_lag.quantile(0.99)) +
                              "): use a calmer machine, or more generators"});
  }
  return limits;
}

}  // namespace podsense::load
