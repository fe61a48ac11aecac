#include "transport/connection.h"

#include <sys/socket.h>

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>
#include <utility>

#include "base/log.h"
#include "protocol/identity.h"
#include "transport/http1.h"
#include "transport/http2.h"
#include "transport/listeners.h"
#include "transport/proxy_protocol.h"

namespace podsense::transport {
namespace {

constexpr auto kToken = asio::as_tuple(asio::use_awaitable);
/// How long to read what a client still sends after the answer: in total, and without a new byte.
/// As in nginx: otherwise clients that write a whole body before they read would lose the answer.
constexpr Duration kLingerLimit = std::chrono::seconds(30);
constexpr Duration kLingerSilence = std::chrono::seconds(5);
constexpr std::uint64_t kMostPassedOver = 128U << 20U;
/// The same limit while the server is stopping.
constexpr Duration kLastLinger = std::chrono::seconds(2);
/// The time limit in a kept place from the start of the connection to the end of the head.
constexpr Duration kKeptLimit = std::chrono::seconds(2);

}  // namespace

Connection::Connection(ByteStream stream, Peer peer, std::shared_ptr<ServerState> server,
                       WorkerState& worker, MemoryBudget::Share memory,
                       std::optional<Error> turned_away)
    : stream_(std::move(stream)),
      peer_(std::move(peer)),
      server_(std::move(server)),
      worker_(worker),
      memory_(std::move(memory)),
      turned_away_(std::move(turned_away)) {
  server_->registry.connection_opened();
}

Connection::~Connection() {
  protocol_.reset();
  if (placed_) {
    server_->places.leave_client(peer_.address);
  }
  server_->registry.connection_closed();
}

asio::awaitable<void> Connection::run() {
  if (peer_.trusted && server_->options.proxy_protocol) {
    const bool known = co_await read_proxy_header();
    if (!known) {
      co_await linger(true);
      co_return;
    }
  }
  if (stream_.secure()) {
    const bool shaken = co_await handshake();
    if (!shaken) {
      co_await linger(true);
      co_return;
    }
  }
  Next next = Next::kHttp2;
  if (!stream_.chose_http2()) {
    protocol_ = std::make_unique<Http1>(*this);
    next = co_await protocol_->run();
  }
  if (next == Next::kHttp2) {
    protocol_ = std::make_unique<Http2>(*this);
    next = co_await protocol_->run();
  }
  co_await linger(next == Next::kCloseUnread);
}

void Connection::enter(Phase phase, Duration limit) {
  phase_ = phase;
  expires_ = server_->clock.now() + limit;
}

void Connection::check_time(TimePoint now) {
  if (phase_ == Phase::kServing) {
    if (protocol_) {
      protocol_->check_time(now);
    }
    return;
  }
  if (now < expires_) {
    return;
  }
  boost::system::error_code ignored;
  if (phase_ == Phase::kLingering) {
    stream_.socket().close(ignored);
  } else {
    stream_.socket().cancel(ignored);
  }
}

void Connection::end_if_idle() {
  if (phase_ == Phase::kHandshake) {
    expires_ = std::min(expires_, server_->clock.now() + kHandshakeGrace);
  } else if (phase_ == Phase::kLingering) {
    expires_ = std::min(expires_, server_->clock.now() + kLastLinger);
  } else if (protocol_) {
    protocol_->end_if_idle();
  }
}

bool Connection::end_if_kept() {
  if (!turned_away_ || (protocol_ && protocol_->busy()) || !stream_.socket().is_open()) {
    return false;
  }
  boost::system::error_code ignored;
  stream_.socket().close(ignored);
  return true;
}

Duration Connection::header_limit() const {
  const Duration limit = server_->options.header_timeout;
  return turned_away_ ? std::min(limit, kKeptLimit) : limit;
}

/// Reads the PROXY header before any handshake and leaves later bytes untouched. Uses the time
/// limit of a request's headers.
asio::awaitable<bool> Connection::read_proxy_header() {
  const Duration limit = header_limit();
  enter(Phase::kHandshake, server_->stopping ? std::min(limit, kHandshakeGrace) : limit);
  ProxyHeader header;
  const int socket = stream_.socket().native_handle();
  auto& space = worker_.space;
  while (header.state() == ProxyHeader::State::kMore) {
    const auto [error] = co_await stream_.socket().async_wait(Tcp::socket::wait_read, kToken);
    const auto seen =
        error ? 0 : ::recv(socket, space.data(), space.size(), MSG_PEEK | MSG_DONTWAIT);
    if (error || seen == 0 || (seen < 0 && errno != EAGAIN)) {
      co_return false;
    }
    const std::size_t bytes = seen < 0 ? 0 : static_cast<std::size_t>(seen);
    const std::size_t taken = header.take({space.data(), bytes});
    static_cast<void>(::recv(socket, space.data(), taken, MSG_DONTWAIT));
  }
  phase_ = Phase::kServing;
  if (header.state() == ProxyHeader::State::kWrong) {
    answer_plainly(
        "this port expects a header of the PROXY protocol from the proxies that "
        "listen.trusted_proxies names (listen.proxy_protocol)");
    co_return false;
  }
  if (header.source()) {
    take_client(*header.source());
  }
  co_return true;
}

void Connection::take_client(const Tcp::endpoint& client) {
  const asio::ip::address address = plain_address(client.address());
  peer_ = {.address = address.to_string(),
           .port = client.port(),
           .trusted = server_->trusted.contains(address)};
  const std::size_t most = server_->options.max_connections_per_address;
  if (most == 0 || peer_.trusted || turned_away_) {
    return;
  }
  placed_ = server_->places.enter_client(peer_.address);
  if (!placed_) {
    server_->registry.connection_refused("per_address");
    turned_away_ = too_many_of_address(most);
  }
}

/// The TLS handshake, with the time limit of a request's headers.
asio::awaitable<bool> Connection::handshake() {
  const Duration limit = header_limit();
  enter(Phase::kHandshake, server_->stopping ? std::min(limit, kHandshakeGrace) : limit);
  const ByteStream::Handshake result = co_await stream_.handshake();
  phase_ = Phase::kServing;
  if (result.reason.empty()) {
    co_return true;
  }
  server_->registry.handshake_failed(result.reason);
  log::debug("tls_handshake_failed", {{"server", server_->options.name},
                                      {"peer", peer_.address},
                                      {"reason", result.reason},
                                      {"detail", result.detail}});
  if (result.reason == "plain_http") {
    answer_plainly("this port speaks TLS: ask it with https://");
  }
  co_return false;
}

void Connection::answer_plainly(std::string_view message) {
  const Response answer =
      error_response({.code = ErrorCode::kInvalidArgument, .message = std::string(message)},
                     protocol::new_request_id());
  std::string text = http1_error_text(answer);
  boost::system::error_code ignored;
  stream_.socket().write_some(asio::buffer(text), ignored);
}

/// If a socket is closed with unread bytes, the kernel sends a reset, and the client can lose the
/// answer. So this shuts down sending and reads until the peer closes or stops sending.
asio::awaitable<void> Connection::linger(bool unread) {
  boost::system::error_code ignored;
  Tcp::socket& socket = stream_.socket();
  stream_.end_sending(ignored);
  if (!ignored && (unread || socket.available(ignored) > 0)) {
    TimePoint end = server_->clock.now() + kLingerLimit;
    bool last = false;
    for (std::uint64_t passed_over = 0; passed_over < kMostPassedOver;) {
      const TimePoint now = server_->clock.now();
      if (server_->stopping && !std::exchange(last, true)) {
        end = std::min(end, now + kLastLinger);
      }
      enter(Phase::kLingering, std::min<Duration>(end - now, kLingerSilence));
      const auto space = asio::buffer(worker_.space);
      const auto [error, count] = co_await socket.async_read_some(space, kToken);
      if (error || count == 0) {
        break;
      }
      passed_over += count;
    }
  }
  socket.close(ignored);
}

}  // namespace podsense::transport
