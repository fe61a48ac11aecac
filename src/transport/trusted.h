#pragma once

/// Which proxies in front of a server it believes, and in what.

#include <cstdint>
#include <string_view>

namespace podsense::transport {

/// Which field a trusted proxy names its client in. kAny: either; where both are there and lead to
/// different clients neither is believed, since a proxy lets the one through that it does not
/// write.
enum class ForwardedBy : std::uint8_t { kAny, kForwarded, kXForwardedFor };

/// `10.0.0.0/8`, `fd00::/8`, or an address alone.
bool is_network(std::string_view text);

}  // namespace podsense::transport
