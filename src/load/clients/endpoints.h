#pragma once

/// Where requests go: the addresses of a URL's host, and whether they are one's own.

#include <boost/asio/ip/tcp.hpp>
#include <vector>

#include "base/error.h"
#include "load/requests/url.h"

namespace podsense::load {

using Endpoint = boost::asio::ip::tcp::endpoint;

/// Loopback, private, link-local, unique local and shared (carrier) addresses.
/// @source RFC 1918, RFC 4193, RFC 3927, RFC 6598
bool is_private(const boost::asio::ip::address& address);

/// All addresses of the host, loopback IPv4 before IPv6 where a name has both, since most servers
/// under test listen there. Blocks on the resolver.
/// @errors kNotFound: the name does not resolve
Result<std::vector<Endpoint>> resolve(const Url& url);

}  // namespace podsense::load
