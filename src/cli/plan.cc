#include <array>
#include <string_view>
#include <vector>

#include "cli/commands.h"
#include "cli/plan_explain.h"
#include "cli/plan_measure.h"
#include "cli/plan_search.h"
#include "cli/plan_traffic.h"
#include "cli/plan_verify.h"

namespace podsense::cli {
namespace {

struct Subcommand {
  std::string_view name;
  int (*run)(std::span<const char* const> arguments);
};
constexpr std::array<Subcommand, 4> kSubcommands{{{.name = "explain", .run = plan_explain},
                                                  {.name = "measure", .run = plan_measure},
                                                  {.name = "traffic", .run = plan_traffic},
                                                  {.name = "verify", .run = plan_verify}}};

}  // namespace

std::vector<Description> describe_plan() {
  return {describe_plan_search(), describe_plan_explain(), describe_plan_measure(),
          describe_plan_traffic(), describe_plan_verify()};
}

/// The first word may be a subcommand; otherwise runs a search.
int plan(std::span<const char* const> arguments) {
  for (const Subcommand& one : kSubcommands) {
    if (!arguments.empty() && one.name == arguments[0]) {
      return one.run(arguments.subspan(1));
    }
  }
  return plan_search(arguments);
}

}  // namespace podsense::cli
