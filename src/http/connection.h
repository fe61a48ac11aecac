#pragma once

/// One client connection: a coroutine that reads a request, hands it to its handler, waits for the
/// answer, writes it, and begins again. Pipelined requests are answered one after the other.
///
/// Time limits cost nothing per request: a connection notes when its phase ends, and the worker's
/// sweep looks at all of them a few times a second.
/// @threads confined to its worker's thread, but for `set_answer`

#include <array>
#include <atomic>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <cstddef>
#include <functional>
#include <memory>
#include <memory_resource>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "http/message.h"
#include "http/router.h"
#include "http/server.h"
#include "http/transport.h"
#include "inference/turn.h"

namespace podsense::http {

/// What connections share. Everything here outlives them.
struct Shared {
  const ServerOptions& options;
  const Router& router;
  metrics::Registry& registry;
  const Clock& clock;
  std::atomic<bool> closing{false};   ///< answers carry Connection: close
  std::atomic<bool> stopping{false};  ///< idle connections end
  std::atomic<std::size_t> in_flight{0};
};

/// What connections of one thread share. @threads confined
struct WorkerState {
  std::string date;  ///< "Sun, 22 Nov 2026 10:00:00 GMT"
  /// What the access log may still write this second of answers with one status, and what it has
  /// not written. Successes have status 0.
  struct LogBudget {
    int status = 0;
    unsigned left = 0;
    std::uint64_t unlogged = 0;
  };
  std::vector<LogBudget> log_budgets;
  std::array<char, 16 << 10> waste{};  ///< for bytes that nobody looks at
  inference::Turn turn;
  /// Connections whose requests `turn` took: called when it has ended.
  std::vector<std::move_only_function<void()>> resumed_by_turn;
};

/// A connection on which no request has come yet may bring its first one this long after the drain
/// began: its client could not know.
inline constexpr Duration kFreshGrace = std::chrono::milliseconds(250);
/// And a TLS handshake this long.
inline constexpr Duration kHandshakeGrace = std::chrono::seconds(1);
/// The rest of a refused request is read, so that its connection can be kept, up to this size.
inline constexpr std::uint64_t kMostDiscarded = 64U << 10U;

class Connection : public std::enable_shared_from_this<Connection> {
 public:
  /// `turned_away`: there is only a place for probes. The answer to its first request, if that is
  /// no probe; it then ends.
  /// `memory`: in which the connection itself is counted.
  Connection(Transport transport, std::string peer, Shared& shared, WorkerState& worker,
             MemoryBudget::Share memory, std::optional<Error> turned_away);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  /// The whole life; ends when the connection does. Keep a shared_ptr until then.
  asio::awaitable<void> run();

  /// From the worker's sweep.
  void check_time(TimePoint now);
  /// Ends the connection if it waits for a request; soon, if it waits for its first.
  void end_if_idle();
  /// Ends one that has a kept place, unless its answer is being made. False: there is nothing to
  /// end.
  bool end_if_kept();
  /// Bytes of a body that has not grown for a second; 0: there is none such.
  [[nodiscard]] std::uint64_t held_idle(TimePoint now) const;
  /// The rest of the body is not waited for any longer.
  void end_body() { expires_ = TimePoint::min(); }

 private:
  enum class Phase { kHandshake, kIdle, kHeader, kBody, kHandling, kWriting, kLingering };
  enum class Step { kGo, kClose };
  enum class Coding { kIdentity, kGzip, kDeflate };
  using AnyParser = beast_http::request_parser<beast_http::string_body, Fields::allocator_type>;
  /// Trailers never become headers, RFC 9110 6.5.1: they are read and forgotten.
  class Parser final : public AnyParser {
   public:
    using AnyParser::AnyParser;
    /// Of a chunked body, all chunks together. Instead of `body_limit`, which cannot tell a size
    /// that is none.
    void data_limit(std::uint64_t most) { data_left_ = most; }
    /// `put`, one chunk's line or data at a time.
    std::size_t put_chunked(asio::const_buffer bytes, boost::system::error_code& error);
    /// Bytes of a chunked body that neither are data nor say how much of it follows: extensions,
    /// leading zeros, trailers.
    [[nodiscard]] std::size_t extra() const { return extra_; }

   private:
    void on_chunk_header_impl(std::uint64_t size, boost::beast::string_view extensions,
                              boost::beast::error_code& error) override;
    void on_field_impl(beast_http::field name, boost::beast::string_view name_text,
                       boost::beast::string_view value,
                       boost::beast::error_code& /*error*/) override {
      if (!is_header_done()) {
        get().insert(name, name_text, value);
      }
    }

    std::uint64_t data_left_ = 0;
    std::size_t extra_ = 0;
    std::size_t needed_ = 0;  ///< by the line of the chunk that begins
  };

  asio::awaitable<Step> shake_hands();
  asio::awaitable<Step> wait_for_request();
  asio::awaitable<Step> read_head();
  asio::awaitable<Step> read_body();
  asio::awaitable<Step> read_sized_body(std::uint64_t size);
  asio::awaitable<Step> read_chunked_body();
  asio::awaitable<Step> inflate_body();
  /// Counts `bytes` for the body. False, and refused: there is not so much memory.
  [[nodiscard]] bool take_memory(std::uint64_t bytes);
  static std::uint64_t memory_to_read(std::string_view body);
  asio::awaitable<Step> write(bool head_only);
  asio::awaitable<Step> write_all(std::string_view text);
  asio::awaitable<Step> write_pieces();
  asio::awaitable<void> linger();
  asio::awaitable<Response> handle();
  asio::awaitable<void> turn_end();
  asio::awaitable<bool> fill(std::size_t most);

  void forget_request();
  [[nodiscard]] boost::system::error_code parse_head(std::size_t& taken);
  [[nodiscard]] bool check_extra(std::size_t unfinished);
  void examine_head();
  [[nodiscard]] Duration idle_limit() const;
  [[nodiscard]] Duration header_limit() const;
  void choose_handler();
  void check_access();
  void check_body_headers();
  void check_framing();
  [[nodiscard]] std::vector<std::string_view> list_of(beast_http::field name) const;
  void check_coding();
  void refuse(Error error);
  void refuse_parse(const boost::system::error_code& error);
  void enter(Phase phase, Duration limit);
  void watch_for_close();
  void set_answer(Response response);
  void begin_trace(std::string_view traceparent);
  void end_trace(TimePoint reply_began);
  void begin_request();
  void end_request();
  void add_cors(Response& response) const;
  void build_head(const Response& response);
  [[nodiscard]] bool take_log_budget(int status);
  void log_access(std::size_t bytes_out);
  [[nodiscard]] Response preflight() const;
  [[nodiscard]] Response refusal_response() const;

  Transport transport_;
  const std::string peer_;
  Shared& shared_;
  WorkerState& worker_;
  const MemoryBudget::Share memory_;  ///< of the connection
  const std::optional<Error> turned_away_;
  boost::beast::flat_buffer buffer_;
  /// Where a head's fields lie: those of ordinary clients fit.
  alignas(std::max_align_t) std::array<std::byte, 768> head_space_{};
  std::pmr::monotonic_buffer_resource head_memory_{head_space_.data(), head_space_.size(),
                                                   std::pmr::new_delete_resource()};
  std::optional<Parser> parser_;
  Request request_;
  const Route* route_ = nullptr;
  const Handler* handler_ = nullptr;
  std::optional<Error> refusal_;  ///< found before the handler: answered instead of it
  bool wants_continue_ = false;
  bool body_read_ = false;
  bool keep_alive_ = false;
  Coding coding_ = Coding::kIdentity;  ///< of the body
  std::uint64_t max_body_ = 0;
  std::size_t bytes_in_ = 0;  ///< of the body; a handler may take it
  TimePoint body_grew_;       ///< while a counted one is being read

  Phase phase_ = Phase::kIdle;
  TimePoint expires_ = TimePoint::max();
  bool timed_out_ = false;
  bool counted_ = false;  ///< in Shared::in_flight
  bool fresh_ = true;     ///< no request came yet

  /// The answer comes from any thread; `answer_state_` orders it against the waiting coroutine.
  enum AnswerState : int { kNone, kAwaited, kGiven };
  std::atomic<int> answer_state_{kNone};
  Response answer_;
  asio::steady_timer answer_signal_;
  std::shared_ptr<inference::Departure> gone_ = std::make_shared<inference::Departure>();
  std::string out_;
  std::vector<asio::const_buffer> pieces_;  ///< what is still to be sent
};

}  // namespace podsense::http
