#include "grpc/health.h"

#include <grpc/health/v1/health.pb.h>

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <unordered_set>

namespace podsense::grpc {
namespace {

namespace health = ::grpc::health::v1;
using Status = health::HealthCheckResponse::ServingStatus;

/// Service names that mean the whole server.
constexpr std::array<std::string_view, 4> kWhole{"", "readiness", "podsense.v1.InferenceService",
                                                 "inference.GRPCInferenceService"};

Status status_of(CallEnvironment& shared, const std::string& service) {
  const auto serving = [](bool yes) {
    return yes ? health::HealthCheckResponse::SERVING : health::HealthCheckResponse::NOT_SERVING;
  };
  const inference::Catalog& catalog = shared.sources.service.catalog();
  const bool open = !shared.sources.closed();
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

class Watcher;

}  // namespace

/// All current Watch calls. @threads thread-safe
class Watchers {
 public:
  Watchers() : thread_([this](const std::stop_token& stop) { run(stop); }) {}

  /// False: the limit is reached.
  bool add(const std::shared_ptr<Watcher>& watcher) {
    const std::lock_guard lock(mutex_);
    if (watchers_.size() >= kMaxWatchers) {
      return false;
    }
    watchers_.insert(watcher);
    wake_.notify_all();
    return true;
  }
  void remove(const std::shared_ptr<Watcher>& watcher) {
    const std::lock_guard lock(mutex_);
    watchers_.erase(watcher);
  }

 private:
  void run(const std::stop_token& stop);

  std::mutex mutex_;
  std::condition_variable_any wake_;
  std::unordered_set<std::shared_ptr<Watcher>> watchers_;
  std::jthread thread_;
};

namespace {

/// One Watch call.
class Watcher final : public Call {
 public:
  Watcher(CallEnvironment& shared, std::shared_ptr<transport::Stream> stream,
          const RpcMethod& method, Watchers& all)
      : Call(shared, std::move(stream), method), all_(all) {}

  /// Sends the status if it has changed. @threads any
  void update() {
    stream().post([self = self()] { self->tell(); });
  }

 private:
  std::shared_ptr<Watcher> self() { return std::static_pointer_cast<Watcher>(shared_from_this()); }

  void message(std::string_view bytes) override {
    health::HealthCheckRequest request;
    if (auto parsed = parse_message(bytes, request); !parsed || service_) {
      const Error error{.code = ErrorCode::kInvalidArgument,
                        .message = "Watch takes one HealthCheckRequest"};
      return finish(&error);
    }
    service_ = request.service();
    stream().allow_slow_body();
    if (!all_.add(self())) {
      const Error error{.code = ErrorCode::kRateLimited,
                        .message = std::to_string(kMaxWatchers) +
                                   " calls of Watch are under way, and no more may be"};
      return finish(&error);
    }
    tell();
  }
  void half_closed() override {}
  void cancelled() override { all_.remove(self()); }
  /// Sends NOT_SERVING last. The call ends with OK, because with an error clients drop messages
  /// that they have not read yet.
  void on_stop() override {
    tell();
    finish(nullptr);
  }

  void tell() {
    if (finished() || !service_) {
      return;
    }
    const Status now = status_of(caller().shared(), *service_);
    if (now == told_) {
      return;
    }
    told_ = now;
    health::HealthCheckResponse response;
    response.set_status(now);
    if (auto framed = frame(response)) {
      send(std::move(*framed));
    }
  }

  Watchers& all_;
  std::optional<std::string> service_;
  Status told_ = health::HealthCheckResponse::UNKNOWN;
};

}  // namespace

void Watchers::run(const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  while (!stop.stop_requested()) {
    wake_.wait(lock, stop, [this] { return !watchers_.empty(); });
    for (const auto& watcher : watchers_) {
      watcher->update();
    }
    wake_.wait_for(lock, stop, kHealthPeriod, [&stop] { return stop.stop_requested(); });
  }
}

std::shared_ptr<Watchers> add_health(Methods& methods, CallEnvironment& shared) {
  using Request = health::HealthCheckRequest;
  using Response = health::HealthCheckResponse;
  auto watchers = std::make_shared<Watchers>();
  methods.answer<Request, Response>(
      {.name = "/grpc.health.v1.Health/Check", .access = Access::kOpen, .quiet = true},
      [&shared](const Request& request, Response& response) -> Result<void> {
        const Status status = status_of(shared, request.service());
        if (status == Response::SERVICE_UNKNOWN) {
          return fail(ErrorCode::kNotFound, "no service or model '" + request.service() + "'");
        }
        response.set_status(status);
        return {};
      });
  methods.answer<health::HealthListRequest, health::HealthListResponse>(
      {.name = "/grpc.health.v1.Health/List", .access = Access::kOpen, .quiet = true},
      [&shared](const health::HealthListRequest& /*request*/,
                health::HealthListResponse& response) -> Result<void> {
        const auto put = [&](const std::string& name) {
          (*response.mutable_statuses())[name].set_status(status_of(shared, name));
        };
        for (const std::string_view name : kWhole) {
          put(std::string(name));
        }
        put("liveness");
        return {};
      });
  methods.add(
      {.name = "/grpc.health.v1.Health/Watch", .access = Access::kOpen, .quiet = true},
      [watchers](CallEnvironment& its_shared, std::shared_ptr<transport::Stream> stream,
                 const RpcMethod& method) {
        return std::make_shared<Watcher>(its_shared, std::move(stream), method, *watchers);
      },
      false);
  return watchers;
}

}  // namespace podsense::grpc
