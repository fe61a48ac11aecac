#include "load/load.h"

#include <CLI/CLI.hpp>
#include <iostream>
#include <string>
#include <vector>

#include "cli/commands.h"
#include "cli/flags.h"
#include "cli/load_flags.h"

namespace podsense::cli {
namespace {

constexpr const char* kDescription =
    R"(sends requests to a server and measures what its users would see

  podsense load --host http://localhost:8080 --qps 30 --seconds 180      open loop
  podsense load URL -n 50 -c 10 -m POST -H 'Name: value' -d '{…}'        closed loop
  podsense load merge A.json B.json …                       one report of several

An open loop sends at its rate, independent of earlier requests, and measures latencies from the time a request was due. A closed loop has hey's flags.
)";

constexpr const char* kFooter =
    R"(Exit codes: 0 measured; 1 not reachable, or nothing succeeded; 2 bad flags or files; 3 a --fail-if condition held, or a search found no rate; 130 interrupted.
docs/how-to/load-test.md shows how to do a load test, docs/reference/load.md has all details.
)";

constexpr const char* kName = "podsense load";
constexpr const char* kMergeName = "podsense load merge";

struct MergeFlags {
  load::LoadOptions output;
  std::vector<std::string> files;
  std::vector<std::string> conditions;
};

void add_merge_flags(CLI::App& app, MergeFlags& flags) {
  app.option_defaults()->group("Flags");
  app.add_option("file", flags.files, "what --json wrote, two files at least")
      ->type_name("FILE")
      ->required();
  app.add_option("--json", flags.output.json, "the merged report as JSON; - for standard output")
      ->type_name("FILE");
  app.add_option("--csv", flags.output.csv, "the run over time; - for standard output")
      ->type_name("FILE");
  app.add_option("--html", flags.output.html,
                 "report as one page with plots; - for standard output")
      ->type_name("FILE");
  app.add_option("--fail-if", flags.conditions, "as for a run: exit code 3")
      ->type_name("CONDITION")
      ->allow_extra_args(false);
}

constexpr const char* kMergeDescription = R"(merges the reports of several generators

The files are reports of runs of equal length on one target; the merged report is exact.
)";

int merge(std::span<const char* const> arguments) {
  MergeFlags flags;
  CLI::App app(kMergeDescription, kMergeName);
  add_merge_flags(app, flags);
  if (const auto done = parse(app, to_words(arguments))) {
    return *done;
  }
  auto conditions = to_thresholds(flags.conditions);
  if (!conditions) {
    return report_error(kMergeName, conditions.error());
  }
  flags.output.fail_if = std::move(*conditions);
  const auto ending = load::merge_files(flags.files, flags.output);
  return ending ? static_cast<int>(*ending) : report_error(kMergeName, ending.error());
}

}  // namespace

int load(std::span<const char* const> arguments) {
  if (!arguments.empty() && std::string_view(arguments[0]) == "merge") {
    return merge(arguments.subspan(1));
  }
  LoadFlags flags;
  CLI::App app(kDescription, kName);
  app.footer(kFooter);
  add_load_flags(app, flags);
  if (const auto done = parse(app, load_words(arguments), unexpected_load_flag)) {
    return *done;
  }
  auto options = to_options(flags, app);
  if (!options) {
    return report_error(kName, options.error());
  }
  if (auto made = use_oip(flags.oip, *options); !made) {
    return report_error(kName, made.error());
  }
  const auto ending = load::run_load(*options);
  return ending ? static_cast<int>(*ending) : report_error(kName, ending.error());
}

std::vector<Description> describe_load() {
  LoadFlags flags;
  CLI::App app(kDescription, kName);
  app.footer(kFooter);
  add_load_flags(app, flags);
  MergeFlags merge_flags;
  CLI::App merge_app(kMergeDescription, kMergeName);
  add_merge_flags(merge_app, merge_flags);
  add_common_flags(app);
  add_common_flags(merge_app);
  return {describe(app), describe(merge_app)};
}

}  // namespace podsense::cli
