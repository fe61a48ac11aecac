#include <string_view>
#include <vector>

#include "cli/commands.h"
#include "cli/plan_explain.h"
#include "cli/plan_measure.h"
#include "cli/plan_search.h"
#include "cli/plan_verify.h"

namespace podsense::cli {

std::vector<Description> describe_plan() {
  return {describe_plan_search(), describe_plan_explain(), describe_plan_measure(),
          describe_plan_verify()};
}

/// Its first word may be a subcommand; else it searches.
int plan(std::span<const char* const> arguments) {
  if (!arguments.empty() && std::string_view(arguments[0]) == "explain") {
    return plan_explain(arguments.subspan(1));
  }
  if (!arguments.empty() && std::string_view(arguments[0]) == "measure") {
    return plan_measure(arguments.subspan(1));
  }
  if (!arguments.empty() && std::string_view(arguments[0]) == "verify") {
    return plan_verify(arguments.subspan(1));
  }
  return plan_search(arguments);
}

}  // namespace podsense::cli
