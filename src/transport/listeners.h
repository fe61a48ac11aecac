#pragma once

/// The sockets of one port, on one or several addresses of either family.
/// Private to this module.

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <cstdint>
#include <string>
#include <vector>

#include "base/error.h"

namespace podsense::transport {

using Acceptor = boost::asio::ip::tcp::acceptor;

/// Listens on `port` of every host; 0: on a free one, the same for all. `::` is every address of
/// both families, or of IPv6 alone where `hosts` has an IPv4 address, too; where the system has no
/// IPv6, it is every address of IPv4.
/// @errors kUnavailable: an address cannot be bound, saying which and why
Result<std::vector<Acceptor>> open_listeners(boost::asio::io_context& context,
                                             const std::vector<std::string>& hosts,
                                             std::uint16_t port);

/// A socket that another process, such as systemd, has bound and keeps.
/// @param name of the port, for errors
/// @errors kUnavailable: it is no TCP socket
Result<std::vector<Acceptor>> take_listener(boost::asio::io_context& context, int socket,
                                            const std::string& name);

/// An IPv4 client of a socket for both families has its own address, not `::ffff:192.0.2.1`.
boost::asio::ip::address plain_address(const boost::asio::ip::address& address);

}  // namespace podsense::transport
