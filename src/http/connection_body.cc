// How a connection reads a body: sized, chunked, compressed; each part is counted before it is
// read.
#include <algorithm>
#include <bit>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/http/error.hpp>
#include <cstdint>
#include <limits>
#include <utility>

#include "http/connection.h"
#include "http/gzip.h"

namespace podsense::http {
namespace {

constexpr std::size_t kBodyChunk = 64U << 10U;
/// Bodies up to this size cost no more than the connection they come on.
constexpr std::size_t kUncounted = 4U << 10U;
/// The longest line that a chunk needs: the end of the data before it, 16 digits, its own end.
constexpr std::size_t kChunkLine = 20;

}  // namespace

asio::awaitable<Connection::Step> Connection::read_body() {
  if (request_.headers == nullptr) {
    co_return Step::kGo;  // there was no head
  }
  const auto length = parser_->content_length();
  if (!parser_->chunked() && length.value_or(0) == 0) {
    body_read_ = true;
    co_return Step::kGo;
  }
  // A refused request is read to its end only where that is cheap and nobody waits to send it.
  const bool discards = refusal_.has_value();
  if (discards &&
      (wants_continue_ || !keep_alive_ || length.value_or(kMostDiscarded + 1) > kMostDiscarded)) {
    co_return Step::kGo;
  }
  enter(Phase::kBody, shared_.options.body_timeout);
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
  if (step == Step::kGo && body_read_ && !refusal_ && coding_ != Coding::kIdentity) {
    step = co_await inflate_body();
  }
  if (step == Step::kGo && body_read_ && !refusal_) {
    static_cast<void>(take_memory(memory_to_read(request_.body)));
  }
  co_return step;
}

/// JSON becomes numbers, and an index of its structure, before it is forgotten.
std::uint64_t Connection::memory_to_read(std::string_view body) {
  constexpr std::uint64_t kOfJson = 6;
  const bool json = body.starts_with('{') || body.starts_with('[');
  return json ? body.size() * kOfJson : body.size();
}

bool Connection::take_memory(std::uint64_t bytes) {
  if (bytes <= kUncounted || shared_.options.memory == nullptr) {
    return true;
  }
  auto& memory = request_.context.memory;
  if (!memory) {
    memory = std::make_shared<MemoryBudget::Share>(
        MemoryBudget::share(shared_.options.memory, MemoryUse::kBodies));
  }
  body_grew_ = shared_.clock.now();
  auto taken = memory->grow_to(bytes);
  if (!taken) {
    std::string().swap(request_.body);  // an assignment would keep its memory
    memory.reset();
    refuse(std::move(taken.error()));
  }
  return taken.has_value();
}

/// Straight into the body's own memory: the parser is done with this message.
asio::awaitable<Connection::Step> Connection::read_sized_body(std::uint64_t size) {
  const std::size_t have = std::min<std::size_t>(buffer_.size(), size);
  request_.body.reserve(size);
  request_.body.append(static_cast<const char*>(buffer_.data().data()), have);
  buffer_.consume(have);
  while (request_.body.size() < size) {
    const std::size_t had = request_.body.size();
    const std::size_t wanted = std::min<std::size_t>(size - had, kBodyChunk * 4);
    if (!take_memory(had + wanted)) {
      co_return Step::kGo;
    }
    request_.body.resize_and_overwrite(had + wanted, [](char*, std::size_t n) { return n; });
    const auto [error, count] =
        co_await transport_.read_some(asio::buffer(request_.body.data() + had, wanted));
    request_.body.resize(had + count);
    if (error || count == 0) {
      if (!timed_out_) {
        co_return Step::kClose;
      }
      refuse({.code = ErrorCode::kRequestTimeout,
              .message = "the request's body did not come in time"});
      co_return Step::kGo;
    }
  }
  body_read_ = true;
  co_return Step::kGo;
}

std::size_t Connection::Parser::put_chunked(asio::const_buffer bytes,
                                            boost::system::error_code& error) {
  needed_ = 0;
  const std::size_t used = put(bytes, error);
  if (needed_ > 0) {
    extra_ += used - std::min(used, needed_);
  }
  return used;
}

/// A size of more than 63 bits is that of no body: others may read it as negative, or as a small
/// one once something is added to it, RFC 9112 7.1.
void Connection::Parser::on_chunk_header_impl(std::uint64_t size,
                                              boost::beast::string_view /*extensions*/,
                                              boost::beast::error_code& error) {
  if (size > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
    error = beast_http::error::bad_chunk;
    return;
  }
  if (size > data_left_) {
    error = beast_http::error::body_limit;
    return;
  }
  data_left_ -= size;
  const auto digits = static_cast<std::size_t>(std::bit_width(size | 1U) + 3) / 4;
  const std::size_t line_ends = size > 0 ? 2 : 3;  // the data's, the line's, the trailers'
  needed_ = digits + 2 * line_ends;
}

/// Extensions and trailers are held to the limit of headers, all of a request together. False: it
/// is refused. `unfinished`: bytes of a line, or of trailers, whose end has not come.
bool Connection::check_extra(std::size_t unfinished) {
  const std::size_t most = shared_.options.max_header_bytes;
  const std::size_t begun = unfinished - std::min(unfinished, kChunkLine);
  if (parser_->extra() + begun <= most) {
    return true;
  }
  refuse({.code = ErrorCode::kHeadersTooLarge,
          .message = "chunk extensions and trailers are over " + std::to_string(most) + " bytes"});
  return false;
}

asio::awaitable<Connection::Step> Connection::read_chunked_body() {
  parser_->data_limit(max_body_);
  while (!parser_->is_done()) {
    boost::system::error_code error;
    const std::size_t used = parser_->put_chunked(buffer_.data(), error);
    buffer_.consume(used);
    if (error && error != beast_http::error::need_more) {
      refuse_parse(error);
      co_return Step::kGo;
    }
    // What the parser leaves is a line of a chunk, or trailers, whose end it has not seen.
    const bool waits = !parser_->is_done() && (used == 0 || error);
    if (!check_extra(waits ? buffer_.size() : 0)) {
      co_return Step::kGo;
    }
    if (!waits) {
      continue;
    }
    // The parser's text grows by doubling.
    if (!take_memory(2 * (parser_->get().body().size() + kBodyChunk))) {
      std::string().swap(parser_->get().body());
      co_return Step::kGo;
    }
    const bool more = co_await fill(kBodyChunk);
    if (!more) {
      if (!timed_out_) {
        co_return Step::kClose;
      }
      refuse({.code = ErrorCode::kRequestTimeout,
              .message = "the request's body did not come in time"});
      co_return Step::kGo;
    }
  }
  request_.body = std::move(parser_->get().body());
  body_read_ = true;
  co_return Step::kGo;
}

asio::awaitable<Connection::Step> Connection::inflate_body() {
  const auto coding = coding_ == Coding::kDeflate ? Inflater::kDeflate : Inflater::kGzip;
  Inflater inflater(request_.body, coding, shared_.options.max_inflated_bytes);
  for (;;) {
    if (!take_memory(request_.body.size() + 2 * inflater.size() + kBodyChunk)) {
      co_return Step::kGo;
    }
    const auto done = inflater.step();
    if (!done) {
      refuse(done.error());
      co_return Step::kGo;
    }
    if (*done) {
      break;
    }
    co_await asio::post(transport_.socket().get_executor(), asio::use_awaitable);  // others' turn
  }
  request_.body = inflater.take();
  co_return Step::kGo;
}

}  // namespace podsense::http
