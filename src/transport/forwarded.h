#pragma once

/// For whom a proxy asks: what it says in Forwarded (RFC 7239) and X-Forwarded-For, as far as it is
/// trusted. Private to this module.

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

/// Addresses of both families, by networks.
class Networks {
 public:
  /// `10.0.0.0/8`, `fd00::/8`, or an address alone. @errors kInvalidArgument
  static Result<Networks> parse(const std::vector<std::string>& texts);
  [[nodiscard]] bool empty() const { return all_.empty(); }
  [[nodiscard]] bool contains(const boost::asio::ip::address& address) const;

 private:
  using Bytes = std::array<unsigned char, 16>;  ///< IPv4 as ::ffff:a.b.c.d
  struct Network {
    Bytes base;
    unsigned length;  ///< leading bits that count, of 128
  };
  static Bytes bytes_of(const boost::asio::ip::address& address);
  std::vector<Network> all_;
};

/// The client of a request that a trusted proxy has sent on: the first address from the right that
/// is none of `trusted`, or the last one before something that is no address. Nothing: the fields
/// say nothing that can be used, and the client is the proxy itself.
std::optional<boost::asio::ip::address> forwarded_client(const Headers& headers,
                                                         const Networks& trusted, ForwardedBy by);

}  // namespace podsense::transport
