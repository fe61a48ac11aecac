#pragma once

/// One HTTP/1.1 connection with at most one request on it. A read is always outstanding, so that a
/// close by the server is known before the next request is put on the connection.

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "load/clients/client_socket.h"
#include "load/clients/response_reader.h"
#include "load/clients/transport.h"
#include "load/requests/expectation.h"
#include "load/requests/http_request.h"

namespace podsense::load {

/// What all connections of a transport share.
struct HttpShared {
  HttpRequests requests;
  Destination destination;
  bool keep_alive = true;
  Duration timeout = std::chrono::seconds(20);
  std::vector<AnswerExpectation> expect;  ///< of answers with a 2xx status
  Url url;                                ///< redirects lead to its host, or are not followed
  unsigned redirects = 0;                 ///< followed at most
};

/// @threads that of the socket's io_context; held by its own pending operations
class HttpConnection : public std::enable_shared_from_this<HttpConnection> {
 public:
  class Owner {
   public:
    virtual ~Owner() = default;
    /// The TCP (and TLS) handshake is done; a request that waited for it is being sent.
    virtual void connection_open(HttpConnection& connection, Duration took) = 0;
    /// No connection came about, or it ended since the server refuses the client; a request that
    /// waited for it is finished next.
    virtual void connection_refused(HttpConnection& connection, ErrorKind kind,
                                    const std::string& why) = 0;
    virtual void request_finished(HttpConnection& connection, const RequestOutcome& outcome) = 0;
    /// It ended; a request on it is finished next.
    virtual void connection_closed(HttpConnection& connection) = 0;
  };

  HttpConnection(boost::asio::io_context& context, HttpShared& shared, Owner& owner);

  /// With a request: it is sent as soon as the connection stands.
  void connect(const RequestTicket* ticket);
  /// Only when `is_free`, or connecting without a request: then it goes as soon as there is a
  /// connection.
  void send(const RequestTicket& ticket);
  void check_time(TimePoint now);
  /// Ends it; a request on it is finished as `kind`.
  void end(ErrorKind kind, std::string_view why);
  /// Of a free one: false when the server has closed it and the event loop has not got to that yet.
  bool is_alive(TimePoint at);

  [[nodiscard]] bool is_free() const { return state_ == State::kFree; }
  [[nodiscard]] bool is_closed() const { return state_ == State::kClosed; }
  [[nodiscard]] bool is_connecting() const { return state_ == State::kConnecting; }

  /// Where the owner keeps it.
  std::size_t place = 0;

 private:
  enum class State { kConnecting, kFree, kBusy, kClosed };
  using Code = boost::system::error_code;

  void open_socket();
  void connected();
  void connect_failed(ErrorKind kind, const std::string& why);
  void write();
  void send_out();
  bool follow();
  void write_rest(std::size_t done);
  void read();
  void received(std::size_t bytes);
  void new_reader();
  bool feed(Code& code);
  void ended(const Code& code);
  void answered();
  [[nodiscard]] bool is_tls_answer() const;
  [[nodiscard]] std::string not_http_reason(const Code& code) const;
  RequestOutcome failed_as(ErrorKind kind, std::string_view why);
  void close();

  HttpShared& shared_;
  Owner& owner_;
  ClientSocket socket_;
  State state_ = State::kConnecting;
  TimePoint connect_began_;
  TimePoint expires_ = TimePoint::max();
  TimePoint last_used_;

  std::optional<RequestTicket> ticket_;
  TimePoint first_byte_;
  unsigned redirects_ = 0;   ///< of this request
  bool as_get_ = false;      ///< since a redirect
  bool redirected_ = false;  ///< `out_` goes out on the next connection
  bool writing_ = false;
  std::string location_;  ///< where this request went last
  std::string scratch_;
  std::string_view out_;
  std::vector<char> in_;
  std::size_t held_ = 0;  ///< bytes in `in_` that the reader did not take yet
  std::uint64_t bytes_in_ = 0;
  std::optional<ResponseReader> reader_;
};

}  // namespace podsense::load
