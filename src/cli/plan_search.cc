#include "cli/plan_search.h"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <iostream>
#include <iterator>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "cli/flags.h"
#include "cli/output_files.h"
#include "cli/plan_recorded.h"
#include "cli/plan_verify.h"
#include "plan/plan.h"
#include "text/file.h"
#include "text/numbers.h"
#include "text/split.h"

namespace podsense::cli {
namespace {

constexpr const char* kName = "podsense plan";
constexpr const char* kText =
    R"(finds the cheapest settings that meet an objective, and writes them as Helm values

  podsense plan scenario.yaml --objective p99=250ms,errors=0.1% --out values-plan.yaml
  podsense plan --prometheus http://localhost:9090 --selector '{namespace="shop"}' --objective p99=250ms
  podsense plan scenario.yaml --traffic day.csv --growth 1.3 --survive 1 --objective p99=250ms
  podsense plan scenario.yaml --allow signal=cpu,none --allow min=2,3,4 --objective p99=250ms
  podsense plan scenario.yaml --node 4cpu,16Gi,0.17 --objective p99=250ms --html plan.html
)";
constexpr const char* kFooter =
    R"(Exit codes: 0 a plan that holds the objective; 1 no settings hold it, the nearest are shown; 2 bad flags or files; 130 interrupted, with the best so far.
docs/how-to/plan.md shows how to use it, docs/reference/plan.md lists what may be chosen.
)";

struct PlanFlags {
  std::string file;
  RecordedFlags recorded;
  std::vector<std::string> sets;
  std::string objective;
  std::string traffic;
  std::optional<Duration> length;
  double growth = 1;
  std::string survive;
  std::string space;
  std::vector<std::string> allowed;
  double cpu_price = plan::Prices{}.cpu_hour;
  double memory_price = plan::Prices{}.memory_gib_hour;
  std::string node;
  std::optional<Duration> assumed_start;
  std::optional<std::uint64_t> seed;
  std::string rungs;
  std::uint64_t simulations = plan::SearchOptions{}.simulations;
  unsigned threads = 0;
  std::string out;
  std::string json;
  std::string html;
  std::string record;
  std::string cluster;
};

void add_questions(CLI::App& app, PlanFlags& flags) {
  app.option_defaults()->group("What to plan for");
  app.add_option("scenario", flags.file,
                 "YAML or JSON, as `podsense simulate` reads it; its autoscaler is replaced. With "
                 "--prometheus: what it says in place of what was recorded")
      ->type_name("FILE");
  app.add_option("--objective", flags.objective,
                 "what has to hold: percentiles of all requests, and the share without an answer: "
                 "p99=250ms,errors=0.1%")
      ->type_name("GOALS")
      ->required();
  app.add_option("--traffic", flags.traffic,
                 "instead of the scenario's traffic: a CSV of arrival times or of counts per "
                 "minute, or a shape such as sine:40,20,10m")
      ->type_name("FILE|SHAPE");
  const DurationRange lengths{.low = std::chrono::seconds(1), .high = std::chrono::hours(24 * 14)};
  add_duration(app, "--length", flags.length, lengths,
               "of the traffic that is planned for (the trace's, or the scenario's; with "
               "--prometheus 1h: those with the busiest minute)");
  add_real(app, "--growth", flags.growth, {.low = 0.01, .high = 100}, "factor for the traffic (1)");
  app.add_option("--survive", flags.survive,
                 "what fails at the busiest time: a number of pods, or one zone of three (of N): "
                 "1, zone, zone/2")
      ->type_name("PODS|zone");
  app.add_option("--set", flags.sets, "replaces a value of the scenario; repeatable")
      ->type_name("FIELD=VALUE")
      ->allow_extra_args(false);
  add_duration(app, "--assume-start", flags.assumed_start,
               {.low = std::chrono::milliseconds(1), .high = std::chrono::hours(1)},
               "time until a pod is ready, if it was not measured; the plan says so");
}

void add_prometheus(CLI::App& app, PlanFlags& flags) {
  app.option_defaults()->group("In place of a scenario, what a Prometheus has recorded");
  add_recorded(app, flags.recorded);
}

void add_choices(CLI::App& app, PlanFlags& flags) {
  app.option_defaults()->group("What may be chosen, and what it costs");
  app.add_option("--space", flags.space, "values that may be chosen, as YAML: {min: [1, 2], …}")
      ->type_name("FILE");
  app.add_option("--allow", flags.allowed, "the same for one field, with priority; repeatable")
      ->type_name("FIELD=VALUE,…")
      ->allow_extra_args(false);
  add_real(app, "--price-cpu", flags.cpu_price, {.low = 0, .high = 1e6},
           "of a requested core and hour (0.04)");
  add_real(app, "--price-memory", flags.memory_price, {.low = 0, .high = 1e6},
           "of a requested GiB and hour (0.0045)");
  app.add_option("--node", flags.node,
                 "pay for whole nodes instead: what pods may use of one, and its price an hour: "
                 "4cpu,16Gi,0.17")
      ->type_name("CORES,MEMORY,PRICE");
}

void add_search(CLI::App& app, PlanFlags& flags) {
  app.option_defaults()->group("The search");
  add_whole(app, "--seed", flags.seed, {.low = 0, .high = INT64_MAX},
            "of the first run (the scenario's, or 1)");
  app.add_option("--runs", flags.rungs, "of settings at each stage (8,30,100)")->type_name("N,N,N");
  add_whole(app, "--simulations", flags.simulations, {.low = 10, .high = 100'000'000},
            "approximate maximum of runs (6000)");
  add_whole(app, "--threads", flags.threads, {.low = 1, .high = 1024},
            "concurrent runs, without effect on the result (cores of this machine)");
}

void add_results(CLI::App& app, PlanFlags& flags) {
  app.option_defaults()->group("What comes out");
  app.add_option("--out", flags.out,
                 "values for the Helm chart, with reasons; - for standard output")
      ->type_name("FILE");
  app.add_option("--json", flags.json,
                 "the whole plan, which `podsense plan verify` reads; - for standard output")
      ->type_name("FILE");
  app.add_option("--html", flags.html, "one page with plots; - for standard output")
      ->type_name("FILE");
  app.add_option("--record", flags.record,
                 "of podsense plan verify: the errors of earlier plans follow the text "
                 "($XDG_STATE_HOME/podsense/verified.jsonl)")
      ->type_name("FILE");
  app.add_option("--cluster", flags.cluster, "name in the record (that of the last verification)")
      ->type_name("NAME");
}

void add_options(CLI::App& app, PlanFlags& flags) {
  app.footer(kFooter);
  add_questions(app, flags);
  add_prometheus(app, flags);
  add_choices(app, flags);
  add_search(app, flags);
  add_results(app, flags);
}

std::atomic<bool> stop = false;
/// A second signal ends the process.
void ask_to_stop(int /*signal*/) {
  stop = true;
  std::signal(SIGINT, SIG_DFL);
}

Error prefixed(Error error, const std::string& flag) {
  error.message.insert(0, flag + ": ");
  return error;
}

Result<std::string> read_text(const std::string& path) {
  if (path != "-") {
    return text::read_file(path);
  }
  return std::string(std::istreambuf_iterator<char>(std::cin), {});
}

Result<std::vector<foresight::Override>> overrides_of(const PlanFlags& flags) {
  std::vector<foresight::Override> out;
  for (const std::string& set : flags.sets) {
    const std::size_t equals = set.find('=');
    if (equals == std::string::npos) {
      return fail(ErrorCode::kInvalidArgument,
                  "--set: '" + set + "' must be FIELD=VALUE, such as pod.memory_request=256Mi");
    }
    out.push_back({.path = set.substr(0, equals), .value = set.substr(equals + 1)});
  }
  return out;
}

Result<foresight::ScenarioText> scenario_text(const PlanFlags& flags) {
  auto text = read_text(flags.file);
  if (!text) {
    return fail(text.error());
  }
  auto overrides = overrides_of(flags);
  if (!overrides) {
    return fail(overrides.error());
  }
  return foresight::ScenarioText{.name = flags.file == "-" ? "standard input" : flags.file,
                                 .text = std::move(*text),
                                 .overrides = std::move(*overrides)};
}

bool is_shape(const std::string& text) {
  constexpr std::array<std::string_view, 5> kShapes{
      "constant:", "ramp:", "steps:", "sine:", "burst:"};
  return std::ranges::any_of(kShapes,
                             [&](std::string_view name) { return text.starts_with(name); });
}

Result<plan::Traffic> traffic_of(const std::string& text) {
  if (text.empty() || is_shape(text)) {
    return plan::Traffic{.shape = text, .name = {}, .trace = {}};
  }
  auto trace = text::read_file(text);
  if (!trace) {
    return fail(prefixed(trace.error(), "--traffic"));
  }
  return plan::Traffic{.shape = {}, .name = text, .trace = std::move(*trace)};
}

/// "1", "zone" (of three), "zone/2"
Result<plan::Survive> survive_of(const std::string& text) {
  const auto whole = [](std::string_view digits, double least, double most) {
    const auto number = text::parse_number(digits);
    return number && *number >= least && *number <= most && *number == std::floor(*number)
               ? number
               : std::nullopt;
  };
  if (text.empty()) {
    return plan::Survive{};
  }
  if (text == "zone") {
    return plan::Survive{.share = 1.0 / 3};
  }
  if (const auto zones = text.starts_with("zone/") ? whole(text.substr(5), 2, 100) : std::nullopt) {
    return plan::Survive{.share = 1 / *zones};
  }
  if (const auto pods = whole(text, 0, 10'000)) {
    return plan::Survive{.pods = static_cast<std::int32_t>(*pods)};
  }
  return fail(ErrorCode::kInvalidArgument,
              "--survive: '" + text +
                  "' is not accepted; accepted: pods such as 1, zone (one of "
                  "three), zone/N (one of N, 2 to 100)");
}

Result<plan::Rungs> rungs_of(const std::string& text) {
  plan::Rungs out = plan::kRungs;
  if (text.empty()) {
    return out;
  }
  const auto parts = text::split(text, ',');
  double before = 1;
  for (std::size_t i = 0; i < out.size(); ++i) {
    const auto number =
        parts.size() == out.size() ? text::parse_number(text::trim(parts[i])) : std::nullopt;
    if (!number || *number < std::max(2.0, before) || *number > 10'000 ||
        *number != std::floor(*number)) {
      return fail(ErrorCode::kInvalidArgument,
                  "--runs: '" + text +
                      "' is not accepted; accepted: three numbers from 2 to "
                      "10000, none less than the one before: 8,30,100");
    }
    before = *number;
    out[i] = static_cast<unsigned>(*number);
  }
  return out;
}

/// What is simulated, and what was taken on trust for it.
struct Source {
  foresight::ScenarioText scenario;
  foresight::FileReader files;
  std::vector<std::string> notes;
};

Result<Source> source_of(const PlanFlags& flags) {
  const bool is_recorded = !flags.recorded.url.empty();
  if (flags.file.empty() && !is_recorded) {
    return fail(ErrorCode::kInvalidArgument, "give a scenario, or --prometheus URL");
  }
  std::optional<foresight::ScenarioText> own;
  if (!flags.file.empty()) {
    auto text = scenario_text(flags);
    if (!text) {
      return fail(text.error());
    }
    own = std::move(*text);
  }
  const auto folder = std::filesystem::path(flags.file == "-" ? "" : flags.file).parent_path();
  const auto beside = [folder](const std::string& name) { return text::read_file(folder / name); };
  if (!is_recorded) {
    return Source{.scenario = std::move(*own), .files = beside, .notes = {}};
  }
  auto recorded = read_recorded(flags.recorded);
  if (!recorded) {
    return fail(recorded.error());
  }
  plan::RecordedTraffic& traffic = recorded->traffic;
  const std::size_t notes = traffic.notes.size();
  plan::keep_busiest(traffic, flags.length.value_or(std::chrono::hours(1)));
  if (!flags.traffic.empty()) {
    traffic.notes.resize(notes);  // it takes the place of these minutes
  }
  auto sets = overrides_of(flags);
  if (!sets) {
    return fail(sets.error());
  }
  const bool has_start = flags.assumed_start || std::ranges::any_of(*sets, [](const auto& one) {
                           return one.path.starts_with("start");
                         });
  if (own) {
    own->overrides.clear();
  }
  auto scenario = plan::recorded_scenario(traffic, recorded->options, own, has_start);
  if (!scenario) {
    return fail(scenario.error());
  }
  scenario->overrides.insert(scenario->overrides.end(), sets->begin(), sets->end());
  return Source{.scenario = std::move(*scenario),
                .files =
                    [beside, trace = plan::traffic_csv(traffic)](const std::string& name) {
                      return name == plan::kRecordedTrace ? Result<std::string>(trace)
                                                          : beside(name);
                    },
                .notes = std::move(traffic.notes)};
}

Result<plan::PlanRequest> request_of(const PlanFlags& flags, Source source) {
  plan::PlanRequest out{
      .scenario = std::move(source.scenario),
      .files = std::move(source.files),
      .objective = flags.objective,
      .traffic = {},
      .length = flags.length,
      .growth = flags.growth,
      .survive = {},
      .prices = {.cpu_hour = flags.cpu_price, .memory_gib_hour = flags.memory_price, .node = {}},
      .spaces = {},
      .allowed = flags.allowed,
      .assumed_start = flags.assumed_start,
      .seed = flags.seed};
  auto traffic = traffic_of(flags.traffic);
  if (!traffic) {
    return fail(traffic.error());
  }
  out.traffic = std::move(*traffic);
  const auto survive = survive_of(flags.survive);
  if (!survive) {
    return fail(survive.error());
  }
  out.survive = *survive;
  if (!flags.node.empty()) {
    const auto node = plan::parse_node(flags.node);
    if (!node) {
      return fail(prefixed(node.error(), "--node"));
    }
    out.prices.node = *node;
  } else if (flags.cpu_price == 0 && flags.memory_price == 0) {
    return fail(ErrorCode::kInvalidArgument,
                "--price-cpu, --price-memory: one of them must be above 0");
  }
  if (!flags.space.empty()) {
    auto space = text::read_file(flags.space);
    if (!space) {
      return fail(prefixed(space.error(), "--space"));
    }
    out.spaces.emplace_back(flags.space, std::move(*space));
  }
  return out;
}

/// A progress line on a terminal, updated a few times per second.
class ProgressLine {
 public:
  void show(const plan::Progress& progress) {
    const std::lock_guard lock(mutex_);
    const auto now = std::chrono::steady_clock::now();
    if (now - shown_ < std::chrono::milliseconds(200)) {
      return;
    }
    shown_ = now;
    std::string line = text::format_count(progress.done) + " runs, " + progress.now;
    if (progress.done > 0 && progress.done < progress.most) {
      const std::chrono::duration<double> spent = now - begin_;
      const double left = spent.count() / static_cast<double>(progress.done) *
                          static_cast<double>(progress.most - progress.done);
      line += "; at most " + text::format_duration(from_seconds(std::min(left, 3.6e6))) + " left";
    }
    line.resize(std::max<std::size_t>(line.size(), width_), ' ');
    width_ = line.size();
    std::cerr << '\r' << line << std::flush;
  }
  void end() const {
    if (width_ > 0) {
      std::cerr << '\r' << std::string(width_, ' ') << '\r' << std::flush;
    }
  }

 private:
  std::mutex mutex_;
  const std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
  std::chrono::steady_clock::time_point shown_;
  std::size_t width_ = 0;
};

int put_out(const PlanFlags& flags, const plan::Plan& made) {
  const bool is_holding = made.search.verdict == plan::SearchVerdict::kHolds;
  if (made.search.best) {
    // Only write values that meet the objective.
    const bool is_out = !flags.out.empty() && is_holding;
    if ((is_out && !write_output(kName, flags.out, plan::values_yaml(made))) ||
        (!flags.html.empty() && !write_output(kName, flags.html, plan::plan_html(made)))) {
      return 2;
    }
    if (!flags.json.empty() && !write_output(kName, flags.json, plan::plan_json(made))) {
      return 2;
    }
  }
  if (flags.out != "-" && flags.json != "-" && flags.html != "-") {
    const std::string errors = verified_errors(flags.record, flags.cluster);
    if (!write_output(kName, "-", plan::plan_text(made) + errors + (errors.empty() ? "" : "\n"))) {
      return 2;
    }
  }
  switch (made.search.verdict) {
    case plan::SearchVerdict::kHolds:
      return 0;
    case plan::SearchVerdict::kNoneHolds:
      return 1;
    case plan::SearchVerdict::kInterrupted:
      break;
  }
  return 130;
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
  if (auto good = check_outputs({{.flag = "--out", .path = flags.out},
                                 {.flag = "--json", .path = flags.json},
                                 {.flag = "--html", .path = flags.html}});
      !good) {
    return report_error(kName, good.error());
  }
  const auto rungs = rungs_of(flags.rungs);
  if (!rungs) {
    return report_error(kName, rungs.error());
  }
  auto source = source_of(flags);
  if (!source) {
    return report_error(kName, source.error());
  }
  std::vector<std::string> notes = std::move(source->notes);
  auto problem = request_of(flags, std::move(*source)).and_then(plan::prepare);
  if (!problem) {
    return report_error(kName, problem.error());
  }
  problem->assumed.insert(problem->assumed.end(), notes.begin(), notes.end());
  std::signal(SIGINT, ask_to_stop);
  ProgressLine line;
  plan::SearchOptions options{.rungs = *rungs,
                              .threads = flags.threads != 0
                                             ? flags.threads
                                             : std::max(1U, std::thread::hardware_concurrency()),
                              .simulations = flags.simulations,
                              .stop = &stop,
                              .progress = {}};
  if (isatty(STDERR_FILENO) != 0) {
    options.progress = [&line](const plan::Progress& progress) { line.show(progress); };
  }
  const plan::Plan made = plan::make_plan(std::move(*problem), options);
  line.end();
  return put_out(flags, made);
}

}  // namespace podsense::cli
