#include "http/server.h"

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
#include "http/connection.h"
#include "http/places.h"
#include "protocol/identity.h"

namespace podsense::http {
namespace {

constexpr auto kToken = asio::as_tuple(asio::use_awaitable);
constexpr Duration kSweep = std::chrono::milliseconds(250);
constexpr int kSweepsPerSecond = 4;
constexpr Duration kAcceptPause = std::chrono::milliseconds(20);
/// What a handshake under way may need to end; a cluster's round trip is well below.
constexpr Duration kHandshake = std::chrono::milliseconds(10);

/// Has the kernel drop every SYN that comes to this listener. A client sends it again after a
/// second, and finds the port closed; handshakes that are under way still end well.
/// @source packet(7), SO_ATTACH_FILTER; RFC 9293 3.1: byte 13 of a TCP header holds SYN as bit 1
void refuse_handshakes(int listener) {
  std::array<sock_filter, 4> code{
      {BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 13), BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, 2, 0, 1),
       BPF_STMT(BPF_RET | BPF_K, 0), BPF_STMT(BPF_RET | BPF_K, 0xFFFFFFFF)}};
  const sock_fprog program{.len = code.size(), .filter = code.data()};
  if (::setsockopt(listener, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) != 0) {
    log::warning("listener_filter_refused", {{"errno", errno}});
  }
}

/// What a connection costs by itself, with what it has read of a head; measured: resident memory of
/// 1,000 to 7,000 idle ones.
constexpr std::uint64_t kPlainBytes = 12U << 10U;
constexpr std::uint64_t kTlsBytes = 40U << 10U;

/// One I/O thread and the connections that live on it.
class Worker {
 public:
  Worker(const Clock& clock, const ServerOptions& options)
      : clock_(clock), name_(options.name), memory_(options.memory) {
    set_date();
  }

  asio::io_context& context() { return context_; }
  WorkerState& state() { return state_; }

  void start() {
    sweep();
    thread_ = std::jthread([this] { run(); });
  }
  void stop() { context_.stop(); }
  void join() {
    if (thread_.joinable()) {
      thread_.join();
    }
  }

  /// @threads this worker's
  asio::awaitable<void> serve(std::shared_ptr<Connection> connection) {
    const Listed listed(connections_, connection.get());
    co_await connection->run();
  }
  /// @threads this worker's
  bool end_oldest_kept() {
    return std::ranges::any_of(connections_,
                               [](Connection* connection) { return connection->end_if_kept(); });
  }
  void end_idle() {
    for (Connection* connection : connections_) {
      connection->end_if_idle();
    }
  }

 private:
  /// A connection that ends by an exception (no memory) must not be swept either.
  class Listed {
   public:
    Listed(std::list<Connection*>& all, Connection* connection)
        : all_(all), place_(all.insert(all.end(), connection)) {}
    ~Listed() { all_.erase(place_); }
    Listed(const Listed&) = delete;
    Listed& operator=(const Listed&) = delete;

   private:
    std::list<Connection*>& all_;
    std::list<Connection*>::iterator place_;
  };

  /// What was posted by a handler runs after those that are ready, and before the loop waits.
  void post_turn_end() {
    asio::post(context_, [this] {
      state_.turn.end(clock_);
      auto resumed = std::exchange(state_.resumed_by_turn, {});
      for (auto& resume : resumed) {
        resume();
      }
    });
  }
  /// What a handler throws, for lack of memory say, ends that handler alone.
  void run() {
    const crash::Thread me(name_ == "admin" ? "admin" : "http");
    for (;;) {
      try {
        context_.run();
        return;
      } catch (const std::exception& thrown) {
        log::error("io_handler_failed", {{"server", name_}, {"reason", thrown.what()}});
      }
    }
  }
  void sweep() {
    sweeper_.expires_after(kSweep);
    sweeper_.async_wait([this](const boost::system::error_code& error) {
      if (error) {
        return;
      }
      set_date();
      const TimePoint now = clock_.now();
      for (Connection* connection : connections_) {
        connection->check_time(now);
      }
      make_room(now);
      if (++sweeps_ % kSweepsPerSecond == 0) {
        sum_up_unlogged();
      }
      sweep();
    });
  }
  /// Where memory was short since the last look: who holds the most and sends nothing ends first.
  void make_room(TimePoint now) {
    const std::uint64_t refused = memory_ == nullptr ? 0 : memory_->refused();
    if (std::exchange(refused_, refused) == refused) {
      return;
    }
    Connection* largest = nullptr;
    std::uint64_t most = 0;
    for (Connection* connection : connections_) {
      if (const std::uint64_t held = connection->held_idle(now); held > most) {
        most = held;
        largest = connection;
      }
    }
    if (largest != nullptr) {
      largest->end_body();
    }
  }
  void sum_up_unlogged() {
    for (const WorkerState::LogBudget& budget : state_.log_budgets) {
      if (budget.unlogged > 0 && budget.status == 0) {
        log::info("requests_not_logged", {{"server", name_}, {"count", budget.unlogged}});
      } else if (budget.unlogged > 0) {
        log::info("requests_not_logged",
                  {{"server", name_}, {"status", budget.status}, {"count", budget.unlogged}});
      }
    }
    state_.log_budgets.clear();
  }
  void set_date() {
    const std::time_t now = std::time(nullptr);
    std::tm parts{};
    gmtime_r(&now, &parts);
    std::array<char, 64> text;  // names of days and months as in the C locale, which we never leave
    state_.date.assign(
        text.data(), std::strftime(text.data(), text.size(), "%a, %d %b %Y %H:%M:%S GMT", &parts));
  }

  const Clock& clock_;
  const std::string& name_;
  std::list<Connection*> connections_;  ///< outlives the coroutines, which go with the context
  asio::io_context context_{1};
  asio::executor_work_guard<asio::io_context::executor_type> guard_{context_.get_executor()};
  asio::steady_timer sweeper_{context_};
  WorkerState state_{.turn = inference::Turn([this] { post_turn_end(); }), .resumed_by_turn = {}};
  int sweeps_ = 0;
  MemoryBudget* const memory_;  ///< null: none
  std::uint64_t refused_ = 0;   ///< of it, at the last look
  std::jthread thread_;
};

class ServerImpl final : public Server {
 public:
  ServerImpl(ServerOptions options, const Router& router, metrics::Registry& registry,
             const Clock& clock)
      : options_(std::move(options)),
        shared_{.options = options_, .router = router, .registry = registry, .clock = clock},
        sessions_(options_.certificates),
        places_({.most = options_.max_connections,
                 .per_address = options_.max_connections_per_address,
                 .kept = options_.kept_connections,
                 .most_descriptor = options_.most_descriptor}) {
    for (unsigned i = 0; i < std::max(1U, options_.threads); ++i) {
      workers_.push_back(std::make_unique<Worker>(clock, options_));
    }
    acceptor_.emplace(workers_[0]->context());
    reserve_ = open_reserve();
  }
  ~ServerImpl() override {
    for (auto& worker : workers_) {
      worker->stop();
    }
    for (auto& worker : workers_) {
      worker->join();
    }
    if (reserve_ >= 0) {
      ::close(reserve_);
    }
  }
  ServerImpl(const ServerImpl&) = delete;
  ServerImpl& operator=(const ServerImpl&) = delete;

  Result<void> listen() {
    boost::system::error_code error;
    const auto address = asio::ip::make_address(options_.host, error);
    if (error) {
      return fail(ErrorCode::kUnavailable, "'" + options_.host + "' is no IP address to listen on");
    }
    const Tcp::endpoint endpoint(address, options_.port);
    acceptor_->open(endpoint.protocol(), error);
    if (!error) {
      acceptor_->set_option(Tcp::acceptor::reuse_address(true), error);
      acceptor_->bind(endpoint, error);
    }
    if (!error) {
      acceptor_->listen(4096, error);
    }
    if (error) {
      return fail(ErrorCode::kUnavailable, "cannot listen on " + options_.host + ":" +
                                               std::to_string(options_.port) + ": " +
                                               error.message());
    }
    port_ = acceptor_->local_endpoint(error).port();
    return {};
  }

  void start() override {
    asio::co_spawn(workers_[0]->context(), accept_all(), [this](const std::exception_ptr& thrown) {
      accepting_ = false;  // not before: one that was accepted may be on its way to `admit`
      tell_idle();
      if (thrown) {
        log::error("accepting_ended_by_exception", {{"server", options_.name}});
      }
    });
    for (auto& worker : workers_) {
      worker->start();
    }
  }
  [[nodiscard]] std::uint16_t port() const override { return port_; }

  void announce_close() override { shared_.closing = true; }

  void stop_accepting() override {
    shared_.closing = true;
    shared_.stopping = true;
    asio::co_spawn(workers_[0]->context(), close_listener(), [](const std::exception_ptr&) {
      // `accept_all` ends when the listener does, and `wait_idle` waits for that.
    });
    for (auto& worker : workers_) {
      asio::post(worker->context(), [mine = worker.get()] { mine->end_idle(); });
    }
  }

  bool wait_idle(Duration timeout) override {
    const Deadline deadline = Deadline::after(shared_.clock.now(), timeout);
    const MutexLock lock(idle_mutex_);
    // Connections, not requests: one may have come whose first byte is not read yet.
    while ((accepting_ || open_ > 0) && !deadline.passed(shared_.clock.now())) {
      idle_.wait_for(idle_mutex_, deadline.left(shared_.clock.now()));
    }
    return shared_.in_flight == 0;
  }
  [[nodiscard]] std::size_t in_flight() const override { return shared_.in_flight; }

 private:
  asio::awaitable<void> accept_all() {
    for (std::size_t next = 0;; ++next) {
      Worker& worker = *workers_[next % workers_.size()];
      auto [error, socket] = co_await acceptor_->async_accept(worker.context(), kToken);
      if (error && !acceptor_->is_open()) {
        co_return;
      }
      if (error) {
        refuse_accept(error);
        asio::steady_timer pause(workers_[0]->context(), kAcceptPause);
        co_await pause.async_wait(kToken);
        continue;
      }
      admit(worker, std::move(socket));
      if (!acceptor_->is_open()) {
        co_return;
      }
    }
  }

  /// A connection that the kernel has made and nobody has accepted is reset when the listener
  /// closes: so no new one is begun, those on their way get a moment, and all are accepted.
  asio::awaitable<void> close_listener() {
    refuse_handshakes(acceptor_->native_handle());
    asio::steady_timer moment(workers_[0]->context(), kHandshake);
    co_await moment.async_wait(kToken);
    accept_rest();
    boost::system::error_code ignored;
    acceptor_->close(ignored);
  }

  void accept_rest() {
    boost::system::error_code error;
    acceptor_->non_blocking(true, error);
    for (std::size_t next = 0; !error; ++next) {
      Worker& worker = *workers_[next % workers_.size()];
      Tcp::socket socket = acceptor_->accept(worker.context(), error);
      if (!error) {
        admit(worker, std::move(socket));
      }
    }
  }

  void tell_idle() {
    const MutexLock lock(idle_mutex_);
    idle_.notify_all();
  }

  /// Out of descriptors the listener would spin on the same connection: the spare one is spent to
  /// take it and to answer, so that the client learns at once.
  void refuse_accept(const boost::system::error_code& error) {
    shared_.registry.connection_refused("descriptors");
    log::error("accept_failed", {{"server", options_.name}, {"reason", error.message()}});
    const bool exhausted = error == asio::error::no_descriptors ||
                           error == boost::system::errc::too_many_files_open_in_system;
    if (exhausted && reserve_ >= 0) {
      ::close(reserve_);
      const int refused = ::accept4(acceptor_->native_handle(), nullptr, nullptr, SOCK_CLOEXEC);
      if (refused >= 0) {
        answer_busy(refused);
        ::close(refused);
      }
      reserve_ = open_reserve();
    }
  }

  static int open_reserve() { return ::open("/dev/null", O_RDONLY | O_CLOEXEC); }

  /// All that can be done for a connection for which there is no place: what it has sent is read,
  /// so that closing resets nothing, and one packet says why.
  void answer_busy(int socket) const {
    if (sessions_.on()) {
      return;  // it waits for a handshake
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
    const Response response =
        error_response({.code = ErrorCode::kOverloaded,
                        .message = "the server has as many connections as it takes"},
                       protocol::new_request_id());
    return "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\n"
           "Content-Length: " +
           std::to_string(response.body.size()) +
           "\r\nRetry-After: 1\r\nConnection: close\r\n\r\n" + response.body;
  }

  [[nodiscard]] Error no_place(std::string_view reason) const {
    if (reason == "per_address") {
      return {.code = ErrorCode::kOverloaded,
              .message = "this address has " +
                         std::to_string(options_.max_connections_per_address) +
                         " connections open, and no more are accepted"};
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
    const std::string peer = socket.remote_endpoint(error).address().to_string();
    if (error) {
      return;  // already gone
    }
    if (reserve_ < 0) {
      reserve_ = open_reserve();
    }
    auto memory = MemoryBudget::share(options_.memory, MemoryUse::kConnections);
    const bool has_memory = memory.grow_to(sessions_.on() ? kTlsBytes : kPlainBytes).has_value();
    Place place = places_.enter(peer, socket.native_handle(), has_memory);
    if (place.kind != Place::Kind::kOrdinary) {
      shared_.registry.connection_refused(place.reason);
    }
    if (place.kind == Place::Kind::kNone && workers_[0]->end_oldest_kept()) {
      place = places_.enter_kept(place.reason);  // a probe asks at once: who has not is no probe
    }
    if (place.kind == Place::Kind::kNone) {
      return answer_busy(socket.native_handle());
    }
    // Those that are kept live on this thread, which can end them to make room.
    const bool kept = place.kind == Place::Kind::kKept;
    Worker& home = kept ? *workers_[0] : worker;
    if (kept && &home != &worker) {
      const Tcp protocol = socket.local_endpoint(error).protocol();
      socket = Tcp::socket(home.context(), protocol, socket.release());
    }
    TlsSession tls = sessions_.make(socket.native_handle());
    if (sessions_.on() && !tls) {
      places_.leave(place, peer);
      return shared_.registry.connection_refused("memory");
    }
    ++open_;
    socket.set_option(Tcp::no_delay(true), error);
    socket.non_blocking(true, error);
    auto connection = std::make_shared<Connection>(
        Transport(std::move(socket), std::move(tls)), peer, shared_, home.state(),
        std::move(memory), kept ? std::optional(no_place(place.reason)) : std::nullopt);
    asio::co_spawn(home.context(), home.serve(std::move(connection)),
                   [this, peer, place](const std::exception_ptr& thrown) {
                     places_.leave(place, peer);
                     if (--open_ == 0 && shared_.stopping) {
                       tell_idle();
                     }
                     if (thrown) {
                       log::error("connection_ended_by_exception", {{"server", options_.name}});
                     }
                   });
  }

  const ServerOptions options_;
  Shared shared_;
  std::vector<std::unique_ptr<Worker>> workers_;
  TlsSessions sessions_;                   // used by the first worker
  std::optional<Tcp::acceptor> acceptor_;  // on the first worker
  std::uint16_t port_ = 0;
  int reserve_ = -1;
  std::atomic<std::size_t> open_{0};
  std::atomic<bool> accepting_{true};
  Places places_;
  Mutex idle_mutex_;
  CondVar idle_;
};

}  // namespace

Result<std::unique_ptr<Server>> Server::create(ServerOptions options, const Router& router,
                                               metrics::Registry& registry, const Clock& clock) {
  auto server = std::make_unique<ServerImpl>(std::move(options), router, registry, clock);
  if (auto listening = server->listen(); !listening) {
    return fail(std::move(listening.error()));
  }
  return server;
}

}  // namespace podsense::http
