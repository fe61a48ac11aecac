#include "transport/http2.h"

#include <nghttp2/nghttp2.h>

#include <algorithm>
#include <atomic>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <random>
#include <utility>

#include "transport/http2_callbacks.h"
#include "transport/http2_stream.h"

namespace podsense::transport {
namespace {

constexpr auto kToken = asio::as_tuple(asio::use_awaitable);
/// Reads in a row before other connections get their turn.
constexpr int kReadsAtOnce = 16;
/// The flow-control window of a connection: bytes in flight, for all its streams together.
constexpr std::int32_t kConnectionWindow = 16 << 20;
/// If the client does not answer the ping after the first GOAWAY, the second follows after this
/// time.
constexpr Duration kGoawayLimit = std::chrono::seconds(1);
/// Consecutive pings that may come too soon before the connection is closed.
constexpr unsigned kPingStrikes = 2;
constexpr std::size_t kMostSkippedIds = 64;

/// Adds random jitter, so that connections of the same age do not end at the same time.
Duration with_jitter(Duration age) {
  if (age <= Duration::zero()) {
    return Duration::max();
  }
  static thread_local std::minstd_rand random{std::random_device{}()};
  return std::chrono::duration_cast<Duration>(
      age * std::uniform_real_distribution<double>(0.9, 1.1)(random));
}

}  // namespace

/// @threads thread-safe
struct Http2::Holders {
  explicit Holders(asio::any_io_executor where)
      : executor(std::move(where)), signal(executor, asio::steady_timer::time_point::max()) {}

  /// Counts one stream as long as it exists.
  struct Part {
    explicit Part(std::shared_ptr<Holders> its_all) : all(std::move(its_all)) { ++all->count; }
    ~Part() {
      if (--all->count == 0 && all->awaited) {
        asio::post(all->executor, [all = all] { all->signal.cancel(); });
      }
    }
    Part(const Part&) = delete;
    Part& operator=(const Part&) = delete;
    const std::shared_ptr<Holders> all;
  };

  const asio::any_io_executor executor;
  asio::steady_timer signal;  ///< also signals the end of a write; only on the connection's thread
  std::atomic<std::size_t> count{0};
  std::atomic<bool> awaited{false};
};

void Http2::FreeSession::operator()(nghttp2_session* session) const {
  nghttp2_session_del(session);
}

Http2::Http2(Connection& connection)
    : connection_(connection),
      holders_(std::make_shared<Holders>(connection.stream().socket().get_executor())),
      began_(now()),
      age_limit_(with_jitter(connection.server().options.http2.max_age)),
      last_read_(began_),
      idle_since_(began_) {}

Http2::~Http2() {
  for (const auto& [id, stream] : streams_) {
    stream->drop();
  }
}

void Http2::begin_session() {
  session_.reset(new_http2_session(*this));
  const ServerOptions& options = connection_.server().options;
  const std::array settings{
      nghttp2_settings_entry{NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, options.http2.max_streams},
      nghttp2_settings_entry{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, kInitialWindow},
      nghttp2_settings_entry{NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, options.max_header_bytes}};
  nghttp2_submit_settings(session_.get(), NGHTTP2_FLAG_NONE, settings.data(), settings.size());
  nghttp2_session_set_local_window_size(session_.get(), NGHTTP2_FLAG_NONE, 0, kConnectionWindow);
}

asio::awaitable<Next> Http2::run() {
  begin_session();
  boost::beast::flat_buffer& first = connection_.buffer();
  bool more = take({static_cast<const char*>(first.data().data()), first.size()});
  first.consume(first.size());
  first.shrink_to_fit();
  flush();
  while (more && !reading_ended_) {
    more = co_await read_some();
  }
  // Finish the current write, unless the peer is gone.
  while (writing_ && !broken_) {
    co_await holders_->signal.async_wait(kToken);
  }
  const bool unread = calmed_ || (!more && !reading_ended_);
  broken_ = true;
  boost::system::error_code ignored;
  connection_.stream().end_sending(ignored);
  for (auto& [id, stream] : std::exchange(streams_, {})) {
    stream->closed(false);
  }
  output_.clear();
  co_await wait_for_holders();
  co_return unread ? Next::kCloseUnread : Next::kClose;
}

/// As in HTTP/1.1, the connection counts as open until all its requests are answered.
asio::awaitable<void> Http2::wait_for_holders() {
  holders_->awaited = true;
  while (holders_->count > 0 || writing_) {
    co_await holders_->signal.async_wait(kToken);
  }
}

asio::awaitable<bool> Http2::read_some() {
  ByteStream& stream = connection_.stream();
  auto [error] = co_await stream.wait_readable();
  auto& space = connection_.worker().space;
  bool more = true;
  for (int i = 0; more && !error && i < kReadsAtOnce; ++i) {
    const std::size_t count = stream.read_now(asio::buffer(space), error);
    if (count > 0) {
      last_read_ = now();
      our_ping_ = TimePoint::max();
      more = take({space.data(), count});
    }
    if (count < space.size() && !stream.secure()) {
      break;  // the socket had no more bytes
    }
  }
  flush();
  if (error && error != asio::error::would_block) {
    broken_ = broken_ || error != asio::error::operation_aborted;
    more = false;
  }
  co_return more;
}

/// Handles one frame at a time, because the frames before it decide which frames are allowed.
bool Http2::take(std::string_view bytes) {
  while (!bytes.empty()) {
    bool began = false;
    const std::size_t size = scanner_.next(bytes, began);
    if (began) {
      begin_frame(scanner_.head());
    }
    const auto used = nghttp2_session_mem_recv(
        session_.get(), reinterpret_cast<const std::uint8_t*>(bytes.data()), size);
    if (used < 0) {
      if (used != NGHTTP2_ERR_BAD_CLIENT_MAGIC) {
        calm_down("flood");  // nghttp2 has its own limits, such as consecutive CONTINUATION frames
      }
      flush();  // sends the GOAWAY with its reason
      return false;
    }
    bytes.remove_prefix(size);
  }
  return true;
}

void Http2::flush_soon() {
  if (std::exchange(flush_posted_, true)) {
    return;
  }
  asio::post(holders_->executor, [self = connection_.shared_from_this(), this] {
    flush_posted_ = false;
    flush();
  });
}

/// Collects output from nghttp2, up to the size of one write.
void Http2::collect() {
  while (output_.size() < Http2Output::kEnough) {
    const std::uint8_t* bytes = nullptr;
    const auto size = nghttp2_session_mem_send(session_.get(), &bytes);
    if (size <= 0) {
      broken_ = broken_ || size < 0;
      return;
    }
    output_.add({reinterpret_cast<const char*>(bytes), static_cast<std::size_t>(size)});
  }
}

void Http2::flush() {
  while (!writing_ && !broken_) {
    collect();
    if (output_.empty()) {
      break;
    }
    ByteStream::Pieces& pieces = output_.pieces();
    boost::system::error_code error;
    while (!error && asio::buffer_size(pieces) > 0) {
      consume(pieces, connection_.stream().write_now(pieces, error));
    }
    if (error == asio::error::would_block) {
      writing_ = true;
      blocked_since_ = now();
      asio::co_spawn(holders_->executor, write_rest(connection_.shared_from_this()),
                     [](const std::exception_ptr&) {});
      return;
    }
    broken_ = broken_ || error;
    output_.clear();
  }
  if (broken_ || (nghttp2_session_want_read(session_.get()) == 0 &&
                  nghttp2_session_want_write(session_.get()) == 0)) {
    end_reading();
  }
}

asio::awaitable<void> Http2::write_rest(std::shared_ptr<Connection> /*self*/) {
  const auto [error, count] = co_await connection_.stream().write(output_.rest());
  writing_ = false;
  blocked_since_ = TimePoint::max();
  output_.clear();
  if (error) {
    broken_ = true;
  }
  flush();
  holders_->signal.cancel();
}

void Http2::end_reading() {
  if (!std::exchange(reading_ended_, true)) {
    boost::system::error_code ignored;
    connection_.stream().socket().cancel(ignored);
  }
}

// ---- streams

Http2Stream& Http2::open_stream(std::int32_t id) {
  for (std::int32_t skipped = highest_id_ + (highest_id_ == 0 ? 1 : 2);
       skipped < id && skipped_ids_.size() < kMostSkippedIds; skipped += 2) {
    skipped_ids_.push_back(skipped);
  }
  highest_id_ = std::max(highest_id_, id);
  head_began_ = now();
  auto stream = std::make_shared<Http2Stream>(*this, id, std::make_shared<Holders::Part>(holders_));
  return *(streams_[id] = std::move(stream));
}

Http2Stream* Http2::find(std::int32_t id) {
  const auto found = streams_.find(id);
  return found == streams_.end() ? nullptr : found->second.get();
}

void Http2::close_stream(std::int32_t id, bool whole) {
  const auto found = streams_.find(id);
  if (found == streams_.end()) {
    return;
  }
  const auto stream = std::move(found->second);
  streams_.erase(found);
  if (stream->remote_ended() || reset_id_ == id) {
    done_ids_[done_count_++ % done_ids_.size()] = id;
  }
  stream->closed(whole);
  if (streams_.empty()) {
    idle_since_ = now();
  }
}

/// Whether `id` is below a used id but was never used itself, RFC 9113 5.1.1; nghttp2 ignores such
/// ids.
bool Http2::is_low_id(std::int32_t id) const {
  return id < highest_id_ && std::ranges::find(skipped_ids_, id) != skipped_ids_.end();
}

/// Whether no frame may follow on the stream, RFC 9113 5.1; nghttp2 either forgets closed streams
/// or keeps very many.
bool Http2::is_done(std::int32_t id) const {
  return id <= highest_id_ && std::ranges::find(done_ids_, id) != done_ids_.end();
}

void Http2::begin_frame(const FrameHead& head) {
  double cost = head.type == NGHTTP2_HEADERS ? 0.25 : 1;
  switch (head.type) {
    case NGHTTP2_HEADERS:
      if (is_low_id(head.stream)) {
        nghttp2_session_terminate_session(session_.get(), NGHTTP2_PROTOCOL_ERROR);
      }
      [[fallthrough]];
    case NGHTTP2_DATA:
      if (is_done(head.stream)) {
        nghttp2_session_terminate_session(session_.get(), NGHTTP2_STREAM_CLOSED);
      }
      break;
    case NGHTTP2_RST_STREAM:
    case NGHTTP2_CONTINUATION:
      cost = 2;
      break;
    case NGHTTP2_PING:
      cost = (head.flags & NGHTTP2_FLAG_ACK) != 0 ? 0 : 1;
      break;
    case NGHTTP2_SETTINGS:
      cost = 1.0 + head.size / 60.0;
      break;
    default:
      break;
  }
  if (!flood_.spend(cost, now())) {
    calm_down("flood");
  }
}

void Http2::calm_down(std::string_view why) {
  if (goaway_ == Goaway::kSent) {
    return;
  }
  goaway_ = Goaway::kSent;
  calmed_ = true;
  connection_.server().registry.connection_calmed(why);
  nghttp2_submit_goaway(
      session_.get(), NGHTTP2_FLAG_NONE, nghttp2_session_get_last_proc_stream_id(session_.get()),
      NGHTTP2_ENHANCE_YOUR_CALM, reinterpret_cast<const std::uint8_t*>(why.data()), why.size());
  nghttp2_session_terminate_session(session_.get(), NGHTTP2_ENHANCE_YOUR_CALM);
}

void Http2::was_calmed() {
  if (std::exchange(goaway_, Goaway::kSent) != Goaway::kSent) {
    calmed_ = true;
    connection_.server().registry.connection_calmed("flood");
  }
}

/// Clients ping to check whether the connection is alive; each ping costs a packet in each
/// direction.
void Http2::got_ping(bool ack) {
  if (ack) {
    if (goaway_ == Goaway::kAnnounced) {
      finish_goaway();
    }
    return;
  }
  const Duration least = connection_.server().options.http2.min_ping_interval;
  const TimePoint at = now();
  if (sent_since_ping_ || at - last_ping_ >= least) {
    ping_strikes_ = 0;
  } else if (++ping_strikes_ > kPingStrikes) {
    calm_down("too_many_pings");
  }
  sent_since_ping_ = false;
  last_ping_ = at;
}

// ---- time

void Http2::check_time(TimePoint now) {
  const ServerOptions& options = connection_.server().options;
  boost::system::error_code ignored;
  const bool stalled = now - blocked_since_ > options.write_timeout && blocked_since_ < now;
  const bool late_head = head_began_ < now && now - head_began_ > options.header_timeout;
  const bool never_began = !settings_came_ && now - began_ > connection_.header_limit();
  if (stalled || late_head || never_began || now >= ends_at_) {
    broken_ = true;
    connection_.stream().socket().close(ignored);
    return;
  }
  if (!session_ || reading_ended_) {
    return;
  }
  check_streams(now);
  check_age(now);
  check_keepalive(now);
  flush();
}

void Http2::check_streams(TimePoint now) {
  for (const auto& [id, stream] : streams_) {
    stream->check_time(now);
  }
  if (streams_.empty() && output_.empty()) {
    output_.shrink();
  }
}

void Http2::check_age(TimePoint now) {
  const ServerOptions& options = connection_.server().options;
  const Duration idle_limit = connection_.turned_away() ? connection_.header_limit()
                              : options.http2.max_idle > Duration::zero() ? options.http2.max_idle
                                                                          : options.idle_timeout;
  const bool idle = streams_.empty() && now - idle_since_ > idle_limit;
  const bool served_out = connection_.turned_away() && streams_.empty() && highest_id_ > 0;
  if (now - began_ > age_limit_ || idle || served_out) {
    if (goaway_ == Goaway::kNone && now - began_ > age_limit_ &&
        options.http2.max_age_grace > Duration::zero()) {
      ends_at_ = now + options.http2.max_age_grace;
    }
    begin_goaway();
  }
  if (goaway_ == Goaway::kAnnounced && now >= goaway_limit_) {
    finish_goaway();
  }
}

void Http2::check_keepalive(TimePoint now) {
  const auto& options = connection_.server().options.http2;
  if (options.keepalive_time <= Duration::zero()) {
    return;
  }
  if (our_ping_ < now && now - our_ping_ > options.keepalive_timeout) {
    broken_ = true;
    boost::system::error_code ignored;
    connection_.stream().socket().close(ignored);
  } else if (our_ping_ == TimePoint::max() && now - last_read_ > options.keepalive_time) {
    our_ping_ = now;
    nghttp2_submit_ping(session_.get(), NGHTTP2_FLAG_NONE, nullptr);
  }
}

void Http2::end_if_idle() {
  if (session_ && !reading_ended_) {
    begin_goaway();
    flush();
  }
}

/// Sends GOAWAY in two steps, RFC 9113 6.8: the first refuses nothing; once the client has read it,
/// the second names the last stream that is answered. Requests in between are answered, too.
void Http2::begin_goaway() {
  if (goaway_ != Goaway::kNone) {
    return;
  }
  goaway_ = Goaway::kAnnounced;
  goaway_limit_ = now() + kGoawayLimit;
  nghttp2_submit_shutdown_notice(session_.get());
  nghttp2_submit_ping(session_.get(), NGHTTP2_FLAG_NONE, nullptr);
}

void Http2::finish_goaway() {
  goaway_ = Goaway::kSent;
  nghttp2_submit_goaway(session_.get(), NGHTTP2_FLAG_NONE,
                        nghttp2_session_get_last_proc_stream_id(session_.get()), NGHTTP2_NO_ERROR,
                        nullptr, 0);
  std::vector<std::shared_ptr<Http2Stream>> all;
  all.reserve(streams_.size());
  for (const auto& [id, stream] : streams_) {
    all.push_back(stream);
  }
  for (const auto& stream : all) {
    stream->stop();
  }
  flush_soon();
}

std::uint64_t Http2::held_idle(TimePoint now) const {
  std::uint64_t most = 0;
  for (const auto& [id, stream] : streams_) {
    most = std::max(most, stream->held_idle(now));
  }
  return most;
}

void Http2::end_body(TimePoint now) {
  Http2Stream* largest = nullptr;
  std::uint64_t most = 0;
  for (const auto& [id, stream] : streams_) {
    if (const std::uint64_t held = stream->held_idle(now); held > most) {
      most = held;
      largest = stream.get();
    }
  }
  if (largest != nullptr) {
    largest->end_body();
    flush_soon();
  }
}

}  // namespace podsense::transport
