#include "load/load.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <fstream>
#include <iostream>
#include <iterator>
#include <string>
#include <vector>

#include "base/text.h"
#include "cli/commands.h"
#include "cli/load_oip.h"
#include "load/quantity.h"
#include "server/build_info.h"

namespace podsense::cli {
namespace {

constexpr const char* kDescription =
    R"(Sends requests to a server and measures what its users would see.

  podsense load --host http://localhost:8080 --qps 30 --seconds 180      open loop: at this rate
  podsense load URL -n 50 -c 10 -m POST -H 'Name: value' -d '{…}'        closed loop, with hey's flags
  podsense load merge A.json B.json …                                    one report of several

Latencies count from the moment a request was due (open loop).)";

constexpr const char* kFooter =
    R"(Durations: 250us, 50ms, 90s, 5m; a bare number is seconds.
Exit codes: 0 measured; 1 not reachable, or nothing succeeded; 2 bad flags or files; 3 a --fail-if
condition held, or a search found no rate; 130 interrupted.
docs/how-to/load-test.md shows how to go about a load test, docs/reference/load.md has all details.)";

/// hey's long flags have one dash.
std::string two_dashes(std::string_view argument) {
  constexpr std::array<std::string_view, 5> kLong{"-disable-keepalive", "-disable-compression",
                                                  "-disable-redirects", "-cpus", "-h2"};
  for (const std::string_view name : kLong) {
    if (argument == name || argument.starts_with(std::string(name) + "=")) {
      return "-" + std::string(argument);
    }
  }
  return argument == "-host" ? "--host-header" : std::string(argument);
}

/// Texts that CLI11 fills and `finish` turns into Options.
struct Flags {
  load::Options options;
  std::string host;
  std::string positional;
  std::string seconds;
  std::string warm_up;
  std::string cool_down;
  std::string timeout;
  std::string wait;
  std::string window;
  std::string arrivals = "constant";
  std::vector<std::string> headers;
  std::vector<std::string> fail_if;
  std::string body_file_as_is;
  std::string accept;
  std::string auth;
  std::string host_header;
  std::string output;
  bool disable_keepalive = false;
  bool insecure = false;
  OipFlags oip;
  bool http2 = false;
  std::string proxy;
};

void add_target(CLI::App& app, Flags& flags) {
  app.option_defaults()->group("Target");
  app.add_option("url", flags.positional,
                 "http[s]://HOST[:PORT][/PATH], grpc[s]://HOST[:PORT]; placeholders as in bodies");
  app.add_option("--host", flags.host, "the same as a flag");
  app.add_option("-m,--method", flags.options.method, "GET, or POST with a body");
  app.add_option("-H,--header", flags.headers, "'Name: value', as often as needed")
      ->allow_extra_args(false);
  app.add_option("-A,--accept", flags.accept, "Accept header");
  app.add_option("-T,--content-type", flags.options.content_type, "Content-Type header");
  app.add_option("-a,--auth", flags.auth, "USER:PASSWORD for basic authentication");
  app.add_option("--host-header", flags.host_header, "Host header");
  app.add_flag("--disable-keepalive", flags.disable_keepalive, "a connection for each request");
  app.add_flag("--grpc", flags.options.grpc,
               "podsense.v1 with --image, --features or JSON; with --oip ModelInfer");
  app.add_option("--streams", flags.options.streams,
                 "gRPC: calls on a connection at a time (100; closed loop 1)");
  app.add_flag("--tls", flags.options.tls, "where the URL has no scheme that says so");
  app.add_flag("--insecure", flags.insecure, "accept any certificate");
  app.add_option("--cacert", flags.options.ca_file, "PEM file with the authorities to trust");
  app.add_option("--cert", flags.options.certificate_file, "PEM certificate to show, for mTLS");
  app.add_option("--key", flags.options.key_file, "its private key, if not in the same file");
  app.add_option("--wait", flags.wait, "try to connect for so long before giving up");
  app.add_flag("--i-may-load-this-host", flags.options.public_host_allowed,
               "needed for a public address");
}

void add_body(CLI::App& app, Flags& flags) {
  app.option_defaults()->group("Body");
  app.add_option("-d,--data", flags.options.body, "a text");
  app.add_option("-D,--data-file", flags.body_file_as_is, "a file as it is");
  app.add_option("--body-file", flags.options.body_file,
                 "a template: {{counter}} {{random_int 0 9}} {{random 0 1}} {{row}} {{row NAME}}");
  app.add_option("--rows", flags.options.rows, "CSV file for {{row}}");
  app.add_option("--image", flags.options.image, "a picture, or a folder of them, to /predict");
  app.add_flag("--multipart", flags.options.multipart, "the picture as a form's file");
  app.add_option("--features", flags.options.features, "1,2,3 or a CSV file, to /predict-single");
  app.add_option("--oip", flags.oip.form,
                 "json or binary (gRPC: binary): random tensors of --model's shapes, to "
                 "/v2/models/NAME/infer")
      ->check(CLI::IsMember({"json", "binary"}));
  app.add_option("--model", flags.oip.model, "for --oip; with --grpc for messages that name none");
  app.add_option("--batch", flags.oip.batch, "for --oip: the first dimension where it is open")
      ->check(CLI::Range(1, 4096));
}

void add_rate(CLI::App& app, Flags& flags) {
  load::Options& options = flags.options;
  app.option_defaults()->group("Load");
  app.add_option("--qps,--rate", options.rate, "open loop: requests a second");
  app.add_option("--shape", options.shape,
                 "open loop: ramp:1..100  steps:10,20,50  sine:50,40,60s  burst:100,10s");
  app.add_option("--trace", options.trace, "open loop: CSV of moments, or of counts per minute");
  app.add_option("--trace-speed", options.trace_speed, "2: in half the time");
  app.add_option("--trace-scale", options.trace_scale, "2: twice as many (counts)");
  app.add_option("--arrivals", flags.arrivals, "constant or poisson")
      ->check(CLI::IsMember({"constant", "poisson"}));
  app.add_option("--seconds,--duration,-z", flags.seconds, "how long: 180, 90s, 5m");
  app.add_option("-n,--requests", options.requests, "how many requests");
  app.add_option("-c,--connections", options.connections,
                 "closed loop: workers (50); open loop: connections to begin with");
  app.add_option("--max-connections", options.max_connections,
                 "open loop: beyond it requests are dropped")
      ->capture_default_str();
  app.add_option("-q", options.worker_rate, "closed loop: at most so many a second per worker");
  app.add_option("--warmup", flags.warm_up, "the first part of the run that is not measured");
  app.add_option("--cooldown", flags.cool_down, "the last part that is not measured");
  app.add_option("-t,--timeout", flags.timeout, "time limit of a request (20s)");
  app.add_option("--threads,--cpus", options.threads, "threads that send; chosen by itself");
  app.add_option("--seed", options.seed, "for random arrivals and bodies")->capture_default_str();
}

void add_search(CLI::App& app, Flags& flags) {
  load::Options& options = flags.options;
  app.option_defaults()->group("Search");
  app.add_flag("--find-max-qps", options.find_max,
               "find the highest rate that holds --slo, within --seconds (5m)");
  app.add_option("--slo", options.objective, "what must hold (p99=100ms,errors=0.1%)");
  app.add_option("--search-from", options.search_from, "the first rate")->capture_default_str();
  app.add_option("--search-to", options.search_to, "the highest rate")->capture_default_str();
  app.add_option("--window", flags.window, "length of a measurement (5s); three alike decide");
}

void add_output(CLI::App& app, Flags& flags) {
  load::Options& options = flags.options;
  app.option_defaults()->group("Result");
  app.add_option("--fail-if", flags.fail_if,
                 "'p99>200ms', 'errors>0.1%', 'dropped>0', 'rps<100': exit code 3")
      ->allow_extra_args(false);
  app.add_option("--json", options.json, "report as JSON; - for standard output");
  app.add_option("--csv", options.csv, "the run over time");
  app.add_option("--html", options.html, "report as one page with plots");
  app.add_option("--prometheus", options.prometheus,
                 "ADDRESS:PORT with metrics to scrape while it runs");
  app.add_flag("--quiet", options.quiet, "nothing while it runs");
  app.add_option("-o", flags.output, "hey's output format: csv")->check(CLI::IsMember({"csv"}));
}

void add_unsupported(CLI::App& app, Flags& flags) {
  // Known to hey: what changes nothing is taken, what would is refused in `finish`.
  static bool ignored = false;  // NOLINT: CLI11 writes it, nobody reads it
  app.add_flag("--disable-compression", ignored)->group("");
  app.add_flag("--disable-redirects", ignored)->group("");
  app.add_flag("--h2", flags.http2)->group("");
  app.add_option("-x", flags.proxy)->group("");
}

std::string base64(std::string_view text) {
  constexpr std::string_view kLetters =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  for (std::size_t i = 0; i < text.size(); i += 3) {
    std::uint32_t block = 0;
    for (std::size_t k = 0; k < 3; ++k) {
      block = (block << 8U) | (i + k < text.size() ? static_cast<unsigned char>(text[i + k]) : 0U);
    }
    for (std::size_t k = 0; k < 4; ++k) {
      out += i + k <= text.size() ? kLetters[(block >> (18 - 6 * k)) & 63U] : '=';
    }
  }
  return out;
}

Result<void> set_headers(Flags& flags) {
  auto& headers = flags.options.headers;
  for (const std::string& header : flags.headers) {
    const std::size_t colon = header.find(':');
    if (colon == std::string::npos) {
      return fail(ErrorCode::kInvalidArgument,
                  "-H '" + header + "' is no header; accepted: 'Name: value'");
    }
    headers.emplace_back(header.substr(0, colon), load::trim(header.substr(colon + 1)));
  }
  if (!flags.accept.empty()) {
    headers.emplace_back("Accept", flags.accept);
  }
  if (!flags.host_header.empty()) {
    headers.emplace_back("Host", flags.host_header);
  }
  if (!flags.auth.empty()) {
    headers.emplace_back("Authorization", "Basic " + base64(flags.auth));
  }
  return {};
}

Result<void> set_durations(Flags& flags) {
  struct Field {
    std::string_view name;
    const std::string& text;
    Duration& value;
  };
  Duration run{};
  for (const Field& field : {Field{"--seconds", flags.seconds, run},
                             Field{"--warmup", flags.warm_up, flags.options.warm_up},
                             Field{"--cooldown", flags.cool_down, flags.options.cool_down},
                             Field{"--timeout", flags.timeout, flags.options.timeout},
                             Field{"--wait", flags.wait, flags.options.wait_for_target},
                             Field{"--window", flags.window, flags.options.window}}) {
    if (field.text.empty()) {
      continue;
    }
    const auto value = load::parse_duration(field.text);
    if (!value) {
      return fail(ErrorCode::kInvalidArgument,
                  std::string(field.name) + " '" + field.text +
                      "' is no duration; accepted: 180, 500ms, 90s, 5m, 1h");
    }
    field.value = *value;
  }
  if (!flags.seconds.empty()) {
    flags.options.duration = run;
  }
  return {};
}

Result<load::Options> finish(Flags& flags) {
  load::Options& options = flags.options;
  if (flags.http2 || !flags.proxy.empty()) {
    return fail(ErrorCode::kUnimplemented, "HTTP/2 and proxies (-h2, -x) are not offered");
  }
  if (!flags.host.empty() && !flags.positional.empty()) {
    return fail(ErrorCode::kInvalidArgument, "give the target once: as URL or by --host");
  }
  options.url = flags.host.empty() ? flags.positional : flags.host;
  options.keep_alive = !flags.disable_keepalive;
  options.verify_tls = !flags.insecure;
  options.arrivals = flags.arrivals == "poisson" ? load::Arrivals::kPoisson : load::Arrivals::kEven;
  if (!flags.body_file_as_is.empty()) {
    std::ifstream file(flags.body_file_as_is, std::ios::binary);
    if (!file) {
      return fail(ErrorCode::kInvalidArgument, "-D: cannot read " + flags.body_file_as_is);
    }
    options.body = std::string(std::istreambuf_iterator<char>(file), {});
  }
  if (options.body && flags.body_file_as_is.empty() && flags.seconds.empty() &&
      load::parse_duration(*options.body) && options.body->ends_with('s')) {
    return fail(ErrorCode::kInvalidArgument,
                "-d '" + *options.body + "' is the body, as in hey; for a duration say -z " +
                    *options.body + " (a file with such a body: -D)");
  }
  for (auto* step : {&set_headers, &set_durations}) {
    if (auto done = (*step)(flags); !done) {
      return fail(std::move(done.error()));
    }
  }
  for (const std::string& text : flags.fail_if) {
    auto threshold = load::Threshold::parse(text);
    if (!threshold) {
      return fail(std::move(threshold.error()));
    }
    options.fail_if.push_back(std::move(*threshold));
  }
  if (flags.output == "csv") {
    options.csv = "/dev/stdout";
    options.quiet = true;
  }
  const server::BuildInfo build = server::build_info();
  options.tool = "podsense " + std::string(build.version) + " (" + std::string(build.commit) + ")";
  return options;
}

/// What values are, where CLI11 would say TEXT or FLOAT.
void name_values(CLI::App& app) {
  struct Kind {
    const char* name;
    std::vector<const char*> flags;
  };
  for (const Kind& kind :
       {Kind{"FILE",
             {"--data-file", "--body-file", "--rows", "--cacert", "--cert", "--key", "--json",
              "--csv", "--html", "--trace"}},
        Kind{"FILE|DIR", {"--image"}},
        Kind{"DURATION",
             {"--wait", "--seconds", "--warmup", "--cooldown", "--timeout", "--window"}},
        Kind{"RATE", {"--qps", "-q", "--search-from", "--search-to"}},
        Kind{"CONDITION", {"--fail-if"}}, Kind{"METRIC=LIMIT,...", {"--slo"}},
        Kind{"N",
             {"--requests", "--connections", "--max-connections", "--streams", "--threads",
              "--seed", "--batch"}}}) {
    for (const char* const flag : kind.flags) {
      app.get_option(flag)->type_name(kind.name);
    }
  }
}

/// What this tool has for a flag of another one; empty: nothing is known.
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

/// The first word that is no flag here, and what may have been meant.
std::string unexpected_text(const CLI::App& app) {
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
  std::vector<std::string> known;
  for (const CLI::Option* option : app.get_options()) {
    const auto& names = option->get_lnames();
    known.insert(known.end(), names.begin(), names.end());
  }
  const std::vector<std::string_view> candidates(known.begin(), known.end());
  const std::string_view nearest =
      nearest_name(name.substr(name.find_first_not_of('-')), candidates);
  return "unknown flag '" + name + "'; " +
         (nearest.empty() ? "see podsense load --help"
                          : "did you mean --" + std::string(nearest) + "?");
}

int report_error(const Error& error) {
  std::cerr << "podsense load: " << error.message << '\n';
  const bool usage = error.code == ErrorCode::kInvalidArgument ||
                     error.code == ErrorCode::kUnimplemented ||
                     error.code == ErrorCode::kPermissionDenied;
  return usage ? 2 : 1;
}

/// `podsense load merge A.json B.json …`
int merge(std::span<const char* const> arguments) {
  load::Options output;
  std::vector<std::string> files;
  std::vector<std::string> conditions;
  CLI::App app("One report of what several generators measured", "podsense load merge");
  app.add_option("files", files, "what --json wrote")->required();
  app.add_option("--json", output.json, "the merged report as JSON; - for standard output");
  app.add_option("--csv", output.csv, "the run over time");
  app.add_option("--html", output.html, "report as one page with plots");
  app.add_option("--fail-if", conditions, "as for a run: exit code 3")->allow_extra_args(false);
  std::vector<std::string> words(arguments.rbegin(), arguments.rend());
  try {
    app.parse(words);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  for (const std::string& text : conditions) {
    auto threshold = load::Threshold::parse(text);
    if (!threshold) {
      return report_error(threshold.error());
    }
    output.fail_if.push_back(std::move(*threshold));
  }
  const auto ending = load::merge_files(files, output);
  return ending ? static_cast<int>(*ending) : report_error(ending.error());
}

int run_load(std::span<const char* const> arguments) {
  Flags flags;
  CLI::App app(kDescription, "podsense load");
  app.footer(kFooter);
  add_target(app, flags);
  add_body(app, flags);
  add_rate(app, flags);
  add_search(app, flags);
  add_output(app, flags);
  add_unsupported(app, flags);
  name_values(app);
  // CLI11 takes them last first.
  std::vector<std::string> words;
  for (auto at = arguments.rbegin(); at != arguments.rend(); ++at) {
    words.push_back(two_dashes(*at));
  }
  try {
    app.parse(words);
  } catch (const CLI::CallForHelp& help) {
    return app.exit(help);
  } catch (const CLI::ParseError& error) {
    const bool extra = dynamic_cast<const CLI::ExtrasError*>(&error) != nullptr;
    const std::string message =
        extra ? unexpected_text(app) : std::string(error.what()) + "; see podsense load --help";
    return report_error(fail(ErrorCode::kInvalidArgument, message).value());
  }
  auto options = finish(flags);
  if (!options) {
    return report_error(options.error());
  }
  if (auto made = use_oip(flags.oip, *options); !made) {
    return report_error(made.error());
  }
  const auto ending = load::run(*options);
  return ending ? static_cast<int>(*ending) : report_error(ending.error());
}

}  // namespace

int load(std::span<const char* const> arguments) {
  if (!arguments.empty() && std::string_view(arguments[0]) == "merge") {
    return merge(arguments.subspan(1));
  }
  return run_load(arguments);
}

}  // namespace podsense::cli
