#pragma once

/// All objects of a running server, created in the order of their dependencies and destroyed in
/// reverse. Private to this module.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "base/memory_budget.h"
#include "batching/scheduler.h"
#include "fetch/fetch.h"
#include "grpc/services.h"
#include "http/status_api.h"
#include "inference/catalog.h"
#include "inference/control.h"
#include "inference/faults.h"
#include "inference/service.h"
#include "inference/stats.h"
#include "metrics/metrics.h"
#include "model/backend.h"
#include "server/config.h"
#include "server/guard.h"
#include "server/options.h"
#include "server/service_manager.h"
#include "server/ticker.h"
#include "trace/trace.h"
#include "transport/router.h"
#include "transport/server.h"

namespace podsense::server {

/// What the process was started with, besides the configuration.
struct Surroundings {
  const ServiceManager* manager = nullptr;  ///< must outlive Serving
  ListenSockets sockets;                    ///< used instead of configured ports
};

/// Members are destroyed in reverse order: first the servers, so that no more requests arrive, then
/// what requests use, and so on.
class Serving {
 public:
  /// Listens, but accepts no request before `start`.
  /// @errors why it could not start
  static Result<std::unique_ptr<Serving>> create(const Config& config, Surroundings surroundings);
  ~Serving();
  Serving(const Serving&) = delete;
  Serving& operator=(const Serving&) = delete;

  /// @errors why it could not start, such as a lack of threads
  [[nodiscard]] Result<void> start();
  /// The result of the first load: success, or a reason to exit. Nothing: it has not ended.
  /// @errors kUnavailable: nothing can be served
  [[nodiscard]] std::optional<Result<void>> first_load() const;
  /// Writes the ports to a file, as JSON, for callers that started this with port 0; does nothing
  /// if no file is configured. @errors kInternal: it cannot be written
  [[nodiscard]] Result<void> write_ports_file() const;
  /// Requests a reload of credentials, certificates and models. @threads any
  /// `done` is called once, on another thread or inside this call.
  void reload(std::move_only_function<void()> done);

  /// From now on answers carry `Connection: close`, and readiness checks report "not ready", unless
  /// shutdown.ready_while_draining.
  void announce();
  /// True: all requests were answered.
  bool drain(Deadline deadline);
  /// Closes the admin port; call it after `drain`, so that liveness probes succeed until then.
  /// False: a request, such as a reload, still uses objects that would be destroyed.
  bool close_admin();

  [[nodiscard]] std::size_t in_flight() const;
  /// Whether a run continues although its requests were answered at their deadlines: it may never
  /// end.
  [[nodiscard]] bool has_overdue_runs() const { return scheduler_.overdue().runs > 0; }
  [[nodiscard]] std::uint16_t http_port() const { return http_->port(); }
  [[nodiscard]] std::uint16_t admin_port() const { return admin_->port(); }
  /// 0: no such port.
  [[nodiscard]] std::uint16_t grpc_port() const { return grpc_ ? grpc_->port() : 0; }
  [[nodiscard]] const access::Guard& guard() const { return files_->guard(); }
  [[nodiscard]] const Threads& threads() const { return threads_; }
  [[nodiscard]] std::string onnxruntime() const {
    return std::string(backends_->version("onnxruntime"));
  }

 private:
  Serving(const Config& config, Surroundings surroundings);

  Result<void> build();
  Result<void> build_models();
  Result<void> build_service();
  void add_routes();
  void add_grpc();
  [[nodiscard]] http::StatusSources sources();
  Result<void> listen();
  Result<void> listen_grpc(const Descriptors& descriptors);
  [[nodiscard]] transport::ServerOptions with_sources(transport::ServerOptions options);
  void add_gauges();

  /// Called once per second.
  void tick();
  void note_overdue();
  /// Adapts the budget: memory that the process uses for other things than requests is not part of
  /// it.
  void follow_memory();
  /// Adapts the executors to the CPU quota, which can change while a pod runs. The number of I/O
  /// threads stays, as they cost nothing while idle.
  void follow_quota();

  [[nodiscard]] transport::ServerOptions with_listener(transport::ServerOptions options) const;

  const Config config_;
  const Surroundings surroundings_;
  const Threads threads_;
  const SteadyClock clock_;
  http::Lifecycle lifecycle_;
  TimePoint last_tick_{};      ///< used by the ticker only, also the next
  unsigned overdue_runs_ = 0;  ///< at the last tick
  MemoryBudget memory_;
  std::uint64_t base_memory_ = 0;  ///< bytes: engine, models, code; 0: not loaded yet
  std::unique_ptr<WatchedFiles> files_;
  metrics::Registry registry_{{.latency_objective = config_.objective.latency}};
  std::unique_ptr<const model::Backends> backends_;
  std::unique_ptr<inference::Faults> faults_;
  batching::Scheduler scheduler_;
  std::unique_ptr<inference::Catalog> catalog_;
  std::unique_ptr<inference::Control> control_;
  std::unique_ptr<fetch::Fetcher> fetcher_;
  std::unique_ptr<trace::Tracer> tracer_;  ///< null: no traces
  std::unique_ptr<inference::Service> service_;
  std::unique_ptr<inference::Stats> stats_;
  std::unique_ptr<grpc::Services> grpc_services_;  ///< null: gRPC is off
  std::vector<std::unique_ptr<metrics::Registry::Gauge>> gauges_;
  std::unique_ptr<Ticker> ticker_;
  transport::Router router_;
  transport::Router admin_router_;
  transport::Router grpc_router_;
  std::unique_ptr<transport::Server> http_;
  std::unique_ptr<transport::Server> admin_;
  std::unique_ptr<transport::Server> grpc_;  ///< uses the threads of `http_`; null: no such port
};

}  // namespace podsense::server
