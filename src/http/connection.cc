#include "http/connection.h"

#include <algorithm>
#include <array>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "base/log.h"

namespace podsense::http {
namespace {

constexpr auto kToken = asio::as_tuple(asio::use_awaitable);
constexpr Duration kLingerLimit = std::chrono::seconds(2);
/// A body that has not grown for so long makes room for others.
constexpr Duration kIdleBody = std::chrono::seconds(1);
/// Failures of one status that are logged a second, whatever is configured for successes.
constexpr unsigned kLeastFailures = 5;
/// Answers up to this size are sent in one piece with their head.
constexpr std::size_t kJoinLimit = 16U << 10U;

using Field = beast_http::field;

}  // namespace

Connection::Connection(Transport transport, std::string peer, Shared& shared, WorkerState& worker,
                       MemoryBudget::Share memory, std::optional<Error> turned_away)
    : transport_(std::move(transport)),
      peer_(std::move(peer)),
      shared_(shared),
      worker_(worker),
      memory_(std::move(memory)),
      turned_away_(std::move(turned_away)),
      answer_signal_(transport_.socket().get_executor(), asio::steady_timer::time_point::max()) {
  shared_.registry.connection_opened();
}

Connection::~Connection() {
  end_request();
  shared_.registry.connection_closed();
}

asio::awaitable<void> Connection::run() {
  if (transport_.secure()) {
    const Step shaken = co_await shake_hands();
    if (shaken == Step::kClose) {
      co_await linger();
      co_return;
    }
  }
  for (;;) {
    const Step head = co_await read_head();
    if (head == Step::kClose) {
      break;
    }
    examine_head();
    const Step body = co_await read_body();
    if (body == Step::kClose) {
      break;
    }
    if (request_.context.trace) {
      request_.context.trace->add("receive", request_.context.received, shared_.clock.now());
    }
    request_.context.deadline =
        Deadline::after(shared_.clock.now(), shared_.options.request_timeout);
    if (!refusal_ && request_.method != beast_http::verb::options) {
      answer_ = co_await handle();
    } else {
      answer_ = refusal_ ? refusal_response() : preflight();
      if (refusal_) {
        shared_.registry.unrouted(metrics::Protocol::kHttp, refusal_->code);
      }
    }
    if (!body_read_ || shared_.closing.load(std::memory_order_relaxed)) {
      keep_alive_ = false;
    }
    const Step written = co_await write(request_.method == beast_http::verb::head);
    end_request();
    if (written == Step::kClose || !keep_alive_) {
      break;
    }
  }
  end_request();
  co_await linger();
}

void Connection::enter(Phase phase, Duration limit) {
  phase_ = phase;
  expires_ = shared_.clock.now() + limit;
}

void Connection::check_time(TimePoint now) {
  if (now < expires_) {
    return;
  }
  timed_out_ = true;
  boost::system::error_code ignored;
  if (phase_ == Phase::kWriting || phase_ == Phase::kLingering) {
    transport_.socket().close(ignored);
  } else {
    transport_.socket().cancel(ignored);  // and again at the next sweep, if another wait has begun
  }
}

void Connection::end_if_idle() {
  if (phase_ == Phase::kHandshake) {
    expires_ = std::min(expires_, shared_.clock.now() + kHandshakeGrace);
  }
  if (phase_ != Phase::kIdle) {
    return;
  }
  if (fresh_) {
    expires_ = std::min(expires_, shared_.clock.now() + kFreshGrace);
    return;
  }
  boost::system::error_code ignored;
  transport_.socket().cancel(ignored);
}

bool Connection::end_if_kept() {
  if (!turned_away_ || phase_ == Phase::kHandling || !transport_.socket().is_open()) {
    return false;
  }
  boost::system::error_code ignored;
  transport_.socket().close(ignored);
  return true;
}

std::uint64_t Connection::held_idle(TimePoint now) const {
  const auto& memory = request_.context.memory;
  return phase_ == Phase::kBody && memory && now - body_grew_ >= kIdleBody ? memory->bytes() : 0;
}

void Connection::begin_request() {
  fresh_ = false;
  counted_ = true;
  shared_.in_flight.fetch_add(1, std::memory_order_relaxed);
}

void Connection::end_request() {
  if (!counted_) {
    return;
  }
  counted_ = false;
  shared_.in_flight.fetch_sub(1, std::memory_order_relaxed);
}

asio::awaitable<Response> Connection::handle() {
  enter(Phase::kHandling, std::chrono::hours(24));  // the scheduler minds the deadline
  answer_state_.store(kNone, std::memory_order_relaxed);
  bytes_in_ = request_.body.size();
  request_.context.turn = inference::LoopTurn(worker_.turn);
  const std::size_t taken = worker_.turn.size();
  (*handler_)(request_, [this](Response response) { set_answer(std::move(response)); });
  if (worker_.turn.size() > taken) {
    co_await turn_end();
    co_return std::move(answer_);
  }
  int expected = kNone;
  if (answer_state_.compare_exchange_strong(expected, kAwaited, std::memory_order_acq_rel)) {
    watch_for_close();
    answer_signal_.expires_at(asio::steady_timer::time_point::max());
    co_await answer_signal_.async_wait(kToken);
    boost::system::error_code ignored;
    transport_.socket().cancel(ignored);  // ends the watch
  }
  co_return std::move(answer_);
}

/// The answer is given by then, on this thread; so soon that nobody watches for a leaving client.
asio::awaitable<void> Connection::turn_end() {
  co_await asio::async_initiate<decltype(asio::use_awaitable), void()>(
      [this](auto resume) { worker_.resumed_by_turn.emplace_back(std::move(resume)); },
      asio::use_awaitable);
}

void Connection::set_answer(Response response) {
  answer_ = std::move(response);
  if (answer_state_.exchange(kGiven, std::memory_order_acq_rel) == kAwaited) {
    asio::post(transport_.socket().get_executor(),
               [self = shared_from_this()] { self->answer_signal_.cancel(); });
  }
}

/// While the answer is being made: has the client gone? Bytes of a next request are left alone.
void Connection::watch_for_close() {
  // TLS may have read the end together with the request.
  if (transport_.secure() && transport_.peer() == Transport::Peer::kGone) {
    gone_->leave(shared_.clock.now());
    return;
  }
  transport_.socket().async_wait(
      Tcp::socket::wait_read, [self = shared_from_this()](const boost::system::error_code& error) {
        if (error || self->answer_state_.load(std::memory_order_relaxed) != kAwaited) {
          return;
        }
        const Transport::Peer peer = self->transport_.peer();
        if (peer == Transport::Peer::kGone) {
          self->gone_->leave(self->shared_.clock.now());
        } else if (peer == Transport::Peer::kSilent) {
          self->watch_for_close();  // what came was no byte of a request
        }
      });
}

Response Connection::refusal_response() const {
  return is_oip_path(request_.path) ? oip_error_response(*refusal_)
                                    : error_response(*refusal_, request_.id);
}

Response Connection::preflight() const {
  Response response{.status = 204, .content_type = {}};
  response.headers.emplace_back(
      "Allow", route_ != nullptr ? Router::allowed(*route_) : "GET, HEAD, POST, OPTIONS");
  if (!shared_.options.cors_origins.empty() && route_ != nullptr && route_->api) {
    response.headers.emplace_back("Access-Control-Allow-Methods", Router::allowed(*route_));
    response.headers.emplace_back("Access-Control-Allow-Headers",
                                  "Authorization, Content-Type, Content-Encoding, X-Api-Key, "
                                  "X-Request-Id, traceparent, Inference-Header-Content-Length");
    const auto age = std::chrono::duration_cast<std::chrono::seconds>(shared_.options.cors_max_age);
    response.headers.emplace_back("Access-Control-Max-Age", std::to_string(age.count()));
  }
  return response;
}

void Connection::add_cors(Response& response) const {
  const auto& origins = shared_.options.cors_origins;
  if (origins.empty() || route_ == nullptr || !route_->api || request_.headers == nullptr) {
    return;
  }
  response.headers.emplace_back("Vary", "Origin");
  const std::string_view origin = request_.header(Field::origin);
  for (const std::string& allowed : origins) {
    if (!origin.empty() && (allowed == "*" || allowed == origin)) {
      response.headers.emplace_back("Access-Control-Allow-Origin",
                                    allowed == "*" ? "*" : std::string(origin));
      response.headers.emplace_back("Access-Control-Expose-Headers",
                                    "X-Request-Id, Retry-After, Inference-Header-Content-Length");
      return;
    }
  }
}

void Connection::build_head(const Response& response) {
  out_.clear();
  out_ += "HTTP/1.1 ";
  out_ += std::to_string(response.status);
  out_ += ' ';
  out_ += reason_phrase(response.status);
  out_ += "\r\nDate: ";
  out_ += worker_.date;
  if (!response.content_type.empty()) {
    out_ += "\r\nContent-Type: ";
    out_ += response.content_type;
  }
  if (response.status != 204 && response.status != 304) {
    std::size_t size =
        response.static_body.empty() ? response.body.size() : response.static_body.size();
    for (const auto part : response.tail) {
      size += part.size();
    }
    out_ += "\r\nContent-Length: ";
    out_ += std::to_string(size);
  }
  out_ += "\r\nX-Request-Id: ";
  out_ += request_.id;
  if (!request_.context.traceparent.empty()) {
    out_ += "\r\ntraceparent: ";
    out_ += request_.context.traceparent;
  }
  for (const auto& [name, value] : response.headers) {
    out_ += "\r\n";
    out_ += name;
    out_ += ": ";
    out_ += value;
  }
  if (!keep_alive_) {
    out_ += "\r\nConnection: close";
  } else if (parser_->get().version() < 11) {
    out_ += "\r\nConnection: keep-alive";
  }
  out_ += "\r\n\r\n";
}

asio::awaitable<Connection::Step> Connection::write(bool head_only) {
  enter(Phase::kWriting, shared_.options.write_timeout);
  const TimePoint began = shared_.clock.now();
  add_cors(answer_);
  if (answer_.status == 405 && route_ != nullptr) {
    answer_.headers.emplace_back("Allow", Router::allowed(*route_));
  }
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
  log_access(total);
  end_trace(began);
  co_return written;
}

asio::awaitable<Connection::Step> Connection::write_all(std::string_view text) {
  pieces_.assign({asio::buffer(text)});
  const Step written = co_await write_pieces();
  co_return written;
}

/// Tries at once, since it nearly always fits the socket's buffer; waits only for the rest.
asio::awaitable<Connection::Step> Connection::write_pieces() {
  boost::system::error_code error;
  const std::size_t sent = transport_.write_now(pieces_, error);
  if (error && error != asio::error::would_block) {
    co_return Step::kClose;
  }
  consume(pieces_, sent);
  if (asio::buffer_size(pieces_) > 0) {
    const auto [failed, count] = co_await transport_.write(pieces_);
    if (failed) {
      co_return Step::kClose;
    }
  }
  co_return Step::kGo;
}

/// Closing with unread bytes makes the kernel send a reset, which can take the answer with it: so
/// say that no more will be sent, and read until the peer closes, for a short while.
asio::awaitable<void> Connection::linger() {
  boost::system::error_code ignored;
  Tcp::socket& socket = transport_.socket();
  transport_.end_sending(ignored);
  if (!ignored && (!body_read_ || socket.available(ignored) > 0)) {
    enter(Phase::kLingering, kLingerLimit);
    for (;;) {
      const auto space = asio::buffer(worker_.waste);
      const auto [error, count] = co_await socket.async_read_some(space, kToken);
      if (error || count == 0) {
        break;
      }
    }
  }
  socket.close(ignored);
}

void Connection::begin_trace(std::string_view traceparent) {
  trace::Tracer* tracer = shared_.options.tracer;
  if (tracer == nullptr) {
    request_.context.traceparent = trace::child_traceparent(traceparent);
    return;
  }
  request_.context.trace = tracer->begin(traceparent, request_.context.received);
  request_.context.traceparent = request_.context.trace->context().traceparent();
}

/// Only the API's requests make traces: probes and pages would bury them.
void Connection::end_trace(TimePoint reply_began) {
  const auto trace = std::move(request_.context.trace);
  if (!trace || route_ == nullptr || !route_->api || route_->quiet) {
    return;
  }
  const TimePoint now = shared_.clock.now();
  trace->add("reply", reply_began, now);
  const auto method = beast_http::to_string(request_.method);
  shared_.options.tracer->end(trace,
                              {.method = {method.data(), method.size()},
                               .path = route_->path,
                               .request_id = request_.id,
                               .status = answer_.status,
                               .code = answer_.code,
                               .failed = answer_.status >= 500},
                              now);
}

/// Failures of each status have a budget of their own, so that a flood of one hides no other.
bool Connection::take_log_budget(int status) {
  auto& all = worker_.log_budgets;
  auto mine = std::ranges::find(all, status, &WorkerState::LogBudget::status);
  if (mine == all.end()) {
    const unsigned most = status == 0 ? shared_.options.access_log_rate
                                      : std::max(kLeastFailures, shared_.options.access_log_rate);
    mine = all.insert(all.end(), {.status = status, .left = most});
  }
  if (mine->left == 0) {
    ++mine->unlogged;
    return false;
  }
  --mine->left;
  return true;
}

void Connection::log_access(std::size_t bytes_out) {
  const AccessLog mode = shared_.options.access_log;
  const bool failed = answer_.status >= 400;
  const bool quiet = route_ != nullptr && route_->quiet;
  if (mode == AccessLog::kOff || (quiet && mode != AccessLog::kAll) ||
      (!failed && mode == AccessLog::kErrors)) {
    return;
  }
  if (mode != AccessLog::kAll && !take_log_budget(failed ? answer_.status : 0)) {
    return;
  }
  // A probe's "not ready" is an answer, no fault.
  const bool fault = answer_.status >= 500 && !quiet;
  const log::Level level = fault ? log::Level::kError : log::Level::kInfo;
  const auto total = shared_.clock.now() - request_.context.received;
  const auto method = beast_http::to_string(request_.method);
  log::record(
      level, "request",
      {{"request_id", request_.id},
       {"server", shared_.options.name},
       {"peer", peer_},
       {"client", request_.context.client},
       {"method", std::string_view(method.data(), method.size())},
       {"path", request_.path},
       {"status", answer_.status},
       {"code", answer_.code},
       {"bytes_in", bytes_in_},
       {"bytes_out", bytes_out},
       {"total_ms", to_ms(total)},
       {"trace_id", std::string_view(request_.context.traceparent)
                        .substr(std::min<std::size_t>(3, request_.context.traceparent.size()), 32)},
       {"detail", answer_.detail}});
}

}  // namespace podsense::http
