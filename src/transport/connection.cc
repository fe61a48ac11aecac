#include "transport/connection.h"

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <utility>

#include "base/log.h"
#include "protocol/identity.h"
#include "transport/http1.h"
#include "transport/http2.h"

namespace podsense::transport {
namespace {

constexpr auto kToken = asio::as_tuple(asio::use_awaitable);
/// What a client still sends is read for so long, and no longer than this without a byte. As nginx
/// does: clients that write a whole body before they read lose the answer otherwise.
constexpr Duration kLingerLimit = std::chrono::seconds(30);
constexpr Duration kLingerSilence = std::chrono::seconds(5);
constexpr std::uint64_t kMostPassedOver = 128U << 20U;
/// Once the server stops.
constexpr Duration kLastLinger = std::chrono::seconds(2);
/// What a kept place may take from its begin to the end of its head.
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
  server_->registry.connection_closed();
}

asio::awaitable<void> Connection::run() {
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

/// Before any request, and held to the time of one's headers.
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
    answer_plain_http();
  }
  co_return false;
}

void Connection::answer_plain_http() {
  const Response answer = error_response({.code = ErrorCode::kInvalidArgument,
                                          .message = "this port speaks TLS: ask it with https://"},
                                         protocol::new_request_id());
  std::string text = http1_error_text(answer);
  boost::system::error_code ignored;
  stream_.socket().write_some(asio::buffer(text), ignored);
}

/// Closing with unread bytes makes the kernel send a reset, which can take the answer with it: so
/// say that no more will be sent, and read until the peer closes, or sends no more.
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
