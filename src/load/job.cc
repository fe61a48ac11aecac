#include "load/job.h"

#include <sys/resource.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>
#include <ctime>
#include <iostream>
#include <iterator>
#include <set>

#include "arrivals/arrival_trace.h"
#include "base/cgroup.h"
#include "load/clients/endpoints.h"
#include "load/clients/http_transport.h"
#include "load/http2_job.h"
#include "load/outputs.h"
#include "load/tls_files.h"
#include "text/numbers.h"

namespace podsense::load {
namespace {

constexpr Duration kForever = std::chrono::hours(1000);
constexpr double kSlices = 240;
constexpr unsigned kMostThreads = 4;
/// One thread sends this much with ease; more threads cost the server its cores.
constexpr double kRateOfThread = 20000;
constexpr double kMostRate = 1e6;

std::string timestamp() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  gmtime_r(&now, &parts);
  std::array<char, 64> text;
  return {text.data(), std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &parts)};
}

/// The shortest of the usual widths that gives at most `kSlices`.
Duration slice_width(Duration run) {
  constexpr std::array<double, 12> kWidths{0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 300, 900, 3600};
  const auto* const fits = std::ranges::find_if(
      kWidths, [run](double width) { return to_seconds(run) / width <= kSlices; });
  const double width = fits == kWidths.end() ? kWidths.back() : *fits;
  return Duration(std::llround(width * 1e9));
}

bool is_open_loop(const LoadOptions& options) {
  return options.rate || !options.shape.empty() || !options.trace.empty() || options.find_max;
}

/// Until the request after the last would be due. Random arrivals: that is not known beforehand.
Duration length_of(const RunPlan& plan, std::uint64_t requests) {
  const double next = static_cast<double>(requests) + (plan.shape->is_rate() ? 0 : 1);
  const double seconds =
      plan.arrivals == arrivals::ArrivalProcess::kEven ? plan.shape->moment_of(next) : HUGE_VAL;
  return seconds < to_seconds(kForever) ? Duration(std::llround(seconds * 1e9)) : kForever;
}

Result<void> make_shape(const LoadOptions& options, Job& job) {
  RunPlan& plan = job.plan;
  if (!options.trace.empty()) {
    auto text = text::read_file(options.trace, "--trace ");
    if (!text) {
      return fail(std::move(text.error()));
    }
    auto trace = arrivals::parse_arrival_trace(*text, {.speed = options.trace_speed,
                                                       .scale = options.trace_scale,
                                                       .header = options.csv_header,
                                                       .keep_offset = options.keep_offset});
    if (!trace) {
      return fail(ErrorCode::kInvalidArgument,
                  "--trace " + options.trace.string() + ": " + trace.error().message);
    }
    plan.shape = std::move(trace->shape);
    plan.duration = options.duration.value_or(trace->length);
    job.circumstances.shape = "trace:" + options.trace.filename().string();
    return {};
  }
  if (options.find_max) {  // each step of the search has its own rate and length
    plan.shape = arrivals::constant_rate(options.search_from);
    plan.duration = options.window * 10;
    return {};
  }
  if (options.requests && !options.duration &&
      (options.shape.starts_with("ramp:") || options.shape.starts_with("steps:"))) {
    return fail(
        ErrorCode::kInvalidArgument,
        "'" + options.shape + "' goes over the whole run: with -n give its length, --seconds");
  }
  plan.duration = options.duration.value_or(options.requests ? kForever : std::chrono::seconds(10));
  const std::string text =
      options.rate ? "constant:" + text::format_rate(*options.rate) : options.shape;
  auto shape = arrivals::parse_shape(text, plan.duration);
  if (!shape) {
    return fail(std::move(shape.error()));
  }
  plan.shape = std::move(*shape);
  job.circumstances.shape = text;
  if (options.requests && !options.duration) {
    plan.duration = length_of(plan, *options.requests);
  }
  return {};
}

/// The highest that a 256th of the run has.
double peak_rate(const RunPlan& plan) {
  constexpr int kParts = 256;
  const double part = to_seconds(plan.duration) / kParts;
  double peak = plan.shape->due_by(1);
  for (int i = 0; i < kParts && plan.duration < kForever; ++i) {
    const double due = plan.shape->due_by(part * (i + 1)) - plan.shape->due_by(part * i);
    peak = std::max(peak, due / part);
  }
  return peak;
}

/// Connections that the first rate needs if an answer takes 100 ms.
unsigned guess_connections(const RunPlan& plan) {
  const double rate = plan.shape->due_by(1);
  return static_cast<unsigned>(std::clamp(std::ceil(rate / 10), 4.0, 128.0));
}

/// Descriptors: each connection needs one.
void raise_descriptor_limit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
  }
}

/// No more than there is work for: each has connections of its own, at least one.
unsigned choose_threads(const LoadOptions& options, const RunPlan& plan) {
  const unsigned most = plan.shape ? options.max_connections : plan.workers;
  if (options.threads > 0) {
    return std::min(options.threads, most);
  }
  const unsigned cores = std::min(kMostThreads, cgroup::cpu_limit().threads());
  const double wish = plan.shape ? peak_rate(plan) / kRateOfThread : cores;
  return std::min(
      static_cast<unsigned>(std::clamp(std::ceil(wish), 1.0, static_cast<double>(cores))), most);
}

void describe(const LoadOptions& options, Job& job) {
  Circumstances& how = job.circumstances;
  const RunPlan& plan = job.plan;
  how.tool = options.tool;
  how.open_loop = plan.shape != nullptr;
  how.arrivals = plan.arrivals == arrivals::ArrivalProcess::kEven ? "even" : "poisson";
  how.seconds = plan.duration == kForever ? 0 : to_seconds(plan.duration);
  how.warm_up_seconds = to_seconds(plan.warm_up);
  how.cool_down_seconds = to_seconds(plan.cool_down);
  how.requests = plan.requests == UINT64_MAX ? 0 : plan.requests;
  how.threads = plan.threads;
  how.timeout_seconds = options.timeout >= kForever ? 0 : to_seconds(options.timeout);
  how.seed = plan.seed;
  how.keep_alive = options.keep_alive;
  how.started_at = timestamp();
}

/// What a URL's scheme or a flag wants.
bool has_scheme(const std::string& url, std::string_view scheme) {
  return url.size() > scheme.size() + 2 && url.substr(scheme.size(), 3) == "://" &&
         std::ranges::equal(std::string_view(url).substr(0, scheme.size()), scheme,
                            [](unsigned char a, char b) { return std::tolower(a) == b; });
}

bool is_grpc(const LoadOptions& options, const std::string& url) {
  return options.grpc || has_scheme(url, "grpc") || has_scheme(url, "grpcs");
}

bool wants_tls(const LoadOptions& options, const std::string& url) {
  return options.tls || has_scheme(url, "https") || has_scheme(url, "grpcs");
}

/// The path, with placeholders where there are some.
Result<void> set_target(const LoadOptions& options, std::shared_ptr<const Table> rows,
                        HttpRequestOptions& request) {
  if (request.url.target.find("{{") == std::string::npos) {
    return {};
  }
  if (!rows) {
    auto loaded = load_rows(options, {});
    if (!loaded) {
      return fail(std::move(loaded.error()));
    }
    rows = std::move(*loaded);
  }
  auto target = BodyTemplate::parse(request.url.target, std::move(rows), options.seed);
  if (!target) {
    return fail(ErrorCode::kInvalidArgument, "the URL: " + target.error().message);
  }
  request.target = std::move(*target);
  return {};
}

Result<HttpTransportOptions> transport_options(const LoadOptions& options) {
  auto content = make_content(options);
  const bool bare = options.url.find("://") == std::string::npos;
  auto url = parse_url(bare && options.tls ? "https://" + options.url : options.url);
  if (!content || !url) {
    return fail(std::move(content ? url.error() : content.error()));
  }
  url->tls = url->tls || options.tls;
  if (url->target == "/" && !options.url.ends_with('/') && !content->path.empty()) {
    url->target = content->path;
  }
  auto endpoints = own_endpoints(options, *url);
  if (!endpoints) {
    return fail(std::move(endpoints.error()));
  }
  auto tls = read_client_tls(options);
  if (!tls) {
    return fail(std::move(tls.error()));
  }
  HttpTransportOptions transport{.request = {.url = *url,
                                             .target = {},
                                             .method = options.method,
                                             .headers = options.headers,
                                             .keep_alive = options.keep_alive,
                                             .bodies = std::move(content->bodies)},
                                 .endpoints = std::move(*endpoints),
                                 .timeout = options.timeout,
                                 .expect = options.expect,
                                 .redirects = options.redirects,
                                 .tls = std::move(*tls)};
  if (auto set = set_target(options, std::move(content->rows), transport.request); !set) {
    return fail(std::move(set.error()));
  }
  if (transport.request.method.empty()) {
    transport.request.method = transport.request.bodies.empty() ? "GET" : "POST";
  }
  for (auto& body : transport.request.bodies) {
    if (!options.content_type.empty()) {
      body.content_type = options.content_type;
    }
  }
  return transport;
}

}  // namespace

namespace {

/// HOST1:PORT1:HOST2:PORT2 in its four parts; addresses of IPv6 in brackets.
/// @source curl's --connect-to
std::optional<std::array<std::string, 4>> connect_to_parts(std::string_view text) {
  std::array<std::string, 4> parts;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    std::size_t end = text.find(':');
    if (text.starts_with('[')) {
      const std::size_t close = text.find(']');
      if (close == text.npos) {
        return std::nullopt;
      }
      parts[i] = text.substr(1, close - 1);
      end = close + 1 < text.size() ? close + 1 : text.npos;
    } else {
      parts[i] = text.substr(0, end);
    }
    if ((end == text.npos) != (i + 1 == parts.size()) || (end != text.npos && text[end] != ':')) {
      return std::nullopt;
    }
    text = end == text.npos ? std::string_view() : text.substr(end + 1);
  }
  return parts;
}

/// The URL's host and port, or those that --connect-to has for them.
Result<Url> connected_to(const LoadOptions& options, Url url) {
  for (const std::string& text : options.connect_to) {
    const auto parts = connect_to_parts(text);
    const auto port = parts && !(*parts)[3].empty() ? text::parse_number((*parts)[3])
                                                    : std::optional(static_cast<double>(url.port));
    if (!parts || !port || *port < 1 || *port > 65535 || *port != std::floor(*port)) {
      return fail(ErrorCode::kInvalidArgument,
                  "--connect-to '" + text +
                      "': accepted: HOST1:PORT1:HOST2:PORT2, ports from 1 to 65535, IPv6 in "
                      "brackets; parts may be empty");
    }
    const auto& [from_host, from_port, to_host, to_port] = *parts;
    if ((from_host.empty() || from_host == url.host) &&
        (from_port.empty() || from_port == std::to_string(url.port))) {
      url.host = to_host.empty() ? url.host : to_host;
      url.port = static_cast<std::uint16_t>(*port);
      break;
    }
  }
  return url;
}

}  // namespace

Result<std::vector<Endpoint>> own_endpoints(const LoadOptions& options, const Url& url) {
  auto server = connected_to(options, url);
  if (!server) {
    return fail(std::move(server.error()));
  }
  auto endpoints = resolve(*server);
  if (!endpoints) {
    return endpoints;
  }
  for (const Endpoint& endpoint : *endpoints) {
    if (!options.public_host_allowed && !is_private(endpoint.address())) {
      return fail(
          ErrorCode::kPermissionDenied,
          url.host + " (" + endpoint.address().to_string() +
              ") has a public address: a load test looks like an attack to whoever runs it. If "
              "it is yours to load, say --i-may-load-this-host");
    }
  }
  return endpoints;
}

Connections part_of(const Connections& all, unsigned part, unsigned parts) {
  return {.first = all.first / parts + (part < all.first % parts ? 1 : 0),
          .most = std::max(1U, all.most / parts + (part < all.most % parts ? 1 : 0))};
}

namespace {

/// Workers of a closed loop stay with their connections: some addresses may get nothing.
void note_addresses(const LoadOptions& options, const RunPlan& plan,
                    const HttpTransportOptions& to) {
  const bool v4 = to.endpoints.front().address().is_v4();
  std::set<boost::asio::ip::address> addresses;  // a resolver may name one twice
  for (const Endpoint& one : to.endpoints) {
    if (one.address().is_v4() == v4) {
      addresses.insert(one.address());
    }
  }
  if (!plan.shape && options.keep_alive && !options.quiet && plan.workers < addresses.size()) {
    std::cerr << "podsense load: " << to.request.url.host << " has " << addresses.size()
              << " addresses, and " << plan.workers
              << (plan.workers == 1 ? " worker reaches one" : " workers reach as many")
              << " of them: -c " << addresses.size() << " reaches all\n";
  }
}

}  // namespace

Result<void> make_http(const LoadOptions& options, Job& job) {
  auto transport = transport_options(options);
  if (!transport) {
    return fail(std::move(transport.error()));
  }
  Circumstances& how = job.circumstances;
  how.url = transport->request.url.text();
  how.method = transport->request.method;
  if (options.http2) {
    return add_http2(*transport, options, job);
  }
  how.protocol = "http/1.1";
  note_addresses(options, job.plan, *transport);
  job.make.emplace_back([shared = std::move(*transport),
                         all = Connections{.first = how.connections, .most = how.max_connections},
                         threads = job.plan.threads,
                         next = 0U](boost::asio::io_context& context, Sink& sink) mutable {
    HttpTransportOptions mine = shared;
    const unsigned part = next++ % threads;
    const Connections share = part_of(all, part, threads);
    mine.connections = share.first;
    mine.max_connections = share.most;
    // After those of the parts before: so all together take turns.
    mine.first_endpoint = part * (all.first / threads) + std::min(part, all.first % threads);
    return HttpTransport::create(mine, context, sink);
  });
  return {};
}

namespace {

/// Each target's transport.
Result<void> make_transports(const LoadOptions& options, Job& job) {
  LoadOptions one = options;
  if (options.body_file == "-") {
    std::string text(std::istreambuf_iterator<char>(std::cin), {});
    one.body_template = std::move(text);
  }
  if (options.targets.empty()) {
    return is_grpc(one, one.url) ? make_grpc(one, job) : make_http(one, job);
  }
  job.plan.weights.clear();
  for (const TargetOption& target : options.targets) {
    one.url = target.url;
    const auto made = is_grpc(one, one.url) ? make_grpc(one, job) : make_http(one, job);
    if (!made) {
      return fail(made.error().code, target.name + ": " + made.error().message);
    }
    job.plan.weights.push_back(target.weight);
    job.circumstances.targets.push_back(
        {.name = target.name, .url = job.circumstances.url, .weight = target.weight});
  }
  job.circumstances.url = std::to_string(options.targets.size()) + " targets";
  return {};
}

}  // namespace

Result<Job> make_job(const LoadOptions& options) {
  if (auto valid = options.validate(); !valid) {
    return fail(std::move(valid.error()));
  }
  Job job;
  RunPlan& plan = job.plan;
  plan.arrivals = options.arrivals;
  plan.seed = options.seed;
  plan.warm_up = options.warm_up;
  plan.cool_down = options.cool_down;
  plan.worker_rate = options.worker_rate;
  plan.timeout = options.timeout;
  plan.log = options.hey_rows || !options.log.empty();
  if (is_open_loop(options)) {
    if (auto made = make_shape(options, job); !made) {
      return fail(std::move(made.error()));
    }
    if (plan.arrivals == arrivals::ArrivalProcess::kPoisson && !plan.shape->is_rate()) {
      return fail(ErrorCode::kInvalidArgument,
                  "--arrivals poisson needs a rate: bursts, and the moments of a trace, have their "
                  "times");
    }
    plan.requests = options.requests.value_or(UINT64_MAX);
  } else {
    plan.duration = options.duration.value_or(kForever);
    plan.requests = options.requests.value_or(options.duration ? UINT64_MAX : 200);
    // More workers than requests would only open connections.
    plan.workers = static_cast<unsigned>(
        std::min<std::uint64_t>(options.connections.value_or(50), plan.requests));
  }
  if (plan.cool_down > Duration::zero() && plan.duration == kForever) {
    return fail(ErrorCode::kInvalidArgument,
                "--cooldown needs --seconds: it is not known before when the last of -n requests "
                "is answered");
  }
  if (plan.warm_up + plan.cool_down >= plan.duration) {
    return fail(ErrorCode::kInvalidArgument, "warm-up and cool-down leave nothing of a run of " +
                                                 text::format_duration(plan.duration));
  }
  plan.slice_width = slice_width(plan.duration == kForever ? Duration() : plan.duration);
  plan.threads = choose_threads(options, plan);
  raise_descriptor_limit();
  const unsigned connections =
      plan.shape
          ? std::min(options.max_connections, options.connections.value_or(guess_connections(plan)))
          : plan.workers;
  const unsigned most = plan.shape ? options.max_connections : plan.workers;
  job.circumstances.connections = connections;
  job.circumstances.max_connections = most;
  describe(options, job);
  if (const auto made = make_transports(options, job); !made) {
    return fail(made.error());
  }
  return job;
}

bool is_grpc(const LoadOptions& options) {
  return is_grpc(options, options.urls().front());
}

std::vector<std::string> LoadOptions::urls() const {
  std::vector<std::string> all{url};
  for (const TargetOption& target : targets) {
    all.push_back(target.url);
  }
  if (url.empty() && all.size() > 1) {
    all.erase(all.begin());
  }
  return all;
}

Result<TargetOption> parse_target_option(std::string_view text) {
  constexpr double kMostWeight = 1000;
  const std::size_t sign = text.find('=');
  std::string_view name = text.substr(0, sign);
  const std::size_t colon = name.find(':');
  const auto weight =
      colon == name.npos ? std::optional(1.0) : text::parse_number(name.substr(colon + 1));
  name = name.substr(0, colon);
  if (sign == text.npos || sign + 1 == text.size() || name.empty() || !weight || *weight < 1 ||
      *weight > kMostWeight || *weight != std::floor(*weight)) {
    return fail(ErrorCode::kInvalidArgument,
                "--target '" + std::string(text) +
                    "': accepted: NAME=URL or NAME:WEIGHT=URL, a weight from 1 to 1,000");
  }
  return TargetOption{.name = std::string(name),
                      .url = std::string(text.substr(sign + 1)),
                      .weight = static_cast<unsigned>(*weight)};
}

namespace {

bool one_protocol(const LoadOptions& options) {
  const auto urls = options.urls();
  return std::ranges::all_of(urls, [&](const std::string& url) {
    return is_grpc(options, url) == is_grpc(options, urls.front());
  });
}

bool distinct_names(const LoadOptions& options) {
  std::vector<std::string> names;
  names.reserve(options.targets.size());
  for (const TargetOption& target : options.targets) {
    names.push_back(target.name);
  }
  std::ranges::sort(names);
  return std::ranges::adjacent_find(names) == names.end();
}

}  // namespace

Result<void> LoadOptions::validate() const {
  std::string faults;
  const auto require = [&faults](bool good, std::string_view message) {
    if (!good) {
      faults += (faults.empty() ? "" : "; ") + std::string(message);
    }
  };
  const int kinds = (rate ? 1 : 0) + (shape.empty() ? 0 : 1) + (trace.empty() ? 0 : 1);
  const int bodies = (body ? 1 : 0) + (body_file.empty() ? 0 : 1) + (image.empty() ? 0 : 1) +
                     (features.empty() ? 0 : 1);
  require(!url.empty() || !targets.empty(), "no target: give a URL, or --host");
  require(targets.empty() || url.empty(), "give one URL or several --target, not both");
  require(targets.size() != 1, "--target is for several; give one as URL");
  require(one_protocol(*this), "targets are all HTTP or all gRPC");
  require(distinct_names(*this), "each --target needs a name of its own");
  require(kinds <= 1, "--qps, --shape and --trace exclude each other");
  require(bodies <= 1, "-d, -D, --body-file, --image and --features exclude each other");
  require(!rate || (*rate > 0 && *rate <= kMostRate), "--qps must lie between 0 and 1,000,000");
  require(!duration || *duration > Duration::zero(), "the duration must be above 0");
  require(!requests || *requests > 0, "-n must be at least 1");
  require(!connections || *connections > 0, "-c must be at least 1");
  require(max_connections > 0, "--max-connections must be at least 1");
  require(timeout > Duration::zero(), "the time limit must be above 0");
  require(streams <= 10000, "--streams must be at most 10000");
  require(threads <= 64, "--threads must be at most 64");
  require(worker_rate >= 0, "-q must not be negative");
  require(kinds == 0 || worker_rate == 0, "-q limits closed loops; for an open loop say --qps");
  require(!find_max || kinds == 0,
          "--find-max-qps finds the rate: leave out --qps, --shape, --trace");
  require(!find_max || (!requests && warm_up == Duration::zero() && cool_down == Duration::zero()),
          "--find-max-qps has windows of its own: leave out -n, --warmup, --cooldown");
  require(!find_max || !duration || *duration >= window * 4,
          "--seconds must leave a search at least four times --window");
  require(search_from > 0 && search_to >= search_from && search_to <= kMostRate,
          "--search-from must be above 0 and at most --search-to, that at most 1,000,000");
  require(window >= std::chrono::milliseconds(100), "--window must be at least 100ms");
  require(rows.empty() || !body_file.empty() ||
              std::ranges::any_of(
                  urls(), [](const auto& one) { return one.find("{{") != std::string::npos; }),
          "--rows belongs to --body-file, or to a URL with {{row}}");
  require(key_file.empty() || !certificate_file.empty(), "--key belongs to --cert");
  require(certificate_file.empty() ||
              std::ranges::any_of(urls(), [&](const auto& one) { return wants_tls(*this, one); }),
          "--cert and --key belong to https:// and grpcs://, or to --tls");
  require(streams == 0 || http2 || is_grpc(*this), "--streams belongs to --http2 or --grpc");
  require(!multipart || !image.empty(), "--multipart belongs to --image");
  require(trace_speed > 0 && trace_scale > 0, "--trace-speed and --trace-scale must be above 0");
  require(arrivals == arrivals::ArrivalProcess::kEven || kinds == 1 || find_max,
          "--arrivals poisson needs --qps, --shape or --trace");
  const auto to_stdout = static_cast<int>(std::ranges::count_if(
      std::array{json, csv, html, log}, [](const auto& file) { return is_stdout(file); }));
  require(to_stdout + (hey_rows ? 1 : 0) <= 1,
          "only one of --json, --csv, --html, --log and -o csv can go to standard output");
  require(!find_max || (!hey_rows && log.empty()), "--log and -o csv are not for --find-max-qps");
  require(expect.empty() || !is_grpc(*this), "--expect is for HTTP");
  if (!faults.empty()) {
    return fail(ErrorCode::kInvalidArgument, std::move(faults));
  }
  return {};
}

}  // namespace podsense::load
