#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <system_error>
#include <thread>

#include "cli/commands.h"
#include "cli/flags.h"
#include "cli/load_oip.h"
#include "cli/top_view.h"
#include "http/probe.h"
#include "load/load.h"
#include "load/quantity.h"

extern char** environ;  // NOLINT(readability-redundant-declaration): POSIX leaves it to the program

namespace podsense::cli {
namespace {

namespace fs = std::filesystem;

constexpr const char* kName = "podsense bench";
constexpr const char* kText =
    R"(says what this machine does with a model: rates, latencies, memory, batches

  podsense bench --models models
  podsense bench --models models --model my-model --slo 50ms --html bench.html

It starts a server of its own on free ports of the loopback, finds out how much that can do, and then sends it random tensors at growing shares of that, at random moments as independent users do. Server and generator share this machine's cores.
)";
constexpr Duration kStartLimit = std::chrono::minutes(2);
constexpr Duration kLook = std::chrono::milliseconds(50);
constexpr std::array<double, 6> kShares{0.2, 0.4, 0.6, 0.75, 0.9, 1.05};

struct BenchFlags {
  std::string models = "models";
  std::string model;
  std::uint64_t batch = 1;
  Duration slo = std::chrono::milliseconds(100);
  Duration length = std::chrono::seconds(20);
  fs::path html;
};

void add_flags(CLI::App& app, BenchFlags& flags) {
  app.option_defaults()->group("Flags");
  app.add_option("--models", flags.models, "the model repository (models)")->type_name("DIR");
  app.add_option("--model", flags.model, "which of its models, where it has several")
      ->type_name("NAME");
  add_whole(app, "--batch", flags.batch, {.low = 1, .high = 4096},
            "rows in a request, where the model takes several (1)");
  add_duration(app, "--slo", flags.slo,
               {.low = std::chrono::milliseconds(1), .high = std::chrono::minutes(1)},
               "what p99 may be (100ms)");
  add_duration(app, "--seconds", flags.length,
               {.low = std::chrono::seconds(4), .high = std::chrono::hours(1)},
               "how long it may take, once the server is ready (20s)");
  app.add_option("--html", flags.html,
                 "a page with the curve of latency against rate; - for standard output")
      ->type_name("FILE");
}

/// `podsense serve` as a process of its own; it ends with the object.
class ServerProcess {
 public:
  static Result<std::unique_ptr<ServerProcess>> start(const std::string& models) {
    std::unique_ptr<ServerProcess> server(new ServerProcess);
    std::string folder = (fs::temp_directory_path() / "podsense-bench-XXXXXX").string();
    if (mkdtemp(folder.data()) == nullptr) {
      return fail(ErrorCode::kUnavailable, "cannot make a folder in " + folder);
    }
    server->folder_ = folder;
    const std::string ports = folder + "/ports.json";
    std::vector<std::string> words{"podsense",     "serve",     "--models",      models,
                                   "--host",       "127.0.0.1", "--admin-host",  "127.0.0.1",
                                   "--http-port",  "0",         "--grpc-port",   "0",
                                   "--admin-port", "0",         "--ports-file",  ports,
                                   "--log-level",  "error",     "--drain-delay", "0s"};
    std::vector<char*> arguments;
    arguments.reserve(words.size() + 1);
    for (std::string& word : words) {
      arguments.push_back(word.data());
    }
    arguments.push_back(nullptr);
    const pid_t parent = getpid();
    server->process_ = fork();  // there is one thread yet
    if (server->process_ == 0) {
      become_server(arguments.data(), parent);
    }
    if (server->process_ < 0) {
      return fail(ErrorCode::kUnavailable,
                  "cannot start the server: " + std::generic_category().message(errno));
    }
    if (auto ready = server->wait_until_ready(ports); !ready) {
      return fail(std::move(ready.error()));
    }
    return server;
  }
  ~ServerProcess() {
    if (process_ > 0) {
      kill(process_, SIGTERM);
      waitpid(process_, nullptr, 0);
    }
    std::error_code ignored;
    fs::remove_all(folder_, ignored);
  }
  ServerProcess(const ServerProcess&) = delete;
  ServerProcess& operator=(const ServerProcess&) = delete;

  [[nodiscard]] std::string url() const { return "http://127.0.0.1:" + std::to_string(http_); }
  [[nodiscard]] Result<std::vector<Sample>> metrics() const {
    const auto answer = http::probe("http://127.0.0.1:" + std::to_string(admin_) + "/metrics", {});
    if (!answer) {
      return fail(answer.error());
    }
    return parse_metrics(answer->body);
  }

 private:
  ServerProcess() = default;

  /// In the child. It ends with its parent, however that ends: by SIGPIPE in `podsense bench |
  /// head`.
  [[noreturn]] static void become_server(char* const* arguments, pid_t parent) {
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    // Its log is the server's own matter: it goes to stderr, and the result to stdout.
    if (getppid() == parent && dup2(STDERR_FILENO, STDOUT_FILENO) >= 0) {
      execve("/proc/self/exe", arguments, environ);
    }
    _exit(1);
  }

  Result<void> wait_until_ready(const std::string& ports) {
    const TimePoint limit = std::chrono::steady_clock::now() + kStartLimit;
    while (std::chrono::steady_clock::now() < limit) {
      if (waitpid(process_, nullptr, WNOHANG) == process_) {
        process_ = -1;
        return fail(ErrorCode::kUnavailable, "the server ended; its log says why");
      }
      read_ports(ports);
      if (admin_ > 0) {
        const auto answer =
            http::probe("http://127.0.0.1:" + std::to_string(admin_) + "/readyz", {});
        if (answer && answer->status == 200) {
          return {};
        }
      }
      std::this_thread::sleep_for(kLook);
    }
    return fail(ErrorCode::kUnavailable, "the server is not ready after two minutes");
  }

  void read_ports(const std::string& file) {
    std::ifstream stream(file);
    const std::string text(std::istreambuf_iterator<char>(stream), {});
    const auto port = [&text](std::string_view name) {
      const std::string key = "\"" + std::string(name) + "\":";
      unsigned value = 0;
      if (const std::size_t at = text.find(key); at != text.npos) {
        const char* const from = text.data() + at + key.size();
        std::from_chars(from, text.data() + text.size(), value);
      }
      return value;
    };
    http_ = port("http");
    admin_ = port("admin");
  }

  pid_t process_ = -1;
  std::string folder_;
  unsigned http_ = 0;
  unsigned admin_ = 0;
};

double value_of(const std::vector<Sample>& samples, std::string_view name) {
  const auto found = std::ranges::find(samples, name, &Sample::name);
  return found == samples.end() ? 0 : found->value;
}

std::string label(const Sample& sample, std::string_view name) {
  const auto found = sample.labels.find(name);
  return found == sample.labels.end() ? std::string() : found->second;
}

/// The model that was asked for, or the only one that does real work.
Result<Sample> choose_model(const std::vector<Sample>& samples, const std::string& wanted) {
  std::vector<Sample> candidates;
  std::set<std::string> known;
  for (const Sample& sample : samples) {
    if (sample.name != "podsense_model_info") {
      continue;
    }
    const std::string name = label(sample, "model");
    if (wanted.empty() ? label(sample, "task") != "simulated" : name == wanted) {
      candidates.push_back(sample);
    }
    known.insert(name);
  }
  if (candidates.size() == 1) {
    return candidates.front();
  }
  std::string names;
  for (const std::string& name : known) {
    names += (names.empty() ? "" : ", ") + name;
  }
  return fail(
      ErrorCode::kInvalidArgument,
      (wanted.empty() ? "say which model with --model" : "there is no model '" + wanted + "'") +
          "; the repository has " + (names.empty() ? "none" : names));
}

/// One line for each number of rows that was measured when the model was loaded.
std::string batches_text(const std::vector<Sample>& samples, const std::string& model) {
  struct Run {
    double rows = 0;
    double seconds = 0;
  };
  std::vector<Run> runs;
  for (const Sample& sample : samples) {
    const auto rows = load::parse_number(label(sample, "rows"));
    if (sample.name == "podsense_profile_seconds" && label(sample, "model") == model && rows &&
        label(sample, "threads") == "1") {
      runs.push_back({.rows = *rows, .seconds = sample.value});
    }
  }
  std::ranges::sort(runs, {}, &Run::rows);
  std::string out;
  const auto text = [](double seconds) {
    return load::format_duration(Duration(static_cast<Duration::rep>(seconds * 1e9)));
  };
  for (const Run& run : runs) {
    out += "  " + load::format_number(run.rows) + (run.rows > 1 ? " rows: " : " row: ") +
           text(run.seconds) + " a run, " + text(run.seconds / run.rows) + " a row";
    const double gain = runs.front().seconds / runs.front().rows / (run.seconds / run.rows);
    out += run.rows == runs.front().rows ? "\n"
           : gain >= 1.1                 ? ": " + load::format_number(gain) + " times as many\n"
                                         : ": batches of this size do not pay\n";
  }
  return out;
}

/// How much the server does with as many callers as keep all of its cores busy, and the rates then.
class Bench {
 public:
  Bench(const BenchFlags& flags, load::Options options)
      : flags_(flags), options_(std::move(options)), part_(flags.length / 8) {}

  Result<load::Report> run() {
    load::Options closed = options_;
    closed.connections = std::max(4U, 4 * std::thread::hardware_concurrency());
    closed.duration = part_;
    closed.warm_up = part_ / 4;
    auto first = load::measure(closed);
    if (!first) {
      return first;
    }
    capacity_ = load::achieved_rate(first->results);
    if (capacity_ <= 0) {
      return fail(ErrorCode::kUnavailable, "no request succeeded: " + first_fault(*first));
    }
    load::Report best = *first;
    load::Search search{.objective = "p99=" + load::format_duration(flags_.slo)};
    for (const double share : kShares) {
      load::Options open = options_;
      open.rate = std::max(0.1, capacity_ * share);
      open.arrivals = load::Arrivals::kPoisson;
      open.duration = part_;
      open.warm_up = part_ / 10;
      auto report = load::measure(open);
      if (!report) {
        return report;
      }
      const bool interrupted = report->interrupted;
      search.steps.push_back(step_of(*report, *open.rate));
      if (search.steps.back().met) {
        search.best = *open.rate;
        best = std::move(*report);
      } else if (search.not_held == 0) {
        search.not_held = *open.rate;
      }
      if (interrupted) {
        best.interrupted = true;
        break;
      }
    }
    best.search = std::move(search);
    return best;
  }
  [[nodiscard]] double capacity() const { return capacity_; }

 private:
  static std::string first_fault(const load::Report& report) {
    const auto& samples = report.results.samples;
    return samples.empty() ? "no answer" : samples.begin()->second;
  }

  [[nodiscard]] load::SearchStep step_of(const load::Report& report, double rate) const {
    const load::Results& results = report.results;
    const load::OfAll p99 = load::quantile_of_all(results.latency, results.failed, 0.99);
    load::SearchStep step{.rate = rate,
                          .achieved = load::achieved_rate(results),
                          .windows = 1,
                          .p50 = results.latency.quantile(0.5),
                          .p99 = p99.value,
                          .p99_at_least = p99.at_least,
                          .errors = load::error_share(results.counts)};
    step.met = results.latency.count() > 0 && step.p99 <= flags_.slo && step.errors <= 0.001;
    step.stable = step.met;
    step.reason = step.met              ? ""
                  : step.errors > 0.001 ? "requests failed"
                                        : "p99 is " + load::format_duration(step.p99);
    return step;
  }

  const BenchFlags& flags_;
  const load::Options options_;
  const Duration part_;
  double capacity_ = 0;
};

/// Bars as long as p99, on a logarithmic scale.
std::string curve_text(const load::Search& search, Duration slo) {
  constexpr double kWidth = 30;
  double low = 1e30;
  double high = 0;
  for (const load::SearchStep& step : search.steps) {
    low = std::min(low, std::max(1e-6, to_seconds(step.p50)));
    high = std::max(high, to_seconds(step.p99));
  }
  std::string out = "\n        rate       p50       p99\n";
  const auto pad = [](const std::string& text, std::size_t width) {
    const auto shown = static_cast<std::size_t>(std::ranges::count_if(
        text, [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80; }));
    return std::string(width > shown ? width - shown : 0, ' ') + text;
  };
  for (const load::SearchStep& step : search.steps) {
    const double place =
        std::log(std::max(1e-6, to_seconds(step.p99)) / low) / std::max(1e-9, std::log(high / low));
    out += pad(load::format_number(step.rate) + "/s", 12) +
           pad(load::format_duration(step.p50), 10) +
           pad(load::format_of_all({.value = step.p99, .at_least = step.p99_at_least}), 10) + "  ";
    for (int i = 0; i <= static_cast<int>(std::clamp(place, 0.0, 1.0) * kWidth); ++i) {
      out += step.p99 <= slo ? "█" : "░";
    }
    out += (step.met ? "" : "  " + step.reason) + "\n";
  }
  return out;
}

Result<load::Options> options_for(const BenchFlags& flags, const std::string& url,
                                  const std::string& model) {
  load::Options options;
  options.url = url;
  options.quiet = true;
  options.tool = "podsense bench";
  if (auto made = use_oip({.form = "binary", .model = model, .batch = flags.batch}, options);
      !made) {
    return fail(std::move(made.error()));
  }
  return options;
}

/// A path that cannot be written costs no run.
Result<void> check_page(const fs::path& path) {
  if (path.empty() || path == "-") {
    return {};
  }
  const std::ofstream page(path, std::ios::binary | std::ios::app);
  const int reason = errno;
  return page ? Result<void>()
              : fail(ErrorCode::kInvalidArgument, "--html: cannot write " + path.string() + ": " +
                                                      std::generic_category().message(reason));
}

Result<void> write_page(const load::Report& report, const fs::path& path) {
  if (path == "-") {
    std::cout << load::html_report(report);
  } else if (!path.empty()) {
    std::ofstream page(path, std::ios::binary);
    page << load::html_report(report);
    page.close();
    if (!page) {
      return fail(ErrorCode::kUnavailable, "cannot write " + path.string());
    }
  }
  return {};
}

Result<int> bench_with(const BenchFlags& flags) {
  if (auto writable = check_page(flags.html); !writable) {
    return fail(std::move(writable.error()));
  }
  std::ostream& text = flags.html == "-" ? std::cerr : std::cout;
  auto server = ServerProcess::start(flags.models);
  if (!server) {
    return fail(std::move(server.error()));
  }
  const auto before = (*server)->metrics();
  auto model = before ? choose_model(*before, flags.model) : fail(before.error());
  if (!model) {
    return fail(std::move(model.error()));
  }
  const std::string name = label(*model, "model");
  auto options = options_for(flags, (*server)->url(), name);
  if (!options) {
    return fail(std::move(options.error()));
  }
  text << name << ", " << label(*model, "task") << ", runs "
       << (label(*model, "plan") == "inline" ? "on the I/O threads" : "on executors") << "\n"
       << batches_text(*before, name) << std::flush;
  Bench bench(flags, std::move(*options));
  auto report = bench.run();
  if (!report) {
    return fail(std::move(report.error()));
  }
  const auto after = (*server)->metrics();
  const auto memory = [](const std::vector<Sample>& samples) {
    return load::format_bytes(
        static_cast<std::uint64_t>(value_of(samples, "process_resident_memory_bytes")));
  };
  text << curve_text(*report->search, flags.slo) << "\n  at most "
       << load::format_number(bench.capacity()) << "/s, with callers that wait for each answer\n"
       << (report->search->best > 0
               ? "  holds p99 ≤ " + load::format_duration(flags.slo) + " at " +
                     load::format_number(report->search->best) + "/s"
               : "  no rate that was tried holds p99 ≤ " + load::format_duration(flags.slo))
       << "\n  memory " << memory(*before) << " before, "
       << (after ? memory(*after) : std::string("–")) << " after; "
       << load::format_number(value_of(*before, "podsense_executors")) << " executors on "
       << load::format_number(value_of(*before, "podsense_cpu_cores"))
       << " cores, which the generator shares\n";
  if (auto written = write_page(*report, flags.html); !written) {
    return fail(std::move(written.error()));
  }
  return output_written(kName) ? (report->interrupted ? 130 : 0) : 1;
}

}  // namespace

std::vector<Description> describe_bench() {
  BenchFlags flags;
  CLI::App app(kText, kName);
  add_flags(app, flags);
  add_common_flags(app);
  return {describe(app)};
}

int bench(std::span<const char* const> arguments) {
  BenchFlags flags;
  CLI::App app(kText, kName);
  add_flags(app, flags);
  if (const auto done = parse(app, to_words(arguments))) {
    return *done;
  }
  const auto code = bench_with(flags);
  return code ? *code : report_error(kName, code.error());
}

}  // namespace podsense::cli
