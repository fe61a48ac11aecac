// How HTTP/1.1 reads a request's head, and refuses requests before reading the body.
#include <algorithm>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/http/error.hpp>
#include <utility>

#include "transport/http1.h"
#include "transport/http2.h"
#include "transport/proxy_protocol.h"

namespace podsense::transport {

namespace beast_http = boost::beast::http;

namespace {

constexpr std::size_t kHeadChunk = 2U << 10U;

/// Removes a leading empty line; false: there is none, or it is not complete yet.
bool skip_empty_line(std::string_view& text) {
  const std::size_t size = text.starts_with("\r\n") ? 2 : text.starts_with('\n') ? 1 : 0;
  text.remove_prefix(size);
  return size > 0;
}

/// Names the protocol if `bytes` begin like another known protocol; empty: not recognised.
std::string_view other_protocol(std::string_view bytes) {
  constexpr std::string_view kTlsHandshake = "\x16\x03";
  // The leading empty lines of the version 2 signature were already skipped.
  const std::string_view binary = kProxySignature.substr(4);
  if (bytes.starts_with(kTlsHandshake)) {
    return "TLS: this port is plain, ask it with http://, or set tls.certificate";
  }
  if (bytes.starts_with(kProxyWord) || bytes.starts_with(binary)) {
    return "the PROXY protocol: it is understood from listen.trusted_proxies with "
           "listen.proxy_protocol";
  }
  return {};
}

}  // namespace

/// Reads up to `most` more bytes. False: the peer is gone, or the phase's time limit has passed.
asio::awaitable<bool> Http1::fill(std::size_t most) {
  const auto space = buffer_.prepare(most);
  const auto [error, count] = co_await stream_.read_some(space);
  buffer_.commit(count);
  const bool was_idle = phase_ == Phase::kIdle;
  if (error == asio::error::operation_aborted && (was_idle || (server().stopping && !timed_out_))) {
    // The drain or the idle limit ended the wait; a request that arrived at the same moment is
    // served.
    boost::system::error_code ignored;
    const std::size_t late = stream_.read_now(space, ignored);
    if (late > 0) {
      buffer_.commit(late);
      timed_out_ = false;
      co_return true;
    }
  }
  co_return !error && count > 0;
}

Duration Http1::idle_limit() const {
  if (server().stopping) {
    return kFreshGrace;
  }
  return connection_.turned_away() ? connection_.header_limit() : server().options.idle_timeout;
}

/// Decides by the first bytes of a request what to do; nothing: too few bytes so far.
std::optional<Http1::Step> Http1::first_bytes(std::string_view have) const {
  if (have.empty() || have == "\r") {
    return std::nullopt;
  }
  if (!fresh_ ||
      !have.starts_with(kHttp2Preface.substr(0, std::min<std::size_t>(have.size(), 4)))) {
    return Step::kGo;
  }
  if (!kHttp2Preface.starts_with(have.substr(0, kHttp2Preface.size()))) {
    return Step::kGo;  // not the preface after all: a bad HTTP/1.1 request
  }
  return have.size() < kHttp2Preface.size() ? std::nullopt : std::optional(Step::kHttp2);
}

/// Waits for the first byte that is not part of an empty line, as some clients send one after a
/// body, RFC 9112 2.2. Empty lines do not extend the idle limit.
asio::awaitable<Http1::Step> Http1::wait_for_request() {
  for (bool waits = false;; waits = true) {
    const auto* at = static_cast<const char*>(buffer_.data().data());
    std::string_view have(at, buffer_.size());
    while (skip_empty_line(have)) {
    }
    buffer_.consume(buffer_.size() - have.size());
    if (const auto step = first_bytes(have)) {
      co_return *step;
    }
    if (server().stopping && !fresh_) {
      co_return Step::kClose;
    }
    const bool began = !have.empty() && have != "\r";
    buffer_.shrink_to_fit();  // invalidates `have`
    if (began && phase_ != Phase::kHeader) {
      enter(Phase::kHeader, connection_.header_limit());  // could be the HTTP/2 preface
    } else if (!waits) {
      enter(Phase::kIdle, idle_limit());
    }
    const bool more = co_await fill(kHeadChunk);
    if (!more) {
      co_return Step::kClose;
    }
  }
}

asio::awaitable<Http1::Step> Http1::read_head() {
  exchange_.reset();
  parser_.emplace(request());
  parser_->header_limit(server().options.max_header_bytes);
  parser_->body_limit(boost::none);
  keep_alive_ = false;
  has_head_ = false;
  const Step came = co_await wait_for_request();
  if (came != Step::kGo) {
    co_return came;
  }
  fresh_ = false;
  exchange_.begin();
  enter(Phase::kHeader, connection_.header_limit());
  for (std::size_t taken = 0;;) {
    auto error = parse_head(taken);
    if (error == beast_http::error::need_more && taken == 0 &&
        !other_protocol({static_cast<const char*>(buffer_.data().data()), buffer_.size()})
             .empty()) {
      error = beast_http::error::bad_method;  // a line end may never arrive
    }
    if (error && error != beast_http::error::need_more) {
      refuse_parse(error);
      co_return Step::kGo;
    }
    if (parser_->is_header_done()) {
      has_head_ = true;
      co_return Step::kGo;
    }
    const bool more = co_await fill(kHeadChunk);
    if (!more) {
      if (!timed_out_) {
        co_return Step::kClose;
      }
      exchange_.refuse({.code = ErrorCode::kRequestTimeout,
                        .message = "the request's headers did not come in time"});
      co_return Step::kGo;
    }
  }
}

/// Parses the received bytes. `taken`: bytes of this head so far, needed because the parser's own
/// limit does not count lines that it consumed in earlier calls.
boost::system::error_code Http1::parse_head(std::size_t& taken) {
  boost::system::error_code error;
  const std::size_t used = parser_->put(buffer_.data(), error);
  buffer_.consume(used);
  taken += used;
  const std::size_t unfinished = parser_->is_header_done() ? 0 : buffer_.size();
  if ((!error || error == beast_http::error::need_more) &&
      taken + unfinished > server().options.max_header_bytes) {
    error = beast_http::error::header_limit;
  }
  return error;
}

void Http1::refuse_parse(const boost::system::error_code& error) {
  using E = beast_http::error;
  const auto* at = static_cast<const char*>(buffer_.data().data());
  Error refused{.code = ErrorCode::kInvalidArgument, .detail = error.message()};
  if (error == E::header_limit) {
    refused.code = ErrorCode::kHeadersTooLarge;
    refused.message = "request line and headers are over " +
                      std::to_string(server().options.max_header_bytes) + " bytes";
  } else if (error == E::body_limit) {
    refused = exchange_.too_large(std::nullopt);
  } else if (const auto other = other_protocol({at, buffer_.size()}); !other.empty()) {
    refused.message = "this is no HTTP but " + std::string(other);
  } else {
    refused.message = "not a valid HTTP/1.1 request: " + error.message();
  }
  exchange_.refuse(std::move(refused));
}

void Http1::refuse_body_time() {
  exchange_.refuse(
      {.code = ErrorCode::kRequestTimeout, .message = "the request's body did not come in time"});
}

void Http1::examine_head() {
  body_read_ = false;
  if (!has_head_) {
    // The start of the next request is unknown: answer and close.
    keep_alive_ = false;
    exchange_.name_nameless();
    return;
  }
  keep_alive_ = parser_->keep_alive();
  exchange_.examine();
  check_hosts();
  exchange_.choose_handler();
  if (connection_.turned_away()) {
    keep_alive_ = false;
    exchange_.turn_away(*connection_.turned_away());
  }
  check_body_headers();
}

void Http1::check_hosts() {
  const auto hosts = request().headers.count("host");
  if (hosts > 1 || (hosts == 0 && parser_->version() >= 11)) {
    keep_alive_ = false;  // a proxy in front may have routed it by another host
    exchange_.refuse({.code = ErrorCode::kInvalidArgument,
                      .message = "an HTTP/1.1 request needs exactly one Host header"});
  }
}

void Http1::check_body_headers() {
  const std::string_view expect = request().header("expect");
  const bool knows_continue = parser_->version() >= 11;
  wants_continue_ = knows_continue && equals_ignoring_case(expect, "100-continue");
  if (knows_continue && !expect.empty() && !wants_continue_) {
    exchange_.refuse({.code = ErrorCode::kInvalidArgument,
                      .message = "Expect takes no other value than 100-continue"});
  }
  check_framing();
  const auto length = parser_->content_length();
  exchange_.check_body(length ? std::optional<std::uint64_t>(*length) : std::nullopt,
                       length || parser_->chunked());
}

/// Refuses requests with ambiguous framing, which a proxy in front may read differently (request
/// smuggling).
void Http1::check_framing() {
  if (parser_->content_length() && (request().headers.count("content-length") > 1 ||
                                    request().header("content-length").contains(','))) {
    keep_alive_ = false;
    exchange_.refuse(
        {.code = ErrorCode::kInvalidArgument, .message = "Content-Length is given twice"});
  }
  if (request().headers.count("transfer-encoding") == 0) {
    return;
  }
  if (parser_->version() < 11) {  // RFC 9112 6.1
    keep_alive_ = false;
    exchange_.refuse(
        {.code = ErrorCode::kInvalidArgument, .message = "Transfer-Encoding needs HTTP/1.1"});
    return;
  }
  const std::vector<std::string_view> codings = request().headers.list("transfer-encoding");
  const auto is_chunked = [](std::string_view name) {
    return equals_ignoring_case(name, "chunked");
  };
  if (codings.empty() || std::ranges::count_if(codings, is_chunked) != 1 ||
      !is_chunked(codings.back()) || !parser_->chunked()) {  // RFC 9112 6.3
    keep_alive_ = false;
    exchange_.refuse({.code = ErrorCode::kInvalidArgument,
                      .message = "Transfer-Encoding must end with chunked, once"});
  } else if (codings.size() > 1) {
    keep_alive_ = false;
    exchange_.refuse({.code = ErrorCode::kUnimplemented,
                      .message = "Transfer-Encoding takes no other value than chunked"});
  }
}

}  // namespace podsense::transport
