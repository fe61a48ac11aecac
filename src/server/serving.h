#pragma once

/// Everything that serves, made in the order in which one depends on the other and ended in the
/// reverse one. Private to this module.

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

/// What the process was started with.
struct Surroundings {
  const ServiceManager* manager = nullptr;  ///< outlives what serves
  ListenSockets sockets;                    ///< to take over in place of configured ports
};

/// Members are destroyed in the reverse order: first the servers, so that no request comes any
/// more, then what requests use, last what that uses.
class Serving {
 public:
  /// Listens, but accepts no request before `start`.
  /// @errors what kept it from starting
  static Result<std::unique_ptr<Serving>> create(const Config& config, Surroundings surroundings);
  ~Serving();
  Serving(const Serving&) = delete;
  Serving& operator=(const Serving&) = delete;

  /// @errors what kept it from starting, such as a lack of threads
  [[nodiscard]] Result<void> start();
  /// Once the first load has ended: is there a reason to end? Empty while it goes on.
  /// @errors kUnavailable: nothing can be served
  [[nodiscard]] std::optional<Result<void>> first_load() const;
  /// Where all listen, as JSON, for whoever started this with port 0; nothing where no file is
  /// configured. @errors kInternal: it cannot be written
  [[nodiscard]] Result<void> write_ports_file() const;
  /// Asks for credentials, certificates and models to be looked at. @threads any
  /// `done` is called once, on a thread of its own, or within this.
  void reload(std::move_only_function<void()> done);

  /// Answers carry `Connection: close` from now on, and readiness checks say that nothing is
  /// ready, unless shutdown.ready_while_draining.
  void announce();
  /// True when every request was answered.
  bool drain(Deadline deadline);
  /// After `drain`, so that liveness holds to the last moment. False: a request, such as a reload,
  /// still uses what would be destroyed.
  bool close_admin();

  [[nodiscard]] std::size_t in_flight() const;
  /// A run goes on although its requests were answered at their deadlines: it may never end.
  [[nodiscard]] bool has_overdue_runs() const { return scheduler_.overdue().runs > 0; }
  [[nodiscard]] std::uint16_t http_port() const { return http_->port(); }
  [[nodiscard]] std::uint16_t admin_port() const { return admin_->port(); }
  /// 0: there is none.
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

  /// Once a second.
  void tick();
  void note_overdue();
  /// What the process uses that no request holds is no part of the budget.
  void follow_memory();
  /// The quota of a running pod can be changed in place. I/O threads stay as they are: they cost
  /// nothing while idle.
  void follow_quota();

  [[nodiscard]] transport::ServerOptions with_listener(transport::ServerOptions options) const;

  const Config config_;
  const Surroundings surroundings_;
  const Threads threads_;
  const SteadyClock clock_;
  http::Lifecycle lifecycle_;
  TimePoint last_tick_{};      ///< the ticker's, as the next
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
  std::unique_ptr<transport::Server> grpc_;  ///< on the threads of `http_`; null: no such port
};

}  // namespace podsense::server
