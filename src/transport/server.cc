#include "transport/server.h"

#include <fcntl.h>
#include <linux/filter.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <ctime>
#include <list>
#include <thread>
#include <utility>

#include "base/crash.h"
#include "base/log.h"
#include "base/mutex.h"
#include "protocol/identity.h"
#include "transport/http1.h"
#include "transport/listeners.h"
#include "transport/worker.h"

namespace podsense::transport {

class Workers {
 public:
  Workers(const Clock& clock, const ServerOptions& options) {
    for (unsigned i = 0; i < std::max(1U, options.threads); ++i) {
      all_.push_back(std::make_unique<Worker>(clock, options.name, options.memory));
    }
  }
  ~Workers() { stop(); }
  Workers(const Workers&) = delete;
  Workers& operator=(const Workers&) = delete;

  /// The worker that runs the listeners and the connections in kept places.
  Worker& first() { return *all_.front(); }
  std::vector<std::unique_ptr<Worker>>& all() { return all_; }
  void start() {
    if (!std::exchange(started_, true)) {
      for (auto& worker : all_) {
        worker->start();
      }
    }
  }
  /// When this returns, no thread runs any more.
  void stop() {
    for (auto& worker : all_) {
      worker->stop();
    }
    for (auto& worker : all_) {
      worker->join();
    }
  }

 private:
  std::vector<std::unique_ptr<Worker>> all_;
  bool started_ = false;
};

namespace {

constexpr auto kToken = asio::as_tuple(asio::use_awaitable);
constexpr Duration kAcceptPause = std::chrono::milliseconds(20);
/// Time for TCP handshakes under way to finish; a round trip inside a cluster is much shorter.
constexpr Duration kHandshake = std::chrono::milliseconds(10);

/// Makes the kernel drop every SYN to this listener. A client sends it again after a second and
/// then finds the port closed; handshakes under way still complete.
/// @source packet(7), SO_ATTACH_FILTER; RFC 9293 3.1: byte 13 of a TCP header holds SYN as bit 1
/// False: the system does not support the filter, as in gVisor.
bool refuse_handshakes(int listener) {
  std::array<sock_filter, 4> code{
      {BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 13), BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, 2, 0, 1),
       BPF_STMT(BPF_RET | BPF_K, 0), BPF_STMT(BPF_RET | BPF_K, 0xFFFFFFFF)}};
  const sock_fprog program{.len = code.size(), .filter = code.data()};
  return ::setsockopt(listener, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) == 0;
}

/// Bytes that a connection costs, including what it has read of a head; measured as resident memory
/// of 1,000 to 7,000 idle connections.
constexpr std::uint64_t kPlainBytes = 12U << 10U;
constexpr std::uint64_t kTlsBytes = 40U << 10U;

class ServerImpl final : public Server {
 public:
  /// `workers`: those of another server; null: creates its own.
  ServerImpl(ServerOptions options, std::shared_ptr<Workers> workers, const Router& router,
             metrics::Registry& registry, const Clock& clock)
      : state_(std::make_shared<ServerState>(std::move(options), router, registry, clock)),
        options_(state_->options),
        workers_(workers ? std::move(workers) : std::make_shared<Workers>(clock, options_)),
        sessions_(options_.certificates) {
    reserve_ = open_reserve();
  }
  ~ServerImpl() override {
    workers_->stop();
    if (reserve_ >= 0) {
      ::close(reserve_);
    }
  }
  ServerImpl(const ServerImpl&) = delete;
  ServerImpl& operator=(const ServerImpl&) = delete;

  Result<void> listen() {
    auto trusted = Networks::parse(options_.trusted_proxies);
    if (!trusted) {
      return fail(std::move(trusted.error()));
    }
    state_->trusted = std::move(*trusted);
    auto& context = workers_->first().context();
    auto opened = options_.listener >= 0 ? take_listener(context, options_.listener, options_.name)
                                         : open_listeners(context, options_.hosts, options_.port);
    if (!opened) {
      return fail(std::move(opened.error()));
    }
    acceptors_ = std::move(*opened);
    accepting_ = acceptors_.size();
    port_ = acceptors_.front().local_endpoint().port();
    return {};
  }

  void start() override {
    for (std::size_t listener = 0; listener < acceptors_.size(); ++listener) {
      asio::co_spawn(
          workers_->first().context(), accept_all(listener),
          [this](const std::exception_ptr& thrown) {
            --accepting_;  // only now: an accepted connection may still be on its way to `admit`
            tell_idle();
            if (thrown) {
              log::error("accepting_ended_by_exception", {{"server", options_.name}});
            }
          });
    }
    workers_->start();
  }
  [[nodiscard]] std::uint16_t port() const override { return port_; }

  void announce_close() override { state_->closing = true; }

  void stop_accepting() override {
    state_->closing = true;
    state_->stopping = true;
    asio::co_spawn(workers_->first().context(), close_listeners(), [](const std::exception_ptr&) {
      // `accept_all` ends when its listener does, and `wait_idle` waits for that.
    });
    for (auto& worker : workers_->all()) {
      asio::post(worker->context(),
                 [mine = worker.get(), state = state_] { mine->end_idle(*state); });
    }
  }

  bool wait_idle(Duration timeout) override {
    const Deadline deadline = Deadline::after(state_->clock.now(), timeout);
    const MutexLock lock(idle_mutex_);
    // Wait for connections, not requests: a request may have arrived whose first byte is not read
    // yet.
    while ((accepting_ > 0 || open_ > 0) && !deadline.passed(state_->clock.now())) {
      idle_.wait_for(idle_mutex_, deadline.left(state_->clock.now()));
    }
    return state_->in_flight == 0;
  }
  [[nodiscard]] std::size_t in_flight() const override { return state_->in_flight; }

 private:
  asio::awaitable<void> accept_all(std::size_t listener) {
    Acceptor& acceptor = acceptors_[listener];
    for (;;) {
      Worker& worker = next_worker();
      auto [error, socket] = co_await acceptor.async_accept(worker.context(), kToken);
      if (error && !acceptor.is_open()) {
        co_return;
      }
      if (error) {
        refuse_accept(acceptor, error);
        asio::steady_timer pause(workers_->first().context(), kAcceptPause);
        co_await pause.async_wait(kToken);
        continue;
      }
      admit(worker, std::move(socket));
      if (!acceptor.is_open()) {
        co_return;
      }
    }
  }

  /// @threads the first worker's
  Worker& next_worker() {
    const auto& all = workers_->all();
    return *all[next_worker_++ % all.size()];
  }

  /// When a listener closes, the kernel resets connections that are established but not accepted.
  /// So this blocks new handshakes, gives those under way a moment, and accepts all connections.
  asio::awaitable<void> close_listeners() {
    if (options_.listener >= 0) {
      // The process that handed in the socket keeps it open, so the next process can accept the
      // waiting connections.
      boost::system::error_code ignored;
      acceptors_.front().close(ignored);
      co_return;
    }
    bool refused = true;
    int reason = 0;
    for (Acceptor& acceptor : acceptors_) {
      if (!refuse_handshakes(acceptor.native_handle())) {
        refused = false;
        reason = errno;
      }
    }
    asio::steady_timer moment(workers_->first().context(), kHandshake);
    co_await moment.async_wait(kToken);
    std::size_t accepted = 0;
    for (Acceptor& acceptor : acceptors_) {
      accepted += accept_rest(acceptor);
      boost::system::error_code ignored;
      acceptor.close(ignored);
    }
    // Without new connections in that moment, none is reset either.
    if (accepted > 0 && !refused) {
      log::warning("listener_filter_refused",
                   {{"server", options_.name},
                    {"reason", std::generic_category().message(reason)},
                    {"message", "clients that connected as the port closed may have been reset"}});
    }
  }

  std::size_t accept_rest(Acceptor& acceptor) {
    std::size_t accepted = 0;
    boost::system::error_code error;
    acceptor.non_blocking(true, error);
    while (!error) {
      Worker& worker = next_worker();
      Tcp::socket socket = acceptor.accept(worker.context(), error);
      if (!error) {
        admit(worker, std::move(socket));
        ++accepted;
      }
    }
    return accepted;
  }

  void tell_idle() {
    const MutexLock lock(idle_mutex_);
    idle_.notify_all();
  }

  /// Without free descriptors the listener would spin on the same connection. The spare descriptor
  /// is used to accept it and to answer, so that the client gets an error at once.
  void refuse_accept(Acceptor& acceptor, const boost::system::error_code& error) {
    state_->registry.connection_refused("descriptors");
    log::error("accept_failed", {{"server", options_.name}, {"reason", error.message()}});
    const bool exhausted = error == asio::error::no_descriptors ||
                           error == boost::system::errc::too_many_files_open_in_system;
    if (exhausted && reserve_ >= 0) {
      ::close(reserve_);
      const int refused = ::accept4(acceptor.native_handle(), nullptr, nullptr, SOCK_CLOEXEC);
      if (refused >= 0) {
        answer_busy(refused);
        ::close(refused);
      }
      reserve_ = open_reserve();
    }
  }

  static int open_reserve() { return ::open("/dev/null", O_RDONLY | O_CLOEXEC); }

  /// Answers a connection for which there is no place: reads what it has sent, so that closing does
  /// not cause a reset, and sends the reason in one packet.
  void answer_busy(int socket) const {
    if (sessions_.on()) {
      return;  // the client expects a handshake
    }
    std::array<char, 4096> waste;
    while (::recv(socket, waste.data(), waste.size(), MSG_DONTWAIT) > 0) {
    }
    const std::string text = busy_text();
    [[maybe_unused]] const auto sent =
        ::send(socket, text.data(), text.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    ::shutdown(socket, SHUT_WR);
  }

  static std::string busy_text() {
    return http1_error_text(
        error_response({.code = ErrorCode::kOverloaded,
                        .message = "the server has as many connections as it takes"},
                       protocol::new_request_id()));
  }

  [[nodiscard]] Error no_place(std::string_view reason) const {
    if (reason == "per_address") {
      return too_many_of_address(options_.max_connections_per_address);
    }
    if (reason == "memory") {
      return {.code = ErrorCode::kOverloaded,
              .message = "the server is short of memory and takes no more connections now"};
    }
    return {.code = ErrorCode::kOverloaded,
            .message = "the server has as many connections as it takes"};
  }

  /// @threads the first worker's
  void admit(Worker& worker, Tcp::socket socket) {
    boost::system::error_code error;
    const Tcp::endpoint remote = socket.remote_endpoint(error);
    if (error) {
      return;  // already gone
    }
    const asio::ip::address address = plain_address(remote.address());
    const bool trusted = !state_->trusted.empty() && state_->trusted.contains(address);
    const std::string peer = address.to_string();
    if (reserve_ < 0) {
      reserve_ = open_reserve();
    }
    Places& places = state_->places;
    auto memory = MemoryBudget::share(options_.memory, MemoryUse::kConnections);
    const bool has_memory = memory.grow_to(sessions_.on() ? kTlsBytes : kPlainBytes).has_value();
    Place place = places.enter(peer, socket.native_handle(), has_memory, trusted);
    if (place.kind != Place::Kind::kOrdinary) {
      state_->registry.connection_refused(place.reason);
    }
    if (place.kind == Place::Kind::kNone && workers_->first().end_oldest_kept(*state_)) {
      // A probe sends its request at once, so the connection that was ended is no probe's.
      place = places.enter_kept(place.reason);
    }
    if (place.kind == Place::Kind::kNone) {
      return answer_busy(socket.native_handle());
    }
    // Connections in kept places run on this thread, so it can end them to make room.
    const bool kept = place.kind == Place::Kind::kKept;
    Worker& home = kept ? workers_->first() : worker;
    if (kept && &home != &worker) {
      const Tcp protocol = socket.local_endpoint(error).protocol();
      socket = Tcp::socket(home.context(), protocol, socket.release());
    }
    TlsSession tls = sessions_.make(socket.native_handle());
    if (sessions_.on() && !tls) {
      places.leave(place, peer);
      return state_->registry.connection_refused("memory");
    }
    ++open_;
    socket.set_option(Tcp::no_delay(true), error);
    socket.non_blocking(true, error);
    auto connection = std::make_shared<Connection>(
        ByteStream(std::move(socket), std::move(tls)),
        Peer{.address = peer, .port = remote.port(), .trusted = trusted}, state_, home.state(),
        std::move(memory), kept ? std::optional(no_place(place.reason)) : std::nullopt);
    asio::co_spawn(home.context(), home.serve(std::move(connection)),
                   [this, peer, place](const std::exception_ptr& thrown) {
                     state_->places.leave(place, peer);
                     if (--open_ == 0 && state_->stopping) {
                       tell_idle();
                     }
                     if (thrown) {
                       log::error("connection_ended_by_exception", {{"server", options_.name}});
                     }
                   });
  }

  [[nodiscard]] std::shared_ptr<Workers> workers() const override { return workers_; }

  const std::shared_ptr<ServerState> state_;
  const ServerOptions& options_;
  const std::shared_ptr<Workers> workers_;
  TlsSessions sessions_;             // used by the first worker
  std::vector<Acceptor> acceptors_;  // on the first worker
  std::size_t next_worker_ = 0;      // as the one above
  std::uint16_t port_ = 0;
  int reserve_ = -1;
  std::atomic<std::size_t> open_{0};
  std::atomic<std::size_t> accepting_{0};  // listeners
  Mutex idle_mutex_;
  CondVar idle_;
};

}  // namespace

namespace {

Result<std::unique_ptr<Server>> listening(std::unique_ptr<ServerImpl> server) {
  if (auto listens = server->listen(); !listens) {
    return fail(std::move(listens.error()));
  }
  return server;
}

}  // namespace

Result<std::unique_ptr<Server>> Server::create(ServerOptions options, const Router& router,
                                               metrics::Registry& registry, const Clock& clock) {
  return listening(
      std::make_unique<ServerImpl>(std::move(options), nullptr, router, registry, clock));
}

Result<std::unique_ptr<Server>> Server::create_beside(Server& other, ServerOptions options,
                                                      const Router& router,
                                                      metrics::Registry& registry,
                                                      const Clock& clock) {
  return listening(
      std::make_unique<ServerImpl>(std::move(options), other.workers(), router, registry, clock));
}

}  // namespace podsense::transport
