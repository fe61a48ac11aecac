#pragma once

/// HTTP/2 connections that carry many requests each; when all are full another is opened, up to a
/// limit. A request that a server says it has not processed is sent again, a few times; nothing
/// else is sent twice.

#include <memory>
#include <string>
#include <vector>

#include "load/clients/client_tls.h"
#include "load/clients/http2_connection.h"
#include "load/clients/transport.h"

namespace podsense::load {

struct Http2TransportOptions {
  std::shared_ptr<const Http2Messages> messages;
  std::vector<Endpoint> endpoints;  ///< at least one
  unsigned first_endpoint = 0;      ///< where this transport begins, so that several differ
  std::string host;                 ///< that the certificate has to name
  bool with_tls = false;
  ClientTls tls;
  unsigned connections = 1;  ///< opened ahead, and kept open
  unsigned max_connections = 1000;
  unsigned streams = 100;  ///< on a connection at a time, where the server allows as many
  bool keep_alive = true;  ///< else each request has a connection of its own
  Duration timeout = std::chrono::seconds(20);
};

/// @errors kInvalidArgument: certificates that OpenSSL does not take
Result<Http2Shared> make_http2_shared(const Http2TransportOptions& options);

class Http2Transport final : public Transport, public Http2Connection::Owner {
 public:
  /// @errors as `make_http2_shared`
  static Result<std::unique_ptr<Transport>> create(const Http2TransportOptions& options,
                                                   boost::asio::io_context& context, Sink& sink);
  ~Http2Transport() override;

  void open(std::function<void(Result<void>)> ready) override;
  bool send(const RequestTicket& ticket) override;
  void check_time(TimePoint now) override;
  void close() override;
  [[nodiscard]] std::size_t in_flight() const override { return in_flight_; }

 private:
  using Connections = std::vector<std::shared_ptr<Http2Connection>>;

  Http2Transport(const Http2TransportOptions& options, Http2Shared shared,
                 boost::asio::io_context& context, Sink& sink);
  void connection_leaving(Http2Connection& connection) override;
  void connection_open(Http2Connection& connection, Duration took) override;
  void connection_refused(Http2Connection& connection, const ConnectFailure& why) override;
  void connection_closed(Http2Connection& connection) override;
  void exchange_finished(Http2Connection& connection, const RequestOutcome& outcome) override;
  void exchange_again(Http2Connection& connection,
                      std::unique_ptr<Http2Exchange> exchange) override;

  Http2Connection* choose();
  Http2Connection* add();
  void replace(const Http2Connection& lost);
  void remove(const Http2Connection& connection);
  static void put(Connections& list, std::shared_ptr<Http2Connection> connection);
  static std::shared_ptr<Http2Connection> take(Connections& list, std::size_t place);
  void opened_one(Result<void> result);
  void refuse(const RequestTicket& ticket, std::string why);

  boost::asio::io_context& context_;
  Sink& sink_;
  Http2Shared shared_;
  const unsigned wanted_;
  const unsigned most_;
  Connections links_;     ///< that take requests, now or once they stand
  Connections leaving_;   ///< that only finish what they have
  std::size_t next_ = 0;  ///< where the search for a link with room begins
  bool crowded_ = false;  ///< the last search met links without room
  std::size_t in_flight_ = 0;
  TimePoint restored_;
  bool closing_ = false;
  std::function<void(Result<void>)> ready_;
  unsigned opening_ = 0;
};

}  // namespace podsense::load
