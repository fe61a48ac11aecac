#pragma once

/// A pool of HTTP/1.1 connections that grows when none is free, up to a limit. A request is written
/// once and never again: what fails is counted as failed.

#include <boost/asio/steady_timer.hpp>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "load/clients/client_tls.h"
#include "load/clients/http_connection.h"
#include "load/clients/transport.h"
#include "load/requests/expectation.h"

namespace podsense::load {

struct HttpTransportOptions {
  HttpRequestOptions request;
  std::vector<Endpoint> endpoints;  ///< at least one
  unsigned connections = 1;         ///< opened ahead, and kept open
  unsigned max_connections = 1000;
  unsigned first_endpoint = 0;  ///< where this transport begins, so that several differ
  Duration timeout = std::chrono::seconds(20);
  std::vector<AnswerExpectation> expect;
  unsigned redirects = 0;  ///< followed at most, each request
  ClientTls tls;
};

class HttpTransport final : public Transport, public HttpConnection::Owner {
 public:
  /// @errors kInvalidArgument: bad method or header, or certificates that OpenSSL does not take
  static Result<std::unique_ptr<Transport>> create(const HttpTransportOptions& options,
                                                   boost::asio::io_context& context, Sink& sink);
  ~HttpTransport() override;

  void open(std::function<void(Result<void>)> ready) override;
  bool send(const RequestTicket& ticket) override;
  void check_time(TimePoint now) override;
  void close() override;
  [[nodiscard]] std::size_t in_flight() const override { return in_flight_; }

 private:
  HttpTransport(const HttpTransportOptions& options, HttpRequests requests, Destination destination,
                boost::asio::io_context& context, Sink& sink);

  void connection_open(HttpConnection& connection, Duration took) override;
  void connection_refused(HttpConnection& connection, ErrorKind kind,
                          const std::string& why) override;
  void request_finished(HttpConnection& connection, const RequestOutcome& outcome) override;
  void connection_closed(HttpConnection& connection) override;
  HttpConnection* take_free();
  void add(const RequestTicket* ticket);
  void remove(HttpConnection& connection);
  void opened_one(Result<void> result);
  void settle();

  boost::asio::io_context& context_;
  Sink& sink_;
  HttpShared shared_;
  const unsigned wanted_;
  const unsigned most_;
  std::vector<std::shared_ptr<HttpConnection>> all_;
  std::deque<HttpConnection*> free_;    ///< the last used at the end
  std::vector<HttpConnection*> spare_;  ///< connecting, and no request waits for them
  std::size_t in_flight_ = 0;
  bool closing_ = false;
  std::function<void(Result<void>)> ready_;
  unsigned opening_ = 0;
  Duration slowest_open_{};  ///< of those that were opened ahead
  boost::asio::steady_timer settled_;
};

}  // namespace podsense::load
