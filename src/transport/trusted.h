#pragma once

/// Settings for trusted proxies in front of a server.

#include <cstdint>
#include <string_view>

namespace podsense::transport {

/// The header in which a trusted proxy names its client. kAny: either. If both are present and name
/// different clients, neither is trusted, since a proxy passes on the header that it does not
/// write.
enum class ForwardedBy : std::uint8_t { kAny, kForwarded, kXForwardedFor };

/// Whether `text` is a network (`10.0.0.0/8`, `fd00::/8`) or a single address.
bool is_network(std::string_view text);

}  // namespace podsense::transport
