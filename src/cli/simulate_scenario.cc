#include "cli/simulate_scenario.h"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <csignal>
#include <filesystem>
#include <iostream>
#include <iterator>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "cli/flags.h"
#include "cli/output_files.h"
#include "foresight/simulate.h"
#include "text/file.h"

namespace podsense::cli {
namespace {

constexpr const char* kName = "podsense simulate";
constexpr const char* kText =
    R"(simulates traffic, pods, metrics and autoscaler in virtual time

  podsense simulate scenario.yaml --runs 30
  podsense simulate scenario.yaml --set arrivals.shape=constant:40 --json report.json
  podsense simulate a.yaml --compare a.yaml --set pod.cpu_limit=500m --runs 30
  podsense simulate hpa …          one decision of an autoscaler, or many of them
)";
constexpr const char* kFooter =
    R"(Exit codes: 0 simulated; 2 bad flags or files; 3 with --fail-if-missed, a run missed the objective; 130 interrupted.
docs/how-to/simulate.md shows how to use it, docs/reference/simulate.md describes the file.
)";

struct ScenarioFlags {
  std::string file;
  std::string compared;
  std::vector<std::string> sets;
  std::uint64_t seed = 0;
  bool has_seed = false;
  unsigned runs = 1;
  unsigned threads = 0;
  std::optional<int> sample_pods;
  std::string json;
  std::string html;
  std::string dump;
  bool explain = false;
  bool fail_if_missed = false;
};

void add_options(CLI::App& app, ScenarioFlags& flags) {
  app.option_defaults()->group("Flags");
  app.add_option("scenario", flags.file, "YAML or JSON; - for standard input")
      ->type_name("FILE")
      ->required();
  app.add_option("--compare", flags.compared,
                 "compare with another scenario, with the same seeds; --set changes that one")
      ->type_name("FILE");
  app.add_option("--set", flags.sets, "replaces a value of the file; repeatable")
      ->type_name("FIELD=VALUE")
      ->allow_extra_args(false);
  app.add_option_function<std::string>(
         "--seed",
         [&flags](const std::string& text) {
           flags.seed = whole_in("--seed", text, {.low = 0, .high = INT64_MAX});
           flags.has_seed = true;
         },
         "of the first run; the next ones have the numbers after it (1)")
      ->type_name("N");
  add_whole(app, "--runs", flags.runs, {.low = 1, .high = 100000},
            "number of runs, each with other random numbers (1)");
  add_whole(app, "--threads", flags.threads, {.low = 1, .high = 1024},
            "concurrent runs, without effect on the results (cores of this machine)");
  add_whole(
      app, "--sample-pods", flags.sample_pods, {.low = 0, .high = 100000},
      "pods to simulate in full, out of the maximum; the others behave like their mean (0: all)");
  app.add_option("--json", flags.json,
                 "all figures over time and all decisions; - for standard output")
      ->type_name("FILE");
  app.add_option("--html", flags.html,
                 "one page with plots, of the first run; - for standard output")
      ->type_name("FILE");
  app.add_option("--dump-hpa", flags.dump,
                 "each decision of the autoscaler, for `podsense simulate hpa --vectors`; - for "
                 "standard output")
      ->type_name("FILE");
  app.add_flag("--explain", flags.explain,
               "explain every decision, not only those that changed something");
  app.add_flag("--fail-if-missed", flags.fail_if_missed,
               "exit code 3 if a run missed the objective");
}

std::atomic<bool> stop = false;
/// A second signal ends the process.
void ask_to_stop(int /*signal*/) {
  stop = true;
  std::signal(SIGINT, SIG_DFL);
}

std::string text_of(std::istream& in) {
  return {std::istreambuf_iterator<char>(in), {}};
}

/// @param sets each FIELD=VALUE
Result<foresight::Scenario> read(const ScenarioFlags& flags, const std::string& path,
                                 const std::vector<std::string>& sets) {
  const bool is_stdin = path == "-";
  foresight::ScenarioText text{
      .name = is_stdin ? "standard input" : path, .text = {}, .overrides = {}};
  if (is_stdin) {
    text.text = text_of(std::cin);
  } else if (auto file = text::read_file(path)) {
    text.text = std::move(*file);
  } else {
    return fail(file.error());
  }
  for (const std::string& set : sets) {
    const std::size_t equals = set.find('=');
    if (equals == std::string::npos) {
      return fail(ErrorCode::kInvalidArgument,
                  "--set: '" + set + "' must be FIELD=VALUE, such as arrivals.shape=constant:20");
    }
    text.overrides.push_back({.path = set.substr(0, equals), .value = set.substr(equals + 1)});
  }
  if (flags.has_seed) {
    text.overrides.push_back({.path = "seed", .value = std::to_string(flags.seed)});
  }
  if (flags.sample_pods) {
    text.overrides.push_back({.path = "sample_pods", .value = std::to_string(*flags.sample_pods)});
  }
  const auto folder = std::filesystem::path(is_stdin ? "" : path).parent_path();
  return foresight::read_scenario(
      text, [&](const std::string& name) { return text::read_file(folder / name); });
}

Result<void> check_flags(const ScenarioFlags& flags) {
  const bool has_files = !flags.json.empty() || !flags.html.empty() || !flags.dump.empty();
  if (!flags.compared.empty() && has_files) {
    return fail(ErrorCode::kInvalidArgument,
                "--compare prints a table; --json, --html and --dump-hpa are for one scenario");
  }
  return check_outputs({{.flag = "--json", .path = flags.json},
                        {.flag = "--html", .path = flags.html},
                        {.flag = "--dump-hpa", .path = flags.dump}});
}

/// Updates a progress line on a terminal.
void show_progress(unsigned done, unsigned all) {
  static std::mutex mutex;
  const std::lock_guard lock(mutex);
  std::cerr << '\r' << done << " of " << all << " runs" << (done == all ? "\r" : "") << std::flush;
}

int put_out(const ScenarioFlags& flags, const foresight::Scenario& scenario,
            const foresight::Simulation& simulation) {
  if (!flags.dump.empty()) {
    std::string cases;
    for (const foresight::RunResult& run : simulation.runs) {
      cases += run.hpa_case;
    }
    if (!write_output(kName, flags.dump, cases)) {
      return 2;
    }
  }
  if (!flags.json.empty() && !write_output(kName, flags.json, [&](std::ostream& out) {
        foresight::write_simulation_json(out, scenario, simulation);
      })) {
    return 2;
  }
  if (!flags.html.empty() && !simulation.runs.empty() &&
      !write_output(kName, flags.html, foresight::simulation_html(scenario, simulation))) {
    return 2;
  }
  if (flags.json != "-" && flags.dump != "-" && flags.html != "-" &&
      !write_output(kName, "-", foresight::simulation_text(scenario, simulation))) {
    return 2;
  }
  if (simulation.runs.size() < flags.runs) {
    return 130;
  }
  return flags.fail_if_missed && !foresight::all_met(scenario, simulation) ? 3 : 0;
}

foresight::SimulateOptions options_of(const ScenarioFlags& flags) {
  foresight::SimulateOptions options{
      .runs = flags.runs,
      .threads =
          flags.threads != 0 ? flags.threads : std::max(1U, std::thread::hardware_concurrency()),
      .explain = flags.explain,
      .dump_hpa = !flags.dump.empty(),
      .pod_loads = !flags.html.empty(),
      .progress = {},
      .stop = &stop};
  if (isatty(STDERR_FILENO) != 0 && flags.runs > 1) {
    options.progress = [all = flags.runs](unsigned done) { show_progress(done, all); };
  }
  return options;
}

int compare(const ScenarioFlags& flags, const foresight::Scenario& first,
            const foresight::Scenario& second) {
  const auto before = foresight::simulate(first, options_of(flags));
  const auto after = foresight::simulate(second, options_of(flags));
  if (after.runs.size() < flags.runs || before.runs.size() < flags.runs) {
    return 130;
  }
  if (!write_output(kName, "-",
                    foresight::comparison_text({flags.file, first, before},
                                               {flags.compared, second, after}))) {
    return 2;
  }
  return flags.fail_if_missed && !foresight::all_met(second, after) ? 3 : 0;
}

}  // namespace

Description describe_scenario() {
  ScenarioFlags flags;
  CLI::App app(kText, kName);
  app.footer(kFooter);
  add_options(app, flags);
  add_common_flags(app);
  return describe(app);
}

int simulate_scenario(std::span<const char* const> arguments) {
  ScenarioFlags flags;
  CLI::App app(kText, kName);
  app.footer(kFooter);
  add_options(app, flags);
  if (const auto done = parse(app, to_words(arguments))) {
    return *done;
  }
  if (auto good = check_flags(flags); !good) {
    return report_error(kName, good.error());
  }
  const bool compares = !flags.compared.empty();
  const auto scenario = read(flags, flags.file, compares ? std::vector<std::string>() : flags.sets);
  if (!scenario) {
    return report_error(kName, scenario.error());
  }
  std::signal(SIGINT, ask_to_stop);
  if (!compares) {
    return put_out(flags, *scenario, foresight::simulate(*scenario, options_of(flags)));
  }
  const auto other = read(flags, flags.compared, flags.sets);
  if (!other) {
    return report_error(kName, other.error());
  }
  return compare(flags, *scenario, *other);
}

}  // namespace podsense::cli
