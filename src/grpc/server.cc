#include "grpc/server.h"

#include <google/protobuf/stubs/logging.h>
#include <grpc/grpc.h>
#include <grpc/support/log.h>
#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/resource_quota.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>

#include <algorithm>
#include <limits>
#include <thread>
#include <vector>

#include "base/log.h"
#include "base/mutex.h"
#include "grpc/call.h"
#include "grpc/credentials.h"
#include "grpc/health.h"
#include "grpc/oip_service.h"
#include "grpc/podsense_service.h"

namespace podsense::grpc {
namespace {

/// What the core library has to say goes where our own lines go.
void log_core(gpr_log_func_args* line) {
  const auto level =
      line->severity == GPR_LOG_SEVERITY_ERROR ? log::Level::kWarning : log::Level::kDebug;
  log::write(level, "grpc_library", {{"message", line->message}});
}

/// Bytes that are no message are the client's fault and answered as such: no line on stderr.
void quiet_protobuf(google::protobuf::LogLevel level, const char* /*file*/, int /*line*/,
                    const std::string& message) {
  log::write(level >= google::protobuf::LOGLEVEL_FATAL ? log::Level::kError : log::Level::kDebug,
             "protobuf_library", {{"message", message}});
}

void route_library_logs() {
  gpr_set_log_function(&log_core);
  google::protobuf::SetLogHandler(&quiet_protobuf);
}

/// gRPC takes milliseconds as int; zero durations mean "never".
int milliseconds_of(Duration d) {
  const auto ms = std::chrono::ceil<std::chrono::milliseconds>(d).count();
  return d <= Duration::zero()
             ? std::numeric_limits<int>::max()
             : static_cast<int>(std::min<std::int64_t>(ms, std::numeric_limits<int>::max()));
}

void configure(::grpc::ServerBuilder& builder, const ServerOptions& options) {
  const auto bytes = static_cast<int>(
      std::min<std::uint64_t>(options.max_message_bytes, std::numeric_limits<int>::max()));
  builder.SetMaxReceiveMessageSize(bytes);
  builder.SetMaxSendMessageSize(-1);
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);  // a port in use is an error
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS,
                             static_cast<int>(options.max_streams));
  builder.AddChannelArgument(GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS,
                             milliseconds_of(options.handshake_timeout));
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, milliseconds_of(options.keepalive_time));
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS,
                             milliseconds_of(options.keepalive_timeout));
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS,
                             milliseconds_of(options.min_ping_interval));
  builder.AddChannelArgument(GRPC_ARG_MAX_CONNECTION_IDLE_MS,
                             milliseconds_of(options.max_connection_idle));
  builder.AddChannelArgument(GRPC_ARG_MAX_CONNECTION_AGE_MS,
                             milliseconds_of(options.max_connection_age));
  builder.AddChannelArgument(GRPC_ARG_MAX_CONNECTION_AGE_GRACE_MS,
                             milliseconds_of(options.max_connection_age_grace));
  if (options.max_memory > 0) {
    builder.SetResourceQuota(::grpc::ResourceQuota("podsense").Resize(options.max_memory));
  }
}

constexpr Duration kGoodbye = std::chrono::seconds(1);
constexpr Duration kGoawayAhead = std::chrono::milliseconds(20);

class ServerImpl final : public Server {
 public:
  ServerImpl(ServerOptions options, const Sources& sources)
      : options_(std::move(options)), shared_(options_, sources) {}

  ~ServerImpl() override {
    if (server_) {
      stop_accepting();
      grpc_server_cancel_all_calls(server_->c_server());
      shutdown_.join();
    }
  }
  ServerImpl(const ServerImpl&) = delete;
  ServerImpl& operator=(const ServerImpl&) = delete;

  Result<void> listen() {
    route_library_logs();
    if (options_.reflection) {
      ::grpc::reflection::InitProtoReflectionServerBuilderPlugin();
    }
    ::grpc::ServerBuilder builder;
    configure(builder, options_);
    const bool v6 = options_.host.contains(':');
    const std::string address =
        (v6 ? "[" + options_.host + "]" : options_.host) + ":" + std::to_string(options_.port);
    int port = 0;
    credentials_ = options_.certificates != nullptr ? tls_credentials(*options_.certificates)
                                                    : ::grpc::InsecureServerCredentials();
    builder.AddListeningPort(address, credentials_, &port);
    services_.push_back(make_podsense_service(shared_));
    services_.push_back(make_oip_service(shared_));
    services_.push_back(make_health_service(shared_));
    for (const auto& service : services_) {
      builder.RegisterService(service.get());
    }
    server_ = builder.BuildAndStart();
    if (!server_ || port == 0) {
      return fail(ErrorCode::kUnavailable, "cannot listen on " + address + " for gRPC");
    }
    port_ = static_cast<std::uint16_t>(port);
    return {};
  }

  [[nodiscard]] std::uint16_t port() const override { return port_; }
  [[nodiscard]] std::size_t in_flight() const override { return shared_.in_flight(); }

  void stop_accepting() override {
    if (shared_.closed.exchange(true)) {
      return;
    }
    // Sends GOAWAY and waits for every call, however long that takes.
    shutdown_ = std::jthread([this] {
      server_->Shutdown();
      const MutexLock lock(mutex_);
      shut_down_ = true;
      ended_.notify_all();
    });
    // Clients open a stream again at once: by then they should have read the GOAWAY, since the
    // library cancels what comes on an old connection after it.
    std::this_thread::sleep_for(kGoawayAhead);
    shared_.stop_streams();
  }

  /// A moment without calls is not the end: clients send calls until they have read the GOAWAY, and
  /// these are accepted. Every connection has ended when the library says so, which takes one round
  /// trip; who does not answer is waited for kGoodbye.
  bool wait_idle(Duration timeout) override {
    const Clock& clock = shared_.sources.clock;
    const Deadline deadline = Deadline::after(clock.now(), timeout);
    if (!shared_.wait_idle(timeout)) {
      return false;
    }
    {
      const Deadline goodbye =
          Deadline::after(clock.now(), std::min(kGoodbye, deadline.left(clock.now())));
      const MutexLock lock(mutex_);
      while (!shut_down_ && !goodbye.passed(clock.now())) {
        ended_.wait_for(mutex_, goodbye.left(clock.now()));
      }
    }
    return shared_.wait_idle(deadline.left(clock.now()));
  }

 private:
  const ServerOptions options_;
  Shared shared_;
  std::shared_ptr<::grpc::ServerCredentials> credentials_;  ///< asked as long as there is a server
  std::vector<std::unique_ptr<::grpc::Service>> services_;
  std::unique_ptr<::grpc::Server> server_;
  std::uint16_t port_ = 0;
  Mutex mutex_;
  CondVar ended_;
  bool shut_down_ GUARDED_BY(mutex_) = false;
  std::jthread shutdown_;
};

}  // namespace

Result<std::unique_ptr<Server>> Server::create(ServerOptions options, const Sources& sources) {
  auto server = std::make_unique<ServerImpl>(std::move(options), sources);
  if (auto listening = server->listen(); !listening) {
    return fail(std::move(listening.error()));
  }
  return server;
}

}  // namespace podsense::grpc
