#include "transport/http1.h"

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace podsense::transport {
namespace {

constexpr auto kToken = asio::as_tuple(asio::use_awaitable);
/// Answers up to this size are sent in one piece with their head.
constexpr std::size_t kJoinLimit = 16U << 10U;

std::size_t body_size(const Response& response) {
  std::size_t size =
      response.static_body.empty() ? response.body.size() : response.static_body.size();
  for (const auto part : response.tail) {
    size += part.size();
  }
  return size;
}

void append_status_line(std::string& out, int status) {
  out += "HTTP/1.1 ";
  out += std::to_string(status);
  out += ' ';
  out += reason_phrase(status);
}

}  // namespace

std::string http1_error_text(const Response& response) {
  std::string text;
  append_status_line(text, response.status);
  text += "\r\nContent-Type: application/json\r\nContent-Length: ";
  text += std::to_string(response.body.size());
  for (const auto& [name, value] : response.headers) {
    text += "\r\n";
    text += name;
    text += ": ";
    text += value;
  }
  text += "\r\nConnection: close\r\n\r\n";
  return text + response.body;
}

Http1::Http1(Connection& connection)
    : connection_(connection),
      stream_(connection.stream()),
      buffer_(connection.buffer()),
      exchange_(connection.server(), connection.worker(), connection.peer()),
      answer_signal_(stream_.socket().get_executor(), asio::steady_timer::time_point::max()) {}

asio::awaitable<Next> Http1::run() {
  for (;;) {
    const Step head = co_await read_head();
    if (head == Step::kHttp2) {
      co_return Next::kHttp2;
    }
    if (head == Step::kClose) {
      break;
    }
    examine_head();
    const Step body = co_await read_body();
    if (body == Step::kClose) {
      break;
    }
    exchange_.set_deadline();
    if (exchange_.has_handler()) {
      answer_ = co_await handle();
    } else {
      answer_ = exchange_.ready_answer();
    }
    if (!body_read_ || server().closing.load(std::memory_order_relaxed)) {
      keep_alive_ = false;
    }
    const Step written = co_await write(request().method == Method::kHead);
    exchange_.end();
    if (written == Step::kClose || !keep_alive_) {
      break;
    }
  }
  exchange_.end();
  co_return body_read_ ? Next::kClose : Next::kCloseUnread;
}

void Http1::enter(Phase phase, Duration limit) {
  phase_ = phase;
  expires_ = server().clock.now() + limit;
}

void Http1::check_time(TimePoint now) {
  if (now < expires_) {
    return;
  }
  timed_out_ = true;
  boost::system::error_code ignored;
  if (phase_ == Phase::kWriting) {
    stream_.socket().close(ignored);
  } else {
    stream_.socket().cancel(ignored);  // and again at the next sweep, if another wait has begun
  }
}

void Http1::end_if_idle() {
  if (phase_ != Phase::kIdle) {
    return;
  }
  if (fresh_) {
    expires_ = std::min(expires_, server().clock.now() + kFreshGrace);
    return;
  }
  boost::system::error_code ignored;
  stream_.socket().cancel(ignored);
}

asio::awaitable<Response> Http1::handle() {
  enter(Phase::kHandling, std::chrono::hours(24));  // the scheduler enforces the deadline
  answer_state_.store(kNone, std::memory_order_relaxed);
  const inference::LoopBatch& turn = connection_.worker().turn;
  const std::size_t taken = turn.size();
  exchange_.call_handler([this](Response response) { set_answer(std::move(response)); });
  if (turn.size() > taken) {
    co_await turn_end();
    co_return std::move(answer_);
  }
  int expected = kNone;
  if (answer_state_.compare_exchange_strong(expected, kAwaited, std::memory_order_acq_rel)) {
    watch_for_close();
    answer_signal_.expires_at(asio::steady_timer::time_point::max());
    co_await answer_signal_.async_wait(kToken);
    boost::system::error_code ignored;
    stream_.socket().cancel(ignored);  // ends the watch
  }
  co_return std::move(answer_);
}

/// Waits for the end of the turn, when this thread has the answer. That is so soon that the
/// connection does not watch for a leaving client.
asio::awaitable<void> Http1::turn_end() {
  co_await asio::async_initiate<decltype(asio::use_awaitable), void()>(
      [this](auto resume) { connection_.worker().resumed_by_turn.emplace_back(std::move(resume)); },
      asio::use_awaitable);
}

void Http1::set_answer(Response response) {
  exchange_.pack(response);
  answer_ = std::move(response);
  if (answer_state_.exchange(kGiven, std::memory_order_acq_rel) == kAwaited) {
    asio::post(stream_.socket().get_executor(), [self = self()] { self->answer_signal_.cancel(); });
  }
}

/// Detects a client that leaves while its request is being answered. Does not consume bytes of a
/// next request.
void Http1::watch_for_close() {
  // TLS may have read the end together with the request.
  if (stream_.secure() && stream_.peer() == ByteStream::Peer::kGone) {
    exchange_.abandon();
    return;
  }
  stream_.socket().async_wait(
      Tcp::socket::wait_read, [self = self()](const boost::system::error_code& error) {
        if (error || self->answer_state_.load(std::memory_order_relaxed) != kAwaited) {
          return;
        }
        const ByteStream::Peer peer = self->stream_.peer();
        if (peer == ByteStream::Peer::kGone) {
          self->exchange_.abandon();
        } else if (peer == ByteStream::Peer::kSilent) {
          self->watch_for_close();  // the socket became readable, but without a byte for us
        }
      });
}

void Http1::build_head(const Response& response) {
  out_.clear();
  append_status_line(out_, response.status);
  out_ += "\r\nDate: ";
  out_ += connection_.worker().date;
  if (!response.content_type.empty()) {
    out_ += "\r\nContent-Type: ";
    out_ += response.content_type;
  }
  if (response.status != 204 && response.status != 304) {
    out_ += "\r\nContent-Length: ";
    out_ += std::to_string(body_size(response));
  }
  out_ += "\r\nX-Request-Id: ";
  out_ += request().id;
  if (!request().context.traceparent.empty()) {
    out_ += "\r\ntraceparent: ";
    out_ += request().context.traceparent;
  }
  for (const auto& [name, value] : response.headers) {
    out_ += "\r\n";
    out_ += name;
    out_ += ": ";
    out_ += value;
  }
  if (!keep_alive_) {
    out_ += "\r\nConnection: close";
  } else {
    if (has_head_ && parser_->version() < 11) {
      out_ += "\r\nConnection: keep-alive";
    }
    out_ += server().keep_alive;
  }
  out_ += "\r\n\r\n";
}

asio::awaitable<Http1::Step> Http1::write(bool head_only) {
  enter(Phase::kWriting, server().options.write_timeout);
  const TimePoint began = server().clock.now();
  exchange_.decorate(answer_);
  build_head(answer_);
  std::string_view body = answer_.static_body.empty() ? answer_.body : answer_.static_body;
  if (head_only || answer_.status == 204 || answer_.status == 304) {
    body = {};
    answer_.tail.clear();
  }
  std::size_t total = out_.size() + body.size();
  if (body.size() <= kJoinLimit) {
    out_ += body;
    body = {};
  }
  pieces_.assign({asio::buffer(out_), asio::buffer(body)});
  for (const auto part : answer_.tail) {
    total += part.size();
    pieces_.emplace_back(part.data(), part.size());
  }
  const Step written = co_await write_pieces();
  answer_.tail_owner.reset();
  answer_.memory.give_back();
  exchange_.record(answer_, total, began);
  co_return written;
}

asio::awaitable<Http1::Step> Http1::write_all(std::string_view text) {
  pieces_.assign({asio::buffer(text)});
  const Step written = co_await write_pieces();
  co_return written;
}

/// Writes at once, since the answer nearly always fits into the socket's buffer; waits only for the
/// rest.
asio::awaitable<Http1::Step> Http1::write_pieces() {
  boost::system::error_code error;
  const std::size_t sent = stream_.write_now(pieces_, error);
  if (error && error != asio::error::would_block) {
    co_return Step::kClose;
  }
  consume(pieces_, sent);
  if (asio::buffer_size(pieces_) > 0) {
    const auto [failed, count] = co_await stream_.write(pieces_);
    if (failed) {
      co_return Step::kClose;
    }
  }
  co_return Step::kGo;
}

}  // namespace podsense::transport
