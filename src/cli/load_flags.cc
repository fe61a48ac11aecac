#include "cli/load_flags.h"

#include <algorithm>
#include <array>
#include <iostream>
#include <iterator>
#include <utility>

#include "base/base64.h"
#include "base/text.h"
#include "cli/flags.h"
#include "server/build_info.h"
#include "text/file.h"
#include "text/numbers.h"
#include "text/split.h"

namespace podsense::cli {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;

constexpr double kMostRate = 1e6;
constexpr RealRange kRate{.low = 0.0001, .high = kMostRate};
constexpr RealRange kFactor{.low = 0.0001, .high = 10000};

void add_target(CLI::App& app, LoadFlags& flags) {
  load::LoadOptions& options = flags.options;
  app.option_defaults()->group("Target");
  app.add_option("url", flags.positional,
                 "http[s]://HOST[:PORT][/PATH], grpc[s]://HOST[:PORT]; placeholders as in bodies")
      ->type_name("URL");
  app.add_option("--host", flags.host, "the same as a flag")->type_name("URL");
  app.add_option("--target", flags.targets,
                 "one of several targets, each with a share of the requests by WEIGHT (1) and its "
                 "own report; repeatable")
      ->type_name("NAME[:WEIGHT]=URL")
      ->allow_extra_args(false);
  app.add_option("-m,--method", options.method, "GET, or POST with a body")->type_name("METHOD");
  app.add_option("-H,--header", flags.headers, "as often as needed")
      ->type_name("'NAME: VALUE'")
      ->allow_extra_args(false);
  app.add_option("-A,--accept", flags.accept, "Accept header")->type_name("TYPE");
  app.add_option("-T,--content-type", options.content_type, "Content-Type header")
      ->type_name("TYPE");
  app.add_option("-a,--auth", flags.auth, "for basic authentication")->type_name("USER:PASSWORD");
  app.add_option("--host-header", flags.host_header, "Host header, and the server name in TLS")
      ->type_name("NAME");
  app.add_option("--connect-to", options.connect_to,
                 "connect to HOST2:PORT2 instead of HOST1:PORT1, as in curl; empty parts match "
                 "everything, or stay unchanged")
      ->type_name("HOST1:PORT1:HOST2:PORT2")
      ->allow_extra_args(false);
  app.add_flag("-L,--follow-redirects", flags.follow_redirects,
               "follow redirects (3xx), up to ten; only on the same host");
  app.add_flag("--disable-keepalive", flags.disable_keepalive, "a new connection for each request");
  app.add_flag("--http2", options.http2,
               "HTTP/2: over TLS if the server agrees (ALPN), without TLS by prior knowledge");
  app.add_flag("--grpc", options.grpc,
               "podsense.v1 with --image, --features or JSON; with --oip ModelInfer");
  add_whole(app, "--streams", options.streams, {.low = 1, .high = 10000},
            "HTTP/2 and gRPC: requests on a connection at a time (100; closed loop 1)");
  app.add_flag("--tls", options.tls, "for URLs without a scheme");
  app.add_flag("--insecure", flags.insecure, "accept any certificate");
  app.add_option("--cacert", options.ca_file, "PEM file with the authorities to trust")
      ->type_name("FILE");
  app.add_option("--cert", options.certificate_file, "PEM client certificate, for mTLS")
      ->type_name("FILE");
  app.add_option("--key", options.key_file, "its private key, if not in the same file")
      ->type_name("FILE");
  add_duration(app, "--wait", options.wait_for_target, {},
               "how long to try to connect before giving up");
  app.add_flag("--i-may-load-this-host", options.public_host_allowed,
               "needed for a public address");
}

void add_body(CLI::App& app, LoadFlags& flags) {
  load::LoadOptions& options = flags.options;
  app.option_defaults()->group("Body");
  app.add_option(
         "-d,--data", flags.data,
         "the body; @FILE: that of a file (@-: of standard input) without its line ends, as "
         "curl does")
      ->type_name("TEXT|@FILE");
  app.add_option("-D,--data-file", flags.body_file_as_is, "a file as it is")->type_name("FILE");
  app.add_option("--body-file", options.body_file,
                 "a template (- for standard input): {{counter}} {{random_int 0 9}} {{random 0 1}} "
                 "{{row}} {{row NAME}} {{json row NAME}} {{raw row NAME}}")
      ->type_name("FILE");
  app.add_option("--rows", options.rows, "CSV file for {{row}}")->type_name("FILE");
  CLI::Option* const header = app.add_flag("--csv-header", flags.csv_header,
                                           "the first line of a CSV file names its columns");
  app.add_flag("--no-csv-header,--no-header", flags.no_csv_header,
               "the first line of a CSV file has values; without either flag it is a header if it "
               "contains a name that is used")
      ->excludes(header);
  app.add_option("--image", options.image, "a picture, or a folder of them, to /predict")
      ->type_name("FILE|DIR");
  app.add_flag("--multipart", options.multipart, "the picture as a form's file");
  app.add_option("--features", options.features, "numbers, or a CSV file, to /predict-single")
      ->type_name("1,2,3|FILE");
  add_choice(app, "--oip", flags.oip.form, {"json", "binary"},
             "random tensors of --model's shapes, to /v2/models/NAME/infer (gRPC: binary)");
  app.add_option("--model", flags.oip.model, "for --oip; with --grpc for messages that name none")
      ->type_name("NAME");
  add_whole(app, "--batch", flags.oip.batch, {.low = 1, .high = 4096},
            "for --oip: length of the first dimension if it is dynamic");
}

void add_rate(CLI::App& app, LoadFlags& flags) {
  load::LoadOptions& options = flags.options;
  app.option_defaults()->group("Load");
  add_real(app, "--qps,--rate", options.rate, kRate, "open loop: requests a second")
      ->type_name("RATE");
  app.add_option("--shape", options.shape,
                 "open loop: ramp:1..100  steps:10,20,50  sine:50,40,60s  burst:100,10s")
      ->type_name("SHAPE");
  CLI::Option* const trace =
      app.add_option("--trace", options.trace,
                     "open loop: CSV of arrival times, or of counts per minute")
          ->type_name("FILE");
  add_real(app, "--trace-speed", options.trace_speed, kFactor, "2: in half the time")->needs(trace);
  add_real(app, "--trace-scale", options.trace_scale, kFactor, "2: twice as many (counts)")
      ->needs(trace);
  app.add_flag("--keep-offset", options.keep_offset, "a trace begins at 0, not at its first moment")
      ->needs(trace);
  add_choice(app, "--arrivals", flags.arrivals, {"constant", "poisson"}, "open loop (constant)");
  add_duration(app, "--seconds,--duration,-z", options.duration, {.low = milliseconds(1)},
               "how long");
  add_whole(app, "-n,--requests", options.requests, {.low = 1, .high = 1'000'000'000'000},
            "how many requests");
  add_whole(app, "-c,--connections", options.connections, {.low = 1, .high = 1'000'000},
            "closed loop: workers (50); open loop: connections to begin with");
  add_whole(app, "--max-connections", options.max_connections, {.low = 1, .high = 1'000'000},
            "open loop: beyond it requests are dropped (1000)");
  add_real(app, "-q", options.worker_rate, {.low = 0, .high = kMostRate},
           "closed loop: maximum rate per second and worker; 0: no limit")
      ->type_name("RATE");
  add_duration(app, "--warmup", options.warm_up, {},
               "the first part of the run that is not measured");
  add_duration(app, "--cooldown", options.cool_down, {}, "the last part that is not measured");
  add_duration(app, "-t,--timeout", options.timeout, {}, "time limit of a request (20s); 0: none");
  add_whole(app, "--threads,--cpus", options.threads, {.low = 0, .high = 64},
            "threads that send; 0: chosen automatically");
  add_whole(app, "--seed", options.seed, {}, "for random arrivals and bodies (1)");
}

void add_search(CLI::App& app, LoadFlags& flags) {
  load::LoadOptions& options = flags.options;
  app.option_defaults()->group("Search");
  CLI::Option* const find =
      app.add_flag("--find-max-qps", options.find_max,
                   "find the highest rate that meets --slo, within --seconds (5m)");
  app.add_option("--slo", options.objective, "the objective (p99=100ms,errors=0.1%)")
      ->type_name("METRIC=LIMIT,...")
      ->needs(find);
  add_real(app, "--search-from", options.search_from, kRate, "the first rate (10)")
      ->type_name("RATE")
      ->needs(find);
  add_real(app, "--search-to", options.search_to, kRate, "the highest rate (100000)")
      ->type_name("RATE")
      ->needs(find);
  add_duration(app, "--window", options.window, {.low = milliseconds(100), .high = hours(1)},
               "length of a measurement (5s); three equal results decide")
      ->needs(find);
}

void add_output(CLI::App& app, LoadFlags& flags) {
  load::LoadOptions& options = flags.options;
  app.option_defaults()->group("Result");
  app.add_option("--expect", flags.expect,
                 "what an answer must have, else it counts as failed: 'json:prediction=1', "
                 "'json:predictions.0.label=cat', 'body:TEXT'; repeatable")
      ->type_name("CHECK")
      ->allow_extra_args(false);
  app.add_option("--fail-if", flags.fail_if,
                 "'p99>200ms', 'errors>0.1%', 'dropped>0', 'rps<100': exit code 3")
      ->type_name("CONDITION")
      ->allow_extra_args(false);
  app.add_option("--json", options.json, "report as JSON; - for standard output")
      ->type_name("FILE");
  app.add_option("--csv", options.csv, "the run over time, a slice a line; - for standard output")
      ->type_name("FILE");
  app.add_option("--html", options.html, "report as one page with plots; - for standard output")
      ->type_name("FILE");
  app.add_option("--log", options.log, "every request, a line each as CSV; - for standard output")
      ->type_name("FILE");
  app.add_option("--prometheus", options.prometheus, "metrics to scrape while it runs")
      ->type_name("ADDRESS:PORT");
  app.add_flag("--quiet", options.quiet, "nothing while it runs");
  add_choice(
      app, "-o", flags.output, {"csv"},
      "csv: one line per request on standard output, with hey's columns, instead of a report");
}

void add_unsupported(CLI::App& app, LoadFlags& flags) {
  // Flags of hey: those without an effect here are accepted; others are refused in `to_options`.
  static bool ignored = false;  // NOLINT: CLI11 writes it, nobody reads it
  app.add_flag("--disable-compression", ignored)->group("");
  app.add_flag("--disable-redirects", ignored)->group("");
  app.add_flag("--h2", flags.options.http2)->group("");  // hey's name
  app.add_option("-x", flags.proxy)->group("");
}

Result<void> set_headers(LoadFlags& flags) {
  auto& headers = flags.options.headers;
  for (const std::string& header : flags.headers) {
    const std::size_t colon = header.find(':');
    if (colon == std::string::npos) {
      return fail(ErrorCode::kInvalidArgument,
                  "-H '" + header + "' is no header; accepted: 'Name: value'");
    }
    headers.emplace_back(header.substr(0, colon), text::trim(header.substr(colon + 1)));
  }
  if (!flags.accept.empty()) {
    headers.emplace_back("Accept", flags.accept);
  }
  if (!flags.host_header.empty()) {
    headers.emplace_back("Host", flags.host_header);
  }
  if (!flags.auth.empty()) {
    headers.emplace_back("Authorization", "Basic " + encode_base64(flags.auth));
  }
  return {};
}

/// Sets the body from -d or -D.
Result<void> set_body(LoadFlags& flags, const CLI::App& app) {
  load::LoadOptions& options = flags.options;
  const bool data = app.count("--data") > 0;
  if (data && !flags.body_file_as_is.empty()) {
    return fail(ErrorCode::kInvalidArgument, "-d and -D exclude each other");
  }
  const bool from_file = data && flags.data.starts_with('@');
  const std::string name = from_file ? flags.data.substr(1) : flags.body_file_as_is;
  if (!from_file && name.empty()) {
    if (data) {
      options.body = flags.data;
    }
    return {};
  }
  auto text = name == "-"
                  ? Result<std::string>(std::string(std::istreambuf_iterator<char>(std::cin), {}))
                  : text::read_file(name, from_file ? "-d @" : "-D ");
  if (!text) {
    return fail(std::move(text.error()));
  }
  options.body = std::move(*text);
  if (from_file) {  // as in curl
    std::erase_if(*options.body, [](char c) { return c == '\r' || c == '\n' || c == '\0'; });
  }
  return {};
}

/// Detects wrk's -d30s, which would be a body here.
Result<void> check_habit(const LoadFlags& flags) {
  if (!flags.options.duration && flags.data.ends_with('s') && text::parse_duration(flags.data)) {
    return fail(ErrorCode::kInvalidArgument,
                "-d '" + flags.data + "' is the body, as in hey; for a duration say -z " +
                    flags.data + " (a file with such a body: -D)");
  }
  return {};
}

/// Refuses flags that would have no effect.
Result<void> check_use(const LoadFlags& flags, const CLI::App& app) {
  const load::LoadOptions& options = flags.options;
  const bool closed =
      !options.rate && options.shape.empty() && options.trace.empty() && !options.find_max;
  if (closed && app.count("--max-connections") > 0) {
    return fail(ErrorCode::kInvalidArgument,
                "--max-connections is for open loops; a closed loop has as many as workers: -c N");
  }
  if ((flags.csv_header || flags.no_csv_header) && options.rows.empty() &&
      options.features.empty() && options.trace.empty()) {
    return fail(ErrorCode::kInvalidArgument,
                "--csv-header and --no-csv-header belong to --rows, --features or --trace");
  }
  return {};
}

Result<void> set_targets(LoadFlags& flags) {
  load::LoadOptions& options = flags.options;
  const int given = (flags.host.empty() ? 0 : 1) + (flags.positional.empty() ? 0 : 1) +
                    (flags.targets.empty() ? 0 : 1);
  if (given > 1) {
    return fail(ErrorCode::kInvalidArgument,
                "give the target once: as URL, by --host, or several by --target");
  }
  options.url = flags.host.empty() ? flags.positional : flags.host;
  for (const std::string& text : flags.targets) {
    auto target = load::parse_target_option(text);
    if (!target) {
      return fail(std::move(target.error()));
    }
    options.targets.push_back(std::move(*target));
  }
  return {};
}

Result<void> set_checks(LoadFlags& flags) {
  auto thresholds = to_thresholds(flags.fail_if);
  if (!thresholds) {
    return fail(std::move(thresholds.error()));
  }
  flags.options.fail_if = std::move(*thresholds);
  for (const std::string& text : flags.expect) {
    auto expectation = load::AnswerExpectation::parse(text);
    if (!expectation) {
      return fail(std::move(expectation.error()));
    }
    flags.options.expect.push_back(std::move(*expectation));
  }
  return {};
}

/// The equivalent of another tool's flag; empty: unknown.
std::string_view instead_of(std::string_view flag) {
  struct Habit {
    std::string_view flag;
    std::string_view here;
  };
  constexpr std::array<Habit, 14> kHabits{
      {{.flag = "--vus", .here = "-c N (closed loop), or --qps RATE (open loop)"},
       {.flag = "-u", .here = "-c N (closed loop), or --qps RATE (open loop)"},
       {.flag = "--users", .here = "-c N (closed loop), or --qps RATE (open loop)"},
       {.flag = "--concurrency", .here = "-c N"},
       {.flag = "--iterations", .here = "-n N"},
       {.flag = "-i", .here = "-n N"},
       {.flag = "--total", .here = "-n N"},
       {.flag = "--rps", .here = "--qps RATE"},
       {.flag = "-R", .here = "--qps RATE"},
       {.flag = "--stage", .here = "--shape ramp:1..100"},
       {.flag = "--latency", .here = "latencies are always shown"},
       {.flag = "-k", .here = "--insecure"},
       {.flag = "--call", .here = "--grpc calls podsense.v1, and with --oip ModelInfer"},
       {.flag = "--proto", .here = "--grpc calls podsense.v1, and with --oip ModelInfer"}}};
  const auto* const habit = std::ranges::find(kHabits, flag, &Habit::flag);
  return habit == kHabits.end() ? std::string_view() : habit->here;
}

}  // namespace

std::vector<std::string> load_words(std::span<const char* const> arguments) {
  constexpr std::array<std::string_view, 5> kLong{"-disable-keepalive", "-disable-compression",
                                                  "-disable-redirects", "-cpus", "-h2"};
  std::vector<std::string> words = to_words(arguments);
  for (std::string& word : words) {
    const bool known = std::ranges::any_of(kLong, [&word](std::string_view name) {
      return word == name || word.starts_with(std::string(name) + "=");
    });
    if (known) {
      word.insert(0, "-");
    } else if (word == "-host") {
      word = "--host-header";
    }
  }
  return words;
}

void add_load_flags(CLI::App& app, LoadFlags& flags) {
  add_target(app, flags);
  add_body(app, flags);
  add_rate(app, flags);
  add_search(app, flags);
  add_output(app, flags);
  add_unsupported(app, flags);
}

Result<load::LoadOptions> to_options(LoadFlags& flags, const CLI::App& app) {
  load::LoadOptions& options = flags.options;
  if (!flags.proxy.empty()) {
    return fail(ErrorCode::kUnimplemented, "proxies (-x) are not offered");
  }
  options.keep_alive = !flags.disable_keepalive;
  options.verify_tls = !flags.insecure;
  options.redirects = flags.follow_redirects ? 10 : 0;
  options.arrivals = flags.arrivals == "poisson" ? arrivals::ArrivalProcess::kPoisson
                                                 : arrivals::ArrivalProcess::kEven;
  options.csv_header = flags.csv_header      ? text::HeaderLine::kYes
                       : flags.no_csv_header ? text::HeaderLine::kNo
                                             : text::HeaderLine::kGuess;
  if (options.timeout == Duration::zero()) {  // as in hey: no limit
    options.timeout = hours(1000);
  }
  Result<void> done = check_habit(flags);
  done = done ? check_use(flags, app) : done;
  done = done ? set_targets(flags) : done;
  done = done ? set_body(flags, app) : done;
  done = done ? set_headers(flags) : done;
  done = done ? set_checks(flags) : done;
  if (!done) {
    return fail(std::move(done.error()));
  }
  if (flags.output == "csv") {
    options.hey_rows = true;
    options.quiet = true;
  }
  const server::BuildInfo build = server::build_info();
  options.tool = "podsense " + std::string(build.version) + " (" + std::string(build.commit) + ")";
  return options;
}

std::string unexpected_load_flag(const CLI::App& app) {
  const std::vector<std::string> words = app.remaining();
  const auto flag = std::ranges::find_if(words, [](const auto& word) {
    return word.size() > 1 && word.starts_with('-') && word != "--";
  });
  if (flag == words.end()) {
    return "unexpected argument '" + (words.empty() ? std::string() : words.front()) +
           "': the URL is the only word that stands by itself";
  }
  const std::string name = flag->substr(0, flag->find('='));
  if (const auto here = instead_of(name); !here.empty()) {
    return "unknown flag '" + name + "'; here: " + std::string(here);
  }
  return {};
}

Result<std::vector<load::LoadThreshold>> to_thresholds(const std::vector<std::string>& texts) {
  std::vector<load::LoadThreshold> thresholds;
  for (const std::string& text : texts) {
    auto threshold = load::LoadThreshold::parse(text);
    if (!threshold) {
      return fail(std::move(threshold.error()));
    }
    thresholds.push_back(std::move(*threshold));
  }
  return thresholds;
}

}  // namespace podsense::cli
