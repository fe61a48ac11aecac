#include <CLI/CLI.hpp>
#include <chrono>
#include <fstream>
#include <iostream>
#include <iterator>
#include <string>
#include <vector>

#include "cli/commands.h"
#include "cli/flags.h"
#include "cli/simulate_scenario.h"
#include "foresight/snapshot.h"
#include "foresight/vectors.h"

namespace podsense::cli {
namespace {

constexpr const char* kName = "podsense simulate hpa";
constexpr const char* kText =
    R"(makes the decisions of a HorizontalPodAutoscaler, like Kubernetes' own controller

  podsense simulate hpa --hpa hpa.json --pods pods.json --metrics metrics.json
  podsense simulate hpa --vectors cases.jsonl --explain
)";

int refuse(const std::string& message) {
  std::cerr << kName << ": " << message << '\n';
  return 2;
}

int replay_file(const std::string& path, const foresight::VectorOptions& options) {
  std::ios::sync_with_stdio(false);
  std::ifstream file;
  const bool is_stdin = path == "-";
  if (!is_stdin) {
    file.open(path);
    if (!file) {
      return refuse("--vectors: cannot read " + path);
    }
  }
  const auto done = foresight::replay_lines(is_stdin ? std::cin : file,
                                            is_stdin ? "standard input" : path, options, std::cout);
  std::cout.flush();
  return done ? 0 : refuse(done.error().message);
}

struct HpaFlags {
  std::string vectors;
  std::vector<std::string> files;
  std::string version{foresight::version_name(foresight::kNewestVersion)};
  bool explain = false;
  foresight::SnapshotOptions snapshot;
  double tolerance = 0.1;
  Duration downscale_stabilization = std::chrono::minutes(5);
  Duration cpu_initialization_period = std::chrono::minutes(5);
  Duration initial_readiness_delay = std::chrono::seconds(30);
};

foresight::HpaSettings settings_of(const HpaFlags& flags, foresight::KubernetesVersion version) {
  return {.version = version,
          .gates = foresight::Gates::defaults(version),
          .flags = {.downscale_stabilization = flags.downscale_stabilization,
                    .tolerance = flags.tolerance,
                    .cpu_initialization_period = flags.cpu_initialization_period,
                    .initial_readiness_delay = flags.initial_readiness_delay}};
}

int explain_files(const HpaFlags& flags, const foresight::HpaSettings& settings) {
  std::vector<foresight::SnapshotFile> files;
  for (const std::string& path : flags.files) {
    std::ifstream file(path, std::ios::binary);
    if (!file) {
      return refuse("cannot read " + path);
    }
    files.push_back({path, std::string(std::istreambuf_iterator<char>(file), {})});
  }
  foresight::SnapshotOptions options = flags.snapshot;
  options.gates = settings.gates;
  const auto snapshot = foresight::read_snapshot(files, options);
  if (!snapshot) {
    return refuse(snapshot.error().message);
  }
  for (const std::string& sentence : foresight::explain_snapshot(*snapshot, settings)) {
    std::cout << sentence << '\n';
  }
  return 0;
}

void add_options(CLI::App& app, HpaFlags& flags) {
  app.option_defaults()->group("Flags");
  app.add_option("--hpa,--pods,--metrics,--target", flags.files,
                 "files of `kubectl get … -o json` and `kubectl get --raw`: autoscaler, pods, "
                 "metrics, target; "
                 "in any order, several kinds in one file too")
      ->type_name("FILE")
      ->expected(1)
      ->take_all();
  app.add_option("--name", flags.snapshot.hpa,
                 "name of the autoscaler, if the files contain several")
      ->type_name("NAME");
  add_whole(app, "--replicas", flags.snapshot.replicas, {.low = 0, .high = 1'000'000'000},
            "spec.replicas of the target, if no file contains it");
  app.add_option("--now", flags.snapshot.now,
                 "time of the decision (RFC 3339); default: that of the newest sample")
      ->type_name("TIME");
  app.add_option("--vectors", flags.vectors,
                 "cases, one JSON object per line (- for standard input); prints one JSON line per "
                 "decision")
      ->type_name("FILE");
  app.add_flag("--explain", flags.explain, "with --vectors: explain each decision in words");
  app.add_option("--kubernetes", flags.version, "version of the controller (" + flags.version + ")")
      ->type_name(foresight::version_choices());
  add_real(app, "--tolerance", flags.tolerance, {.low = 0, .high = 1e6},
           "flag of kube-controller-manager (0.1)");
  const DurationRange range{.low = Duration::zero(), .high = std::chrono::hours(240)};
  add_duration(app, "--downscale-stabilization", flags.downscale_stabilization, range,
               "the same (5m)");
  add_duration(app, "--cpu-initialization-period", flags.cpu_initialization_period, range,
               "the same (5m)");
  add_duration(app, "--initial-readiness-delay", flags.initial_readiness_delay, range,
               "the same (30s)");
}

int simulate_hpa(std::span<const char* const> arguments) {
  CLI::App app(kText, kName);
  HpaFlags flags;
  add_options(app, flags);
  if (const auto done = parse(app, to_words(arguments))) {
    return *done;
  }
  const auto version = foresight::parse_version(flags.version);
  if (!version) {
    return refuse("--kubernetes: " + version.error().message);
  }
  if (flags.vectors.empty() == flags.files.empty()) {
    return refuse("give --vectors FILE, or --hpa, --pods and --metrics");
  }
  if (!flags.vectors.empty()) {
    return replay_file(flags.vectors, {.version = *version, .explain = flags.explain});
  }
  return explain_files(flags, settings_of(flags, *version));
}

}  // namespace

std::vector<Description> describe_simulate() {
  HpaFlags flags;
  CLI::App app(kText, kName);
  add_options(app, flags);
  add_common_flags(app);
  return {describe_scenario(), describe(app)};
}

int simulate(std::span<const char* const> arguments) {
  if (!arguments.empty() && std::string_view(arguments[0]) == "hpa") {
    return simulate_hpa(arguments.subspan(1));
  }
  return simulate_scenario(arguments);
}

}  // namespace podsense::cli
