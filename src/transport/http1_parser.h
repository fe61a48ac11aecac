#pragma once

/// Parses one HTTP/1.1 request into a Request, with Beast's parser. Trailers are read and ignored;
/// they never become headers, RFC 9110 6.5.1. Private to this module.

#include <boost/beast/http/basic_parser.hpp>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "transport/message.h"

namespace podsense::transport {

class Http1Parser final : public boost::beast::http::basic_parser<true> {
 public:
  using Text = boost::beast::string_view;
  using Code = boost::beast::error_code;

  /// Stores method, target, headers and a chunked body in `request`, which must outlive this.
  explicit Http1Parser(Request& request) : request_(request) {}

  /// The HTTP version: 10 or 11.
  [[nodiscard]] int version() const { return version_; }
  /// Limits the bytes of all chunks together. Used instead of Beast's `body_limit`, which does not
  /// recognise invalid sizes.
  void data_limit(std::uint64_t most) { data_left_ = most; }
  /// Like `put`, but for one chunk's line or data at a time.
  std::size_t put_chunked(boost::asio::const_buffer bytes, Code& error);
  /// Bytes of a chunked body that are neither data nor needed to give its size: extensions, leading
  /// zeros, trailers.
  [[nodiscard]] std::size_t extra() const { return extra_; }

 private:
  void on_request_impl(boost::beast::http::verb method, Text method_text, Text target, int version,
                       Code& error) override;
  void on_response_impl(int status, Text reason, int version, Code& error) override;
  void on_field_impl(boost::beast::http::field name, Text name_text, Text value,
                     Code& error) override;
  void on_header_impl(Code& error) override;
  void on_body_init_impl(const boost::optional<std::uint64_t>& size, Code& error) override;
  std::size_t on_body_impl(Text bytes, Code& error) override;
  void on_chunk_header_impl(std::uint64_t size, Text extensions, Code& error) override;
  std::size_t on_chunk_body_impl(std::uint64_t left, Text bytes, Code& error) override;
  void on_finish_impl(Code& error) override;

  Request& request_;
  int version_ = 11;
  std::uint64_t data_left_ = 0;
  std::size_t extra_ = 0;
  std::size_t needed_ = 0;  ///< bytes that the current chunk's line needs
};

}  // namespace podsense::transport
