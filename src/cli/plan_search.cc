#include "cli/plan_search.h"

#include <CLI/CLI.hpp>
#include <iostream>
#include <string>

#include "cli/flags.h"
#include "plan/objective.h"

namespace podsense::cli {
namespace {

constexpr const char* kName = "podsense plan";
constexpr const char* kText =
    R"(finds the cheapest settings that hold an objective, and writes them as Helm values

  podsense plan scenario.yaml --objective p99=250ms,errors=0.1% --out values-plan.yaml
)";

struct PlanFlags {
  std::string file;
  std::string objective;
};

void add_options(CLI::App& app, PlanFlags& flags) {
  app.option_defaults()->group("Flags");
  app.add_option("scenario", flags.file, "YAML or JSON, as `podsense simulate` reads it")
      ->type_name("FILE")
      ->required();
  app.add_option("--objective", flags.objective, "what has to hold: p99=250ms,errors=0.1%")
      ->type_name("GOALS")
      ->required();
}

}  // namespace

Description describe_plan_search() {
  PlanFlags flags;
  CLI::App app(kText, kName);
  add_options(app, flags);
  add_common_flags(app);
  return describe(app);
}

int plan_search(std::span<const char* const> arguments) {
  PlanFlags flags;
  CLI::App app(kText, kName);
  add_options(app, flags);
  if (const auto done = parse(app, to_words(arguments))) {
    return *done;
  }
  const auto objective = plan::parse_objective(flags.objective);
  if (!objective) {
    Error error = objective.error();
    error.message.insert(0, "--objective: ");
    return report_error(kName, error);
  }
  return 0;
}

}  // namespace podsense::cli
