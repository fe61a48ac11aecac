#pragma once

/// A URL's parts, as a request needs them.

#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"

namespace podsense::load {

struct Url {
  bool tls = false;
  bool grpc = false;
  std::string host;  ///< without the brackets of an IPv6 address
  std::uint16_t port = 80;
  std::string target = "/";  ///< path and query
  /// host[:port] as a Host header wants it
  [[nodiscard]] std::string authority() const;
  [[nodiscard]] std::string text() const;
};

/// http://host[:port][/path][?query]; https likewise; grpc:// and grpcs://, by default to port 9000
/// and 443. A bare host:port is taken as http.
/// @errors kInvalidArgument
Result<Url> parse_url(std::string_view text);

}  // namespace podsense::load
