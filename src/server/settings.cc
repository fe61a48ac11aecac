#include "server/settings.h"

#include <algorithm>
#include <array>
#include <iterator>

#include "base/ascii.h"
#include "inference/tasks/registry.h"
#include "server/setting_rows.h"

namespace podsense::server {

namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr std::array<Section, 15> kSections{{{"listen", "Listening"},
                                             {"models", "Models"},
                                             {"limits", "Limits"},
                                             {"threads", "Threads"},
                                             {"fetch", "Fetching URLs"},
                                             {"http", "HTTP"},
                                             {"grpc", "gRPC"},
                                             {"auth", "Authentication and rate limits"},
                                             {"tls", "TLS"},
                                             {"objective", "Objective"},
                                             {"tracing", "Tracing"},
                                             {"logging", "Logging"},
                                             {"shutdown", "Shutdown"},
                                             {"simulated", "Simulated model"},
                                             {"onnxruntime", "ONNX Runtime"}}};

constexpr SizeRange kBody{.min = 1ULL << 10U, .max = 1ULL << 30U};
constexpr DurationRange kTimeout{.min = milliseconds(1), .max = hours(1)};

std::string environment_name(std::string_view flag) {
  std::string name = "PODSENSE_";
  for (const char c : flag) {
    name.push_back(c == '-' ? '_' : static_cast<char>(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c));
  }
  return name;
}

}  // namespace

Setting row(std::string_view key, std::string_view flag, Accessor value, std::string_view meaning,
            std::string_view alias) {
  return {.key = key,
          .flag = flag,
          .environment = environment_name(flag),
          .alias = alias,
          .meaning = meaning,
          .value = std::move(value)};
}

std::vector<std::string_view> Setting::aliases() const {
  std::vector<std::string_view> out;
  for (std::string_view rest = alias; !rest.empty();) {
    const auto end = std::min(rest.find(' '), rest.size());
    out.push_back(rest.substr(0, end));
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return out;
}

namespace {

std::optional<std::string> default_task(std::string_view text);
std::optional<std::string> operator_file(std::string_view text);
std::optional<std::string> route_path(std::string_view text);
std::optional<std::string> sha256_digits(std::string_view text);

std::vector<Setting> models_settings() {
  using M = Config::Models;
  constexpr auto kIn = &Config::models;
  return {
      row("models.dir", "models", text(kIn, &M::dir, "DIR"),
          "Model repository: NAME/VERSION/model.onnx, or a folder with one model.onnx. Empty: "
          "/mnt/models if it exists, else models, else the models installed with the program "
          "(share/podsense/models)."),
      row("models.model_name", "model-name", text(kIn, &M::model_name, "NAME", model_name_or_empty),
          "Name of the one model of a folder without NAME/VERSION; in a repository, the default "
          "model for its task.",
          "MODEL_NAME"),
      row("models.defaults", "defaults",
          text_map(kIn, &M::defaults, "TASK=NAME", default_task, model_name),
          "Default models by task, for requests that name no model: {image-classification: NAME, "
          "tabular-classification: NAME, simulated: NAME}. Any other task: its first model by "
          "name."),
      row("models.only", "only-models", text_list(kIn, &M::only, "NAMES"),
          "Serve only these models of the repository. Empty: all."),
      row("models.load_timeout", "load-timeout", duration(kIn, &M::load_timeout, {.max = hours(1)}),
          "Time limit of a model's first opening and warm-up. They happen in a separate process "
          "with limits of memory and CPU time, so that a model that crashes or never ends does not "
          "affect the server. 0: all models are opened in the server's process."),
      row("models.known_models", "known-models", text(kIn, &M::known_models, "FILE"),
          "File with hashes of models that need no separate process, one per line, as podsense "
          "check --models DIR --hashes FILE writes it. Empty: none."),
      row("models.reload_interval", "reload-interval",
          duration(kIn, &M::reload_interval, {.max = hours(24)}),
          "Interval of polling for new, changed and removed versions. 0: no polling."),
      row("models.strict_readiness", "strict-readiness", boolean(kIn, &M::strict_readiness),
          "Ready only while every model of the repository serves. Off: while at least one does."),
      row("models.reload_api", "reload-api", boolean(kIn, &M::reload_api),
          "Allow the admin API to reload models, credentials and certificates."),
      row("models.repository_api", "repository-api", boolean(kIn, &M::repository_api),
          "Allow the admin API to list, load and unload models: /v2/repository of the Open "
          "Inference Protocol."),
      row("models.reload_signal", "reload-signal", boolean(kIn, &M::reload_signal),
          "Reload models, credentials and certificates on SIGHUP."),
      row("models.fault_api", "fault-api", boolean(kIn, &M::fault_api),
          "Allow the admin API to inject faults: slow, failing and stuck models, unreadiness. For "
          "tests and demonstrations."),
      row("models.cache_dir", "model-cache", text(kIn, &M::cache_dir, "DIR"),
          "Folder for optimised copies and measured profiles of models, so that the next start is "
          "faster. Empty: none."),
  };
}

std::vector<Setting> size_limit_settings() {
  using L = Config::Limits;
  constexpr auto kIn = &Config::limits;
  return {
      row("limits.max_memory", "max-memory",
          integer(kIn, &L::max_memory, {.min = 0, .max = 1ULL << 50U}),
          "Bytes of memory that the process may use. Connections, bodies, fetched files and "
          "decoding share what models and code leave: 503 if that is short, 413 for a request that "
          "can never fit. 0: the cgroup's limit, else the machine's memory."),
      row("limits.max_body_bytes", "max-body-bytes", size(kIn, &L::max_body_bytes, kBody),
          "Largest request body, image and fetched file. Beyond: 413.", "MAX_FILE_SIZE"),
      row("limits.max_json_bytes", "max-json-bytes", size(kIn, &L::max_json_bytes, kBody),
          "Largest JSON body; base64 makes an image a third larger. Beyond: 413."),
      row("limits.max_tensor_bytes", "max-tensor-bytes", size(kIn, &L::max_tensor_bytes, kBody),
          "Largest tensor request, binary data included; its JSON is held to max_json_bytes. "
          "Beyond: "
          "413."),
      row("limits.max_inflated_bytes", "max-inflated-bytes",
          size(kIn, &L::max_inflated_bytes, kBody),
          "Largest gzip or deflate body after decompression. Beyond: 413."),
      row("limits.max_header_bytes", "max-header-bytes",
          size(kIn, &L::max_header_bytes, {.min = 1ULL << 10U, .max = 1ULL << 20U}),
          "Largest request line and headers together. Beyond: 431."),
      row("limits.max_pixels", "max-pixels",
          integer(kIn, &L::max_pixels, {.min = 1, .max = 1'000'000'000}),
          "Largest width x height of an image, checked before decoding. Beyond: 413."),
      row("limits.max_side", "max-side", integer(kIn, &L::max_side, {.min = 1, .max = 65'535}),
          "Largest width or height of an image. Beyond: 413."),
      row("limits.max_frames", "max-frames", integer(kIn, &L::max_frames, {.min = 1, .max = 1'000}),
          "Most frames of an animation (GIF, APNG, WebP, AVIF); only the first is used. 1: "
          "still "
          "pictures only. Beyond: 413."),
      row("limits.max_connections", "max-connections",
          integer(kIn, &L::max_connections, {.min = 1, .max = 1'000'000}),
          "Most open client connections."),
      row("limits.max_connections_per_address", "max-connections-per-address",
          integer(kIn, &L::max_connections_per_address, {.min = 0, .max = 1'000'000}),
          "Most open connections from one client address; of a client behind trusted proxies, "
          "requests at a time. 0: no limit."),
      row("limits.max_queue_length", "max-queue-length",
          integer(kIn, &L::max_queue_length, {.min = 1, .max = 1'000'000}),
          "Most requests that wait for one model. Beyond: 503."),
  };
}

std::vector<Setting> time_limit_settings() {
  using L = Config::Limits;
  constexpr auto kIn = &Config::limits;
  return {
      row("limits.request_timeout", "request-timeout", duration(kIn, &L::request_timeout, kTimeout),
          "From the last byte of a request to its answer. Beyond: 504; refused at once with 503 "
          "when the queue cannot meet it.",
          "REQUEST_TIMEOUT"),
      row("limits.max_wait", "max-wait", duration(kIn, &L::max_wait, {.max = hours(24)}),
          "The longest wait for an executor that a new request may expect. Beyond: 503 at once. 0: "
          "no limit, unless clients leave before they are answered: then a quarter of the time "
          "that they wait."),
      row("limits.decode_timeout", "decode-timeout", duration(kIn, &L::decode_timeout, kTimeout),
          "Longest decoding of one image."),
      row("limits.header_timeout", "header-timeout", duration(kIn, &L::header_timeout, kTimeout),
          "From the first byte of a request to the end of its headers. Beyond: 408."),
      row("limits.body_timeout", "body-timeout", duration(kIn, &L::body_timeout, kTimeout),
          "From the end of the headers to the end of the body. Beyond: 408."),
      row("limits.idle_timeout", "idle-timeout", duration(kIn, &L::idle_timeout, kTimeout),
          "A kept-alive connection without a request is closed after this; keep it longer than "
          "that of the load balancer in front: Google's keep connections for 600 s. Answers "
          "say it in the header Keep-Alive."),
      row("limits.stuck_timeout", "stuck-timeout",
          duration(kIn, &L::stuck_timeout, {.max = hours(24)}),
          "Liveness fails if a run continues this long after the deadlines of all its requests, so "
          "that the pod is restarted. 0: never."),
      row("limits.write_timeout", "write-timeout", duration(kIn, &L::write_timeout, kTimeout),
          "A client that has not taken its answer by then is disconnected."),
  };
}

std::vector<Setting> thread_settings() {
  using T = Config::Threads;
  constexpr auto kIn = &Config::threads;
  constexpr IntegerRange kThreads{.min = 0, .max = 1'024};
  return {
      row("threads.io", "io-threads", integer(kIn, &T::io, kThreads),
          "Threads that read and write connections. 0: from the cgroup quota."),
      row("threads.executors", "executors", integer(kIn, &T::executors, kThreads),
          "Threads that decode images and run models. 0: from the cgroup quota."),
  };
}

std::vector<Setting> fetch_settings() {
  using F = Config::Fetch;
  constexpr auto kIn = &Config::fetch;
  return {
      row("fetch.enabled", "fetch", boolean(kIn, &F::enabled),
          "Accept image URLs. Off: 501 on /predict/url."),
      row("fetch.timeout", "fetch-timeout", duration(kIn, &F::timeout, kTimeout),
          "Longest fetch, redirects included. Beyond: 504."),
      row("fetch.connect_timeout", "fetch-connect-timeout",
          duration(kIn, &F::connect_timeout, kTimeout), "Longest connecting. Beyond: 502."),
      row("fetch.max_redirects", "fetch-max-redirects",
          integer(kIn, &F::max_redirects, {.min = 0, .max = 3}),
          "Redirects followed, each checked like the first URL. 0: none."),
      row("fetch.max_concurrent", "fetch-max-concurrent",
          integer(kIn, &F::max_concurrent, {.min = 1, .max = 10'000}),
          "Fetches under way at once; further ones wait."),
      row("fetch.max_waiting", "fetch-max-waiting",
          integer(kIn, &F::max_waiting, {.min = 0, .max = 100'000}),
          "Fetches that may wait for their turn. Beyond: 503."),
      row("fetch.ports", "fetch-ports", port_list(kIn, &F::ports), "Ports that URLs may name."),
      row("fetch.allow_hosts", "fetch-allow-hosts", text_list(kIn, &F::allow_hosts, "HOSTS"),
          "Only these hosts; .example.com stands for the domain and all below it. Empty: any."),
      row("fetch.deny_hosts", "fetch-deny-hosts", text_list(kIn, &F::deny_hosts, "HOSTS"),
          "Never these hosts."),
      row("fetch.allow_cidrs", "fetch-allow-cidrs", text_list(kIn, &F::allow_cidrs, "CIDRS"),
          "Addresses exempt from the built-in refusal of private, loopback, link-local, metadata "
          "and reserved ones."),
      row("fetch.deny_cidrs", "fetch-deny-cidrs", text_list(kIn, &F::deny_cidrs, "CIDRS"),
          "Never these addresses; they have priority over every allow list."),
      row("fetch.ca_file", "fetch-ca-file", text(kIn, &F::ca_file, "FILE"),
          "PEM bundle of trusted authorities. Empty: the system's."),
      row("fetch.contact", "fetch-contact", text(kIn, &F::contact, "CONTACT"),
          "Contact for the operators of hosts, such as https://example.com/bots: added to "
          "User-Agent after podsense/VERSION. Some hosts require it. Empty: none."),
      row("fetch.headers_file", "fetch-headers-file", text(kIn, &F::headers_file, "FILE"),
          "Headers for single origins, such as the token of a private bucket. A line is "
          "'https://host Name: value'; they are sent only to that scheme, host and port, also "
          "after redirects. Empty: none."),
  };
}

std::vector<Setting> http_settings() {
  using H = Config::Http;
  constexpr auto kIn = &Config::http;
  return {
      row("http.cors_origins", "cors-origins",
          text_list(kIn, &H::cors_origins, "ORIGINS", cors_origin),
          "Origins whose pages may call the API, or *. Empty: CORS is off."),
      row("http.cors_max_age", "cors-max-age", duration(kIn, &H::cors_max_age, {.max = hours(24)}),
          "How long a browser may remember the answer to a preflight request."),
      row("http.metrics_on_http", "metrics-on-http", boolean(kIn, &H::metrics_on_http),
          "Answer /metrics on the HTTP port, too."),
      row("http.web_page", "web-page", boolean(kIn, &H::web_page),
          "Answer / and /docs with the web pages."),
      row("http.gzip_from", "gzip-from", size(kIn, &H::gzip_from, {.min = 0, .max = 1ULL << 40U}),
          "Compress JSON answers from this size up to 1 MiB, for clients that accept gzip. 0: "
          "never."),
      row("http.health_route", "health-route", text(kIn, &H::health_route, "PATH", route_path),
          "A path that answers as /readyz, for platforms that choose one. Empty: none.",
          "AIP_HEALTH_ROUTE"),
      row("http.predict_route", "predict-route", text(kIn, &H::predict_route, "PATH", route_path),
          "A path that answers as /invocations, for platforms that choose one. Empty: none.",
          "AIP_PREDICT_ROUTE"),
      row("http.access_log", "access-log",
          choice(kIn, &H::access_log,
                 Names<AccessLog>{{"all", AccessLog::kAll},
                                  {"sampled", AccessLog::kSampled},
                                  {"errors", AccessLog::kErrors},
                                  {"off", AccessLog::kOff},
                                  // YAML 1.1 tools convert off to false and on to true.
                                  {"false", AccessLog::kOff},
                                  {"true", AccessLog::kAll}},
                 4),
          "Log lines for requests: all of them, failures and a sample, failures only, none."),
      row("http.access_log_rate", "access-log-rate",
          integer(kIn, &H::access_log_rate, {.min = 0, .max = 1'000'000}),
          "Most successful requests logged per second and I/O thread if the access log is sampled. "
          "Failures are always logged."),
  };
}

std::vector<Setting> objective_settings() {
  using O = Config::Objective;
  constexpr auto kIn = &Config::objective;
  return {
      row("objective.latency", "latency-objective", duration(kIn, &O::latency, kTimeout),
          "Latency objective of successful requests: a bucket of the latency histogram ends here, "
          "podsense_slow_requests_total counts slower requests, and podsense_saturation is "
          "relative to it."),
      row("objective.quantile", "latency-quantile",
          number(kIn, &O::quantile, {.min = 0.5, .max = 0.9999}),
          "Share of the successful requests that must meet the latency objective."),
  };
}

std::vector<Setting> grpc_settings() {
  using G = Config::Grpc;
  constexpr auto kIn = &Config::grpc;
  constexpr DurationRange kPings{.min = seconds(1), .max = hours(24)};
  constexpr DurationRange kAge{.min = {}, .max = hours(24)};
  return {
      row("grpc.enabled", "grpc", boolean(kIn, &G::enabled), "Answer gRPC."),
      row("grpc.reflection", "grpc-reflection", boolean(kIn, &G::reflection),
          "Tell clients such as grpcurl which services and messages there are."),
      row("grpc.max_message_bytes", "grpc-max-message-bytes",
          size(kIn, &G::max_message_bytes, kBody),
          "Largest request message. Beyond: RESOURCE_EXHAUSTED."),
      row("grpc.all_routes", "grpc-all-routes", boolean(kIn, &G::all_routes),
          "Answer HTTP's routes on gRPC's port as well. Without it that port has gRPC, gRPC-Web "
          "and "
          "health; the HTTP port has everything."),
      row("grpc.max_streams", "grpc-max-streams",
          integer(kIn, &G::max_streams, {.min = 1, .max = 1'000'000}),
          "Most requests at a time on one HTTP/2 connection; clients hold further ones back."),
      row("grpc.max_in_flight", "grpc-max-in-flight",
          integer(kIn, &G::max_in_flight, {.min = 1, .max = 1'000'000}),
          "Most calls at a time on all connections. Beyond: UNAVAILABLE."),
      row("grpc.stream_in_flight", "grpc-stream-in-flight",
          integer(kIn, &G::stream_in_flight, {.min = 1, .max = 1'024}),
          "Requests of one stream that are worked on at a time; beyond, it is not read."),
      row("grpc.keepalive_time", "grpc-keepalive-time", duration(kIn, &G::keepalive_time, kPings),
          "Ping an HTTP/2 connection after this long without traffic."),
      row("grpc.keepalive_timeout", "grpc-keepalive-timeout",
          duration(kIn, &G::keepalive_timeout, kPings),
          "Close a connection that does not answer the ping by then."),
      row("grpc.min_ping_interval", "grpc-min-ping-interval",
          duration(kIn, &G::min_ping_interval, {.min = milliseconds(1), .max = hours(24)}),
          "Clients whose keep-alive pings come more often than this are disconnected."),
      row("grpc.max_connection_idle", "grpc-max-connection-idle",
          duration(kIn, &G::max_connection_idle, kAge),
          "Close an HTTP/2 connection without requests after this. 0: after limits.idle_timeout."),
      row("grpc.max_connection_age", "grpc-max-connection-age",
          duration(kIn, &G::max_connection_age, kAge),
          "Ask clients to connect anew after this, so that they find new pods. 0: never."),
      row("grpc.max_connection_age_grace", "grpc-max-connection-age-grace",
          duration(kIn, &G::max_connection_age_grace, kAge),
          "Calls of a connection that has reached its age may take this much longer. 0: as long "
          "as they need."),
  };
}

std::vector<Setting> auth_settings() {
  using A = Config::Auth;
  constexpr auto kIn = &Config::auth;
  constexpr NumberRange kRate{.min = 0.001, .max = 1'000'000};
  return {
      row("auth.api_keys", "auth-api-keys", text(kIn, &A::api_keys, "PATH"),
          "Keys that may infer: a file of NAME:KEY lines, or a folder (a mounted Secret) with a "
          "file for each. Sent as Authorization: Bearer KEY or X-Api-Key. Empty: none."),
      row("auth.jwks", "auth-jwks", text(kIn, &A::jwks, "FILE"),
          "JSON Web Key Set whose keys sign tokens that may infer (RS256, ES256, EdDSA). Empty: "
          "none."),
      row("auth.jwt_issuer", "auth-jwt-issuer", text(kIn, &A::jwt_issuer, "ISSUER"),
          "Required iss of tokens. Empty: any."),
      row("auth.jwt_audience", "auth-jwt-audience", text(kIn, &A::jwt_audience, "AUDIENCE"),
          "Required aud of tokens. Empty: any."),
      row("auth.control_tokens", "auth-control-tokens", text(kIn, &A::control_tokens, "PATH"),
          "Keys, in the same form, that may reload and change what is served. Empty: anyone who "
          "reaches the admin port."),
      row("auth.rate", "auth-rate", optional_number(kIn, &A::rate, kRate),
          "Requests a second that each key or token's subject may send. Beyond: 429. Unset: no "
          "limit."),
      row("auth.burst", "auth-burst", optional_number(kIn, &A::burst, kRate),
          "Requests that may come at once within the rate. Unset: one second's worth."),
      row("auth.refresh_interval", "auth-refresh-interval",
          duration(kIn, &A::refresh_interval, {.min = seconds(1), .max = hours(1)}),
          "Interval of checking whether the files above have changed."),
  };
}

std::vector<Setting> tls_settings() {
  using T = Config::Tls;
  constexpr auto kIn = &Config::tls;
  return {
      row("tls.certificate", "tls-cert", text(kIn, &T::certificate, "FILE"),
          "PEM file with the server's certificate and its intermediate certificates: HTTP and gRPC "
          "then use TLS 1.2 or 1.3. The admin port stays plain. Empty: no TLS."),
      row("tls.key", "tls-key", text(kIn, &T::key, "FILE"),
          "PEM file with the certificate's private key, without a passphrase."),
      row("tls.client_ca", "tls-client-ca", text(kIn, &T::client_ca, "FILE"),
          "PEM file with authorities: clients must present a certificate signed by one of them "
          "(mTLS). Empty: clients need none."),
      row("tls.refresh_interval", "tls-refresh-interval",
          duration(kIn, &T::refresh_interval, {.min = seconds(1), .max = hours(1)}),
          "Interval of checking whether the files above have changed. New ones are used for new "
          "connections; invalid ones are refused, and the old ones stay in use."),
  };
}

std::vector<Setting> logging_settings() {
  using L = Config::Logging;
  using log::Format;
  using log::Level;
  constexpr auto kIn = &Config::logging;
  return {
      row("logging.level", "log-level",
          choice(kIn, &L::level,
                 Names<Level>{{"trace", Level::kTrace},
                              {"debug", Level::kDebug},
                              {"info", Level::kInfo},
                              {"warning", Level::kWarning},
                              {"error", Level::kError},
                              {"off", Level::kOff},
                              {"warn", Level::kWarning},
                              {"critical", Level::kError},
                              {"fatal", Level::kError},
                              {"false", Level::kOff}},
                 6),
          "Lowest severity that is logged; warn, critical and fatal are accepted, too.",
          "LOG_LEVEL"),
      row("logging.format", "log-format",
          choice(kIn, &L::format,
                 Names<Format>{{"auto", Format::kAuto},
                               {"json", Format::kJson},
                               {"text", Format::kText},
                               {"gcp", Format::kGcp},
                               {"ecs", Format::kEcs}},
                 5),
          "Form of log lines; auto is text on a terminal and JSON elsewhere, gcp is JSON as Google "
          "Cloud's logging "
          "reads it, ecs JSON with the names of the Elastic Common Schema."),
  };
}

std::vector<Setting> shutdown_settings() {
  using S = Config::Shutdown;
  constexpr auto kIn = &Config::shutdown;
  return {
      row("shutdown.drain_delay", "drain-delay",
          duration(kIn, &S::drain_delay, {.max = minutes(10)}),
          "After SIGTERM, go on accepting this long, while load balancers take the pod out: at "
          "least "
          "the time in which they notice a failed health check."),
      row("shutdown.drain_timeout", "drain-timeout",
          duration(kIn, &S::drain_timeout, {.max = hours(1)}),
          "From SIGTERM to the end of waiting for requests in flight, the drain delay included; "
          "keep it below terminationGracePeriodSeconds."),
      row("shutdown.ready_while_draining", "ready-while-draining",
          boolean(kIn, &S::ready_while_draining),
          "Say that all is ready during the drain delay. Off: not ready from SIGTERM on, so that "
          "load balancers that ask leave before the listeners close."),
  };
}

std::vector<Setting> other_settings() {
  using O = Config::Onnxruntime;
  constexpr auto kIn = &Config::onnxruntime;
  return {
      row("simulated.infer_cpu_ms", "infer-cpu-ms",
          optional_number(&Config::simulated, &Config::Simulated::infer_cpu_ms,
                          {.min = 0, .max = 60'000}),
          "CPU time in milliseconds that a request to a simulated model burns unless it says "
          "otherwise. Unset: the model's manifest decides."),
      row("onnxruntime.arena", "ort-arena", boolean(kIn, &O::arena),
          "Keep freed tensor memory for the next run: faster, more resident memory."),
      row("onnxruntime.map_weights", "map-weights", boolean(kIn, &O::map_weights),
          "Map a model's external data from its file instead of reading it: it then costs no "
          "memory of this process's own, but a change of the file changes answers, and a file that "
          "is cut short ends the process. Off: it costs its size, and twice that while it is "
          "opened."),
      row("onnxruntime.custom_ops", "custom-ops",
          text_map(kIn, &O::custom_ops, "FILE=SHA256", operator_file, sha256_digits),
          "Libraries of operators that ONNX Runtime does not have, each with the SHA-256 of its "
          "file. They may do all that the server may. The folder of models cannot hold one."),
      row("onnxruntime.spinning", "ort-spinning", boolean(kIn, &O::spinning),
          "Let idle worker threads spin: a little faster alone, wasteful under a CPU quota."),
  };
}

std::vector<Setting> make_settings() {
  std::vector<Setting> all;
  for (auto part : {listen_settings, models_settings, size_limit_settings, time_limit_settings,
                    thread_settings, fetch_settings, http_settings, grpc_settings, auth_settings,
                    tls_settings, objective_settings, tracing_settings, logging_settings,
                    shutdown_settings, other_settings}) {
    std::ranges::move(part(), std::back_inserter(all));
  }
  return all;
}

std::optional<std::string> route_path(std::string_view text) {
  const bool fine = text.empty() || (text.starts_with('/') &&
                                     text.find_first_of("{}?# ") == std::string_view::npos);
  return fine ? std::nullopt : std::optional<std::string>("must be a path such as /predict");
}

std::optional<std::string> operator_file(std::string_view text) {
  return text.starts_with('/') ? std::nullopt
                               : std::optional<std::string>("a path must be absolute");
}

std::optional<std::string> sha256_digits(std::string_view text) {
  constexpr std::size_t kDigits = 64;
  const bool fine = text.size() == kDigits &&
                    text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
  return fine ? std::nullopt
              : std::optional<std::string>("must be 64 hexadecimal digits in lower case");
}

/// Checks that a task can have a default model (its requests need not name a model).
std::optional<std::string> default_task(std::string_view text) {
  std::string known;
  for (const inference::TaskKind* task : inference::task_kinds()) {
    if (task->form() != inference::Form::kTensors) {
      known += (known.empty() ? "" : ", ") + std::string(task->name());
      if (task->name() == text) {
        return std::nullopt;
      }
    }
  }
  return "must be a task, one of " + known;
}

}  // namespace

std::string replaced_by(std::string_view name) {
  std::string plain = ascii::lower(name);
  std::ranges::replace(plain, '-', '_');
  if (plain == "grpc_max_memory" || plain == "max_memory") {
    return "; gRPC's memory is part of --max-memory, limits.max_memory";
  }
  struct Replaced {
    std::string_view name;
    std::string_view task;
  };
  constexpr std::array<Replaced, 3> kReplaced{{{"default_image_model", "image-classification"},
                                               {"default_tabular_model", "tabular-classification"},
                                               {"default_simulated_model", "simulated"}}};
  const auto found = std::ranges::find(kReplaced, plain, &Replaced::name);
  if (found == kReplaced.end()) {
    return {};
  }
  const std::string task(found->task);
  return "; it is now --defaults " + task +
         "=NAME, PODSENSE_DEFAULTS, or in YAML models: " + "{defaults: {" + task + ": NAME}}";
}

std::span<const Setting> settings() {
  static const std::vector<Setting> table = make_settings();
  return table;
}

std::span<const Section> sections() {
  return kSections;
}

}  // namespace podsense::server
