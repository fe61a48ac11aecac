// How HTTP/1.1 reads a body: with a known size, chunked, compressed. Memory is counted before each
// part is read.
#include <algorithm>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/http/error.hpp>
#include <cstdint>
#include <utility>

#include "transport/http1.h"

namespace podsense::transport {

namespace beast_http = boost::beast::http;

namespace {

constexpr std::size_t kBodyChunk = 64U << 10U;
/// The longest line that a chunk needs: the line end of the previous data, 16 digits, its own line
/// end.
constexpr std::size_t kChunkLine = 20;

}  // namespace

asio::awaitable<Http1::Step> Http1::read_body() {
  if (!has_head_) {
    co_return Step::kGo;  // no valid head was read
  }
  const auto length = parser_->content_length();
  if (!parser_->chunked() && length.value_or(0) == 0) {
    body_read_ = true;
    co_return Step::kGo;
  }
  // The body of a refused request is read only if it is small and the client does not wait for "100
  // Continue".
  const bool discards = exchange_.refusal().has_value();
  if (discards &&
      (wants_continue_ || !keep_alive_ || length.value_or(kMostDiscarded + 1) > kMostDiscarded)) {
    co_return Step::kGo;
  }
  enter(Phase::kBody, server().options.body_timeout);
  if (wants_continue_ && buffer_.size() == 0) {
    const Step told = co_await write_all("HTTP/1.1 100 Continue\r\n\r\n");
    if (told == Step::kClose) {
      co_return Step::kClose;
    }
  }
  Step step = Step::kGo;
  if (parser_->chunked()) {
    step = co_await read_chunked_body();
  } else {
    step = co_await read_sized_body(*length);
  }
  if (step == Step::kGo && body_read_ && !exchange_.refusal() &&
      exchange_.coding() != Coding::kIdentity) {
    step = co_await inflate_body();
  }
  if (step == Step::kGo && body_read_ && !exchange_.refusal()) {
    static_cast<void>(exchange_.take_memory_to_read());
  }
  co_return step;
}

/// Reads directly into the body's memory, without the parser, which has finished this message.
asio::awaitable<Http1::Step> Http1::read_sized_body(std::uint64_t size) {
  const std::size_t have = std::min<std::size_t>(buffer_.size(), size);
  request().body.reserve(size);
  request().body.append(static_cast<const char*>(buffer_.data().data()), have);
  buffer_.consume(have);
  while (request().body.size() < size) {
    const std::size_t had = request().body.size();
    const std::size_t wanted = std::min<std::size_t>(size - had, kBodyChunk * 4);
    if (!exchange_.take_memory(had + wanted)) {
      co_return Step::kGo;
    }
    request().body.resize_and_overwrite(had + wanted, [](char*, std::size_t n) { return n; });
    const auto [error, count] =
        co_await stream_.read_some(asio::buffer(request().body.data() + had, wanted));
    request().body.resize(had + count);
    if (error || count == 0) {
      if (!timed_out_) {
        co_return Step::kClose;
      }
      refuse_body_time();
      co_return Step::kGo;
    }
  }
  body_read_ = true;
  co_return Step::kGo;
}

/// The limit of headers applies to all extensions and trailers of a request together. False: the
/// request is refused. `unfinished`: bytes of a line or of trailers that are still incomplete.
bool Http1::check_extra(std::size_t unfinished) {
  const std::size_t most = server().options.max_header_bytes;
  const std::size_t begun = unfinished - std::min(unfinished, kChunkLine);
  if (parser_->extra() + begun <= most) {
    return true;
  }
  exchange_.refuse(
      {.code = ErrorCode::kHeadersTooLarge,
       .message = "chunk extensions and trailers are over " + std::to_string(most) + " bytes"});
  return false;
}

asio::awaitable<Http1::Step> Http1::read_chunked_body() {
  parser_->data_limit(exchange_.max_body());
  while (!parser_->is_done()) {
    boost::system::error_code error;
    const std::size_t used = parser_->put_chunked(buffer_.data(), error);
    buffer_.consume(used);
    if (error && error != beast_http::error::need_more) {
      refuse_parse(error);
      co_return Step::kGo;
    }
    // Bytes that the parser leaves belong to an incomplete chunk line or to incomplete trailers.
    const bool waits = !parser_->is_done() && (used == 0 || error);
    if (!check_extra(waits ? buffer_.size() : 0)) {
      co_return Step::kGo;
    }
    if (!waits) {
      continue;
    }
    // The parser's string grows by doubling.
    if (!exchange_.take_memory(2 * (request().body.size() + kBodyChunk))) {
      co_return Step::kGo;
    }
    const bool more = co_await fill(kBodyChunk);
    if (!more) {
      if (!timed_out_) {
        co_return Step::kClose;
      }
      refuse_body_time();
      co_return Step::kGo;
    }
  }
  body_read_ = true;
  co_return Step::kGo;
}

asio::awaitable<Http1::Step> Http1::inflate_body() {
  Inflater inflater(request().body, exchange_.coding(), server().options.max_inflated_bytes);
  for (;;) {
    if (!exchange_.take_memory(request().body.size() + 2 * inflater.size() + kBodyChunk)) {
      co_return Step::kGo;
    }
    const auto done = inflater.step();
    if (!done) {
      exchange_.refuse(done.error());
      co_return Step::kGo;
    }
    if (*done) {
      break;
    }
    co_await asio::post(stream_.socket().get_executor(), asio::use_awaitable);  // yields to others
  }
  request().body = inflater.take();
  co_return Step::kGo;
}

}  // namespace podsense::transport
