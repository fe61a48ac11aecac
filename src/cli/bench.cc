#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <thread>

#include "cli/bench_curve.h"
#include "cli/bench_server.h"
#include "cli/bench_target.h"
#include "cli/commands.h"
#include "cli/flags.h"
#include "cli/output_files.h"
#include "cli/top_view.h"
#include "load/load.h"
#include "text/columns.h"
#include "text/numbers.h"

namespace podsense::cli {
namespace {

namespace fs = std::filesystem;

constexpr const char* kName = "podsense bench";
constexpr const char* kText =
    R"(measures what this machine does with a model: rates, latencies, memory, batches

  podsense bench my-model.onnx
  podsense bench models --model my-model --slo 50ms --html bench.html
  podsense bench models --image cat.jpg

It starts a server with that model on free loopback ports, measures its capacity, and then sends requests at growing shares of it, at random times like independent users. The requests are random tensors of the model's shapes, or yours. Server and generator share this machine's cores.
)";
constexpr std::array<double, 6> kShares{0.2, 0.4, 0.6, 0.75, 0.9, 1.05};
/// The share of time at the lowest rate that other processes took, above which results are called
/// disturbed.
constexpr double kDisturbed = 0.1;

struct BenchFlags : BenchTarget {
  Duration slo = std::chrono::milliseconds(100);
  Duration length = std::chrono::seconds(20);
  fs::path html;
};

void add_flags(CLI::App& app, BenchFlags& flags) {
  app.option_defaults()->group("Flags");
  add_target_flags(app, flags);
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

double value_of(const std::vector<Sample>& samples, std::string_view name) {
  const auto found = std::ranges::find(samples, name, &Sample::name);
  return found == samples.end() ? 0 : found->value;
}

std::string label(const Sample& sample, std::string_view name) {
  const auto found = sample.labels.find(name);
  return found == sample.labels.end() ? std::string() : found->second;
}

/// One line for each number of rows measured at loading.
std::string batches_text(const std::vector<Sample>& samples, const std::string& model) {
  struct Run {
    double rows = 0;
    double seconds = 0;
  };
  std::vector<Run> runs;
  for (const Sample& sample : samples) {
    const auto rows = text::parse_number(label(sample, "rows"));
    if (sample.name == "podsense_profile_seconds" && label(sample, "model") == model && rows) {
      runs.push_back({.rows = *rows, .seconds = sample.value});
    }
  }
  std::ranges::sort(runs, {}, &Run::rows);
  std::string out;
  const auto text = [](double seconds) {
    return text::format_duration(Duration(static_cast<Duration::rep>(seconds * 1e9)));
  };
  for (const Run& run : runs) {
    out += "  " + text::format_number(run.rows) + (run.rows > 1 ? " rows: " : " row: ") +
           text(run.seconds) + " a run, " + text(run.seconds / run.rows) + " a row";
    const double gain = runs.front().seconds / runs.front().rows / (run.seconds / run.rows);
    out += run.rows == runs.front().rows ? "\n"
           : gain >= 1.1                 ? ": " + text::format_number(gain) + " times as many\n"
                                         : ": batches of this size do not pay\n";
  }
  return out;
}

/// One line of the table.
std::string row_text(const load::SearchStep& step) {
  return text::right(text::format_number(step.rate) + "/s", 12) +
         text::right(text::format_duration(step.p50), 10) +
         text::right(load::format_of_all({.value = step.p99, .at_least = step.p99_at_least}), 10) +
         (step.met ? "" : "  " + step.reason) + "\n";
}

/// Measures the capacity with enough callers to keep all cores busy, then several rates.
class Bench {
 public:
  Bench(const BenchFlags& flags, load::LoadOptions options, std::ostream& text)
      : flags_(flags), options_(std::move(options)), text_(text), part_(flags.length / 8) {}

  Result<load::LoadReport> run() {
    load::LoadOptions closed = options_;
    closed.connections = std::max(4U, 4 * std::thread::hardware_concurrency());
    closed.duration = part_;
    closed.warm_up = part_ / 4;
    auto first = load::measure_load(closed);
    if (!first) {
      return first;
    }
    capacity_ = load::achieved_rate(first->results);
    if (capacity_ <= 0) {
      return fail(
          ErrorCode::kUnavailable,
          "no request succeeded: " + first_fault(*first) +
              "; if the model rejects random numbers, give a request with --body or --image");
    }
    text_ << "\n        rate       p50       p99\n";
    load::LoadReport best = *std::move(first);
    load::Search search{.objective = "p99=" + text::format_duration(flags_.slo)};
    for (const double share : kShares) {
      auto report = measure_at(capacity_ * share);
      if (!report) {
        return report;
      }
      const bool interrupted = report->interrupted;
      const load::SearchStep step = step_of(*report, std::max(0.1, capacity_ * share));
      text_ << row_text(step) << std::flush;
      search.steps.push_back(step);
      if (step.met) {
        search.best = step.rate;
        best = std::move(*report);
      } else if (search.not_held == 0) {
        search.not_held = step.rate;
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
  /// How much CPU time other processes took, in words; empty: little.
  [[nodiscard]] const std::string& disturbance() const { return disturbance_; }

 private:
  Result<load::LoadReport> measure_at(double rate) {
    load::LoadOptions open = options_;
    open.rate = std::max(0.1, rate);
    open.arrivals = arrivals::ArrivalProcess::kPoisson;
    open.duration = part_;
    open.warm_up = part_ / 10;
    auto report = load::measure_load(open);
    // At the lowest rate cores are idle, so a request that waits for one waits because of other
    // processes.
    if (const double waited = report ? report->results.generator.waited : 0;
        rate <= capacity_ * kShares.front() && waited >= kDisturbed) {
      disturbance_ =
          "something else uses this machine's CPU: " + text::format_number(waited * 100) +
          " % of the time there was no core at the lowest rate; try again when it is idle";
    }
    return report;
  }

  static std::string first_fault(const load::LoadReport& report) {
    const auto& samples = report.results.samples;
    return samples.empty() ? "no answer" : samples.begin()->second;
  }

  [[nodiscard]] load::SearchStep step_of(const load::LoadReport& report, double rate) const {
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
    step.reason = step.met                       ? ""
                  : results.latency.count() == 0 ? "no answer in this time"
                  : step.errors > 0.001          ? "requests failed"
                                                 : "over " + text::format_duration(flags_.slo);
    return step;
  }

  const BenchFlags& flags_;
  const load::LoadOptions options_;
  std::ostream& text_;
  const Duration part_;
  double capacity_ = 0;
  std::string disturbance_;
};

std::string picture(const load::Search& search, Duration slo) {
  std::vector<CurvePoint> points;
  points.reserve(search.steps.size());
  for (const load::SearchStep& step : search.steps) {
    points.push_back({.rate = step.rate, .p50 = to_seconds(step.p50), .p99 = to_seconds(step.p99)});
  }
  return "\n" + curve(points, to_seconds(slo), help_columns());
}

Result<void> check_flags(const BenchFlags& flags) {
  if (auto good = check_target(flags); !good) {
    return good;
  }
  return check_outputs({{.flag = "--html", .path = flags.html}});
}

Result<void> write_page(const load::LoadReport& report, const fs::path& path) {
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

std::string head_text(const std::string& name, const BenchFacts& facts) {
  return name + ": " + facts.task + ", " + facts.backend + ", " + facts.threads +
         (facts.threads == "1" ? " thread" : " threads") + " a run, runs on " +
         (facts.plan == "inline" ? "the I/O threads" : "executors") + "\n";
}

std::string sharing_text(const BenchFacts& facts) {
  if (facts.sharing == "shared" && facts.max_rows != "1") {
    return "requests share runs of up to " + facts.max_rows + " rows";
  }
  return facts.sharing == "shared" ? "each request runs alone: larger runs do not pay"
         : facts.reason.empty()    ? "each request runs alone"
                                   : "each request runs alone: " + facts.reason;
}

std::string memory_text(double bytes) {
  return bytes > 0 ? text::format_bytes(static_cast<std::uint64_t>(bytes)) : "–";
}

/// Writes the summary after all measurements.
void write_end(std::ostream& text, const BenchFlags& flags, const Bench& bench,
               const load::Search& search, const BenchServer& server,
               const std::vector<Sample>& before) {
  constexpr const char* kResident = "process_resident_memory_bytes";
  const auto after = server.metrics();
  const auto facts = server.facts();
  text << picture(search, flags.slo) << "\n  at most " << text::format_number(bench.capacity())
       << "/s, with callers that wait for each answer\n"
       << (search.best > 0
               ? "  holds p99 ≤ " + text::format_duration(flags.slo) + " at " +
                     text::format_number(search.best) + "/s"
               : "  no rate that was tried holds p99 ≤ " + text::format_duration(flags.slo))
       << "\n  " << (facts ? sharing_text(*facts) : facts.error().message) << "\n  memory "
       << memory_text(value_of(before, kResident)) << " before, "
       << memory_text(after ? value_of(*after, kResident) : 0) << " after, "
       << memory_text(static_cast<double>(server.peak_memory())) << " at most; "
       << text::format_number(value_of(before, "podsense_executors")) << " executors on "
       << text::format_number(value_of(before, "podsense_cpu_cores"))
       << " cores, which the generator shares\n"
       << (bench.disturbance().empty() ? "" : "  " + bench.disturbance() + "\n");
}

Result<int> bench_with(const BenchFlags& flags) {
  if (auto good = check_flags(flags); !good) {
    return fail(std::move(good.error()));
  }
  std::ostream& text = flags.html == "-" ? std::cerr : std::cout;
  const auto folder = BenchFolder::make();
  if (!folder) {
    return fail(folder.error());
  }
  const auto model = model_of(flags, **folder);
  if (!model) {
    return fail(model.error());
  }
  const auto server = BenchServer::start(*model, (*folder)->path(), flags.config);
  if (!server) {
    return fail(server.error());
  }
  const auto before = (*server)->metrics();
  const auto facts = (*server)->facts();
  auto options = options_for(flags, (*server)->url(), model->name, "podsense bench");
  if (!before || !facts || !options) {
    return fail(!before ? before.error() : !facts ? facts.error() : options.error());
  }
  text << head_text(model->name, *facts) << batches_text(*before, model->name) << std::flush;
  Bench bench(flags, std::move(*options), text);
  const auto report = bench.run();
  if (!report) {
    return fail(report.error());
  }
  write_end(text, flags, bench, *report->search, **server, *before);
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
