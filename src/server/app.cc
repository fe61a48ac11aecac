#include "server/app.h"

#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <fstream>
#include <memory>
#include <thread>
#include <vector>

#include "base/log.h"
#include "batching/scheduler.h"
#include "fetch/fetch.h"
#include "grpc/server.h"
#include "http/api.h"
#include "http/fault_api.h"
#include "http/oip.h"
#include "http/server.h"
#include "http/status_api.h"
#include "inference/catalog.h"
#include "inference/service.h"
#include "inference/stats.h"
#include "metrics/metrics.h"
#include "model/model.h"
#include "server/build_info.h"
#include "server/guard.h"
#include "server/options.h"
#include "server/process_metrics.h"

namespace podsense::server {
namespace {

using metrics::Registry;

/// Calls `tick` once a second on a thread of its own.
class Ticker {
 public:
  explicit Ticker(std::function<void()> tick)
      : thread_([this, tick = std::move(tick)](const std::stop_token& stop) {
          std::unique_lock lock(mutex_);
          while (!wake_.wait_for(lock, stop, std::chrono::seconds(1),
                                 [&stop] { return stop.stop_requested(); })) {
            tick();
          }
        }) {}

 private:
  std::mutex mutex_;
  std::condition_variable_any wake_;
  std::jthread thread_;
};

/// Everything that serves. Members are destroyed in the reverse order: first the servers, so that
/// no request comes any more, then what requests use, last what that uses.
class App {
 public:
  static Result<std::unique_ptr<App>> create(const Config& config) {
    auto app = std::unique_ptr<App>(new App(config));
    if (auto built = app->build(); !built) {
      return fail(std::move(built.error()));
    }
    return app;
  }

  ~App() {
    grpc_.reset();
    http_.reset();
    admin_.reset();
    if (faults_) {
      faults_->set({});  // whoever is stuck goes on
    }
    // An executor may still be letting go of what it ran: before the catalog does, since whoever
    // lets go of a model last destroys it.
    scheduler_.stop();
  }
  App(const App&) = delete;
  App& operator=(const App&) = delete;

  void start() {
    catalog_->start();
    ticker_ = std::make_unique<Ticker>([this] { tick(); });
    admin_->start();
    http_->start();
  }

  [[nodiscard]] Result<void> write_ports_file() const {
    const std::string& path = config_.listen.ports_file;
    if (path.empty()) {
      return {};
    }
    const std::string partial = path + ".partial";
    {
      std::ofstream file(partial);
      file << "{\"http\":" << http_->port() << ",\"admin\":" << admin_->port();
      if (grpc_) {
        file << ",\"grpc\":" << grpc_->port();
      }
      file << "}\n";
    }
    if (std::rename(partial.c_str(), path.c_str()) != 0) {
      return fail(ErrorCode::kInternal, "cannot write the ports file " + path);
    }
    return {};
  }

  void reload() {
    refresh_files();
    catalog_->request_reload();
  }

  void announce() {
    lifecycle_.draining = true;
    http_->announce_close();
  }
  /// True when every request was answered.
  bool drain(Deadline deadline) {
    lifecycle_.closed = true;
    if (grpc_) {
      grpc_->stop_accepting();
    }
    http_->stop_accepting();
    const bool http_done = http_->wait_idle(deadline.left(clock_.now()));
    const bool grpc_done = !grpc_ || grpc_->wait_idle(deadline.left(clock_.now()));
    return http_done && grpc_done;
  }
  /// After `drain`, so that liveness holds to the last moment. False: a request, such as a reload,
  /// still uses what would be destroyed.
  bool close_admin() {
    admin_->stop_accepting();
    return admin_->wait_idle(std::chrono::seconds(2));
  }
  [[nodiscard]] std::size_t in_flight() const {
    return http_->in_flight() + (grpc_ ? grpc_->in_flight() : 0);
  }
  [[nodiscard]] std::uint16_t http_port() const { return http_->port(); }
  [[nodiscard]] std::uint16_t admin_port() const { return admin_->port(); }
  [[nodiscard]] const access::Guard& guard() const { return *guard_; }
  /// 0: there is none.
  [[nodiscard]] std::uint16_t grpc_port() const { return grpc_ ? grpc_->port() : 0; }
  [[nodiscard]] const Threads& threads() const { return threads_; }
  [[nodiscard]] std::string onnxruntime() const { return std::string(runtime_->version()); }

 private:
  explicit App(const Config& config) : config_(config), threads_(plan_threads(config)) {}

  /// Once a second.
  void tick() {
    stats_->tick();
    note_stuck();
    follow_quota();
    if (faults_) {
      lifecycle_.unready = faults_->unready();
    }
    const TimePoint now = clock_.now();
    if (now >= next_refresh_) {
      refresh(*guard_);
      next_refresh_ = now + config_.auth.refresh_interval;
    }
    if (now >= next_certificates_) {
      refresh_certificates();
      next_certificates_ = now + config_.tls.refresh_interval;
    }
  }

  /// Credentials and certificates. @threads any
  void refresh_files() {
    refresh(*guard_);
    refresh_certificates();
  }
  void refresh_certificates() {
    if (certificates_) {
      const auto done = refresh(*certificates_);
      certificates_taken_ += done.value_or(false) ? 1 : 0;
      certificates_refused_ += done ? 0 : 1;
    }
  }

  void note_stuck() {
    const Duration limit = config_.limits.stuck_timeout;
    const Duration longest = scheduler_.longest_run();
    const bool stuck = limit > Duration::zero() && longest > limit;
    if (stuck != lifecycle_.stuck.exchange(stuck)) {
      log::error(stuck ? "executor_stuck" : "executor_free", {{"run_ms", to_ms(longest)}});
    }
  }

  /// The quota of a running pod can be changed in place. I/O threads stay as they are: they cost
  /// nothing while idle.
  void follow_quota() {
    const unsigned wanted = plan_threads(config_).executors;
    const unsigned before = scheduler_.executors();
    if (wanted != before) {
      scheduler_.resize(wanted);
      log::info("threads_replanned", {{"executors", wanted}, {"before", before}});
    }
  }

  Result<void> build() {
    auto guard = make_guard(config_);
    if (!guard) {
      return fail(std::move(guard.error()));
    }
    guard_ = std::move(*guard);
    auto certificates = make_certificates(config_);
    if (!certificates) {
      return fail(std::move(certificates.error()));
    }
    certificates_ = std::move(*certificates);
    auto runtime = model::Runtime::create({.spinning = config_.onnxruntime.spinning,
                                           .memory_arena = config_.onnxruntime.arena,
                                           .cache_dir = config_.models.cache_dir});
    if (!runtime) {
      return fail(std::move(runtime.error()));
    }
    runtime_ = std::move(*runtime);
    inference::CatalogOptions options = catalog_options(config_, threads_);
    if (config_.models.fault_api) {
      faults_ = std::make_unique<inference::Faults>();
      options.serve.faults = faults_.get();
    }
    catalog_ = std::make_unique<inference::Catalog>(std::move(options), *runtime_, scheduler_,
                                                    registry_, clock_);
    if (config_.fetch.enabled) {
      auto fetcher = fetch::Fetcher::create(fetch_options(config_.fetch, config_.limits));
      if (!fetcher) {
        return fail(std::move(fetcher.error()));
      }
      fetcher_ = std::move(*fetcher);
    }
    service_ = std::make_unique<inference::Service>(service_options(config_), *catalog_,
                                                    fetcher_.get(), registry_, clock_);
    stats_ = std::make_unique<inference::Stats>(
        registry_, scheduler_, *catalog_,
        batching::LatencyObjective{.latency = config_.objective.latency,
                                   .quantile = config_.objective.quantile},
        clock_);
    if (!config_.tracing.endpoint.empty()) {
      auto tracer = trace::Tracer::create(trace_options(config_.tracing));
      if (!tracer) {
        return fail(std::move(tracer.error()));
      }
      tracer_ = std::move(*tracer);
    }
    add_gauges();
    add_routes();
    return listen();
  }

  void add_routes() {
    const http::StatusSources sources{.catalog = *catalog_,
                                      .registry = registry_,
                                      .stats = *stats_,
                                      .lifecycle = lifecycle_,
                                      .build = {.version = build_info().version,
                                                .commit = build_info().commit,
                                                .compiler = build_info().compiler,
                                                .onnxruntime = std::string(runtime_->version())}};
    add_inference_routes(router_, *service_,
                         {.max_image_bytes = config_.limits.max_body_bytes,
                          .max_json_bytes = config_.limits.max_json_bytes});
    http::add_oip_routes(router_, *service_, sources,
                         {.max_body_bytes = config_.limits.max_tensor_bytes,
                          .max_json_bytes = config_.limits.max_json_bytes});
    add_status_routes(router_, sources);
    http::add_models_route(router_, sources);
    if (config_.http.web_page) {
      http::add_page_routes(router_);
    }
    if (config_.http.metrics_on_http) {
      http::add_metrics_route(router_, registry_);
    }
    add_status_routes(admin_router_, sources);
    http::add_metrics_route(admin_router_, registry_);
    http::add_admin_routes(admin_router_, sources, config_.models.reload_api);
    if (faults_) {
      http::add_fault_routes(admin_router_, *faults_);
    }
    if (config_.models.repository_api) {
      http::add_oip_repository_routes(admin_router_, *catalog_);
    }
  }

  Result<void> listen() {
    http::ServerOptions options = http_options(config_, threads_.io);
    options.guard = guard_.get();
    options.certificates = certificates_.get();
    options.tracer = tracer_.get();
    auto http = http::Server::create(std::move(options), router_, registry_, clock_);
    if (!http) {
      return fail(std::move(http.error()));
    }
    http_ = std::move(*http);
    http::ServerOptions control = admin_options(config_);
    control.guard = guard_.get();
    auto admin = http::Server::create(std::move(control), admin_router_, registry_, clock_);
    if (!admin) {
      return fail(std::move(admin.error()));
    }
    admin_ = std::move(*admin);
    return config_.grpc.enabled ? listen_grpc() : Result<void>();
  }

  /// Last, since it answers from the moment it listens.
  Result<void> listen_grpc() {
    grpc::ServerOptions options = grpc_options(config_);
    options.certificates = certificates_.get();
    auto grpc = grpc::Server::create(std::move(options),
                                     {.service = *service_,
                                      .clock = clock_,
                                      .draining = [this] { return lifecycle_.draining.load(); },
                                      .guard = guard_.get(),
                                      .tracer = tracer_.get()});
    if (!grpc) {
      return fail(std::move(grpc.error()));
    }
    grpc_ = std::move(*grpc);
    return {};
  }

  void add_gauges() {
    const auto watch = [this](const char* name, std::function<double()> value,
                              const Registry::Labels& labels = {}) {
      gauges_.push_back(registry_.watch(name, labels, std::move(value)));
    };
    watch("podsense_saturation", [this] { return stats_->saturation(); });
    watch("podsense_latency_objective_seconds",
          [this] { return to_seconds(config_.objective.latency); });
    watch("podsense_executors", [this] { return static_cast<double>(scheduler_.executors()); });
    watch("podsense_requests_in_flight",
          [this] { return http_ ? static_cast<double>(in_flight()) : 0.0; });
    watch("podsense_ready", [this] { return !lifecycle_.closed && catalog_->ready() ? 1.0 : 0.0; });
    watch("podsense_build_info", [] { return 1.0; },
          {{"version", build_info().version},
           {"commit", build_info().commit},
           {"onnxruntime", std::string(runtime_->version())}});
    if (certificates_) {
      watch("podsense_tls_certificate_expiry_timestamp_seconds",
            [this] { return static_cast<double>(certificates_->current()->expires); });
      watch("podsense_tls_certificate_reloads_total",
            [this] { return static_cast<double>(certificates_taken_); }, {{"result", "ok"}});
      watch("podsense_tls_certificate_reloads_total",
            [this] { return static_cast<double>(certificates_refused_); }, {{"result", "failed"}});
    }
    if (tracer_) {
      const auto spans = [&](const char* result, std::uint64_t trace::Counts::* count) {
        watch("podsense_spans_total",
              [this, count] { return static_cast<double>(tracer_->counts().*count); },
              {{"result", result}});
      };
      spans("exported", &trace::Counts::exported);
      spans("dropped", &trace::Counts::dropped);
      spans("failed", &trace::Counts::failed);
    }
    for (auto& gauge : watch_process(registry_)) {
      gauges_.push_back(std::move(gauge));
    }
  }

  const Config config_;
  const Threads threads_;
  const SteadyClock clock_;
  http::Lifecycle lifecycle_;
  std::unique_ptr<access::Guard> guard_;
  std::unique_ptr<access::Certificates> certificates_;  ///< null: no TLS
  TimePoint next_refresh_{};                            ///< the ticker's own, as the next
  TimePoint next_certificates_{};
  std::atomic<std::uint64_t> certificates_taken_{0};
  std::atomic<std::uint64_t> certificates_refused_{0};
  Registry registry_{{.latency_objective = config_.objective.latency}};
  std::unique_ptr<model::Runtime> runtime_;
  std::unique_ptr<inference::Faults> faults_;
  batching::Scheduler scheduler_{
      {.executors = threads_.executors,
       .most_executors = std::max(threads_.executors, std::thread::hardware_concurrency())},
      clock_};
  std::unique_ptr<inference::Catalog> catalog_;
  std::unique_ptr<fetch::Fetcher> fetcher_;
  std::unique_ptr<trace::Tracer> tracer_;  ///< null: no traces
  std::unique_ptr<inference::Service> service_;
  std::unique_ptr<inference::Stats> stats_;
  std::vector<std::unique_ptr<Registry::Gauge>> gauges_;
  std::unique_ptr<Ticker> ticker_;
  http::Router router_;
  http::Router admin_router_;
  std::unique_ptr<http::Server> http_;
  std::unique_ptr<http::Server> admin_;
  std::unique_ptr<grpc::Server> grpc_;
};

/// Blocks of this size and beyond are returned to the system as soon as they are free. Left to
/// itself glibc moves the bound up to 32 MiB as models come and go, and their weights then lie
/// among small things that keep the heap from shrinking.
constexpr int kMappedBlock = 4 * 1024 * 1024;

void return_large_blocks() {
#ifdef __GLIBC__
  // NOLINTNEXTLINE(concurrency-mt-unsafe): before there are threads
  mallopt(M_MMAP_THRESHOLD, kMappedBlock);
#endif
}

sigset_t block_signals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGHUP);
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  signal(SIGPIPE, SIG_IGN);
  return set;
}

/// The next signal of the set, or 0 after `timeout`.
int wait_signal(const sigset_t& set, Duration timeout) {
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(timeout);
  const timespec limit{.tv_sec = seconds.count(), .tv_nsec = (timeout - seconds).count()};
  const int got = sigtimedwait(&set, nullptr, &limit);
  return std::max(got, 0);
}

/// Waits until told to stop; SIGHUP reloads.
void wait_for_stop(App& app, const sigset_t& set, bool reload_signal) {
  for (;;) {
    const int got = wait_signal(set, std::chrono::hours(1));
    if (got == SIGHUP) {
      if (reload_signal) {
        log::info("reload_requested", {{"by", "SIGHUP"}});
        app.reload();
      }
    } else if (got != 0) {
      log::info("shutdown_began",
                {{"signal", got == SIGINT ? "SIGINT" : "SIGTERM"}, {"in_flight", app.in_flight()}});
      return;
    }
  }
}

/// A second signal during the drain means: now.
/// Once all is `answered` there is nothing left to force: the thread outlives `main`, and then must
/// touch nothing that its end destroys.
void watch_for_second_signal(const sigset_t& set,
                             std::shared_ptr<const std::atomic<bool>> answered) {
  std::thread([set, answered = std::move(answered)] {
    for (;;) {
      const int got = wait_signal(set, std::chrono::hours(1));
      if (got != SIGTERM && got != SIGINT) {
        continue;
      }
      if (*answered) {
        _exit(0);
      }
      log::warning("shutdown_forced");
      _exit(1);
    }
  }).detach();
}

}  // namespace

Result<int> serve(const LoadedConfig& loaded) {
  const sigset_t signals = block_signals();
  return_large_blocks();
  const Config& config = loaded.config;
  log::configure(config.logging.level, config.logging.format);
  for (const std::string& warning : loaded.warnings) {
    log::warning("configuration", {{"message", warning}});
  }
  auto created = App::create(config);
  if (!created) {
    return fail(std::move(created.error()));
  }
  App& app = **created;
  app.start();
  log::info(
      "serving",
      {{"version", build_info().version},
       {"http", config.listen.host + ":" + std::to_string(app.http_port())},
       {"grpc", app.grpc_port() == 0 ? std::string()
                                     : config.listen.host + ":" + std::to_string(app.grpc_port())},
       {"admin", config.listen.admin_host + ":" + std::to_string(app.admin_port())},
       {"models", config.models.dir},
       {"io_threads", app.threads().io},
       {"executors", app.threads().executors},
       {"onnxruntime", app.onnxruntime()}});
  warn_of_open_doors(config, app.guard());
  if (auto written = app.write_ports_file(); !written) {
    return fail(std::move(written.error()));
  }
  wait_for_stop(app, signals, config.models.reload_signal);

  const SteadyClock clock;
  const Deadline deadline = Deadline::after(clock.now(), config.shutdown.drain_timeout);
  app.announce();
  const Deadline delay = Deadline::after(
      clock.now(), std::min(config.shutdown.drain_delay, deadline.left(clock.now())));
  for (;;) {
    const int again = wait_signal(signals, delay.left(clock.now()));
    if (again == SIGTERM || again == SIGINT) {
      log::warning("shutdown_forced");
      _exit(1);
    }
    if (delay.passed(clock.now())) {
      break;  // not for SIGHUP, which means nothing any more
    }
  }
  const auto answered = std::make_shared<std::atomic<bool>>(false);
  watch_for_second_signal(signals, answered);
  const bool drained = app.drain(deadline);
  *answered = drained;
  log::info("shutdown_ended", {{"drained", drained}, {"cut_off", app.in_flight()}});
  if (!drained || !app.close_admin()) {
    _exit(drained ? 0 : 1);  // requests still hold what would be destroyed
  }
  created->reset();
  return 0;
}

}  // namespace podsense::server
