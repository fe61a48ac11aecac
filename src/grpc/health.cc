#include "grpc/health.h"

#include <grpc/health/v1/health.grpc.pb.h>

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <unordered_set>

namespace podsense::grpc {
namespace {

namespace health = ::grpc::health::v1;
using ::grpc::CallbackServerContext;
using Status = health::HealthCheckResponse::ServingStatus;

Status status_of(const Shared& shared, const std::string& service) {
  constexpr std::array<std::string_view, 4> kWhole{"", "readiness", "podsense.v1.InferenceService",
                                                   "inference.GRPCInferenceService"};
  const auto serving = [](bool yes) {
    return yes ? health::HealthCheckResponse::SERVING : health::HealthCheckResponse::NOT_SERVING;
  };
  const inference::Catalog& catalog = shared.sources.service.catalog();
  const bool open = !shared.closed;
  if (std::ranges::find(kWhole, service) != kWhole.end()) {
    return serving(open && catalog.ready());
  }
  if (service == "liveness") {
    return health::HealthCheckResponse::SERVING;
  }
  bool known = false;
  for (const inference::ModelStatus& model : catalog.status()) {
    if (service != model.name && service != model.name + "/" + model.version) {
      continue;
    }
    if (model.served) {
      return serving(open);
    }
    known = true;
  }
  return known || !catalog.started() ? health::HealthCheckResponse::NOT_SERVING
                                     : health::HealthCheckResponse::SERVICE_UNKNOWN;
}

/// One Watch call. Deletes itself when gRPC is done with it.
class Watcher;

/// Those who watch. @threads thread-safe
class Watchers {
 public:
  explicit Watchers(Shared& shared)
      : shared_(shared), thread_([this](const std::stop_token& stop) { run(stop); }) {}

  /// False: there are too many.
  bool add(Watcher& watcher);
  void remove(Watcher& watcher);
  [[nodiscard]] Shared& shared() const { return shared_; }

 private:
  void run(const std::stop_token& stop);

  Shared& shared_;
  std::mutex mutex_;
  std::condition_variable_any wake_;
  std::unordered_set<Watcher*> watchers_;
  std::jthread thread_;
};

class Watcher final : public ::grpc::ServerWriteReactor<health::HealthCheckResponse>,
                      private Stoppable {
 public:
  Watcher(Watchers& all, std::string service) : all_(all), service_(std::move(service)) {
    update();
    all_.shared().add(*this);
    if (!all_.add(*this)) {
      finish({::grpc::StatusCode::RESOURCE_EXHAUSTED,
              std::to_string(kMaxWatchers) + " calls of Watch are under way, and no more may be"});
    } else if (all_.shared().closed) {
      stop();
    }
  }
  ~Watcher() override {
    all_.remove(*this);
    all_.shared().remove(*this);
  }
  Watcher(const Watcher&) = delete;
  Watcher& operator=(const Watcher&) = delete;

  /// Tells the status if it is another than the last.
  void update() {
    step([] {});
  }

  /// The last word is that the server does not serve. With an error for a status clients would drop
  /// what they have not read yet.
  void stop() override { finish(::grpc::Status::OK); }

 private:
  void finish(const ::grpc::Status& status) {
    step([&] {
      if (!finishing_) {
        finishing_ = true;
        final_ = status;
      }
    });
  }

  /// Changes the state, then begins what the state asks for; `Finish` may end the call: it is last.
  template <class Change>
  void step(const Change& change) {
    const Status now = status_of(all_.shared(), service_);
    bool finish_now = false;
    {
      const MutexLock lock(mutex_);
      change();
      if (!writing_ && !finished_) {
        if (now != told_ && final_.ok()) {
          told_ = now;
          writing_ = true;
          response_.set_status(now);
          StartWrite(&response_);
        } else if (finishing_) {
          finished_ = finish_now = true;
        }
      }
    }
    if (finish_now) {
      Finish(final_);
    }
  }

  void OnWriteDone(bool ok) override {
    step([this, ok] {
      writing_ = false;
      if (!ok) {
        finishing_ = true;
        final_ = ::grpc::Status::CANCELLED;
      }
    });
  }
  void OnCancel() override { finish(::grpc::Status::CANCELLED); }
  void OnDone() override { delete this; }

  Watchers& all_;
  const std::string service_;
  Mutex mutex_;
  health::HealthCheckResponse response_;
  Status told_ = health::HealthCheckResponse::UNKNOWN;
  bool writing_ = false;
  bool finishing_ = false;
  bool finished_ = false;
  ::grpc::Status final_;  ///< where it is an error nothing more is written
};

bool Watchers::add(Watcher& watcher) {
  const std::lock_guard lock(mutex_);
  if (watchers_.size() >= kMaxWatchers) {
    return false;
  }
  watchers_.insert(&watcher);
  wake_.notify_all();
  return true;
}

void Watchers::remove(Watcher& watcher) {
  const std::lock_guard lock(mutex_);
  watchers_.erase(&watcher);
}

void Watchers::run(const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  while (!stop.stop_requested()) {
    wake_.wait(lock, stop, [this] { return !watchers_.empty(); });
    for (Watcher* watcher : watchers_) {
      watcher->update();
    }
    wake_.wait_for(lock, stop, kHealthPeriod, [&stop] { return stop.stop_requested(); });
  }
}

class HealthService final : public health::Health::WithCallbackMethod_Check<
                                health::Health::WithCallbackMethod_Watch<health::Health::Service>> {
 public:
  explicit HealthService(Shared& shared) : shared_(shared), watchers_(shared) {}

  ::grpc::ServerUnaryReactor* Check(CallbackServerContext* server,
                                    const health::HealthCheckRequest* request,
                                    health::HealthCheckResponse* response) override {
    ::grpc::ServerUnaryReactor* reactor = server->DefaultReactor();
    const Status status = status_of(shared_, request->service());
    if (status == health::HealthCheckResponse::SERVICE_UNKNOWN) {
      reactor->Finish(
          {::grpc::StatusCode::NOT_FOUND, "no service or model '" + request->service() + "'"});
    } else {
      response->set_status(status);
      reactor->Finish(::grpc::Status::OK);
    }
    return reactor;
  }

  ::grpc::ServerWriteReactor<health::HealthCheckResponse>* Watch(
      CallbackServerContext* /*server*/, const health::HealthCheckRequest* request) override {
    return new Watcher(watchers_, request->service());
  }

 private:
  Shared& shared_;
  Watchers watchers_;
};

}  // namespace

std::unique_ptr<::grpc::Service> make_health_service(Shared& shared) {
  return std::make_unique<HealthService>(shared);
}

}  // namespace podsense::grpc
