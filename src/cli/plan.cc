#include <string_view>
#include <vector>

#include "cli/commands.h"
#include "cli/plan_search.h"

namespace podsense::cli {

std::vector<Description> describe_plan() {
  return {describe_plan_search()};
}

/// Its first word may be a subcommand; else it searches.
int plan(std::span<const char* const> arguments) {
  return plan_search(arguments);
}

}  // namespace podsense::cli
