#pragma once

/// One interface for the bytes of a connection, plain or TLS. A plain connection costs no more than
/// the bare socket. Private to this module.
///
/// OpenSSL reads and writes the non-blocking socket itself; if it would block, the coroutine waits
/// for the socket. `socket().cancel()` ends any wait.
/// @threads confined to its connection's

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "access/certificates.h"
#include "base/error.h"

struct ssl_st;
struct ssl_ctx_st;

namespace podsense::transport {

namespace asio = boost::asio;
using Tcp = asio::ip::tcp;

struct FreeTls {
  void operator()(ssl_st* tls) const;
  void operator()(ssl_ctx_st* context) const;
};
using TlsSession = std::unique_ptr<ssl_st, FreeTls>;

/// Creates TLS sessions with the current certificates. @threads one at a time
class TlsSessions {
 public:
  /// `certificates` must outlive this; null: connections are plain.
  explicit TlsSessions(access::Certificates* certificates);
  ~TlsSessions();
  TlsSessions(const TlsSessions&) = delete;
  TlsSessions& operator=(const TlsSessions&) = delete;

  [[nodiscard]] bool on() const { return certificates_ != nullptr; }
  /// A session for an accepted socket; null without TLS, or if memory is short.
  TlsSession make(int socket);

 private:
  void renew();
  access::Certificates* const certificates_;
  std::uint64_t generation_ = 0;
  std::unique_ptr<ssl_ctx_st, FreeTls> context_;
};

class ByteStream {
 public:
  using Pieces = std::vector<asio::const_buffer>;
  using Io = std::tuple<boost::system::error_code, std::size_t>;

  /// `tls`: the session of this socket; null: plain.
  ByteStream(Tcp::socket socket, TlsSession tls)
      : socket_(std::move(socket)), tls_(std::move(tls)) {}

  [[nodiscard]] Tcp::socket& socket() { return socket_; }
  [[nodiscard]] bool secure() const { return tls_ != nullptr; }
  /// Whether the handshake chose HTTP/2 (ALPN).
  [[nodiscard]] bool chose_http2() const;

  /// Why a handshake failed; both members are empty if it succeeded.
  struct Handshake {
    std::string_view reason;  ///< for the metric: plain_http, client_certificate, closed, protocol
    std::string detail;       ///< for the log
  };
  /// @requires secure()
  asio::awaitable<Handshake> handshake();

  /// Reads at least one byte, or fails, as the socket's async_read_some does.
  asio::awaitable<Io> read_some(asio::mutable_buffer space) {
    return tls_ ? read_tls(space) : socket_.async_read_some(space, kToken);
  }
  /// Waits until there are bytes to read or the stream ends, without holding a read buffer.
  asio::awaitable<std::tuple<boost::system::error_code>> wait_readable() {
    return tls_ ? wait_readable_tls() : socket_.async_wait(Tcp::socket::wait_read, kToken);
  }
  /// Reads what is available without waiting. @errors would_block: nothing is; eof, or why the
  /// stream ended
  std::size_t read_now(asio::mutable_buffer space, boost::system::error_code& error);

  /// Writes what the socket accepts without waiting. @errors would_block, or that the peer is gone
  std::size_t write_now(const Pieces& pieces, boost::system::error_code& error) {
    return tls_ ? write_tls_now(pieces, error) : socket_.write_some(pieces, error);
  }
  /// Writes all pieces. Their memory must stay valid and unchanged until then.
  asio::awaitable<Io> write(Pieces& pieces) {
    return tls_ ? write_tls(&pieces) : asio::async_write(socket_, pieces, kToken);
  }

  enum class Peer { kSilent, kSent, kGone };
  /// The state of the peer. Does not consume bytes that it has sent.
  [[nodiscard]] Peer peer();
  /// Tells the peer that no more will be sent.
  void end_sending(boost::system::error_code& error);

 private:
  static constexpr auto kToken = asio::as_tuple(asio::use_awaitable);

  asio::awaitable<Io> read_tls(asio::mutable_buffer space);
  asio::awaitable<std::tuple<boost::system::error_code>> wait_readable_tls();
  std::size_t write_tls_now(const Pieces& pieces, boost::system::error_code& error);
  asio::awaitable<Io> write_tls(Pieces* pieces);
  asio::awaitable<boost::system::error_code> wait_for_tls(int result);
  boost::system::error_code how_it_failed(int result);

  Tcp::socket socket_;
  TlsSession tls_;
  bool broken_ = false;   ///< TLS failed: it must send nothing more
  unsigned at_once_ = 0;  ///< reads since the last yield to other connections
};

/// Removes `count` bytes from the front.
void consume(ByteStream::Pieces& pieces, std::size_t count);

}  // namespace podsense::transport
