#pragma once

/// A client's TCP connection, with TLS where the destination has it: what HTTP/1.1, HTTP/2 and gRPC
/// have in common below their messages. Says in words why there is no connection.

#include <boost/asio/buffer.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/write.hpp>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "load/clients/client_tls.h"
#include "load/clients/endpoints.h"
#include "load/measuring/results.h"

namespace podsense::load {

/// Where the connections of a transport go, and what they show.
struct Destination {
  std::vector<Endpoint> endpoints;  ///< at least one
  std::size_t endpoint = 0;         ///< where the next connection begins to try
  std::string host;                 ///< for the certificate
  std::optional<boost::asio::ssl::context> tls;
  bool verify = true;
  bool shows_certificate = false;  ///< of the client
  std::string alpn;                ///< the one protocol that is offered, and has to be taken
  bool connected = false;          ///< at least once

  /// @errors kInvalidArgument: certificates that OpenSSL does not take
  static Result<Destination> create(const std::vector<Endpoint>& endpoints, std::size_t first,
                                    std::string host, bool with_tls, const ClientTls& tls);
  /// Addresses take turns, those of one family: the other one may not lead anywhere.
  std::size_t take_endpoint();
  void connected_to(std::size_t index);
};

/// Why a connection did not come about, or ended.
struct ConnectFailure {
  ErrorKind kind = ErrorKind::kConnect;
  std::string why;
};

/// What a server says in TLS that does not take the client; empty: the code says something else. In
/// TLS 1.3 a client is through with its handshake before it hears of it.
std::string client_refused(const boost::system::error_code& code);
/// The peer ended the connection in good order, or at least did not reset it.
bool is_end(const boost::system::error_code& code);
/// A TLS server answers plain text with an alert.
bool is_tls_alert(std::string_view bytes);

/// @threads that of its io_context
class ClientSocket {
 public:
  using Code = boost::system::error_code;
  /// Null: there is a connection. What it holds lives until the attempt is over; it is not called
  /// after `close`.
  using Done = std::function<void(const ConnectFailure* failure)>;

  ClientSocket(boost::asio::io_context& context, Destination& destination);

  /// Tries the addresses from the one whose turn it is. May be called again after a connection.
  void connect(Done done);
  /// Of one that is not used: false when the server has closed it and the event loop has not got to
  /// that yet.
  bool is_alive();
  void close();
  [[nodiscard]] bool has_tls() const { return tls_.has_value(); }

  template <class Handler>
  void async_read_some(boost::asio::mutable_buffer room, Handler handler) {
    if (tls_) {
      tls_->async_read_some(room, std::move(handler));
    } else {
      socket_.async_read_some(room, std::move(handler));
    }
  }
  /// What the kernel takes at once; 0 with TLS. An error shows again in `async_write`.
  std::size_t write_now(std::string_view bytes);
  template <class Handler>
  void async_write(std::string_view bytes, Handler handler) {
    const auto buffer = boost::asio::buffer(bytes.data(), bytes.size());
    if (tls_) {
      boost::asio::async_write(*tls_, buffer, std::move(handler));
    } else {
      boost::asio::async_write(socket_, buffer, std::move(handler));
    }
  }

 private:
  void try_endpoint(Done done);
  void endpoint_failed(const Code& code, Done done);
  void handshake(Done done);
  void tls_handshake(Done done);
  [[nodiscard]] std::string tls_reason(const Code& code);

  Destination& destination_;
  boost::asio::ip::tcp::socket socket_;
  std::optional<boost::asio::ssl::stream<boost::asio::ip::tcp::socket&>> tls_;
  bool closed_ = false;
  std::size_t begun_at_ = 0;  ///< of the endpoints
  std::size_t tried_ = 0;     ///< so many of them
  Code first_failure_;        ///< among them
};

}  // namespace podsense::load
