// What `podsense plan` is asked: an objective, a node, a space of settings. What is accepted is
// walked.

#include "plan/plan.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace {

using namespace podsense;  // NOLINT(google-build-using-namespace): a program of one file

void check(bool good) {
  if (!good) {
    __builtin_trap();
  }
}

constexpr const char* kScenario =
    "length: 10s\narrivals: {shape: constant:5}\nservice: {run_cpu: 10ms}\nstart: {load: 1s}\n"
    "pod: {cpu_request: 250m}\n";

void walk(const plan::Problem& problem) {
  constexpr int kMost = 200;
  int points = 0;
  if (problem.space.size() > 1e5) {
    return;
  }
  problem.space.each([&](const plan::Point& point) {
    if (++points > kMost) {
      return;
    }
    check(problem.space.reduced(point) == point && problem.space.makes_sense(point));
    check(!plan::settings_text(problem.space.settings_of(point)).empty());
    for (const plan::Point& near : problem.space.neighbours(point)) {
      check(problem.space.makes_sense(near) && near != point);
    }
  });
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  if (const auto objective = plan::parse_objective(text)) {
    for (const plan::LatencyGoal& goal : objective->latencies) {
      check(goal.latency > Duration::zero() && goal.allowed() > 0 && goal.allowed() <= 0.5);
    }
  }
  if (const auto node = plan::parse_node(text)) {
    check(node->cores > 0 && node->memory_bytes > 0 && node->hour > 0);
  }
  const auto problem = plan::prepare({.scenario = {.name = "s", .text = kScenario, .overrides = {}},
                                      .files = {},
                                      .objective = "p99=250ms",
                                      .spaces = {{"space", text}}});
  if (problem) {
    walk(*problem);
  } else {
    check(!problem.error().message.empty());
  }
  return 0;
}
