// How a connection reads a request: head, and what can be refused before a body.
#include <algorithm>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/rfc7230.hpp>
#include <cstdint>
#include <limits>
#include <tuple>
#include <utility>

#include "base/log.h"
#include "http/connection.h"
#include "http/same_site.h"
#include "http/target.h"
#include "protocol/identity.h"

namespace podsense::http {
namespace {

constexpr std::size_t kHeadChunk = 2U << 10U;
/// A connection keeps the memory of a body up to this size while it is idle.
constexpr std::size_t kKeptBody = 512;

using Field = beast_http::field;

/// What a kept place may take from its begin to the end of its head.
constexpr Duration kKeptLimit = std::chrono::seconds(2);

/// Takes a leading empty line off; false: there is none, or not all of it yet.
bool skip_empty_line(std::string_view& text) {
  const std::size_t size = text.starts_with("\r\n") ? 2 : text.starts_with('\n') ? 1 : 0;
  text.remove_prefix(size);
  return size > 0;
}

std::string_view without_spaces(std::string_view text) {
  const auto first = text.find_first_not_of(" \t");
  return first == std::string_view::npos
             ? std::string_view()
             : text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

}  // namespace

/// Reads up to `most` bytes more. False: the peer is gone, or the phase's time is over.
asio::awaitable<bool> Connection::fill(std::size_t most) {
  const auto space = buffer_.prepare(most);
  const auto [error, count] = co_await transport_.read_some(space);
  buffer_.commit(count);
  if (error == asio::error::operation_aborted && shared_.stopping && !timed_out_) {
    // The drain ended the wait; a request that came in the same moment is still served.
    const std::size_t late = transport_.read_now(space);
    if (late > 0) {
      buffer_.commit(late);
      co_return true;
    }
  }
  co_return !error && count > 0;
}

/// Before any request, and held to the time of one's headers.
asio::awaitable<Connection::Step> Connection::shake_hands() {
  const Duration limit = header_limit();
  enter(Phase::kHandshake, shared_.stopping ? std::min(limit, kHandshakeGrace) : limit);
  const Transport::Handshake result = co_await transport_.handshake();
  if (result.reason.empty()) {
    co_return Step::kGo;
  }
  shared_.registry.handshake_failed(result.reason);
  log::debug("tls_handshake_failed", {{"server", shared_.options.name},
                                      {"peer", peer_},
                                      {"reason", result.reason},
                                      {"detail", result.detail}});
  if (result.reason == "plain_http") {
    request_.id = protocol::new_request_id();
    answer_ = error_response({.code = ErrorCode::kInvalidArgument,
                              .message = "this port speaks TLS: ask it with https://"},
                             request_.id);
    build_head(answer_);
    out_ += answer_.body;
    boost::system::error_code ignored;
    transport_.socket().write_some(asio::buffer(out_), ignored);
  }
  co_return Step::kClose;
}

Duration Connection::idle_limit() const {
  if (shared_.stopping) {
    return kFreshGrace;
  }
  return turned_away_ ? header_limit() : shared_.options.idle_timeout;
}

Duration Connection::header_limit() const {
  const Duration limit = shared_.options.header_timeout;
  return turned_away_ ? std::min(limit, kKeptLimit) : limit;
}

/// Until there is a first byte that is not part of an empty line: some clients end a body with one,
/// RFC 9112 2.2. Such lines do not renew the time that an idle connection has.
asio::awaitable<Connection::Step> Connection::wait_for_request() {
  for (bool waits = false;; waits = true) {
    const auto* at = static_cast<const char*>(buffer_.data().data());
    std::string_view have(at, buffer_.size());
    while (skip_empty_line(have)) {
    }
    buffer_.consume(buffer_.size() - have.size());
    if (!have.empty() && have != "\r") {
      co_return Step::kGo;
    }
    if (shared_.stopping && !fresh_) {
      co_return Step::kClose;
    }
    buffer_.shrink_to_fit();
    if (!waits) {
      enter(Phase::kIdle, idle_limit());
    }
    const bool more = co_await fill(kHeadChunk);
    if (!more) {
      co_return Step::kClose;
    }
  }
}

/// The memory of small texts stays for the next.
void Connection::forget_request() {
  std::string id = std::move(request_.id);
  std::string body = std::move(request_.body);
  request_ = Request{};
  request_.id = std::move(id);
  if (body.capacity() <= kKeptBody) {
    body.clear();
    request_.body = std::move(body);
  }
}

asio::awaitable<Connection::Step> Connection::read_head() {
  parser_.reset();
  head_memory_.release();
  parser_.emplace(std::piecewise_construct, std::tuple(),
                  std::tuple(Fields::allocator_type(&head_memory_)));
  parser_->header_limit(shared_.options.max_header_bytes);
  parser_->body_limit(boost::none);
  refusal_.reset();
  forget_request();
  route_ = nullptr;
  handler_ = nullptr;
  keep_alive_ = false;
  bytes_in_ = 0;
  const Step came = co_await wait_for_request();
  if (came == Step::kClose) {
    co_return Step::kClose;
  }
  begin_request();
  enter(Phase::kHeader, header_limit());
  request_.context.received = shared_.clock.now();
  for (std::size_t taken = 0;;) {
    const auto error = parse_head(taken);
    if (error && error != beast_http::error::need_more) {
      refuse_parse(error);
      co_return Step::kGo;
    }
    if (parser_->is_header_done()) {
      co_return Step::kGo;
    }
    const bool more = co_await fill(kHeadChunk);
    if (!more) {
      if (!timed_out_) {
        co_return Step::kClose;
      }
      refuse({.code = ErrorCode::kRequestTimeout,
              .message = "the request's headers did not come in time"});
      co_return Step::kGo;
    }
  }
}

/// Of the bytes that came. `taken`: those of this head so far. The parser's own limit leaves out
/// the lines that it took from bytes that came earlier.
boost::system::error_code Connection::parse_head(std::size_t& taken) {
  boost::system::error_code error;
  const std::size_t used = parser_->put(buffer_.data(), error);
  buffer_.consume(used);
  taken += used;
  const std::size_t unfinished = parser_->is_header_done() ? 0 : buffer_.size();
  if ((!error || error == beast_http::error::need_more) &&
      taken + unfinished > shared_.options.max_header_bytes) {
    error = beast_http::error::header_limit;
  }
  return error;
}

void Connection::refuse(Error error) {
  if (!refusal_) {
    refusal_ = std::move(error);
  }
}

void Connection::refuse_parse(const boost::system::error_code& error) {
  using E = beast_http::error;
  Error refused{.code = ErrorCode::kInvalidArgument, .detail = error.message()};
  if (error == E::header_limit) {
    refused.code = ErrorCode::kHeadersTooLarge;
    refused.message = "request line and headers are over " +
                      std::to_string(shared_.options.max_header_bytes) + " bytes";
  } else if (error == E::body_limit) {
    refused.code = ErrorCode::kPayloadTooLarge;
    refused.message = "the body is over " + std::to_string(max_body_) + " bytes";
  } else {
    refused.message = "not a valid HTTP/1.1 request: " + error.message();
  }
  refuse(std::move(refused));
}

void Connection::examine_head() {
  body_read_ = false;
  if (refusal_) {
    // The rest of the stream cannot be told apart from a next request: answer and close.
    keep_alive_ = false;
    request_.id = protocol::new_request_id();
    return;
  }
  auto& head = parser_->get();
  keep_alive_ = parser_->keep_alive();
  request_.method = head.method();
  request_.headers = &head.base();
  request_.target = {head.target().data(), head.target().size()};
  if (request_.method == beast_http::verb::connect) {
    refuse(
        {.code = ErrorCode::kUnimplemented, .message = "CONNECT is not offered: this is no proxy"});
  } else if (request_.target == "*" && request_.method != beast_http::verb::options) {
    refuse({.code = ErrorCode::kInvalidArgument, .message = "only OPTIONS has the target *"});
  } else if (const auto target = parse_target(request_.target); target) {
    request_.path = target->path;
    request_.query = target->query;
  } else {
    refuse(target.error());
  }
  const auto given = head["X-Request-Id"];
  if (protocol::valid_request_id({given.data(), given.size()})) {
    request_.id.assign(given.data(), given.size());
  } else {
    protocol::renew_request_id(request_.id);
  }
  request_.context.set_request_id(request_.id);
  const auto parent = head["traceparent"];
  begin_trace({parent.data(), parent.size()});
  request_.context.departure = gone_;
  request_.context.client.clear();
  choose_handler();
  if (turned_away_) {
    keep_alive_ = false;
    if (route_ == nullptr || !route_->quiet || !route_->open) {
      refusal_ = turned_away_;
    }
  }
  check_body_headers();
}

void Connection::choose_handler() {
  const auto hosts = request_.headers->count(Field::host);
  if (hosts > 1 || (hosts == 0 && parser_->get().version() >= 11)) {
    keep_alive_ = false;  // what stands in front may have sent it elsewhere
    return refuse({.code = ErrorCode::kInvalidArgument,
                   .message = "an HTTP/1.1 request needs exactly one Host header"});
  }
  if (!valid_host(request_.header(Field::host))) {
    return refuse({.code = ErrorCode::kInvalidArgument,
                   .message = "Host is not a host with an optional port"});
  }
  if (refusal_) {
    return;
  }
  if (request_.method == beast_http::verb::options && request_.target == "*") {
    return;
  }
  const auto found = shared_.router.find(request_.path);
  if (!found) {
    return refuse(found.error());
  }
  route_ = found->route;
  request_.path_values = found->values;
  if (request_.method == beast_http::verb::options) {
    return;
  }
  const auto handler = Router::handler(*route_, request_.method);
  if (!handler) {
    return refuse(handler.error());
  }
  handler_ = *handler;
  check_access();
}

/// Before the body: whoever may not ask does not make the server read.
void Connection::check_access() {
  if (route_->control && request_.method == beast_http::verb::post) {
    if (auto same = check_same_site(request_, shared_.options.own_names); !same) {
      return refuse(std::move(same.error()));
    }
  }
  access::Guard* const guard = shared_.options.guard;
  if (guard == nullptr || route_->open || (!route_->api && !route_->control)) {
    return;
  }
  const auto area = route_->control ? access::Area::kControl : access::Area::kInference;
  if (guard->open(area)) {
    return;
  }
  const auto key = (*request_.headers)["X-Api-Key"];
  auto name = guard->admit(area,
                           {.authorization = request_.header(Field::authorization),
                            .api_key = {key.data(), key.size()},
                            .address = peer_},
                           shared_.clock.now());
  if (!name) {
    return refuse(std::move(name.error()));
  }
  request_.context.client = std::move(*name);
}

void Connection::check_body_headers() {
  const bool post = request_.method == beast_http::verb::post;
  max_body_ = post && handler_ != nullptr ? route_->max_body : kMostDiscarded;
  const auto length = parser_->content_length();
  const std::string_view expect = request_.header(Field::expect);
  const bool knows_continue = parser_->get().version() >= 11;
  wants_continue_ = knows_continue && boost::beast::iequals(expect, "100-continue");
  if (knows_continue && !expect.empty() && !wants_continue_) {
    refuse({.code = ErrorCode::kInvalidArgument,
            .message = "Expect takes no other value than 100-continue"});
  }
  check_framing();
  if (post && handler_ != nullptr && route_->body_required && !length && !parser_->chunked()) {
    refuse({.code = ErrorCode::kLengthRequired,
            .message = "a body is needed: send Content-Length or Transfer-Encoding: chunked"});
  }
  if (length && *length > max_body_) {
    refuse({.code = ErrorCode::kPayloadTooLarge,
            .message = "the body has " + std::to_string(*length) + " bytes; accepted are up to " +
                       std::to_string(max_body_)});
  }
  check_coding();
}

/// Where a request ends must be beyond doubt: what stands in front may have read it otherwise.
void Connection::check_framing() {
  if (parser_->content_length() && (request_.headers->count(Field::content_length) > 1 ||
                                    request_.header(Field::content_length).contains(','))) {
    keep_alive_ = false;
    refuse({.code = ErrorCode::kInvalidArgument, .message = "Content-Length is given twice"});
  }
  if (request_.headers->count(Field::transfer_encoding) == 0) {
    return;
  }
  if (parser_->get().version() < 11) {  // RFC 9112 6.1
    keep_alive_ = false;
    refuse({.code = ErrorCode::kInvalidArgument, .message = "Transfer-Encoding needs HTTP/1.1"});
    return;
  }
  const std::vector<std::string_view> codings = list_of(Field::transfer_encoding);
  const auto is_chunked = [](std::string_view name) {
    return boost::beast::iequals(name, "chunked");
  };
  if (codings.empty() || std::ranges::count_if(codings, is_chunked) != 1 ||
      !is_chunked(codings.back()) || !parser_->chunked()) {  // RFC 9112 6.3
    keep_alive_ = false;
    refuse({.code = ErrorCode::kInvalidArgument,
            .message = "Transfer-Encoding must end with chunked, once"});
  } else if (codings.size() > 1) {
    keep_alive_ = false;
    refuse({.code = ErrorCode::kUnimplemented,
            .message = "Transfer-Encoding takes no other value than chunked"});
  }
}

/// The elements of all lines with this name, RFC 9110 5.6.1; empty ones do not count.
std::vector<std::string_view> Connection::list_of(Field name) const {
  std::vector<std::string_view> elements;
  const auto lines = request_.headers->equal_range(name);
  for (auto line = lines.first; line != lines.second; ++line) {
    std::string_view rest(line->value().data(), line->value().size());
    while (!rest.empty()) {
      const std::size_t end = std::min(rest.find(','), rest.size());
      if (const auto element = without_spaces(rest.substr(0, end)); !element.empty()) {
        elements.push_back(element);
      }
      rest.remove_prefix(std::min(end + 1, rest.size()));
    }
  }
  return elements;
}

/// Of all Content-Encoding lines together; one coding at most is undone.
void Connection::check_coding() {
  coding_ = Coding::kIdentity;
  for (const std::string_view name : list_of(Field::content_encoding)) {
    if (boost::beast::iequals(name, "identity")) {
      continue;
    }
    const bool gzip = boost::beast::iequals(name, "gzip") || boost::beast::iequals(name, "x-gzip");
    if (coding_ != Coding::kIdentity || (!gzip && !boost::beast::iequals(name, "deflate"))) {
      return refuse({.code = ErrorCode::kUnsupportedMedia,
                     .message = "Content-Encoding may be gzip, deflate or identity"});
    }
    coding_ = gzip ? Coding::kGzip : Coding::kDeflate;
  }
}

}  // namespace podsense::http
