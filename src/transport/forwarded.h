#pragma once

/// Finds the client behind trusted proxies, from Forwarded (RFC 7239) and X-Forwarded-For. Private
/// to this module.

#include <array>
#include <boost/asio/ip/address.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "transport/headers.h"
#include "transport/trusted.h"

namespace podsense::transport {

/// A set of IPv4 and IPv6 networks.
class Networks {
 public:
  /// Each text is a network (`10.0.0.0/8`, `fd00::/8`) or a single address. @errors
  /// kInvalidArgument
  static Result<Networks> parse(const std::vector<std::string>& texts);
  [[nodiscard]] bool empty() const { return all_.empty(); }
  [[nodiscard]] bool contains(const boost::asio::ip::address& address) const;

 private:
  using Bytes = std::array<unsigned char, 16>;  ///< IPv4 as ::ffff:a.b.c.d
  struct Network {
    Bytes base;
    unsigned length;  ///< of the prefix, in bits, out of 128
  };
  static Bytes bytes_of(const boost::asio::ip::address& address);
  std::vector<Network> all_;
};

/// The client of a request forwarded by a trusted proxy: reading from the right, the first address
/// not in `trusted`, or the last address before an entry that is not an address. Nothing: the
/// headers contain no usable address, so the proxy itself is the client.
std::optional<boost::asio::ip::address> forwarded_client(const Headers& headers,
                                                         const Networks& trusted, ForwardedBy by);

}  // namespace podsense::transport
