#pragma once

/// One HTTP/2 connection with many requests on it at a time. It stands when the server's settings
/// have come: then it is known that HTTP/2 is spoken, and how many streams are allowed.

#include <boost/asio/io_context.hpp>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "load/clients/client_socket.h"
#include "load/clients/http2_messages.h"
#include "load/clients/http2_session.h"
#include "load/clients/transport.h"

namespace podsense::load {

class Http2Connection;

/// A request under way: on one connection, and on another where the first did not process it.
class Http2Exchange final : public Http2ClientStream {
 public:
  Http2Exchange(const RequestTicket& asked, Http2Request made, std::unique_ptr<Http2Answer> reader)
      : ticket(asked), answer(std::move(reader)) {
    request = std::move(made);
  }

  void on_header(std::string_view name, std::string_view value) override;
  void on_data(std::string_view bytes) override;
  void on_end() override;
  void on_failure(const Failure& failure) override;

  const RequestTicket ticket;
  std::unique_ptr<Http2Answer> answer;
  unsigned refusals = 0;  ///< so often it was not processed
  TimePoint first_byte;

 private:
  friend class Http2Connection;
  Http2Connection* connection_ = nullptr;
  std::size_t place_ = 0;  ///< among those of the connection
  std::optional<Failure> failure_;
};

/// What all connections of a transport share.
struct Http2Shared {
  Destination destination;
  std::shared_ptr<const Http2Messages> messages;
  Duration timeout = std::chrono::seconds(20);
  unsigned streams = 100;  ///< on a connection at a time, at most
  bool keep_alive = true;  ///< else a connection has one request
};

/// @threads that of its io_context; held by its own pending operations
class Http2Connection final : public std::enable_shared_from_this<Http2Connection>,
                              public Http2Session::Events {
 public:
  /// The first four come at any time, the others never from inside `send`.
  class Owner {
   public:
    virtual ~Owner() = default;
    /// It takes no further requests, but some are under way.
    virtual void connection_leaving(Http2Connection& connection) = 0;
    virtual void connection_open(Http2Connection& connection, Duration took) = 0;
    /// It never stood; requests that waited for it are finished next.
    virtual void connection_refused(Http2Connection& connection, const ConnectFailure& why) = 0;
    /// It ended; requests on it are finished, or handed back, next.
    virtual void connection_closed(Http2Connection& connection) = 0;
    virtual void exchange_finished(Http2Connection& connection, const RequestOutcome& outcome) = 0;
    /// To be sent (again), on any connection: the server did not process it, or it asks for
    /// something else now.
    virtual void exchange_again(Http2Connection& connection,
                                std::unique_ptr<Http2Exchange> exchange) = 0;
  };

  Http2Connection(boost::asio::io_context& context, Http2Shared& shared, Owner& owner);
  ~Http2Connection() override = default;

  void connect();
  /// Only where there is room.
  void send(std::unique_ptr<Http2Exchange> exchange);
  void check_time(TimePoint now);
  /// Ends it; requests on it are finished as `kind`.
  void end(ErrorKind kind, std::string_view why);

  [[nodiscard]] bool has_room() const;
  [[nodiscard]] bool is_open() const { return state_ == State::kOpen; }
  [[nodiscard]] bool has_answered() const { return has_answered_; }
  /// Outcome of a request that has no answer; `why` is borrowed.
  static RequestOutcome failed_as(const Http2Exchange& exchange, ErrorKind kind,
                                  std::string_view why);

  /// Where the owner keeps it.
  std::size_t place = 0;

 private:
  friend class Http2Exchange;
  enum class State { kConnecting, kGreeting, kOpen, kLeaving, kClosed };
  using Code = boost::system::error_code;

  void on_settings() override;
  void on_goaway(std::uint32_t code, std::string_view why) override;

  void greet();
  void opened();
  void leave();
  void refuse(const ConnectFailure& failure);
  void read();
  void received(std::string_view bytes);
  void ended(const Code& code);
  [[nodiscard]] ConnectFailure ended_unheard(const Code& code) const;
  void work();
  void write();
  void write_rest(std::size_t done);
  void tell();
  void tell_end(std::unique_ptr<Http2Exchange> exchange);
  void tell_failure(std::unique_ptr<Http2Exchange> exchange);
  void finish_all(ErrorKind kind, std::string_view why);
  void end_if_over();
  void expire(TimePoint at);
  void keep(std::unique_ptr<Http2Exchange> exchange);
  std::unique_ptr<Http2Exchange> take(Http2Exchange& exchange);
  [[nodiscard]] std::string not_http2_reason() const;

  Http2Shared& shared_;
  Owner& owner_;
  boost::asio::io_context& context_;
  ClientSocket socket_;
  std::optional<Http2Session> session_;
  State state_ = State::kConnecting;
  TimePoint connect_began_;
  TimePoint expires_;  ///< connecting; then when the first request may have to be given up
  TimePoint last_heard_;
  bool has_settings_ = false;
  bool has_answered_ = false;
  std::string goaway_;  ///< what it said; empty: there was none
  std::string begin_;   ///< the first bytes that came, to see who speaks

  std::vector<std::unique_ptr<Http2Exchange>> exchanges_;
  std::vector<std::unique_ptr<Http2Exchange>> done_;  ///< finished, not yet reported

  std::unique_ptr<char[]> in_;
  std::string out_;
  bool writing_ = false;
  bool working_ = false;
};

}  // namespace podsense::load
