#include "cli/plan_measure.h"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <memory>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "cli/bench_server.h"
#include "cli/bench_target.h"
#include "cli/flags.h"
#include "cli/output_files.h"
#include "load/load.h"
#include "plan/measure.h"
#include "text/numbers.h"

namespace podsense::cli {
namespace {

namespace fs = std::filesystem;

constexpr const char* kName = "podsense plan measure";
constexpr const char* kText =
    R"(measures what a simulation needs about a model: times of runs by rows, of requests, of starts

  podsense plan measure my-model.onnx --out profile.json
  podsense plan measure models --model my-model --image cat.jpg --starts 5 --out profile.json

It starts a server with that model on free loopback ports, like podsense bench. Run it on the kind of node that will serve, in a pod without a CPU limit: the scenario sets the limit.
)";
constexpr const char* kFooter =
    R"(Exit codes: 0 measured; 1 it failed, or the machine is busy (--force measures anyway, and the profile says so); 2 bad flags; 130 interrupted.
`profile: profile.json` in a scenario uses it: docs/how-to/plan-measure.md.
)";
constexpr std::size_t kMostSizes = 7;
constexpr Duration kLook = std::chrono::seconds(1);
constexpr double kUserHz = 100;  ///< the unit of /proc/stat, independent of the kernel's tick rate

struct MeasureFlags : BenchTarget {
  Duration length = std::chrono::minutes(1);
  unsigned starts = 3;
  std::string out;
  bool force = false;
};

void add_options(CLI::App& app, MeasureFlags& flags) {
  app.option_defaults()->group("Flags");
  add_target_flags(app, flags);
  app.remove_option(app.get_option("--batch"));
  add_duration(app, "--seconds", flags.length,
               {.low = std::chrono::seconds(1), .high = std::chrono::hours(1)},
               "how long all runs together may take (60s)");
  add_whole(app, "--starts", flags.starts, {.low = 1, .high = 100},
            "how often to start the server, to measure the time until ready (3)");
  app.add_option("--out", flags.out, "the profile as JSON; - for standard output")
      ->type_name("FILE")
      ->required();
  app.add_flag("--force", flags.force, "measure on a busy machine, too; the profile says so");
}

std::string contents(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// Total busy time of all cores in seconds.
double busy_seconds() {
  std::istringstream line(contents("/proc/stat"));
  std::string name;
  line >> name;
  double sum = 0;
  double value = 0;
  for (int column = 0; column < 8 && line >> value; ++column) {
    sum += column == 3 || column == 4 ? 0 : value;  // idle, iowait
  }
  return sum / kUserHz;
}

/// The cores used by other processes before the measurement.
double other_cores() {
  const double before = busy_seconds();
  const auto begin = std::chrono::steady_clock::now();
  std::this_thread::sleep_for(kLook);
  return (busy_seconds() - before) / to_seconds(std::chrono::steady_clock::now() - begin);
}

/// Reads the CPU time of a process's threads and their time waiting for a core.
/// @source kernel Documentation/scheduler/sched-stats.rst
void read_threads(pid_t process, plan::ServerReading& out) {
  std::error_code error;
  const fs::path tasks = "/proc/" + std::to_string(process) + "/task";
  for (const auto& task : fs::directory_iterator(tasks, error)) {
    std::istringstream line(contents(task.path() / "schedstat"));
    std::int64_t ran = 0;
    std::int64_t waited = 0;
    if (line >> ran >> waited) {
      out.ran += Duration(ran);
      out.waited += Duration(waited);
    }
  }
}

Result<plan::ServerReading> state_of(const BenchServer& server) {
  load::LoadOptions options;
  options.headers = {{"accept",
                      "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; "
                      "encoding=delimited"}};
  const auto answer = load::get_over_http2(options, server.admin_url() + "/metrics");
  if (!answer) {
    return fail(answer.error());
  }
  auto metrics = plan::parse_protobuf_metrics(answer->body);
  if (!metrics) {
    return fail(metrics.error());
  }
  plan::ServerReading out{.metrics = std::move(*metrics)};
  read_threads(server.process(), out);
  return out;
}

double value_of(const std::vector<Sample>& samples, std::string_view name) {
  const auto found = std::ranges::find(samples, name, &Sample::name);
  return found == samples.end() ? 0 : found->value;
}

/// 1, 2, 4 … and the maximum.
std::vector<std::size_t> sizes_up_to(std::size_t most) {
  std::vector<std::size_t> out;
  for (std::size_t rows = 1; rows < most && out.size() + 1 < kMostSizes; rows *= 2) {
    out.push_back(rows);
  }
  out.push_back(most);
  return out;
}

std::size_t whole_of(const std::string& text, std::size_t otherwise) {
  const auto value = text::parse_number(text);
  return value && *value >= 1 && *value <= 4096 ? static_cast<std::size_t>(*value) : otherwise;
}

/// Measures one server.
class Measurer {
 public:
  Measurer(const MeasureFlags& flags, const BenchServer& server, plan::MeasuredProfile& profile)
      : flags_(flags), server_(server), profile_(profile) {}

  Result<void> run(const std::string& model, std::size_t most_rows) {
    const bool is_own = !flags_.body.empty();
    const auto sizes = sizes_up_to(is_own ? 1 : most_rows);
    const bool has_image = !flags_.image.empty();
    part_ = flags_.length / static_cast<int>(sizes.size() + (has_image ? 1 : 0) + 1);
    for (const std::size_t rows : sizes) {
      BenchTarget target{.batch = rows, .body = flags_.body};
      if (auto done = measure_runs(target, model, rows); !done) {
        return done;
      }
    }
    if (has_image) {
      auto measured = sequential({.image = flags_.image}, model, 1);
      if (!measured) {
        return fail(measured.error());
      }
      const auto run = plan::run_of(*measured, model, profile_.threads);
      if (!run) {
        return fail(run.error());
      }
      plan::add_request(*measured, *run, profile_);
    }
    return measure_contention(model);
  }

 private:
  Result<void> measure_runs(const BenchTarget& target, const std::string& model, std::size_t rows) {
    const auto measured = sequential(target, model, rows);
    if (!measured) {
      return fail(measured.error());
    }
    auto run = plan::run_of(*measured, model, profile_.threads);
    if (!run) {
      return fail(run.error());
    }
    if (rows == 1) {
      note_waits(*measured);
      if (flags_.image.empty()) {
        plan::add_request(*measured, *run, profile_);
      }
    }
    profile_.runs.push_back(std::move(*run));
    return {};
  }

  /// Sends one request after the other, so that each has its own run.
  Result<plan::Measured> sequential(const BenchTarget& target, const std::string& model,
                                    std::size_t rows) {
    return requests(target, model, {.rows = rows, .callers = 1});
  }

  struct Ask {
    std::size_t rows = 1;
    unsigned callers = 1;
  };
  Result<plan::Measured> requests(const BenchTarget& target, const std::string& model, Ask ask) {
    auto options = options_for(target, server_.url(), model, kName);
    if (!options) {
      return fail(options.error());
    }
    options->connections = ask.callers;
    options->requests = 5 * ask.callers;  // warm-up of caches and buffers
    if (auto warm = load::measure_load(*options); !warm) {
      return fail(warm.error());
    }
    options->requests.reset();
    options->duration = part_;
    plan::Measured out{.rows = ask.rows};
    if (auto done = put(state_of(server_), out.before); !done) {
      return fail(done.error());
    }
    const auto report = load::measure_load(*options);
    if (!report) {
      return fail(report.error());
    }
    if (report->interrupted) {
      return fail(ErrorCode::kCancelled, "interrupted");
    }
    const auto& results = report->results;
    if (results.counts.ok == 0 || results.counts.failed > 0) {
      return fail(
          ErrorCode::kUnavailable,
          results.samples.empty()
              ? "no request succeeded"
              : "requests failed: " + results.samples.begin()->second +
                    "; if the model rejects random numbers, give a request with --body or --image");
    }
    out.service = results.service;
    if (auto done = put(state_of(server_), out.after); !done) {
      return fail(done.error());
    }
    return out;
  }

  template <class T, class To>
  static Result<void> put(Result<T> value, To& to) {
    if (!value) {
      return fail(value.error());
    }
    to = std::move(*value);
    return {};
  }

  /// One request at a time needs only one core, so waiting is caused by other processes.
  void note_waits(const plan::Measured& measured) {
    const double ran = to_seconds(measured.after.ran - measured.before.ran);
    const double waited = to_seconds(measured.after.waited - measured.before.waited);
    profile_.calm.waited_share = ran + waited > 0 ? waited / (ran + waited) : 0;
  }

  /// Compares one caller per executor with a single caller.
  Result<void> measure_contention(const std::string& model) {
    const auto callers = static_cast<unsigned>(profile_.executors);
    if (callers < 2 || !flags_.body.empty()) {
      return {};
    }
    const auto measured = requests({.batch = 1}, model, {.rows = 1, .callers = callers});
    if (!measured) {
      return fail(measured.error());
    }
    if (const auto run = plan::run_of(*measured, model, profile_.threads)) {
      profile_.contention =
          to_seconds(run->wall.mean()) / to_seconds(profile_.runs.front().wall.mean());
    }
    return {};  // shared runs cannot be compared
  }

  const MeasureFlags& flags_;
  const BenchServer& server_;
  plan::MeasuredProfile& profile_;
  Duration part_{};
};

/// Starts the server several times; the last one keeps running.
Result<std::unique_ptr<BenchServer>> start_often(const MeasureFlags& flags, const BenchModel& model,
                                                 const BenchFolder& folder,
                                                 plan::MeasuredProfile& profile) {
  std::unique_ptr<BenchServer> server;
  for (unsigned i = 0; i < flags.starts; ++i) {
    server.reset();
    std::error_code ignored;
    fs::remove(folder.path() / "ports.json", ignored);
    auto started = BenchServer::start(model, folder.path(), flags.config);
    if (!started) {
      return started;
    }
    server = std::move(*started);
    plan::ServerReading state;
    read_threads(server->process(), state);
    profile.starts.push_back({.ready = server->ready_after(), .cpu = state.ran});
  }
  return server;
}

std::string request_text(const MeasureFlags& flags) {
  return !flags.image.empty()  ? "pictures: " + flags.image.filename().string()
         : !flags.body.empty() ? "body: " + flags.body.filename().string()
                               : "random tensors of the model's shapes, binary";
}

Result<plan::MeasuredProfile> measure(const MeasureFlags& flags) {
  plan::MeasuredProfile profile{
      .request = request_text(flags),
      .calm = {.machine_cores = static_cast<double>(sysconf(_SC_NPROCESSORS_ONLN)),
               .other_cores = other_cores(),
               .forced = flags.force}};
  if (const auto busy = plan::busy_text(profile.calm); !busy.empty() && !flags.force) {
    return fail(ErrorCode::kUnavailable, busy + "; wait, or say --force");
  }
  const auto folder = BenchFolder::make();
  if (!folder) {
    return fail(folder.error());
  }
  const auto model = model_of(flags, **folder);
  if (!model) {
    return fail(model.error());
  }
  const auto server = start_often(flags, *model, **folder, profile);
  if (!server) {
    return fail(server.error());
  }
  const auto facts = (*server)->facts();
  const auto metrics = (*server)->metrics();
  if (!facts || !metrics) {
    return fail(!facts ? facts.error() : metrics.error());
  }
  profile.model = model->name;
  profile.task = facts->task;
  profile.plan = facts->plan;
  profile.threads = whole_of(facts->threads, 1);
  profile.max_batch = facts->sharing == "shared" ? whole_of(facts->max_rows, 1) : 1;
  profile.cores = value_of(*metrics, "podsense_cpu_cores");
  profile.executors = value_of(*metrics, "podsense_executors");
  Measurer measurer(flags, **server, profile);
  if (auto done = measurer.run(model->name, profile.max_batch); !done) {
    return fail(done.error());
  }
  profile.memory_bytes = (*server)->peak_memory();
  if (const auto busy = plan::busy_text(profile.calm); !busy.empty() && !flags.force) {
    return fail(ErrorCode::kUnavailable, busy + "; wait, or say --force");
  }
  return profile;
}

}  // namespace

Description describe_plan_measure() {
  MeasureFlags flags;
  CLI::App app(kText, kName);
  app.footer(kFooter);
  add_options(app, flags);
  add_common_flags(app);
  return describe(app);
}

int plan_measure(std::span<const char* const> arguments) {
  MeasureFlags flags;
  CLI::App app(kText, kName);
  app.footer(kFooter);
  add_options(app, flags);
  if (const auto done = parse(app, to_words(arguments))) {
    return *done;
  }
  if (auto good = check_target(flags); !good) {
    return report_error(kName, good.error());
  }
  if (auto good = check_outputs({{.flag = "--out", .path = flags.out}}); !good) {
    return report_error(kName, good.error());
  }
  const auto profile = measure(flags);
  if (!profile) {
    return profile.error().code == ErrorCode::kCancelled ? 130
                                                         : report_error(kName, profile.error());
  }
  if (!write_output(kName, flags.out, plan::profile_json(*profile))) {
    return 1;
  }
  (flags.out == "-" ? std::cerr : std::cout)
      << profile->model << ": " << profile->task << ", " << profile->request << '\n'
      << plan::profile_text(*profile);
  return output_written(kName) ? 0 : 1;
}

}  // namespace podsense::cli
