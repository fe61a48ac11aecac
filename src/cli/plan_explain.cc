#include "cli/plan_explain.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <iostream>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include "arrivals/arrival_trace.h"
#include "cli/flags.h"
#include "cli/kubectl.h"
#include "foresight/deployed.h"
#include "plan/findings.h"
#include "text/file.h"

namespace podsense::cli {
namespace {

constexpr const char* kName = "podsense plan explain";
constexpr const char* kText =
    R"(finds problems of autoscalers, budgets, quotas, probes and rollouts

  kubectl get hpa,deploy,pdb,quota,limits,pods,nodes -o json | podsense plan explain -
  helm template helm/podsense | podsense plan explain - --strict
  podsense plan explain objects.json nodes.json --trace day.csv
  podsense plan explain -n shop web         reads the cluster with kubectl
)";
constexpr const char* kFooter =
    R"(Exit codes: 0 done; 1 with --strict, there are errors; 2 bad flags, files, or cluster.
docs/how-to/plan-explain.md has all findings.
)";

struct ExplainFlags {
  std::vector<std::string> words;
  std::string space;
  std::string name;
  std::string version{foresight::version_name(foresight::kNewestVersion)};
  double tolerance = 0.1;
  Duration sync_period = std::chrono::seconds(15);
  Duration cpu_initialization_period = std::chrono::minutes(5);
  Duration downscale_stabilization = std::chrono::minutes(5);
  Duration metric_age = std::chrono::seconds(15);
  std::optional<Duration> start_up;
  std::optional<Duration> request_timeout;
  std::string trace;
  bool json = false;
  bool strict = false;
};

void add_controller_flags(CLI::App& app, ExplainFlags& flags) {
  const DurationRange range{.low = Duration::zero(), .high = std::chrono::hours(240)};
  app.add_option("--kubernetes", flags.version, "version of the controller (" + flags.version + ")")
      ->type_name(foresight::version_choices());
  add_real(app, "--tolerance", flags.tolerance, {.low = 0, .high = 1e6},
           "flag of kube-controller-manager (0.1)");
  add_duration(app, "--sync-period", flags.sync_period,
               {.low = std::chrono::seconds(1), .high = std::chrono::hours(1)}, "the same (15s)");
  add_duration(app, "--downscale-stabilization", flags.downscale_stabilization, range,
               "the same (5m)");
  add_duration(app, "--cpu-initialization-period", flags.cpu_initialization_period, range,
               "the same (5m)");
}

void add_options(CLI::App& app, ExplainFlags& flags) {
  app.option_defaults()->group("Flags");
  app.add_option("files", flags.words,
                 "JSON or YAML with any objects; - for standard input. With -n: the name of a "
                 "workload or an autoscaler, or none")
      ->type_name("FILE");
  app.add_option("-n,--namespace", flags.space, "read this namespace with kubectl instead of files")
      ->type_name("NAMESPACE");
  app.add_option("--name", flags.name, "only this workload or autoscaler")->type_name("NAME");
  const DurationRange range{.low = Duration::zero(), .high = std::chrono::hours(24)};
  app.add_option_function<std::string>(
         "--start-up",
         [&flags, range](const std::string& text) {
           flags.start_up = duration_in("--start-up", text, range);
         },
         "from a pod's creation to ready (as its pods show)")
      ->type_name("DURATION");
  app.add_option_function<std::string>(
         "--request-timeout",
         [&flags, range](const std::string& text) {
           flags.request_timeout = duration_in("--request-timeout", text, range);
         },
         "longest request of servers other than podsense, for their grace period")
      ->type_name("DURATION");
  add_duration(app, "--metric-age", flags.metric_age, range,
               "how old metrics are when the autoscaler reads them (15s)");
  app.add_option(
         "--trace", flags.trace,
         "recorded traffic (CSV, as for `podsense load --trace`), for checking ramps and windows")
      ->type_name("FILE");
  add_controller_flags(app, flags);
  app.add_flag("--json", flags.json, "findings as JSON");
  app.add_flag("--strict", flags.strict, "exit code 1 if there are errors");
}

std::string text_of(std::istream& in) {
  return {std::istreambuf_iterator<char>(in), {}};
}

Result<std::vector<foresight::SnapshotFile>> read_files(const std::vector<std::string>& paths) {
  std::vector<foresight::SnapshotFile> files;
  for (const std::string& path : paths) {
    if (path == "-") {
      files.push_back({"standard input", text_of(std::cin)});
      continue;
    }
    auto text = text::read_file(path);
    if (!text) {
      return fail(text.error());
    }
    files.push_back({path, std::move(*text)});
  }
  return files;
}

/// Reads all kinds at once, or, if that fails, one by one, because the user may not have access to
/// all. Kinds that are missing or forbidden are skipped with a message.
Result<std::vector<foresight::SnapshotFile>> read_cluster(const std::string& space) {
  const std::vector<std::string> kinds{"horizontalpodautoscalers.autoscaling",
                                       "deployments",
                                       "statefulsets",
                                       "poddisruptionbudgets",
                                       "pods",
                                       "resourcequotas",
                                       "limitranges",
                                       "configmaps"};
  std::string all;
  for (const std::string& kind : kinds) {
    all += (all.empty() ? "" : ",") + kind;
  }
  std::vector<foresight::SnapshotFile> files;
  const auto ask = [&](const std::string& kind, const std::vector<std::string>& where) {
    std::vector<std::string> words{"get", kind, "-o", "json"};
    words.insert(words.end(), where.begin(), where.end());
    auto text = ask_kubectl(words);
    if (text) {
      files.push_back({"kubectl get " + kind, std::move(*text)});
    }
    return text ? Result<void>() : Result<void>(fail(text.error()));
  };
  const std::vector<std::string> here{"-n", space};
  if (const auto whole = ask(all, here); !whole) {
    if (find_program("kubectl").empty()) {
      return fail(whole.error());
    }
    for (const std::string& kind : kinds) {
      if (const auto one = ask(kind, here); !one) {
        std::cerr << kName << ": without " << kind << ": " << one.error().message << '\n';
      }
    }
    if (files.empty()) {
      return fail(whole.error());
    }
  }
  if (const auto nodes = ask("nodes", {}); !nodes) {
    std::cerr << kName << ": without nodes: " << nodes.error().message << '\n';
  }
  [[maybe_unused]] const auto keda = ask("scaledobjects.keda.sh", here);
  return files;
}

/// Adds the pods of all namespaces, which also use the nodes' resources. Read separately, because
/// few users may list them.
void add_other_pods(std::vector<foresight::SnapshotFile>& files) {
  if (auto pods = ask_kubectl({"get", "pods", "-A", "-o", "json"})) {
    files.push_back({"kubectl get pods -A", std::move(*pods)});
  }
}

Result<plan::FindingOptions> options_of(const ExplainFlags& flags) {
  const auto version = foresight::parse_version(flags.version);
  if (!version) {
    return fail(ErrorCode::kInvalidArgument, "--kubernetes: " + version.error().message);
  }
  plan::FindingOptions options{
      .name = flags.name,
      .settings = {.version = *version,
                   .gates = foresight::Gates::defaults(*version),
                   .flags = {.sync_period = flags.sync_period,
                             .downscale_stabilization = flags.downscale_stabilization,
                             .tolerance = flags.tolerance,
                             .cpu_initialization_period = flags.cpu_initialization_period}},
      .request_timeout = flags.request_timeout,
      .start_up = flags.start_up,
      .metric_age = flags.metric_age};
  if (!flags.trace.empty()) {
    const auto text = text::read_file(flags.trace, "--trace: cannot read ");
    if (!text) {
      return fail(text.error());
    }
    auto trace = arrivals::parse_arrival_trace(*text, {});
    if (!trace) {
      return fail(ErrorCode::kInvalidArgument,
                  "--trace: " + flags.trace + ": " + trace.error().message);
    }
    options.traffic =
        plan::ExpectedTraffic{.shape = std::move(trace->shape), .length = trace->length};
  }
  return options;
}

Result<std::vector<plan::Finding>> explain(const ExplainFlags& flags) {
  auto options = options_of(flags);
  if (!options) {
    return fail(options.error());
  }
  if (!flags.space.empty() && !flags.words.empty()) {
    options->name = flags.words.front();
  }
  auto files = flags.space.empty() ? read_files(flags.words) : read_cluster(flags.space);
  if (!files) {
    return fail(files.error());
  }
  if (!flags.space.empty()) {
    add_other_pods(*files);
  }
  const auto deployed = foresight::read_deployed(*files);
  return deployed ? plan::find_faults(*deployed, *options)
                  : Result<std::vector<plan::Finding>>(fail(deployed.error()));
}

}  // namespace

Description describe_plan_explain() {
  ExplainFlags flags;
  CLI::App app(kText, kName);
  app.footer(kFooter);
  add_options(app, flags);
  add_common_flags(app);
  return describe(app);
}

int plan_explain(std::span<const char* const> arguments) {
  ExplainFlags flags;
  CLI::App app(kText, kName);
  app.footer(kFooter);
  add_options(app, flags);
  if (const auto done = parse(app, to_words(arguments))) {
    return *done;
  }
  if (flags.space.empty() ? flags.words.empty() : flags.words.size() > 1) {
    std::cerr << kName << ": give files, or -n NAMESPACE and at most one NAME\n";
    return 2;
  }
  const auto findings = explain(flags);
  if (!findings) {
    std::cerr << kName << ": " << findings.error().message << '\n';
    return 2;
  }
  std::cout << (flags.json ? plan::findings_json(*findings) : plan::findings_text(*findings));
  if (!output_written(kName)) {
    return 2;
  }
  const bool has_errors = std::ranges::any_of(
      *findings, [](const plan::Finding& one) { return one.severity == plan::Severity::kError; });
  return flags.strict && has_errors ? 1 : 0;
}

}  // namespace podsense::cli
