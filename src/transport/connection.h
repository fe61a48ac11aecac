#pragma once

/// One client connection from its handshake to its end. TLS (ALPN) or the first bytes decide the
/// HTTP version; the HttpProtocol of that version then does the work.
///
/// Time limits need no timer per request: a protocol notes when its phase ends, and the worker's
/// sweep checks all connections a few times per second.
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

/// After the drain begins, a connection without a request so far has this long to send its first
/// one, because its client could not know of the drain.
inline constexpr Duration kFreshGrace = std::chrono::milliseconds(250);
/// After the drain begins, a TLS handshake has this long.
inline constexpr Duration kHandshakeGrace = std::chrono::seconds(1);

/// What to do with a connection after its protocol ends.
enum class Next : std::uint8_t {
  kClose,
  kCloseUnread,  ///< the peer may still be sending
  kHttp2,        ///< its first bytes are those of HTTP/2
};

/// One version of HTTP on a connection, which outlives it.
class HttpProtocol {
 public:
  virtual ~HttpProtocol() = default;

  /// Answers requests until the connection must be closed.
  virtual asio::awaitable<Next> run() = 0;
  /// Enforces time limits; called by the worker's sweep.
  virtual void check_time(TimePoint now) = 0;
  /// Called when the drain begins. Ends the connection if it waits for a request; one that waits
  /// for its first request gets a grace period.
  virtual void end_if_idle() = 0;
  /// Whether a request is being answered.
  [[nodiscard]] virtual bool busy() const = 0;
  /// Bytes counted for the largest body that has not grown for a second; 0: there is no such body.
  [[nodiscard]] virtual std::uint64_t held_idle(TimePoint now) const = 0;
  /// Stops waiting for the rest of that body.
  virtual void end_body(TimePoint now) = 0;
};

class Connection : public std::enable_shared_from_this<Connection> {
 public:
  /// `memory`: counts the connection itself. `turned_away`: set if the connection has a place
  /// reserved for probes; the answer to its first request unless that is a probe. The connection
  /// then ends. `peer`: a trusted peer begins with a PROXY protocol header if the server is
  /// configured so.
  Connection(ByteStream stream, Peer peer, std::shared_ptr<ServerState> server, WorkerState& worker,
             MemoryBudget::Share memory, std::optional<Error> turned_away);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  /// Runs the connection until it ends. Keep a shared_ptr until then.
  asio::awaitable<void> run();

  // Called by the worker's sweep and the drain; see HttpProtocol.
  void check_time(TimePoint now);
  void end_if_idle();
  /// Ends the connection if it has a kept place and no request is being answered. False: it goes
  /// on.
  bool end_if_kept();
  [[nodiscard]] std::uint64_t held_idle(TimePoint now) const {
    return protocol_ ? protocol_->held_idle(now) : 0;
  }
  void end_body(TimePoint now) {
    if (protocol_) {
      protocol_->end_body(now);
    }
  }

  // Used by the protocols.
  [[nodiscard]] ByteStream& stream() { return stream_; }
  [[nodiscard]] boost::beast::flat_buffer& buffer() { return buffer_; }
  [[nodiscard]] const Peer& peer() const { return peer_; }
  [[nodiscard]] ServerState& server() const { return *server_; }
  [[nodiscard]] WorkerState& worker() const { return worker_; }
  [[nodiscard]] const std::optional<Error>& turned_away() const { return turned_away_; }
  /// The time limit of a request's head, from its first byte.
  [[nodiscard]] Duration header_limit() const;
  /// Changes the memory counted for the connection to `bytes`; false: memory is short.
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
  Peer peer_;            ///< does not change after the first request
  bool placed_ = false;  ///< counted for the client named by the PROXY header
  const std::shared_ptr<ServerState> server_;
  WorkerState& worker_;
  MemoryBudget::Share memory_;
  std::optional<Error> turned_away_;
  boost::beast::flat_buffer buffer_;  ///< read, not yet parsed
  std::unique_ptr<HttpProtocol> protocol_;
  Phase phase_ = Phase::kServing;
  TimePoint expires_ = TimePoint::max();  ///< end of the handshake's or lingering's time limit
};

}  // namespace podsense::transport
