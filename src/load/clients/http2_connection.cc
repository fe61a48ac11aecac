#include "load/clients/http2_connection.h"

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/asio/post.hpp>
#include <utility>

namespace podsense::load {
namespace {

namespace asio = boost::asio;

constexpr std::size_t kIn = 64U << 10U;
/// So much is taken from the session before the socket has to take it.
constexpr std::size_t kOut = 256U << 10U;
/// Enough to see who speaks, and less than a frame of SETTINGS with its head.
constexpr std::size_t kBegin = 16;
/// A request that was not processed is sent again so often: a server that ends each connection
/// after some requests may meet one in a burst more than once.
constexpr unsigned kMostRefusals = 4;

TimePoint now() {
  return std::chrono::steady_clock::now();
}

}  // namespace

// --- a request on its stream

void Http2Exchange::on_header(std::string_view name, std::string_view value) {
  answer->header(name, value);
  if (first_byte == TimePoint() && answer->has_begun()) {
    first_byte = now();
  }
}

void Http2Exchange::on_data(std::string_view bytes) {
  answer->data(bytes);
}

void Http2Exchange::on_end() {
  connection_->done_.push_back(connection_->take(*this));
}

void Http2Exchange::on_failure(const Failure& failure) {
  failure_ = failure;
  connection_->done_.push_back(connection_->take(*this));
}

// --- connecting

Http2Connection::Http2Connection(asio::io_context& context, Http2Shared& shared, Owner& owner)
    : shared_(shared), owner_(owner), context_(context), socket_(context, shared.destination) {}

void Http2Connection::connect() {
  connect_began_ = now();
  expires_ = connect_began_ + shared_.timeout;
  socket_.connect([self = shared_from_this()](const ConnectFailure* failure) {
    if (failure != nullptr) {
      self->refuse(*failure);
    } else {
      self->greet();
    }
  });
}

void Http2Connection::greet() {
  state_ = State::kGreeting;
  session_.emplace(*this);
  in_ = std::make_unique_for_overwrite<char[]>(kIn);
  write();
  read();
}

void Http2Connection::on_settings() {
  has_settings_ = true;
}

void Http2Connection::opened() {
  if (!goaway_.empty()) {
    refuse(
        {.kind = ErrorKind::kClosed, .why = "the server ends the connection at once: " + goaway_});
    return;
  }
  if (session_->allowed_streams() == 0) {
    refuse({.kind = ErrorKind::kProtocol, .why = "the server allows no streams"});
    return;
  }
  state_ = State::kOpen;
  expires_ = TimePoint::max();
  auto waiting = std::exchange(exchanges_, {});  // before the owner sends more
  owner_.connection_open(*this, last_heard_ - connect_began_);
  for (auto& exchange : waiting) {
    if (has_room()) {
      send(std::move(exchange));
    } else {
      owner_.exchange_again(*this, std::move(exchange));
    }
  }
}

void Http2Connection::refuse(const ConnectFailure& failure) {
  const auto self = shared_from_this();
  state_ = State::kClosed;
  socket_.close();
  owner_.connection_refused(*this, failure);
  finish_all(failure.kind, failure.why);
}

std::string Http2Connection::not_http2_reason() const {
  const std::string protocol(shared_.messages->protocol());
  if (begin_.starts_with("HTTP/")) {
    return "the server speaks HTTP/1, no " + protocol;
  }
  if (!socket_.has_tls() && is_tls_alert(begin_)) {
    return "the server speaks TLS on this port: use --tls, https:// or grpcs://";
  }
  return "the server accepts connections, but speaks no " + protocol;
}

// --- requests

bool Http2Connection::has_room() const {
  switch (state_) {
    case State::kConnecting:
    case State::kGreeting:
      return exchanges_.size() < shared_.streams;
    case State::kOpen:
      return exchanges_.size() < std::min(shared_.streams, session_->allowed_streams());
    default:
      return false;
  }
}

void Http2Connection::keep(std::unique_ptr<Http2Exchange> exchange) {
  exchange->connection_ = this;
  exchange->place_ = exchanges_.size();
  exchanges_.push_back(std::move(exchange));
}

std::unique_ptr<Http2Exchange> Http2Connection::take(Http2Exchange& exchange) {
  std::swap(exchanges_[exchange.place_], exchanges_.back());
  exchanges_[exchange.place_]->place_ = exchange.place_;
  auto taken = std::move(exchanges_.back());
  exchanges_.pop_back();
  return taken;
}

void Http2Connection::send(std::unique_ptr<Http2Exchange> exchange) {
  Http2Exchange& one = *exchange;
  keep(std::move(exchange));
  if (state_ != State::kOpen) {
    return;
  }
  expires_ = std::min(expires_, one.ticket.started + shared_.timeout);
  if (!session_->submit(one)) {  // it has no number for another stream
    one.failure_ = {.cause = Http2ClientStream::Failure::Cause::kUnprocessed};
    done_.push_back(take(one));
    leave();
  } else if (!shared_.keep_alive) {
    leave();
  }
  if (!working_) {
    write();
    if (!done_.empty() || !session_->fault().empty()) {
      asio::post(context_, [self = shared_from_this()] { self->work(); });
    }
  }
}

void Http2Connection::on_goaway(std::uint32_t code, std::string_view why) {
  constexpr std::size_t kMostWhy = 200;
  goaway_ = "GOAWAY, " + http2_error_name(code);
  if (!why.empty()) {
    goaway_.append(": ").append(why.substr(0, kMostWhy));
  }
  if (state_ == State::kOpen) {
    leave();
  }
}

void Http2Connection::leave() {
  state_ = State::kLeaving;
  owner_.connection_leaving(*this);
}

// --- bytes

void Http2Connection::read() {
  socket_.async_read_some(asio::buffer(in_.get(), kIn),
                          [self = shared_from_this()](const Code& code, std::size_t bytes) {
                            if (self->state_ == State::kClosed) {
                              return;
                            }
                            if (code) {
                              self->ended(code);
                              return;
                            }
                            self->received({self->in_.get(), bytes});
                            if (self->state_ != State::kClosed) {
                              self->read();
                            }
                          });
}

void Http2Connection::received(std::string_view bytes) {
  last_heard_ = now();
  if (begin_.size() < kBegin) {
    begin_.append(bytes.substr(0, kBegin - begin_.size()));
  }
  working_ = true;
  session_->receive(bytes);
  working_ = false;
  if (state_ == State::kGreeting && has_settings_) {
    opened();
  }
  work();
}

void Http2Connection::ended(const Code& code) {
  const std::string refused = client_refused(code);
  if (state_ == State::kGreeting) {
    refuse(refused.empty() ? ended_unheard(code)
                           : ConnectFailure{.kind = ErrorKind::kTls, .why = refused});
  } else if (!refused.empty()) {
    end(ErrorKind::kTls, refused);
  } else if (is_end(code)) {
    end(ErrorKind::kClosed, "the server closed the connection before the answer was complete" +
                                (goaway_.empty() ? "" : " (" + goaway_ + ")"));
  } else {
    end(ErrorKind::kReset, code.message());
  }
}

/// It ended before the server's settings came.
ConnectFailure Http2Connection::ended_unheard(const Code& code) const {
  if (!begin_.empty()) {
    return {.kind = ErrorKind::kProtocol, .why = not_http2_reason()};
  }
  if (socket_.has_tls()) {  // some servers close where others send an alert
    return {
        .kind = ErrorKind::kTls,
        .why = std::string("the server closed the connection after the TLS handshake; it may ") +
               (shared_.destination.shows_certificate
                    ? "not accept the client's certificate"
                    : "want a client certificate: --cert FILE --key FILE")};
  }
  return {.kind = is_end(code) ? ErrorKind::kClosed : ErrorKind::kReset, .why = not_http2_reason()};
}

/// Reports finished requests and writes what the session wants to send, until neither is left.
void Http2Connection::work() {
  if (working_ || state_ == State::kClosed) {
    return;
  }
  const auto self = shared_from_this();
  working_ = true;
  do {
    tell();
    write();
  } while (!done_.empty() && state_ != State::kClosed);
  working_ = false;
  end_if_over();
}

void Http2Connection::write() {
  while (!writing_ && state_ != State::kClosed) {
    while (out_.size() < kOut) {
      const std::string_view more = session_->output();
      if (more.empty()) {
        break;
      }
      out_.append(more);
    }
    if (out_.empty()) {
      return;
    }
    const std::size_t done = socket_.write_now(out_);
    if (done < out_.size()) {
      write_rest(done);
    } else {
      out_.clear();
    }
  }
}

void Http2Connection::write_rest(std::size_t done) {
  writing_ = true;
  socket_.async_write(std::string_view(out_).substr(done),
                      [self = shared_from_this()](const Code& code, std::size_t) {
                        self->writing_ = false;
                        self->out_.clear();
                        if (self->state_ == State::kClosed) {
                          return;
                        }
                        // After an error, reading tells what the server had to say before.
                        if (!code) {
                          self->work();
                        }
                      });
}

/// Where the server has broken the rules, or has said that it leaves and nothing is left to do.
void Http2Connection::end_if_over() {
  if (state_ == State::kClosed || state_ == State::kConnecting) {
    return;
  }
  const std::string& fault = session_->fault();
  if (!fault.empty() && state_ == State::kGreeting) {
    refuse({.kind = ErrorKind::kProtocol, .why = not_http2_reason()});
  } else if (!fault.empty()) {
    end(ErrorKind::kProtocol, "not HTTP/2: " + fault);
  } else if (state_ == State::kLeaving && exchanges_.empty() && done_.empty() && !writing_) {
    end(ErrorKind::kClosed, {});
  }
}

// --- telling

void Http2Connection::tell() {
  while (!done_.empty()) {
    for (auto& exchange : std::exchange(done_, {})) {
      if (exchange->failure_) {
        tell_failure(std::move(exchange));
      } else {
        tell_end(std::move(exchange));
      }
    }
  }
}

RequestOutcome Http2Connection::failed_as(const Http2Exchange& exchange, ErrorKind kind,
                                          std::string_view why) {
  const TimePoint at = now();
  return {.ticket = exchange.ticket,
          .error = kind,
          .first_byte = at,
          .finished = at,
          .bytes_out = exchange.request.message_bytes.value_or(exchange.wire_out),
          .bytes_in = exchange.request.message_bytes ? 0 : exchange.wire_in,
          .sample = why};
}

void Http2Connection::tell_end(std::unique_ptr<Http2Exchange> exchange) {
  has_answered_ = true;
  if (auto next = exchange->answer->follow()) {
    exchange->request = std::move(*next);
    exchange->first_byte = {};
    owner_.exchange_again(*this, std::move(exchange));
    return;
  }
  const TimePoint at = now();
  const AnswerVerdict verdict = exchange->answer->judge(at - exchange->ticket.started);
  const bool counts_messages = exchange->request.message_bytes.has_value();
  owner_.exchange_finished(
      *this, {.ticket = exchange->ticket,
              .error = verdict.error,
              .ok = verdict.ok,
              .status = verdict.status,
              .first_byte = exchange->first_byte == TimePoint() ? at : exchange->first_byte,
              .finished = at,
              .bytes_out = exchange->request.message_bytes.value_or(exchange->wire_out),
              .bytes_in = counts_messages ? verdict.message_bytes.value_or(0) : exchange->wire_in,
              .sample = verdict.sample});
}

void Http2Connection::tell_failure(std::unique_ptr<Http2Exchange> exchange) {
  using Cause = Http2ClientStream::Failure::Cause;
  const Http2ClientStream::Failure failure = *std::exchange(exchange->failure_, std::nullopt);
  if (failure.cause == Cause::kFault) {
    owner_.exchange_finished(*this, failed_as(*exchange, ErrorKind::kProtocol, failure.what));
    return;
  }
  // A server that is about to leave has not looked at what came after its word.
  if (failure.cause == Cause::kUnprocessed && ++exchange->refusals <= kMostRefusals) {
    owner_.exchange_again(*this, std::move(exchange));
    return;
  }
  if (failure.code == 0) {
    owner_.exchange_finished(
        *this,
        failed_as(*exchange, ErrorKind::kClosed,
                  "the server ended two connections without taking the request (" + goaway_ + ")"));
    return;
  }
  has_answered_ = true;
  RequestOutcome outcome = failed_as(*exchange, ErrorKind::kReset, {});
  const AnswerVerdict verdict =
      exchange->answer->judge_reset(failure.code, outcome.finished - exchange->ticket.started);
  outcome.error = verdict.error;
  outcome.status = verdict.status;
  outcome.sample = verdict.sample;
  owner_.exchange_finished(*this, outcome);
}

void Http2Connection::finish_all(ErrorKind kind, std::string_view why) {
  tell();
  while (!exchanges_.empty()) {
    const auto exchange = take(*exchanges_.back());
    owner_.exchange_finished(*this, failed_as(*exchange, kind, why));
  }
}

void Http2Connection::end(ErrorKind kind, std::string_view why) {
  if (state_ == State::kClosed) {
    return;
  }
  const auto self = shared_from_this();
  state_ = State::kClosed;
  socket_.close();
  owner_.connection_closed(*this);
  finish_all(kind, why);
}

// --- time limits

void Http2Connection::check_time(TimePoint at) {
  if (at < expires_ || state_ == State::kClosed) {
    return;
  }
  if (state_ == State::kConnecting) {
    refuse({.kind = ErrorKind::kTimeout, .why = "no connection within the time limit"});
  } else if (state_ == State::kGreeting) {
    refuse({.kind = ErrorKind::kTimeout,
            .why = not_http2_reason() + ": no SETTINGS within the time limit"});
  } else {
    expire(at);
  }
}

void Http2Connection::expire(TimePoint at) {
  const auto self = shared_from_this();
  std::vector<std::unique_ptr<Http2Exchange>> late;
  expires_ = TimePoint::max();
  for (std::size_t i = exchanges_.size(); i-- > 0;) {  // `take` puts one into the gap that was seen
    Http2Exchange& exchange = *exchanges_[i];
    const TimePoint limit = exchange.ticket.started + shared_.timeout;
    if (at < limit) {
      expires_ = std::min(expires_, limit);
      continue;
    }
    session_->cancel(exchange);
    late.push_back(take(exchange));
  }
  // Where nothing at all came since, others had better take another connection.
  const bool is_deaf = std::ranges::any_of(
      late, [this](const auto& exchange) { return last_heard_ < exchange->ticket.started; });
  if (is_deaf && state_ == State::kOpen) {
    leave();
  }
  for (const auto& exchange : late) {
    owner_.exchange_finished(
        *this, failed_as(*exchange, ErrorKind::kTimeout, "no answer within the time limit"));
  }
  work();
}

}  // namespace podsense::load
