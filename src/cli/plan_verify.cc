#include "cli/plan_verify.h"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/text.h"
#include "cli/flags.h"
#include "cli/kubectl.h"
#include "cli/output_files.h"
#include "cli/plan_watch.h"
#include "foresight/simulate.h"
#include "load/load.h"
#include "plan/verify.h"
#include "text/file.h"
#include "text/numbers.h"

namespace podsense::cli {
namespace {

namespace fs = std::filesystem;

constexpr const char* kName = "podsense plan verify";
constexpr const char* kText =
    R"(replays the traffic of a plan against a real server, and shows the deviation from the plan

  podsense plan verify plan.json --url http://web.example/infer -d '{}' -n shop --name web
  podsense plan verify scenario.yaml --url http://localhost:8080/infer -d '{}' --admin http://localhost:8000
)";
constexpr const char* kFooter =
    R"(Exit codes: 0 measured; 1 the target or the cluster does not answer; 2 bad flags or files; 3 with --strict, a figure is outside the bound; 130 interrupted.
docs/how-to/plan-verify.md says what is compared, and how.
)";

struct VerifyFlags {
  std::string file;
  std::string url;
  std::string data;
  std::string data_file;
  std::string image;
  std::vector<std::string> headers;
  std::string space;
  std::string name;
  std::string admin;
  unsigned admin_port = 8000;
  unsigned runs = 30;
  double bound = 9;
  Duration length{};
  std::string record;
  std::string cluster;
  bool strict = false;
};

void add_options(CLI::App& app, VerifyFlags& flags) {
  app.option_defaults()->group("Flags");
  app.add_option("plan", flags.file, "what podsense plan --json wrote, or a scenario")
      ->type_name("FILE")
      ->required();
  app.add_option("--url", flags.url, "where requests go")->type_name("URL")->required();
  app.add_option("-d,--data", flags.data, "body of each request (JSON)")->type_name("TEXT");
  app.add_option("-D,--data-file", flags.data_file, "file with the body")->type_name("FILE");
  app.add_option("--image", flags.image, "send this picture, or those of a folder")
      ->type_name("FILE|DIR");
  app.add_option("-H,--header", flags.headers, "as often as needed")
      ->type_name("NAME: VALUE")
      ->allow_extra_args(false);
  app.add_option("-n,--namespace", flags.space, "watch the pods in this namespace with kubectl")
      ->type_name("NAMESPACE");
  app.add_option("--name", flags.name, "of the Deployment or StatefulSet, with -n")
      ->type_name("NAME");
  app.add_option("--admin", flags.admin, "of a single server without a cluster: its admin port")
      ->type_name("URL");
  add_whole(app, "--admin-port", flags.admin_port, {.low = 1, .high = 65535},
            "of the pods, with -n (8000)");
  add_whole(app, "--runs", flags.runs, {.low = 2, .high = 10000},
            "simulated runs to compare the measured one with (30)");
  add_real(app, "--bound", flags.bound, {.low = 0.1, .high = 1000},
           "accepted deviation of a figure in percent (9)");
  add_duration(app, "--seconds", flags.length, {.low = std::chrono::seconds(1)},
               "replay only the beginning (all of the plan's traffic)");
  app.add_option("--record", flags.record,
                 "file that gets a line of JSON ($XDG_STATE_HOME/podsense/verified.jsonl)")
      ->type_name("FILE");
  app.add_option("--cluster", flags.cluster,
                 "name for the record (kubectl's context, or the URL's host)")
      ->type_name("NAME");
  app.add_flag("--strict", flags.strict, "exit code 3 if a figure is outside the bound");
}

std::string variable(const char* name) {
  const char* const value = std::getenv(name);  // NOLINT(concurrency-mt-unsafe): nobody sets it
  return value == nullptr ? "" : value;
}

std::string record_path(const std::string& given) {
  if (!given.empty()) {
    return given;
  }
  const std::string state = variable("XDG_STATE_HOME");
  const std::string home = variable("HOME");
  if (state.empty() && home.empty()) {
    return "";
  }
  const fs::path folder = state.empty() ? fs::path(home) / ".local" / "state" : fs::path(state);
  return folder / "podsense" / "verified.jsonl";
}

Result<foresight::Scenario> read_plan(const VerifyFlags& flags) {
  const auto text = text::read_file(flags.file);
  if (!text) {
    return fail(text.error());
  }
  const auto plan = plan::read_verifiable(*text, flags.file);
  if (!plan) {
    return fail(plan.error());
  }
  foresight::ScenarioText scenario{.name = flags.file, .text = plan->text, .overrides = {}};
  if (flags.length > Duration::zero()) {
    scenario.overrides.push_back(
        {.path = "length", .value = std::to_string(to_seconds(flags.length)) + "s"});
  }
  const fs::path folder = fs::path(flags.file).parent_path();
  return foresight::read_scenario(scenario, [&](const std::string& name) -> Result<std::string> {
    const auto kept = plan->files.find(name);
    return kept == plan->files.end() ? text::read_file(folder / name)
                                     : Result<std::string>(kept->second);
  });
}

/// A temporary file, deleted by the destructor.
class TemporaryFile {
 public:
  TemporaryFile() {
    const int file = mkstemp(path_.data());
    if (file >= 0) {
      close(file);
    }
  }
  ~TemporaryFile() {
    std::error_code ignored;
    fs::remove(path_, ignored);
  }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_ = (fs::temp_directory_path() / "podsense-verify-XXXXXX").string();
};

/// Writes the simulated arrival times, one per line.
Result<void> write_moments(const foresight::Scenario& scenario, const std::string& path) {
  arrivals::Schedule schedule(
      scenario.arrivals.shape,
      {.arrivals = scenario.arrivals.process, .seed = scenario.seed, .end = scenario.length});
  std::ofstream file(path, std::ios::binary);
  std::string line;
  std::uint64_t count = 0;
  while (const auto arrival = schedule.next()) {
    line.clear();
    append_json_number(line, to_seconds(arrival->at));
    file << line << '\n';
    ++count;
  }
  file.close();
  if (!file) {
    return fail(ErrorCode::kUnavailable, "cannot write " + path);
  }
  return count > 0 ? Result<void>()
                   : Result<void>(fail(ErrorCode::kInvalidArgument, "the plan has no requests"));
}

Result<load::LoadOptions> load_options(const VerifyFlags& flags,
                                       const foresight::Scenario& scenario,
                                       const std::string& moments) {
  load::LoadOptions options;
  options.url = flags.url;
  options.trace = moments;
  options.csv_header = text::HeaderLine::kNo;
  options.keep_offset = true;
  options.duration = scenario.length;
  options.timeout = scenario.clients.timeout;
  options.warm_up = scenario.warm_up;
  options.seed = scenario.seed;
  options.quiet = true;
  options.tool = kName;
  if (!flags.data.empty()) {
    options.body = flags.data;
    options.content_type = "application/json";
  }
  options.body_file = flags.data_file;
  options.image = flags.image;
  for (const std::string& header : flags.headers) {
    const std::size_t colon = header.find(':');
    if (colon == std::string::npos) {
      return fail(ErrorCode::kInvalidArgument, "--header: '" + header + "' must be 'NAME: VALUE'");
    }
    const std::size_t value = header.find_first_not_of(' ', colon + 1);
    options.headers.emplace_back(header.substr(0, colon),
                                 value == std::string::npos ? "" : header.substr(value));
  }
  if (auto good = options.validate(); !good) {
    return fail(good.error());
  }
  return options;
}

std::string cluster_name(const VerifyFlags& flags) {
  if (!flags.cluster.empty()) {
    return flags.cluster;
  }
  if (!flags.space.empty()) {
    if (auto context = ask_kubectl({"config", "current-context"})) {
      context->erase(context->find_last_not_of(" \n") + 1);
      return *context;
    }
  }
  const std::size_t at = flags.url.find("://");
  const std::string rest = at == std::string::npos ? flags.url : flags.url.substr(at + 3);
  return rest.substr(0, rest.find_first_of(":/"));
}

std::string time_now() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  gmtime_r(&now, &parts);
  std::string text(20, '\0');
  std::strftime(text.data(), text.size() + 1, "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text;
}

std::string contents(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// Appends a line to the record; if that fails, the result is still printed.
void keep(const std::string& path, const std::string& line) {
  if (path.empty()) {
    return;
  }
  std::error_code ignored;
  fs::create_directories(fs::path(path).parent_path(), ignored);
  std::ofstream file(path, std::ios::binary | std::ios::app);
  file << line;
  file.close();
  if (!file) {
    std::cerr << kName << ": cannot write " << path << '\n';
  }
}

plan::Measurement measurement_of(const load::LoadReport& report,
                                 const foresight::Scenario& scenario) {
  const load::Results& results = report.results;
  const std::uint64_t answered = results.latency.count();
  const std::uint64_t in_time = results.latency.count_to(scenario.objective.latency);
  return {.requests = results.counts.planned,
          .late = results.counts.planned - std::min(results.counts.planned, in_time),
          .failed = results.counts.planned - std::min(results.counts.planned, answered),
          .latency = results.latency};
}

ServerSumsByPod sums_now(const VerifyFlags& flags) {
  if (!flags.space.empty()) {
    return sums_of_pods(flags.space, flags.name, flags.admin_port);
  }
  const auto sums = flags.admin.empty() ? Result<ServerSumsByPod>(ServerSumsByPod())
                                        : sums_of_server(flags.admin);
  return sums ? *sums : ServerSumsByPod();
}

/// Sends the traffic and watches the cluster.
Result<plan::Measurement> replay(const VerifyFlags& flags, const foresight::Scenario& scenario) {
  const TemporaryFile moments;
  if (auto done = write_moments(scenario, moments.path()); !done) {
    return fail(done.error());
  }
  const auto options = load_options(flags, scenario, moments.path());
  if (!options) {
    return fail(options.error());
  }
  std::unique_ptr<ClusterWatch> watch;
  if (!flags.space.empty()) {
    auto started = ClusterWatch::start(flags.space, flags.name);
    if (!started) {
      return fail(started.error());
    }
    watch = std::move(*started);
  }
  if (!flags.admin.empty()) {
    if (const auto answers = sums_of_server(flags.admin); !answers) {
      return fail(ErrorCode::kUnavailable, "--admin: " + answers.error().message);
    }
  }
  const ServerSumsByPod before = sums_now(flags);
  const auto report = load::measure_load(*options);
  if (!report) {
    return fail(report.error());
  }
  if (report->interrupted) {
    return fail(ErrorCode::kCancelled, "interrupted");
  }
  plan::Measurement out = measurement_of(*report, scenario);
  if (watch) {
    const plan::PodWatch& pods = watch->stop();
    if (auto seen = pods.pods()) {
      out.pods = *seen;
    }
    out.stages.start_up = pods.start_up();
    if (plan::tells_metric_age(scenario)) {
      out.stages.signal_age = pods.signal_age();
    }
  }
  const double pod_seconds = out.pods ? out.pods->seconds : to_seconds(scenario.length);
  set_server_stages(before, sums_now(flags), out.latency.count(), pod_seconds, out.stages);
  for (const load::GeneratorLimit& limit : load::generator_limits(*report)) {
    std::cerr << kName << ": the generator was a limit: " << limit.text << '\n';
  }
  return out;
}

Result<void> check_flags(const VerifyFlags& flags) {
  if (flags.space.empty() != flags.name.empty()) {
    return fail(ErrorCode::kInvalidArgument, "-n NAMESPACE and --name NAME go together");
  }
  if (!flags.space.empty() && !flags.admin.empty()) {
    return fail(ErrorCode::kInvalidArgument,
                "give -n for a cluster or --admin for one server, not both");
  }
  if (const fs::path folder = fs::path(flags.record).parent_path(); !folder.empty()) {
    std::error_code ignored;  // `check_outputs` says why
    fs::create_directories(folder, ignored);
  }
  return check_outputs({{.flag = "--record", .path = flags.record}});
}

int run(const VerifyFlags& flags) {
  if (auto good = check_flags(flags); !good) {
    return report_error(kName, good.error());
  }
  const auto scenario = read_plan(flags);
  if (!scenario) {
    return report_error(kName, scenario.error());
  }
  const auto measured = replay(flags, *scenario);
  if (!measured) {
    return measured.error().code == ErrorCode::kCancelled ? 130
                                                          : report_error(kName, measured.error());
  }
  const auto predicted = foresight::simulate(
      *scenario,
      {.runs = flags.runs, .threads = std::max(1U, std::thread::hardware_concurrency())});
  plan::Verification verification = plan::verify(predicted, *measured, flags.bound / 100);
  verification.cluster = cluster_name(flags);
  verification.plan = fs::path(flags.file).filename().string();
  const std::string path = record_path(flags.record);
  keep(path, plan::verification_line(verification, time_now()));
  std::cout << text::format_count(measured->requests) << " requests; predicted from "
            << predicted.runs.size() << " runs\n"
            << plan::verification_text(verification);
  if (scenario->clients.retries > 0) {
    std::cout << "retries of the plan's clients were not replayed\n";
  }
  if (const auto errors = plan::recent_errors(contents(path), verification.cluster);
      !errors.empty()) {
    std::cout << errors << '\n';
  }
  if (!output_written(kName)) {
    return 1;
  }
  return flags.strict && !verification.is_within() ? 3 : 0;
}

}  // namespace

Description describe_plan_verify() {
  VerifyFlags flags;
  CLI::App app(kText, kName);
  app.footer(kFooter);
  add_options(app, flags);
  add_common_flags(app);
  return describe(app);
}

int plan_verify(std::span<const char* const> arguments) {
  VerifyFlags flags;
  CLI::App app(kText, kName);
  app.footer(kFooter);
  add_options(app, flags);
  if (const auto done = parse(app, to_words(arguments))) {
    return *done;
  }
  return run(flags);
}

std::string verified_errors(const std::string& record, const std::string& cluster) {
  const std::string lines = contents(record_path(record));
  return plan::recent_errors(lines, cluster.empty() ? plan::last_cluster(lines) : cluster);
}

}  // namespace podsense::cli
