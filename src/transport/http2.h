#pragma once

/// HTTP/2 on one connection, with nghttp2: frames become streams, each with an Exchange or a
/// StreamService. Their answers are written together at the end of a turn of the event loop.
///
/// nghttp2 buffers no bodies: bytes are passed on when they arrive. A client may send more only
/// after its stream has counted the memory and granted it. Private to this module. @threads
/// confined to its connection's

#include <array>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "transport/connection.h"
#include "transport/flood.h"
#include "transport/frame_scanner.h"
#include "transport/http2_output.h"

struct nghttp2_session;

namespace podsense::transport {

class Http2Stream;

/// The first bytes of a client with prior knowledge, RFC 9113 3.4.
inline constexpr std::string_view kHttp2Preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

class Http2 final : public HttpProtocol {
 public:
  explicit Http2(Connection& connection);
  ~Http2() override;

  asio::awaitable<Next> run() override;
  void check_time(TimePoint now) override;
  void end_if_idle() override;
  [[nodiscard]] bool busy() const override { return !streams_.empty(); }
  [[nodiscard]] std::uint64_t held_idle(TimePoint now) const override;
  void end_body(TimePoint now) override;

  // Used by its streams.
  [[nodiscard]] Connection& connection() { return connection_; }
  [[nodiscard]] nghttp2_session* session() { return session_.get(); }
  [[nodiscard]] TimePoint now() const { return connection_.server().clock.now(); }
  [[nodiscard]] FloodGuard& flood() { return flood_; }
  /// Writes what was submitted to nghttp2 when this turn of the event loop ends.
  void flush_soon();

  // Used by nghttp2's callbacks.
  Http2Stream& open_stream(std::int32_t id);
  [[nodiscard]] Http2Stream* find(std::int32_t id);
  /// `whole`: the stream ended without an error.
  void close_stream(std::int32_t id, bool whole);
  /// The client reset the stream; `close_stream` follows.
  void note_reset(std::int32_t id) { reset_id_ = id; }
  void got_ping(bool ack);
  void got_settings() { settings_came_ = true; }
  void note_sent() { sent_since_ping_ = true; }
  /// The last frame of a head has arrived, so its time limit ends.
  void head_ended() { head_began_ = TimePoint::max(); }
  Http2Output& output() { return output_; }
  /// The peer passed a limit: GOAWAY with ENHANCE_YOUR_CALM.
  void calm_down(std::string_view why);
  /// A GOAWAY with ENHANCE_YOUR_CALM was sent, perhaps by nghttp2 itself.
  void was_calmed();

 private:
  struct FreeSession {
    void operator()(nghttp2_session* session) const;
  };
  /// Counts streams that are still referenced; outlives the connection if they do.
  struct Holders;
  friend class Http2Stream;

  void begin_session();
  asio::awaitable<bool> read_some();
  [[nodiscard]] bool take(std::string_view bytes);
  void begin_frame(const FrameHead& head);
  void flush();
  void collect();
  asio::awaitable<void> write_rest(std::shared_ptr<Connection> self);
  void end_reading();
  asio::awaitable<void> wait_for_holders();

  void begin_goaway();
  void finish_goaway();
  void check_keepalive(TimePoint now);
  void check_age(TimePoint now);
  void check_streams(TimePoint now);
  [[nodiscard]] bool is_low_id(std::int32_t id) const;
  [[nodiscard]] bool is_done(std::int32_t id) const;

  Connection& connection_;
  std::unique_ptr<nghttp2_session, FreeSession> session_;
  std::unordered_map<std::int32_t, std::shared_ptr<Http2Stream>> streams_;
  std::shared_ptr<Holders> holders_;
  Http2Output output_;
  FloodGuard flood_;
  FrameScanner scanner_{kHttp2Preface.size()};
  std::int32_t highest_id_ = 0;
  /// below the highest, never opened; only a limited number is kept
  std::vector<std::int32_t> skipped_ids_;
  /// The most recently closed streams on which the client had ended its side.
  std::array<std::int32_t, 16> done_ids_{};
  std::size_t done_count_ = 0;
  std::int32_t reset_id_ = 0;  ///< the last one that the client reset

  bool settings_came_ = false;
  bool flush_posted_ = false;
  bool writing_ = false;  ///< the socket's buffer is full, `write_rest` waits for it
  bool broken_ = false;   ///< nothing can be read or written any more
  bool calmed_ = false;   ///< a GOAWAY was sent for a limit; the peer may still be sending
  bool reading_ended_ = false;
  enum class Goaway : std::uint8_t { kNone, kAnnounced, kSent };
  Goaway goaway_ = Goaway::kNone;
  /// when the second GOAWAY is sent even without an answer to the ping
  TimePoint goaway_limit_ = TimePoint::max();
  TimePoint ends_at_ = TimePoint::max();  ///< when streams in flight are cut off
  const TimePoint began_;
  const Duration age_limit_;
  TimePoint last_read_;
  TimePoint idle_since_;
  TimePoint head_began_ = TimePoint::max();
  TimePoint blocked_since_ = TimePoint::max();
  TimePoint last_ping_{};  ///< of the client
  unsigned ping_strikes_ = 0;
  bool sent_since_ping_ = false;
  TimePoint our_ping_ = TimePoint::max();  ///< sent, unanswered
};

}  // namespace podsense::transport
