#include "load/load.h"

#include <CLI/CLI.hpp>
#include <array>
#include <fstream>
#include <iostream>
#include <iterator>
#include <string>
#include <vector>

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
    R"(Exit codes: 0 measured; 1 not reachable, or nothing succeeded; 2 bad flags; 3 a --fail-if condition
held; 130 interrupted.
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
  auto* target = app.add_option_group("Target");
  target->add_option(
      "url", flags.positional,
      "http[s]://HOST[:PORT][/PATH], grpc[s]://HOST[:PORT]; placeholders as in bodies");
  target->add_option("--host", flags.host, "the same as a flag");
  target->add_option("-m,--method", flags.options.method, "GET, or POST with a body");
  target->add_option("-H,--header", flags.headers, "'Name: value', as often as needed")
      ->allow_extra_args(false);
  target->add_option("-A,--accept", flags.accept, "Accept header");
  target->add_option("-T,--content-type", flags.options.content_type, "Content-Type header");
  target->add_option("-a,--auth", flags.auth, "USER:PASSWORD for basic authentication");
  target->add_option("--host-header", flags.host_header, "Host header");
  target->add_flag("--disable-keepalive", flags.disable_keepalive, "a connection for each request");
  target->add_flag("--grpc", flags.options.grpc,
                   "podsense.v1 with --image, --features or JSON; with --oip ModelInfer");
  target->add_option("--streams", flags.options.streams,
                     "gRPC: calls on a connection at a time (100; closed loop 1)");
  target->add_flag("--tls", flags.options.tls, "where the URL has no scheme that says so");
  target->add_flag("--insecure", flags.insecure, "accept any certificate");
  target->add_option("--cacert", flags.options.ca_file, "PEM file with the authorities to trust");
  target->add_option("--cert", flags.options.certificate_file, "PEM certificate to show, for mTLS");
  target->add_option("--key", flags.options.key_file, "its private key, if not in the same file");
  target->add_option("--wait", flags.wait, "try to connect for so long before giving up");
  target->add_flag("--i-may-load-this-host", flags.options.public_host_allowed,
                   "needed for a public address");
}

void add_body(CLI::App& app, Flags& flags) {
  auto* body = app.add_option_group("Body");
  body->add_option("-d,--data", flags.options.body, "a text");
  body->add_option("-D,--data-file", flags.body_file_as_is, "a file as it is");
  body->add_option(
      "--body-file", flags.options.body_file,
      "a template: {{counter}} {{random_int 0 9}} {{random 0 1}} {{row}} {{row NAME}}");
  body->add_option("--rows", flags.options.rows, "CSV file for {{row}}");
  body->add_option("--image", flags.options.image, "a picture, or a folder of them, to /predict");
  body->add_flag("--multipart", flags.options.multipart, "the picture as a form's file");
  body->add_option("--features", flags.options.features, "1,2,3 or a CSV file, to /predict-single");
  body->add_option("--oip", flags.oip.form,
                   "json or binary (gRPC: binary): random tensors of --model's shapes, to "
                   "/v2/models/NAME/infer")
      ->check(CLI::IsMember({"json", "binary"}));
  body->add_option("--model", flags.oip.model,
                   "for --oip; with --grpc for messages that name none");
  body->add_option("--batch", flags.oip.batch, "for --oip: the first dimension where it is open")
      ->check(CLI::Range(1, 4096));
}

void add_rate(CLI::App& app, Flags& flags) {
  load::Options& options = flags.options;
  auto* rate = app.add_option_group("Load");
  rate->add_option("--qps,--rate", options.rate, "open loop: requests a second");
  rate->add_option("--shape", options.shape,
                   "open loop: ramp:1..100  steps:10,20,50  sine:50,40,60s  burst:100,10s");
  rate->add_option("--trace", options.trace, "open loop: CSV of moments, or of counts per minute");
  rate->add_option("--trace-speed", options.trace_speed, "2: in half the time");
  rate->add_option("--trace-scale", options.trace_scale, "2: twice as many (counts)");
  rate->add_option("--arrivals", flags.arrivals, "constant or poisson")
      ->check(CLI::IsMember({"constant", "poisson"}));
  rate->add_option("--seconds,--duration,-z", flags.seconds, "how long: 180, 90s, 5m");
  rate->add_option("-n,--requests", options.requests, "how many requests");
  rate->add_option("-c,--connections", options.connections,
                   "closed loop: workers (50); open loop: connections to begin with");
  rate->add_option("--max-connections", options.max_connections,
                   "open loop: beyond it requests are dropped")
      ->capture_default_str();
  rate->add_option("-q", options.worker_rate, "closed loop: at most so many a second per worker");
  rate->add_option("--warmup", flags.warm_up, "the first part of the run that is not measured");
  rate->add_option("--cooldown", flags.cool_down, "the last part that is not measured");
  rate->add_option("-t,--timeout", flags.timeout, "time limit of a request (20s)");
  rate->add_option("--threads,--cpus", options.threads, "threads that send; chosen by itself");
  rate->add_option("--seed", options.seed, "for random arrivals and bodies")->capture_default_str();
}

void add_search(CLI::App& app, Flags& flags) {
  load::Options& options = flags.options;
  auto* search = app.add_option_group("Search");
  search->add_flag("--find-max-qps", options.find_max, "find the highest rate that holds --slo");
  search->add_option("--slo", options.objective, "p99=50ms,errors=0.1%")->capture_default_str();
  search->add_option("--search-from", options.search_from, "the first rate")->capture_default_str();
  search->add_option("--search-to", options.search_to, "the highest rate")->capture_default_str();
  search->add_option("--window", flags.window, "length of a measurement (5s); three must agree");
}

void add_output(CLI::App& app, Flags& flags) {
  load::Options& options = flags.options;
  auto* output = app.add_option_group("Result");
  output
      ->add_option("--fail-if", flags.fail_if,
                   "'p99>200ms', 'errors>0.1%', 'dropped>0', 'rps<100': exit code 3")
      ->allow_extra_args(false);
  output->add_option("--json", options.json, "report as JSON; - for standard output");
  output->add_option("--csv", options.csv, "the run over time");
  output->add_option("--html", options.html, "report as one page with plots");
  output->add_option("--prometheus", options.prometheus,
                     "ADDRESS:PORT with metrics to scrape while it runs");
  output->add_flag("--quiet", options.quiet, "nothing while it runs");
  output->add_option("-o", flags.output, "hey's output format: csv")->check(CLI::IsMember({"csv"}));
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
  // CLI11 takes them last first.
  std::vector<std::string> words;
  for (auto at = arguments.rbegin(); at != arguments.rend(); ++at) {
    words.push_back(two_dashes(*at));
  }
  try {
    app.parse(words);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
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
