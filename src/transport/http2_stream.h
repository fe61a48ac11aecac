#pragma once

/// One HTTP/2 stream: its request, and the Router's handler or the StreamService that answers it.
/// Private to this module.
/// @threads its connection's; `post` and the end of its life: any

#include <nghttp2/nghttp2.h>

#include <boost/asio/any_io_executor.hpp>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>

#include "transport/exchange.h"
#include "transport/stream.h"

namespace podsense::transport {

class Http2;
class Inflater;

class Http2Stream final : public Stream {
 public:
  /// `holder` is released last.
  Http2Stream(Http2& http2, std::int32_t id, std::shared_ptr<const void> holder);
  ~Http2Stream() override;

  // Events from the client.
  /// False: the head is far too large or must be rejected.
  [[nodiscard]] bool add_header(std::string_view name, std::string_view value);
  void head_complete(bool ended);
  void data(std::string_view bytes);
  void ended();
  /// The answer is sent completely, but the client may still be sending.
  void answered_early();
  /// The stream is closed: nothing more can be sent. `whole`: everything was.
  void closed(bool whole);
  /// The connection is cut off: the service is released without a notification.
  void drop() { service_.reset(); }
  /// Enforces the time limits of the body and of the answer.
  void check_time(TimePoint now);
  /// The server is stopping.
  void stop();

  [[nodiscard]] std::uint64_t held_idle(TimePoint now) const {
    return reads_body_ ? exchange_.held_idle(now) : 0;
  }
  void end_body();

  // Called when nghttp2 sends.
  /// Bytes of the next DATA frame, at most `most`; see nghttp2_data_source_read_callback.
  std::ptrdiff_t next_data(std::size_t most, std::uint32_t& flags);
  void send_data(std::string_view frame_head, std::size_t size);

  // The Stream interface for services.
  [[nodiscard]] const Request& request() const override { return exchange_.request(); }
  [[nodiscard]] bool remote_ended() const { return remote_ended_; }
  void respond(Fields headers) override;
  void write(Chunk chunk) override;
  void finish(Fields trailers) override;
  void grant(std::uint64_t bytes) override;
  void allow_slow_body() override { body_expires_ = TimePoint::max(); }
  [[nodiscard]] std::uint64_t unsent() const override { return unsent_; }
  void post(std::move_only_function<void()> work) override;

 private:
  void record();
  void need_no_more();
  [[nodiscard]] std::shared_ptr<Http2Stream> self() {
    return std::static_pointer_cast<Http2Stream>(shared_from_this());
  }
  void refuse_head();
  void begin_handler(bool ended);
  void grant_ahead();
  void body_complete();
  void inflate();
  void call_handler();
  void answer(Response response);
  void submit(std::span<const nghttp2_nv> head, bool has_body);
  void queue(Chunk chunk);

  const std::shared_ptr<const void> holder_;
  Http2& http2_;
  const std::int32_t id_;
  const boost::asio::any_io_executor executor_;
  const std::thread::id thread_ = std::this_thread::get_id();
  Exchange exchange_;
  std::size_t head_size_ = 0;  ///< counted as for SETTINGS_MAX_HEADER_LIST_SIZE
  std::shared_ptr<StreamService> service_;

  bool reads_body_ = false;
  bool remote_ended_ = false;
  std::optional<std::uint64_t> length_;  ///< of the body, if the client declared it
  std::uint64_t received_ = 0;
  std::uint64_t granted_ = kInitialWindow;
  TimePoint body_expires_ = TimePoint::max();
  std::unique_ptr<Inflater> inflater_;

  bool closed_ = false;  ///< nothing can be sent any more
  bool responded_ = false;
  bool finished_ = false;  ///< no more chunks will come
  std::uint64_t passed_over_ = 0;
  bool lingers_ = false;   ///< the answer is sent; further bytes are ignored
  bool deferred_ = false;  ///< nghttp2 waits for `resume`
  Fields trailers_;
  Response response_;  ///< of a handler, for the log
  TimePoint answer_began_;
  std::size_t bytes_out_ = 0;
  std::deque<Chunk> chunks_;
  std::size_t chunk_part_ = 0;    ///< of the first chunk: 0 is `bytes`
  std::size_t chunk_offset_ = 0;  ///< in that part
  std::uint64_t unsent_ = 0;
  TimePoint progressed_ = TimePoint::max();  ///< when unsent bytes last made progress
};

}  // namespace podsense::transport
