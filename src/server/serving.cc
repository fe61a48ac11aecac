#include "server/serving.h"

#include <algorithm>
#include <functional>
#include <thread>
#include <utility>

#include "base/log.h"
#include "base/small_file.h"
#include "http/api.h"
#include "http/fault_api.h"
#include "http/hosted_api.h"
#include "http/oip.h"
#include "server/backends.h"
#include "server/build_info.h"
#include "server/opening_wall.h"
#include "server/process_metrics.h"

namespace podsense::server {
namespace {

/// The maximum counted time between ticks. The ticker ticks once per second, but later on a busy
/// machine.
constexpr Duration kMostBetweenTicks = std::chrono::seconds(5);

/// @param watch  takes a metric's name, its value and labels
template <class Watch>
void watch_spans(const Watch& watch, const trace::Tracer& tracer) {
  const auto spans = [&](const char* result, std::uint64_t trace::Counts::* count) {
    watch("podsense_spans_total",
          [&tracer, count] { return static_cast<double>(tracer.counts().*count); },
          {{"result", result}});
  };
  spans("exported", &trace::Counts::exported);
  spans("dropped", &trace::Counts::dropped);
  spans("failed", &trace::Counts::failed);
  watch("podsense_trace_export_retries_total",
        [&tracer] { return static_cast<double>(tracer.counts().retries); });
}

}  // namespace

Serving::Serving(const Config& config, Surroundings surroundings)
    : config_(config),
      surroundings_(std::move(surroundings)),
      threads_(plan_threads(config)),
      scheduler_(
          {.executors = threads_.executors,
           .most_executors = std::max(threads_.executors, std::thread::hardware_concurrency())},
          clock_) {
  // A preliminary limit until the memory of the models is known.
  memory_.set_limit(plan_memory(config_) / 2);
}

Result<std::unique_ptr<Serving>> Serving::create(const Config& config, Surroundings surroundings) {
  auto serving = std::unique_ptr<Serving>(new Serving(config, std::move(surroundings)));
  if (auto built = serving->build(); !built) {
    return fail(std::move(built.error()));
  }
  return serving;
}

Serving::~Serving() {
  ticker_.reset();
  if (control_) {
    control_->stop();  // answers its callers while their connections are still open
  }
  grpc_.reset();
  http_.reset();
  admin_.reset();
  if (faults_) {
    faults_->set({});  // releases runs that are stuck on purpose
  }
  // Stop executors before the catalog: an executor may still hold a model, and the one that drops
  // the last reference destroys it.
  scheduler_.stop();
}

Result<void> Serving::start() {
  if (auto started = control_->start(); !started) {
    return started;
  }
  ticker_ = std::make_unique<Ticker>([this] { tick(); });
  admin_->start();
  http_->start();
  if (grpc_) {
    grpc_->start();
  }
  return {};
}

std::optional<Result<void>> Serving::first_load() const {
  const inference::Situation now = catalog_->situation();
  if (!now.loaded) {
    return std::nullopt;
  }
  if (inference::judge(now).start == inference::Start::kGoesOn || catalog_->served_once()) {
    return Result<void>();
  }
  std::string reasons;
  for (const std::string& problem : catalog_->problems()) {
    reasons += (reasons.empty() ? "" : "; ") + problem;
  }
  return fail(ErrorCode::kUnavailable, "nothing can be served: " + reasons);
}

Result<void> Serving::write_ports_file() const {
  const std::string& path = config_.listen.ports_file;
  if (path.empty()) {
    return {};
  }
  std::string text =
      "{\"http\":" + std::to_string(http_->port()) + ",\"admin\":" + std::to_string(admin_->port());
  if (grpc_) {
    text += ",\"grpc\":" + std::to_string(grpc_->port());
  }
  text += "}\n";
  if (auto written = replace_file(path, text); !written) {
    return fail(ErrorCode::kInternal, "the ports file " + written.error().message);
  }
  return {};
}

void Serving::reload(std::move_only_function<void()> done) {
  control_->submit({}, [done = std::move(done)](const auto& /*outcome*/) mutable { done(); });
}

void Serving::announce() {
  lifecycle_.draining = true;
  lifecycle_.closed = !config_.shutdown.ready_while_draining;
  http_->announce_close();
  if (grpc_) {
    grpc_->announce_close();
  }
}

bool Serving::drain(Deadline deadline) {
  lifecycle_.closed = true;
  if (grpc_) {
    grpc_->stop_accepting();
  }
  http_->stop_accepting();
  const bool http_done = http_->wait_idle(deadline.left(clock_.now()));
  const bool grpc_done = !grpc_ || grpc_->wait_idle(deadline.left(clock_.now()));
  return http_done && grpc_done;
}

bool Serving::close_admin() {
  admin_->stop_accepting();
  return admin_->wait_idle(std::chrono::seconds(2));
}

std::size_t Serving::in_flight() const {
  return http_->in_flight() + (grpc_ ? grpc_->in_flight() : 0);
}

void Serving::tick() {
  stats_->tick();
  control_->expire();
  note_overdue();
  follow_memory();
  follow_quota();
  if (!lifecycle_.stuck) {
    surroundings_.manager->alive();
  }
  if (faults_) {
    lifecycle_.unready = faults_->unready();
  }
  files_->look_when_due(clock_.now());
}

void Serving::note_overdue() {
  const TimePoint now = clock_.now();
  // If the process was suspended, a late tick must not count as run time.
  scheduler_.note_overdue(std::min<Duration>(now - last_tick_, kMostBetweenTicks));
  last_tick_ = now;
  const batching::Overdue overdue = scheduler_.overdue();
  if (overdue.runs != overdue_runs_) {
    log::record(overdue.runs > overdue_runs_ ? log::Level::kError : log::Level::kInfo,
                overdue.runs > overdue_runs_ ? "executor_stuck" : "executor_free",
                {{"stuck", overdue.runs}, {"overdue_ms", to_ms(overdue.longest)}});
    overdue_runs_ = overdue.runs;
  }
  const unsigned executors = scheduler_.executors();
  catalog_->set_executors_lost(2 * (executors - std::min(executors, overdue.runs)) < executors);
  const Duration limit = config_.limits.stuck_timeout;
  lifecycle_.stuck = limit > Duration::zero() && overdue.longest > limit;
}

void Serving::follow_memory() {
  if (!catalog_->situation().loaded) {
    return;
  }
  const std::uint64_t most = plan_memory(config_);
  const std::uint64_t used = memory_.used();
  const std::uint64_t resident = resident_bytes();
  // Counted bytes may not be resident yet, so this value can be too low for a while. So it rises at
  // once and falls over about 16 seconds.
  constexpr std::uint64_t kSeconds = 16;
  const std::uint64_t rest = resident - std::min(resident, used);
  const bool first = base_memory_ == 0;
  const std::uint64_t fallen =
      base_memory_ - (base_memory_ - std::min(base_memory_, rest)) / kSeconds;
  base_memory_ = std::max(rest, fallen);
  // 10 % is reserved for memory that allocators do not return.
  const std::uint64_t left = most - std::min(most, base_memory_);
  memory_.set_limit(std::max(left / 10 * 9, most / 16));
  if (first) {
    log::info(
        "memory",
        {{"max_bytes", most}, {"base_bytes", base_memory_}, {"budget_bytes", memory_.limit()}});
  }
}

void Serving::follow_quota() {
  const unsigned wanted = plan_threads(config_).executors;
  const unsigned before = scheduler_.executors();
  if (wanted != before) {
    scheduler_.resize(wanted);
    log::info("threads_replanned", {{"executors", wanted}, {"before", before}});
  }
}

Result<void> Serving::build() {
  auto files = WatchedFiles::create(config_);
  if (!files) {
    // The file is invalid, not a setting.
    return fail(ErrorCode::kUnavailable, std::move(files.error().message));
  }
  files_ = std::move(*files);
  if (auto built = build_models(); !built) {
    return built;
  }
  if (auto built = build_service(); !built) {
    return built;
  }
  add_gauges();
  add_routes();
  return listen();
}

Result<void> Serving::build_models() {
  auto backends = make_backends({.spinning = config_.onnxruntime.spinning,
                                 .memory_arena = config_.onnxruntime.arena,
                                 .budget = &memory_,
                                 .map_weights = config_.onnxruntime.map_weights,
                                 .custom_ops = config_.onnxruntime.custom_ops,
                                 .cache_dir = config_.models.cache_dir},
                                threads_.executors);
  if (!backends) {
    return fail(std::move(backends.error()));
  }
  backends_ = std::move(*backends);
  inference::CatalogOptions options = catalog_options(config_, threads_);
  options.trial = make_trial(config_);
  auto known = read_known_models(config_.models.known_models);
  if (!known) {
    return fail(std::move(known.error()));
  }
  options.known_models = std::move(*known);
  if (config_.models.fault_api) {
    faults_ = std::make_unique<inference::Faults>();
    options.serve.faults = faults_.get();
  }
  catalog_ = std::make_unique<inference::Catalog>(std::move(options), *backends_, scheduler_,
                                                  registry_, clock_);
  if (auto checked = catalog_->check_start(); !checked) {
    return checked;
  }
  control_ = std::make_unique<inference::Control>(
      inference::ControlOptions{.poll_interval = config_.models.reload_interval,
                                .read_files = [this] { return files_->look(); }},
      *catalog_, clock_);
  return {};
}

Result<void> Serving::build_service() {
  if (config_.fetch.enabled) {
    fetch::Options of_fetch = fetch_options(config_.fetch, config_.limits);
    of_fetch.budget = &memory_;
    auto fetcher = fetch::Fetcher::create(std::move(of_fetch));
    if (!fetcher) {
      return fail(std::move(fetcher.error()));
    }
    fetcher_ = std::move(*fetcher);
  }
  inference::ServiceOptions of_service = service_options(config_);
  of_service.image_limits.budget = &memory_;
  service_ = std::make_unique<inference::Service>(of_service, *catalog_, fetcher_.get(), registry_,
                                                  clock_);
  stats_ = std::make_unique<inference::Stats>(
      registry_, scheduler_, *catalog_,
      batching::LatencyObjective{.latency = config_.objective.latency,
                                 .quantile = config_.objective.quantile},
      clock_);
  if (!config_.tracing.endpoint.empty() || !config_.tracing.traces_endpoint.empty()) {
    auto tracer = trace::Tracer::create(trace_options(config_.tracing));
    if (!tracer) {
      return fail(std::move(tracer.error()));
    }
    tracer_ = std::move(*tracer);
  }
  return {};
}

http::StatusSources Serving::sources() {
  return {.catalog = *catalog_,
          .registry = registry_,
          .stats = *stats_,
          .lifecycle = lifecycle_,
          .build = {.version = build_info().version,
                    .commit = build_info().commit,
                    .compiler = build_info().compiler,
                    .onnxruntime = std::string(backends_->version("onnxruntime"))}};
}

void Serving::add_routes() {
  const http::StatusSources sources = this->sources();
  const http::ApiLimits api_limits{.max_image_bytes = config_.limits.max_body_bytes,
                                   .max_json_bytes = config_.limits.max_json_bytes};
  const http::OipLimits oip_limits{.max_body_bytes = config_.limits.max_tensor_bytes,
                                   .max_json_bytes = config_.limits.max_json_bytes,
                                   .memory = &memory_};
  http::add_hosted_routes(
      router_, *service_, sources, api_limits, oip_limits,
      {.health = config_.http.health_route, .predict = config_.http.predict_route});
  http::add_inference_routes(router_, *service_, api_limits);
  http::add_oip_routes(router_, *service_, sources, oip_limits);
  http::add_status_routes(router_, sources, http::Readers::kWithKeys);
  http::add_models_route(router_, sources, http::Readers::kWithKeys);
  if (config_.http.web_page) {
    http::add_page_routes(router_);
  }
  if (config_.http.metrics_on_http) {
    http::add_metrics_route(router_, registry_);
  }
  http::add_status_routes(admin_router_, sources, http::Readers::kAll);
  http::add_metrics_route(admin_router_, registry_);
  http::add_admin_routes(admin_router_, sources,
                         config_.models.reload_api ? control_.get() : nullptr);
  if (faults_) {
    http::add_fault_routes(admin_router_, *faults_);
  }
  add_grpc();
  if (config_.models.repository_api) {
    http::add_oip_repository_routes(admin_router_, *catalog_, *control_);
  }
}

/// Adds gRPC to the main port and to its own port.
void Serving::add_grpc() {
  if (!config_.grpc.enabled) {
    return;
  }
  grpc_services_ = std::make_unique<grpc::Services>(
      grpc_options(config_),
      grpc::Sources{.service = *service_,
                    .clock = clock_,
                    .draining = [this] { return lifecycle_.draining.load(); },
                    .closed = [this] { return lifecycle_.closed.load(); },
                    .guard = &files_->guard(),
                    .tracer = tracer_.get(),
                    .control = control_.get(),
                    .memory = &memory_});
  grpc_services_->add_to(router_);
  if (!config_.grpc.all_routes) {
    grpc_services_->add_to(grpc_router_);
    http::add_status_routes(grpc_router_, sources(), http::Readers::kWithKeys);
  }
}

transport::ServerOptions Serving::with_listener(transport::ServerOptions options) const {
  const auto given = surroundings_.sockets.find(options.name);
  options.listener = given == surroundings_.sockets.end() ? -1 : given->second;
  return options;
}

transport::ServerOptions Serving::with_sources(transport::ServerOptions options) {
  options.guard = &files_->guard();
  options.memory = &memory_;
  options.certificates = files_->certificates();
  options.tracer = tracer_.get();
  return options;
}

Result<void> Serving::listen() {
  if (!config_.grpc.enabled && surroundings_.sockets.contains("grpc")) {
    log::warning("socket_unused",
                 {{"message", "a socket for grpc was handed in, and gRPC is off"}});
  }
  const Descriptors descriptors = plan_descriptors(descriptor_limit());
  auto http = transport::Server::create(
      with_listener(with_sources(http_options(config_, threads_.io, descriptors))), router_,
      registry_, clock_);
  if (!http) {
    return fail(std::move(http.error()));
  }
  http_ = std::move(*http);
  transport::ServerOptions control = with_listener(admin_options(config_, descriptors));
  control.guard = &files_->guard();
  auto admin = transport::Server::create(std::move(control), admin_router_, registry_, clock_);
  if (!admin) {
    return fail(std::move(admin.error()));
  }
  admin_ = std::move(*admin);
  return config_.grpc.enabled ? listen_grpc(descriptors) : Result<void>();
}

Result<void> Serving::listen_grpc(const Descriptors& descriptors) {
  auto grpc = transport::Server::create_beside(
      *http_, with_listener(with_sources(grpc_port_options(config_, descriptors))),
      config_.grpc.all_routes ? router_ : grpc_router_, registry_, clock_);
  if (!grpc) {
    return fail(std::move(grpc.error()));
  }
  grpc_ = std::move(*grpc);
  return {};
}

void Serving::add_gauges() {
  const auto watch = [this](const char* name, std::function<double()> value,
                            const metrics::Registry::Labels& labels = {}) {
    gauges_.push_back(registry_.watch(name, labels, std::move(value)));
  };
  watch("podsense_saturation", [this] { return stats_->saturation(); });
  watch("podsense_latency_objective_seconds",
        [this] { return to_seconds(config_.objective.latency); });
  watch("podsense_models_beyond_objective",
        [this] { return static_cast<double>(stats_->out_of_reach()); });
  watch("podsense_executors", [this] { return static_cast<double>(scheduler_.executors()); });
  watch("podsense_stuck_executors",
        [this] { return static_cast<double>(scheduler_.overdue().runs); });
  watch("podsense_requests_in_flight",
        [this] { return http_ ? static_cast<double>(in_flight()) : 0.0; });
  watch("podsense_requests_waiting",
        [this] { return static_cast<double>(stats_->queues().waiting); });
  watch("podsense_requests_running",
        [this] { return static_cast<double>(stats_->queues().running); });
  watch("podsense_ready", [this] { return !lifecycle_.closed && catalog_->ready() ? 1.0 : 0.0; });
  watch("podsense_build_info", [] { return 1.0; },
        {{"version", build_info().version},
         {"commit", build_info().commit},
         {"onnxruntime", std::string(backends_->version("onnxruntime"))}});
  watch("podsense_memory_budget_bytes", [this] { return static_cast<double>(memory_.limit()); },
        {{"use", "limit"}});
  for (std::size_t i = 0; i < kMemoryUses.size(); ++i) {
    const auto use = static_cast<MemoryUse>(i);
    const metrics::Registry::Labels labels{{"use", std::string(kMemoryUses[i])}};
    watch(
        "podsense_memory_budget_bytes",
        [this, use] { return static_cast<double>(memory_.used(use)); }, labels);
    watch(
        "podsense_memory_refused_total",
        [this, use] { return static_cast<double>(memory_.refused(use)); }, labels);
  }
  watch("podsense_log_dropped_total", [] { return static_cast<double>(log::dropped()); });
  if (files_->certificates() != nullptr) {
    watch("podsense_tls_certificate_expiry_timestamp_seconds",
          [this] { return static_cast<double>(files_->certificates()->current()->expires); });
    watch("podsense_tls_certificate_reloads_total",
          [this] { return static_cast<double>(files_->certificates_taken()); }, {{"result", "ok"}});
    watch("podsense_tls_certificate_reloads_total",
          [this] { return static_cast<double>(files_->certificates_refused()); },
          {{"result", "failed"}});
  }
  if (tracer_) {
    watch_spans(watch, *tracer_);
  }
  for (auto& gauge : watch_process(registry_)) {
    gauges_.push_back(std::move(gauge));
  }
}

}  // namespace podsense::server
