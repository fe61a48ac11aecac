#include "load/clients/http_connection.h"

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/beast/http/error.hpp>
#include <cstring>
#include <limits>
#include <utility>

namespace podsense::load {
namespace {

namespace asio = boost::asio;
constexpr std::size_t kBuffer = 16U << 10U;
constexpr std::size_t kMostHead = 256U << 10U;
/// A connection that was free for longer is looked at before it is used again.
constexpr Duration kStale = std::chrono::milliseconds(1);

TimePoint now() {
  return std::chrono::steady_clock::now();
}

}  // namespace

HttpConnection::HttpConnection(asio::io_context& context, HttpShared& shared, Owner& owner)
    : shared_(shared), owner_(owner), socket_(context, shared.destination), in_(kBuffer) {}

void HttpConnection::connect(const RequestTicket* ticket) {
  connect_began_ = now();
  expires_ = connect_began_ + shared_.timeout;
  if (ticket != nullptr) {
    ticket_ = *ticket;
  }
  open_socket();
}

void HttpConnection::open_socket() {
  socket_.connect([self = shared_from_this()](const ConnectFailure* failure) {
    if (failure != nullptr) {
      self->connect_failed(failure->kind, failure->why);
    } else {
      self->connected();
    }
  });
}

void HttpConnection::connected() {
  expires_ = TimePoint::max();
  state_ = ticket_ ? State::kBusy : State::kFree;
  last_used_ = now();
  owner_.connection_open(*this, last_used_ - connect_began_);
  if (ticket_ && !is_closed()) {
    write();
  }
  if (!is_closed()) {
    read();
  }
}

void HttpConnection::connect_failed(ErrorKind kind, const std::string& why) {
  const auto self = shared_from_this();
  close();
  owner_.connection_refused(*this, kind, why);
  if (ticket_) {
    owner_.request_finished(*this, failed_as(kind, why));
  }
}

bool HttpConnection::is_alive(TimePoint at) {
  return at - last_used_ < kStale || socket_.is_alive();
}

void HttpConnection::send(const RequestTicket& ticket) {
  ticket_ = ticket;
  if (state_ == State::kConnecting) {
    expires_ = ticket.started + shared_.timeout;
    return;
  }
  state_ = State::kBusy;
  write();
}

void HttpConnection::write() {
  if (!std::exchange(redirected_, false)) {
    redirects_ = 0;
    as_get_ = false;
    location_.clear();
    out_ = shared_.requests.request(ticket_->index, scratch_);
  }
  send_out();
}

void HttpConnection::send_out() {
  expires_ = ticket_->started + shared_.timeout;
  bytes_in_ = 0;
  first_byte_ = {};
  new_reader();
  const std::size_t done = socket_.write_now(out_);
  if (done < out_.size()) {
    write_rest(done);
  }
}

void HttpConnection::write_rest(std::size_t done) {
  writing_ = true;
  socket_.async_write(out_.substr(done), [self = shared_from_this(), index = ticket_->index](
                                             const Code& code, std::size_t) {
    self->writing_ = false;
    // The answer may have come, or the server have closed, before all was written: reading tells.
    if (code && self->state_ == State::kBusy && self->ticket_->index == index) {
      self->ended(code);
    }
  });
}

void HttpConnection::read() {
  if (held_ == in_.size()) {
    in_.resize(in_.size() * 2);
  }
  const auto room = asio::buffer(in_.data() + held_, in_.size() - held_);
  socket_.async_read_some(room, [self = shared_from_this()](const Code& code, std::size_t bytes) {
    if (self->is_closed()) {
      return;
    }
    if (code) {
      self->ended(code);
    } else {
      self->received(bytes);
    }
  });
}

void HttpConnection::received(std::size_t bytes) {
  if (state_ != State::kBusy) {
    end(ErrorKind::kProtocol, {});  // bytes that nobody asked for
    return;
  }
  if (first_byte_ == TimePoint()) {
    first_byte_ = now();
  }
  bytes_in_ += bytes;
  held_ += bytes;
  if (Code code; !feed(code)) {
    end(ErrorKind::kProtocol, not_http_reason(code));
    return;
  }
  if (reader_->is_done()) {
    answered();
  }
  if (state_ == State::kFree || state_ == State::kBusy) {
    read();
  }
}

/// A TLS server answers plain HTTP with an alert, or in words as Go's and nginx do (status 400).
bool HttpConnection::is_tls_answer() const {
  return !socket_.has_tls() && is_tls_alert({in_.data(), held_});
}

std::string HttpConnection::not_http_reason(const Code& code) const {
  return is_tls_answer() ? "the server speaks TLS on this port: use https:// or --tls"
                         : "not an HTTP answer: " + code.message();
}

void HttpConnection::new_reader() {
  reader_.emplace();
  reader_->body_limit(std::numeric_limits<std::uint64_t>::max());
  reader_->header_limit(kMostHead);
  reader_->skip(shared_.requests.is_head());
  reader_->keep_body(!shared_.expect.empty());
}

/// False, with the reason: what came is no answer.
bool HttpConnection::feed(Code& code) {
  std::size_t used = 0;
  while (used < held_ && !reader_->is_done()) {
    const std::size_t taken = reader_->put(asio::buffer(in_.data() + used, held_ - used), code);
    used += taken;
    if (code == boost::beast::http::error::need_more) {
      code = {};
      break;
    }
    if (code) {
      return false;
    }
    if (reader_->is_done() && reader_->status() / 100 == 1) {
      new_reader();  // 100 Continue and the like come before the answer, and are no part of it
      first_byte_ = used < held_ ? now() : TimePoint();
    } else if (taken == 0) {
      break;
    }
  }
  held_ -= used;
  std::memmove(in_.data(), in_.data() + used, held_);
  return true;
}

void HttpConnection::ended(const Code& code) {
  if (const std::string refused = client_refused(code); !refused.empty()) {
    connect_failed(ErrorKind::kTls, refused);
    return;
  }
  if (state_ == State::kBusy && is_tls_answer()) {  // too short for the reader to say anything
    end(ErrorKind::kProtocol, not_http_reason(code));
    return;
  }
  const bool closed = is_end(code);
  if (state_ == State::kBusy && closed && reader_->is_header_done() && !reader_->is_done()) {
    Code finish;
    reader_->put_eof(finish);
    if (!finish && reader_->is_done()) {
      answered();
      return;
    }
  }
  end(closed ? ErrorKind::kClosed : ErrorKind::kReset,
      closed ? "the server closed the connection before the answer was complete" : code.message());
}

/// Asks again where the answer leads to; false: the answer stands.
bool HttpConnection::follow() {
  const int status = reader_->status();
  if (!is_redirect(status) || redirects_ >= shared_.redirects || writing_) {
    return false;
  }
  const std::string from = location_.empty() ? shared_.requests.target(ticket_->index) : location_;
  const auto target = redirect_target(shared_.url, from, reader_->kept().location());
  if (!target) {
    return false;
  }
  ++redirects_;
  location_ = *target;
  as_get_ = as_get_ || becomes_get(shared_.requests.method(), status);
  out_ = shared_.requests.redirected(ticket_->index, as_get_, *target, scratch_);
  const bool again =
      shared_.keep_alive && reader_->keep_alive() && !reader_->need_eof() && held_ == 0;
  if (again) {
    send_out();
    return true;
  }
  redirected_ = true;
  state_ = State::kConnecting;
  held_ = 0;
  connect_began_ = now();
  expires_ = ticket_->started + shared_.timeout;
  open_socket();
  return true;
}

void HttpConnection::answered() {
  if (shared_.redirects > 0 && follow()) {
    return;
  }
  const int status = reader_->status();
  const TimePoint at = now();
  const KeptAnswer& kept = reader_->kept();
  const std::string fault = kept.is_success() ? first_fault(shared_.expect, kept.body()) : "";
  const RequestOutcome outcome{.ticket = *ticket_,
                               .error = fault.empty() ? ErrorKind::kNone : ErrorKind::kUnexpected,
                               .ok = kept.is_success() && fault.empty(),
                               .status = status,
                               .first_byte = first_byte_,
                               .finished = at,
                               .bytes_out = out_.size(),
                               .bytes_in = bytes_in_,
                               .sample = fault.empty() ? std::string_view(kept.sample()) : fault};
  const bool again =
      shared_.keep_alive && reader_->keep_alive() && !reader_->need_eof() && held_ == 0;
  const auto self = shared_from_this();
  ticket_.reset();
  expires_ = TimePoint::max();
  last_used_ = outcome.finished;
  if (again && !writing_) {  // an answer before the whole request is no end of that
    state_ = State::kFree;
  } else {
    close();
    owner_.connection_closed(*this);
  }
  owner_.request_finished(*this, outcome);
}

RequestOutcome HttpConnection::failed_as(ErrorKind kind, std::string_view why) {
  const TimePoint at = now();
  const RequestOutcome outcome{.ticket = *ticket_,
                               .error = kind,
                               .first_byte = at,
                               .finished = at,
                               .bytes_out = out_.size(),
                               .bytes_in = bytes_in_,
                               .sample = why};
  ticket_.reset();
  return outcome;
}

void HttpConnection::end(ErrorKind kind, std::string_view why) {
  if (is_closed()) {
    return;
  }
  const auto self = shared_from_this();
  close();
  owner_.connection_closed(*this);
  if (ticket_) {
    owner_.request_finished(*this, failed_as(kind, why));
  }
}

void HttpConnection::check_time(TimePoint at) {
  if (at < expires_) {
    return;
  }
  if (state_ == State::kConnecting) {
    connect_failed(ErrorKind::kTimeout, "no connection within the time limit");
  } else {
    end(ErrorKind::kTimeout, "no answer within the time limit");
  }
}

void HttpConnection::close() {
  state_ = State::kClosed;
  expires_ = TimePoint::max();
  socket_.close();
}

}  // namespace podsense::load
