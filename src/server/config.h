#pragma once

/// The configuration of a serving process. Sources, highest priority first: flags, environment
/// PODSENSE_*, common environment names (PORT, LOG_LEVEL, …), a YAML file, defaults. One table
/// (settings.cc) drives all of them, `--print-config`, `--help` and the reference page: a new
/// setting is a member here and a row there.
///
///   auto loaded = load_config({.arguments = args, .environment = process_environment()});
///   if (!loaded) { std::cerr << loaded.error().message << '\n'; return 2; }
///   if (loaded->action == Action::kPrintConfig) { std::cout << print_config(*loaded); return 0; }

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/access_log.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "trace/trace.h"
#include "transport/trusted.h"

namespace podsense::server {

/// All defaults are here. settings.cc has ranges and meanings.
struct Config {
  struct Listen {
    std::vector<std::string> host{"::"};  ///< :: means all addresses of both families
    std::uint16_t http_port = 8080;       ///< 0: any free port
    std::uint16_t grpc_port = 9000;       ///< 0: any free port
    std::vector<std::string> admin_host{"::"};
    std::uint16_t admin_port = 8000;       ///< 0: any free port
    std::vector<std::string> admin_names;  ///< further accepted hosts of the admin port
    std::string ports_file;                ///< empty: not written
    std::vector<std::string> trusted_proxies;
    transport::ForwardedBy forwarded_by = transport::ForwardedBy::kAny;
    bool proxy_protocol = false;
    friend bool operator==(const Listen&, const Listen&) = default;
  };
  struct Models {
    std::string dir;  ///< never empty after load_config
    std::string model_name;
    /// model by task; without an entry the first by name
    std::map<std::string, std::string> defaults;
    std::vector<std::string> only;                     ///< names of the models to serve; empty: all
    Duration reload_interval{};                        ///< 0: no polling
    Duration load_timeout = std::chrono::seconds(60);  ///< 0: no trials in another process
    std::string known_models;                          ///< empty: none
    bool strict_readiness = false;
    bool reload_api = true;
    bool repository_api = false;
    bool reload_signal = true;
    bool fault_api = false;
    std::string cache_dir;  ///< for optimised models; empty: none
    friend bool operator==(const Models&, const Models&) = default;
  };
  struct Limits {
    std::uint64_t max_memory = 0;  ///< 0: the cgroup's limit, else the machine's
    std::uint64_t max_body_bytes = 20ULL << 20U;
    std::uint64_t max_json_bytes = 28ULL << 20U;  ///< base64 makes an image a third larger
    std::uint64_t max_tensor_bytes = 64ULL << 20U;
    std::uint64_t max_inflated_bytes = 28ULL << 20U;
    std::uint64_t max_header_bytes = 16ULL << 10U;
    std::uint64_t max_pixels = 8192ULL * 8192;
    std::uint32_t max_side = 16'384;
    std::uint32_t max_frames = 1'000;
    Duration decode_timeout = std::chrono::seconds(5);
    Duration request_timeout = std::chrono::seconds(30);
    Duration max_wait{};  ///< 0: only the learned patience
    Duration header_timeout = std::chrono::seconds(10);
    Duration body_timeout = std::chrono::seconds(30);
    Duration idle_timeout = std::chrono::seconds(620);
    Duration stuck_timeout = std::chrono::minutes(1);  ///< 0: never
    Duration write_timeout = std::chrono::seconds(30);
    std::uint32_t max_connections = 16'384;
    std::uint32_t max_connections_per_address = 0;  ///< 0: no limit
    std::uint32_t max_queue_length = 4'096;         ///< requests per model
    friend bool operator==(const Limits&, const Limits&) = default;
  };
  struct Threads {
    std::uint32_t io = 0;         ///< 0: from the cgroup quota
    std::uint32_t executors = 0;  ///< 0: from the cgroup quota
    friend bool operator==(const Threads&, const Threads&) = default;
  };
  struct Fetch {
    bool enabled = true;
    Duration timeout = std::chrono::seconds(10);
    Duration connect_timeout = std::chrono::seconds(3);
    std::uint32_t max_redirects = 3;
    std::uint32_t max_concurrent = 64;
    std::uint32_t max_waiting = 256;
    std::vector<std::uint16_t> ports{80, 443};
    std::vector<std::string> allow_hosts;
    std::vector<std::string> deny_hosts;
    std::vector<std::string> allow_cidrs;
    std::vector<std::string> deny_cidrs;
    std::string ca_file;       ///< empty: the system's
    std::string contact;       ///< in User-Agent; empty: none
    std::string headers_file;  ///< empty: none
    friend bool operator==(const Fetch&, const Fetch&) = default;
  };
  struct Http {
    std::vector<std::string> cors_origins;  ///< empty: CORS is off
    Duration cors_max_age = std::chrono::minutes(10);
    bool metrics_on_http = false;
    bool web_page = true;
    std::uint64_t gzip_from = 32ULL << 10U;  ///< bytes of an answer; 0: none is compressed
    std::string health_route;                ///< a hosting platform's readiness path; empty: none
    std::string predict_route;
    AccessLog access_log = AccessLog::kSampled;
    std::uint32_t access_log_rate = 20;  ///< sampled successes per second and I/O thread
    friend bool operator==(const Http&, const Http&) = default;
  };
  /// Only paths of secrets, never secrets, because --print-config shows these values.
  struct Auth {
    std::string api_keys;  ///< empty: none, also for the next two
    std::string control_tokens;
    std::string jwks;
    std::string jwt_issuer;
    std::string jwt_audience;
    std::optional<double> rate;  ///< requests per second for each key; unset: no limit
    std::optional<double> burst;
    Duration refresh_interval = std::chrono::seconds(5);
    friend bool operator==(const Auth&, const Auth&) = default;
  };
  struct Tls {
    std::string certificate;  ///< empty: no TLS
    std::string key;
    std::string client_ca;  ///< empty: clients need no certificate
    Duration refresh_interval = std::chrono::seconds(5);
    friend bool operator==(const Tls&, const Tls&) = default;
  };
  struct Grpc {
    bool enabled = true;
    bool reflection = true;
    std::uint64_t max_message_bytes = 64ULL << 20U;
    bool all_routes = false;  ///< HTTP routes also on gRPC's own port
    std::uint32_t max_streams = 1'024;
    std::uint32_t max_in_flight = 8'192;
    std::uint32_t stream_in_flight = 16;
    Duration keepalive_time = std::chrono::minutes(2);
    Duration keepalive_timeout = std::chrono::seconds(20);
    Duration min_ping_interval = std::chrono::seconds(10);
    Duration max_connection_idle{};  ///< 0: no limit, also below
    Duration max_connection_age{};
    Duration max_connection_age_grace{};
    friend bool operator==(const Grpc&, const Grpc&) = default;
  };
  /// The latency objective; saturation and podsense_slow_requests_total are relative to it.
  struct Objective {
    Duration latency = std::chrono::milliseconds(250);
    double quantile = 0.99;  ///< share of successful requests that must meet it
    friend bool operator==(const Objective&, const Objective&) = default;
  };
  struct Tracing {
    /// OTLP over HTTP; both endpoints empty: tracing is off
    std::string endpoint;
    std::string traces_endpoint;                 ///< complete URL for spans
    std::map<std::string, std::string> headers;  ///< may contain secrets
    std::string ca_file;                         ///< empty: the system's
    std::string certificate;                     ///< empty: none
    std::string key;
    Duration timeout = std::chrono::seconds(10);
    std::uint32_t max_queue = 2'048;  ///< requests waiting for export
    trace::Sampler sampler = trace::Sampler::kParentRatio;
    double ratio = 0.01;
    std::string service_name = "podsense";
    std::map<std::string, std::string> resource_attributes;
    friend bool operator==(const Tracing&, const Tracing&) = default;
  };
  struct Logging {
    log::Level level = log::Level::kInfo;
    log::Format format = log::Format::kAuto;
    friend bool operator==(const Logging&, const Logging&) = default;
  };
  struct Shutdown {
    Duration drain_delay = std::chrono::seconds(5);
    /// From the signal on, including drain_delay. Must be below Kubernetes' grace period, 30 s by
    /// default.
    Duration drain_timeout = std::chrono::seconds(25);
    bool ready_while_draining = false;  ///< during drain_delay
    friend bool operator==(const Shutdown&, const Shutdown&) = default;
  };
  struct Simulated {
    std::optional<double> infer_cpu_ms;  ///< unset: the model's manifest decides
    friend bool operator==(const Simulated&, const Simulated&) = default;
  };
  struct Onnxruntime {
    bool arena = true;
    bool map_weights = false;
    std::map<std::string, std::string> custom_ops;  ///< SHA-256 by file
    bool spinning = false;
    friend bool operator==(const Onnxruntime&, const Onnxruntime&) = default;
  };

  Listen listen;
  Models models;
  Limits limits;
  Threads threads;
  Fetch fetch;
  Http http;
  Auth auth;
  Tls tls;
  Grpc grpc;
  Objective objective;
  Tracing tracing;
  Logging logging;
  Shutdown shutdown;
  Simulated simulated;
  Onnxruntime onnxruntime;

  /// Checks combinations of settings (load_config checks single ones). Faults are listed one per
  /// line.
  [[nodiscard]] Result<void> validate() const;

  friend bool operator==(const Config&, const Config&) = default;
};

enum class Action { kServe, kPrintConfig, kHelp };

/// The effective value of a setting. `text` is its YAML form.
struct EffectiveSetting {
  std::string_view key;  ///< "listen.http_port"
  std::string text;
  std::string origin;  ///< "default", "file FILE:LINE", "env NAME" or "flag --x"
};

struct LoadedConfig {
  Config config;
  Action action = Action::kServe;
  std::string file;                        ///< the YAML file that was read; empty: none
  std::vector<EffectiveSetting> settings;  ///< all of them, in the table's order
  std::vector<std::string> warnings;       ///< for the log: ignored settings, and why
};

/// The sources of the configuration. Borrowed for the duration of the call.
struct ConfigSources {
  std::span<const char* const> arguments;    ///< those after `podsense serve`
  std::span<const std::string> environment;  ///< NAME=VALUE
  /// Unset: the file system. A file over 1 MiB is refused.
  std::function<Result<std::string>(const std::filesystem::path&)> read_file = nullptr;
  std::function<bool(const std::filesystem::path&)> is_folder = nullptr;
};

std::vector<std::string> process_environment();

/// With `--help` everything else is ignored. An empty environment variable counts as not set.
/// Variables that Kubernetes sets for Services named `podsense` or `podsense-…` are ignored.
/// @errors kInvalidArgument: all faults of all sources, one per line, each starting with its
/// location; the caller prints the message and exits with 2
Result<LoadedConfig> load_config(const ConfigSources& sources);

/// YAML with the origin of each value as a comment. Used as a configuration file, it results in the
/// same Config.
std::string print_config(const LoadedConfig& loaded);

std::string config_reference_markdown();  ///< docs/reference/configuration.md

}  // namespace podsense::server
