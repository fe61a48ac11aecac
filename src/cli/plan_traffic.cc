#include "cli/plan_traffic.h"

#include <CLI/CLI.hpp>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <numeric>
#include <string>

#include "cli/flags.h"
#include "cli/output_files.h"
#include "http/probe.h"
#include "plan/prometheus.h"
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
  std::string url;
  std::string selector;
  std::string range = "7d";
  Duration window = std::chrono::minutes(1);
  std::string out;
  std::string ca_file;
};

void add_options(CLI::App& app, TrafficFlags& flags) {
  app.option_defaults()->group("Flags");
  app.add_option("--prometheus", flags.url, "its URL, with its path if it has one")
      ->type_name("URL")
      ->required();
  app.add_option("--selector", flags.selector, "which series, as a PromQL selector (all)")
      ->type_name("{LABEL=\"VALUE\"}");
  app.add_option("--range", flags.range, "how far back: 30m, 12h, 7d, up to 14d (7d)")
      ->type_name("RANGE");
  add_duration(app, "--window", flags.window,
               {.low = std::chrono::seconds(10), .high = std::chrono::hours(1)},
               "window of rates: at least twice the scrape interval (1m)");
  app.add_option("--out", flags.out, "the scenario; its trace gets the same name with .csv")
      ->type_name("FILE")
      ->required();
  app.add_option("--ca-file", flags.ca_file, "authorities for https (the system's)")
      ->type_name("FILE");
}

/// Prometheus answers 400 with its reason in JSON.
Result<std::string> ask(const TrafficFlags& flags, const std::string& path) {
  std::string base = flags.url;
  while (base.ends_with('/')) {
    base.pop_back();
  }
  const auto answer =
      http::probe(base + path, {.timeout = std::chrono::minutes(2), .ca_file = flags.ca_file});
  if (!answer) {
    return fail(answer.error().code, "--prometheus: " + answer.error().message);
  }
  if (answer->status != 200 && answer->status != 400 && answer->status != 422) {
    return fail(ErrorCode::kUnavailable,
                "--prometheus: " + base + " answers " + std::to_string(answer->status));
  }
  return answer->body;
}

Result<void> write(const fs::path& path, const std::string& text) {
  std::ofstream file(path, std::ios::binary);
  file << text;
  file.close();
  return file ? Result<void>()
              : Result<void>(fail(ErrorCode::kInvalidArgument, "cannot write " + path.string()));
}

Result<plan::TrafficOptions> options_of(const TrafficFlags& flags) {
  const auto range = plan::parse_range(flags.range);
  if (!range) {
    return fail(ErrorCode::kInvalidArgument, "--range: " + range.error().message);
  }
  std::string selector = flags.selector;
  if (!selector.empty() && selector.front() != '{') {
    selector = "{" + selector + "}";
  }
  return plan::TrafficOptions{.selector = std::move(selector),
                              .range = *range,
                              .window = flags.window,
                              .now = static_cast<std::int64_t>(std::time(nullptr))};
}

Result<void> run(const TrafficFlags& flags) {
  const auto options = options_of(flags);
  if (!options) {
    return fail(options.error());
  }
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
  const auto traffic =
      plan::read_traffic([&](const std::string& path) { return ask(flags, path); }, *options);
  if (!traffic) {
    return fail(traffic.error());
  }
  if (auto done = write(trace, plan::traffic_csv(*traffic)); !done) {
    return done;
  }
  if (auto done = write(out, plan::traffic_scenario(*traffic, *options, trace.filename().string()));
      !done) {
    return done;
  }
  const auto all =
      std::accumulate(traffic->counts.begin(), traffic->counts.end(), std::uint64_t{0});
  std::cout << text::format_count(all) << " requests in " << flags.range << ": " << out.string()
            << ", " << trace.string() << '\n';
  for (const std::string& note : traffic->notes) {
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
