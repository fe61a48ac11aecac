#include "transport/http1_parser.h"

#include <algorithm>
#include <bit>
#include <boost/beast/http/error.hpp>
#include <limits>

namespace podsense::transport {

namespace beast_http = boost::beast::http;

void Http1Parser::on_request_impl(beast_http::verb /*method*/, Text method_text, Text target,
                                  int version, Code& /*error*/) {
  request_.method_name.assign(method_text.data(), method_text.size());
  request_.method = method_of(request_.method_name);
  request_.target.assign(target.data(), target.size());
  version_ = version;
}

void Http1Parser::on_response_impl(int /*status*/, Text /*reason*/, int /*version*/,
                                   Code& /*error*/) {
  // This reads requests.
}

void Http1Parser::on_field_impl(beast_http::field /*name*/, Text name_text, Text value,
                                Code& /*error*/) {
  if (!is_header_done()) {
    request_.headers.add({name_text.data(), name_text.size()}, {value.data(), value.size()});
  }
}

void Http1Parser::on_header_impl(Code& error) {
  error = {};
}

void Http1Parser::on_body_init_impl(const boost::optional<std::uint64_t>& /*size*/, Code& error) {
  error = {};
}

/// A body of known size is read without the parser.
std::size_t Http1Parser::on_body_impl(Text /*bytes*/, Code& error) {
  error = {};
  return 0;
}

std::size_t Http1Parser::on_chunk_body_impl(std::uint64_t /*left*/, Text bytes, Code& error) {
  error = {};
  request_.body.append(bytes.data(), bytes.size());
  return bytes.size();
}

void Http1Parser::on_finish_impl(Code& error) {
  error = {};
}

std::size_t Http1Parser::put_chunked(boost::asio::const_buffer bytes, Code& error) {
  needed_ = 0;
  const std::size_t used = put(bytes, error);
  if (needed_ > 0) {
    extra_ += used - std::min(used, needed_);
  }
  return used;
}

/// Rejects sizes over 63 bits: no real body is that large, and other parsers may read such a size
/// as negative, or as a small one after an overflow, RFC 9112 7.1.
void Http1Parser::on_chunk_header_impl(std::uint64_t size, Text /*extensions*/, Code& error) {
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
  const std::size_t line_ends = size > 0 ? 2 : 3;  // after the data, the line and the trailers
  needed_ = digits + 2 * line_ends;
}

}  // namespace podsense::transport
