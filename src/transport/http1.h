#pragma once

/// HTTP/1.1 on one connection: a coroutine that reads a request, hands it to its handler, waits for
/// the answer, writes it, and begins again. Pipelined requests are answered one after the other.
/// Private to this module. @threads confined to its connection's; exceptions: `set_answer`

#include <atomic>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "transport/connection.h"
#include "transport/http1_parser.h"

namespace podsense::transport {

/// An answer to bytes that are not a valid request; the connection then ends.
std::string http1_error_text(const Response& response);

class Http1 final : public HttpProtocol {
 public:
  explicit Http1(Connection& connection);

  asio::awaitable<Next> run() override;
  void check_time(TimePoint now) override;
  void end_if_idle() override;
  [[nodiscard]] bool busy() const override { return phase_ == Phase::kHandling; }
  [[nodiscard]] std::uint64_t held_idle(TimePoint now) const override {
    return phase_ == Phase::kBody ? exchange_.held_idle(now) : 0;
  }
  void end_body(TimePoint /*now*/) override { expires_ = TimePoint::min(); }

 private:
  enum class Phase : std::uint8_t { kIdle, kHeader, kBody, kHandling, kWriting };
  enum class Step : std::uint8_t { kGo, kClose, kHttp2 };

  asio::awaitable<Step> wait_for_request();
  asio::awaitable<Step> read_head();
  asio::awaitable<Step> read_body();
  asio::awaitable<Step> read_sized_body(std::uint64_t size);
  asio::awaitable<Step> read_chunked_body();
  asio::awaitable<Step> inflate_body();
  asio::awaitable<Step> write(bool head_only);
  asio::awaitable<Step> write_all(std::string_view text);
  asio::awaitable<Step> write_pieces();
  asio::awaitable<Response> handle();
  asio::awaitable<void> turn_end();
  asio::awaitable<bool> fill(std::size_t most);

  [[nodiscard]] std::optional<Step> first_bytes(std::string_view have) const;
  [[nodiscard]] boost::system::error_code parse_head(std::size_t& taken);
  [[nodiscard]] bool check_extra(std::size_t unfinished);
  void examine_head();
  [[nodiscard]] Duration idle_limit() const;
  void check_hosts();
  void check_body_headers();
  void check_framing();
  void refuse_parse(const boost::system::error_code& error);
  void refuse_body_time();
  void enter(Phase phase, Duration limit);
  void watch_for_close();
  void set_answer(Response response);
  void build_head(const Response& response);
  [[nodiscard]] Request& request() { return exchange_.request(); }
  [[nodiscard]] ServerState& server() const { return connection_.server(); }
  /// Keeps the connection and this object alive.
  [[nodiscard]] std::shared_ptr<Http1> self() { return {connection_.shared_from_this(), this}; }

  Connection& connection_;
  ByteStream& stream_;
  boost::beast::flat_buffer& buffer_;
  Exchange exchange_;
  std::optional<Http1Parser> parser_;
  bool wants_continue_ = false;
  bool body_read_ = false;
  bool keep_alive_ = false;
  bool has_head_ = false;  ///< false: no valid head arrived

  Phase phase_ = Phase::kIdle;
  TimePoint expires_ = TimePoint::max();
  bool timed_out_ = false;
  bool fresh_ = true;  ///< no request came yet

  /// The answer may come from any thread; `answer_state_` synchronises it with the waiting
  /// coroutine.
  enum AnswerState : int { kNone, kAwaited, kGiven };
  std::atomic<int> answer_state_{kNone};
  Response answer_;
  asio::steady_timer answer_signal_;
  std::string out_;
  ByteStream::Pieces pieces_;  ///< not sent yet
};

}  // namespace podsense::transport
