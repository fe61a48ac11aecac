#include "cli/plan_traffic.h"

#include <CLI/CLI.hpp>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <numeric>
#include <string>

#include "cli/flags.h"
#include "cli/output_files.h"
#include "cli/plan_recorded.h"
#include "text/numbers.h"

namespace podsense::cli {
namespace {

namespace fs = std::filesystem;

constexpr const char* kName = "podsense plan traffic";
constexpr const char* kText =
    R"(writes a scenario from what Prometheus has recorded of podsense: arrivals, times of runs and starts

  podsense plan traffic --prometheus http://localhost:9090 --selector '{namespace="shop"}' --range 7d --out week.yaml
)";
constexpr const char* kFooter =
    R"(Exit codes: 0 written; 1 Prometheus does not answer; 2 bad flags, or no such data.
The trace is written next to the scenario: week.csv. docs/how-to/plan-traffic.md
)";

struct TrafficFlags {
  RecordedFlags from;
  std::string out;
};

void add_options(CLI::App& app, TrafficFlags& flags) {
  app.option_defaults()->group("Flags");
  add_recorded(app, flags.from);
  app.get_option("--prometheus")->required();
  app.add_option("--out", flags.out, "the scenario; its trace gets the same name with .csv")
      ->type_name("FILE")
      ->required();
}

Result<void> write(const fs::path& path, const std::string& text) {
  std::ofstream file(path, std::ios::binary);
  file << text;
  file.close();
  return file ? Result<void>()
              : Result<void>(fail(ErrorCode::kInvalidArgument, "cannot write " + path.string()));
}

Result<void> run(const TrafficFlags& flags) {
  const fs::path out = flags.out;
  if (out == "-") {
    return fail(
        ErrorCode::kInvalidArgument,
        "--out: a scenario and its trace are two files; accepted: a path such as week.yaml");
  }
  fs::path trace = out;
  trace.replace_extension(".csv");
  if (auto good =
          check_outputs({{.flag = "--out", .path = out}, {.flag = "its trace", .path = trace}});
      !good) {
    return good;
  }
  const auto recorded = read_recorded(flags.from);
  if (!recorded) {
    return fail(recorded.error());
  }
  const auto& [options, traffic] = *recorded;
  if (auto done = write(trace, plan::traffic_csv(traffic)); !done) {
    return done;
  }
  if (auto done = write(out, plan::traffic_scenario(traffic, options, trace.filename().string()));
      !done) {
    return done;
  }
  const auto all = std::accumulate(traffic.counts.begin(), traffic.counts.end(), std::uint64_t{0});
  std::cout << text::format_count(all) << " requests in " << flags.from.range << ": "
            << out.string() << ", " << trace.string() << '\n';
  for (const std::string& note : traffic.notes) {
    std::cout << "  " << note << '\n';
  }
  return {};
}

}  // namespace

Description describe_plan_traffic() {
  TrafficFlags flags;
  CLI::App app(kText, kName);
  app.footer(kFooter);
  add_options(app, flags);
  add_common_flags(app);
  return describe(app);
}

int plan_traffic(std::span<const char* const> arguments) {
  TrafficFlags flags;
  CLI::App app(kText, kName);
  app.footer(kFooter);
  add_options(app, flags);
  if (const auto done = parse(app, to_words(arguments))) {
    return *done;
  }
  if (const auto done = run(flags); !done) {
    return report_error(kName, done.error());
  }
  return output_written(kName) ? 0 : 1;
}

}  // namespace podsense::cli
