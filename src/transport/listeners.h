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

/// Listens on `port` of every host; 0: one free port, the same for all hosts. `::` means all
/// addresses of both families, or only of IPv6 if `hosts` also contains an IPv4 address. On a
/// system without IPv6 it means all IPv4 addresses.
/// @errors kUnavailable: an address cannot be bound, saying which and why
Result<std::vector<Acceptor>> open_listeners(boost::asio::io_context& context,
                                             const std::vector<std::string>& hosts,
                                             std::uint16_t port);

/// Takes a listening socket that another process, such as systemd, has bound and keeps open.
/// @param name of the port, for error messages
/// @errors kUnavailable: it is not a TCP socket
Result<std::vector<Acceptor>> take_listener(boost::asio::io_context& context, int socket,
                                            const std::string& name);

/// Converts the IPv4-mapped address of a client on a dual-stack socket: `::ffff:192.0.2.1` becomes
/// `192.0.2.1`.
boost::asio::ip::address plain_address(const boost::asio::ip::address& address);

}  // namespace podsense::transport
