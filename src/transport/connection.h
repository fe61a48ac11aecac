#pragma once

/// One client connection from its handshake to its end. Which version of HTTP it speaks is decided
/// by TLS (ALPN) or by its first bytes; that version's HttpProtocol then does the work.
///
/// Time limits cost nothing per request: a protocol notes when its phase ends, and the worker's
/// sweep looks at all connections a few times a second.
/// @threads confined to its worker's thread

#include <boost/asio/awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "transport/byte_stream.h"
#include "transport/exchange.h"

namespace podsense::transport {

/// A connection on which no request has come yet may bring its first one this long after the drain
/// began: its client could not know.
inline constexpr Duration kFreshGrace = std::chrono::milliseconds(250);
/// And a TLS handshake this long.
inline constexpr Duration kHandshakeGrace = std::chrono::seconds(1);

/// How a connection went, and what comes next.
enum class Next : std::uint8_t {
  kClose,
  kCloseUnread,  ///< the peer may still be sending
  kHttp2,        ///< its first bytes are those of HTTP/2
};

/// One version of HTTP on a connection, which outlives it.
class HttpProtocol {
 public:
  virtual ~Protocol() = default;

  /// Answers requests until the connection is to be closed.
  virtual asio::awaitable<Next> run() = 0;
  /// From the worker's sweep.
  virtual void check_time(TimePoint now) = 0;
  /// The drain has begun: ends what waits for a request; soon, if it waits for its first.
  virtual void end_if_idle() = 0;
  /// Whether an answer is being made.
  [[nodiscard]] virtual bool busy() const = 0;
  /// The most bytes of a body that has not grown for a second; 0: there is none such.
  [[nodiscard]] virtual std::uint64_t held_idle(TimePoint now) const = 0;
  /// The rest of that body is not waited for any longer.
  virtual void end_body(TimePoint now) = 0;
};

class Connection : public std::enable_shared_from_this<Connection> {
 public:
  /// `memory`: in which the connection itself is counted. `turned_away`: there is only a place for
  /// probes; the answer to its first request, if that is no probe; it then ends.
  /// `peer`: a trusted one begins with a header of the PROXY protocol where the server wants that.
  Connection(ByteStream stream, Peer peer, std::shared_ptr<ServerState> server, WorkerState& worker,
             MemoryBudget::Share memory, std::optional<Error> turned_away);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  /// The whole life; ends when the connection does. Keep a shared_ptr until then.
  asio::awaitable<void> run();

  // What the worker's sweep and the drain ask; see HttpProtocol.
  void check_time(TimePoint now);
  void end_if_idle();
  /// Ends one that has a kept place, unless its answer is being made. False: there is nothing to
  /// end.
  bool end_if_kept();
  [[nodiscard]] std::uint64_t held_idle(TimePoint now) const {
    return protocol_ ? protocol_->held_idle(now) : 0;
  }
  void end_body(TimePoint now) {
    if (protocol_) {
      protocol_->end_body(now);
    }
  }

  // What a protocol works with.
  [[nodiscard]] ByteStream& stream() { return stream_; }
  [[nodiscard]] boost::beast::flat_buffer& buffer() { return buffer_; }
  [[nodiscard]] const Peer& peer() const { return peer_; }
  [[nodiscard]] ServerState& server() const { return *server_; }
  [[nodiscard]] WorkerState& worker() const { return worker_; }
  [[nodiscard]] const std::optional<Error>& turned_away() const { return turned_away_; }
  /// Of a request's head, from its first byte.
  [[nodiscard]] Duration header_limit() const;
  /// What the connection costs besides its first bytes; false: there is not so much memory.
  [[nodiscard]] bool take_memory(std::uint64_t bytes) { return memory_.grow_to(bytes).has_value(); }

 private:
  enum class Phase : std::uint8_t { kHandshake, kServing, kLingering };

  asio::awaitable<bool> read_proxy_header();
  void take_client(const Tcp::endpoint& client);
  asio::awaitable<bool> handshake();
  void answer_plainly(std::string_view message);
  asio::awaitable<void> linger(bool unread);
  void enter(Phase phase, Duration limit);

  ByteStream stream_;
  Peer peer_;            ///< changes no more once requests come
  bool placed_ = false;  ///< counted as one of the client's that a PROXY header has named
  const std::shared_ptr<ServerState> server_;
  WorkerState& worker_;
  MemoryBudget::Share memory_;
  std::optional<Error> turned_away_;
  boost::beast::flat_buffer buffer_;  ///< read, and not yet used
  std::unique_ptr<HttpProtocol> protocol_;
  Phase phase_ = Phase::kServing;
  TimePoint expires_ = TimePoint::max();  ///< of the handshake, or of lingering
};

}  // namespace podsense::transport
