#include "transport/listeners.h"

#include <sys/socket.h>

#include <algorithm>
#include <boost/asio/ip/v6_only.hpp>
#include <utility>

#include "base/log.h"
#include "transport/message.h"

namespace podsense::transport {
namespace {

namespace ip = boost::asio::ip;
using boost::system::error_code;

constexpr int kBacklog = 4096;
/// Attempts to find a port that is free on the first address and on all others.
constexpr int kTries = 16;

/// `only`: IPv6 without IPv4. On an error the acceptor is closed.
error_code open_one(Acceptor& acceptor, const ip::address& address, std::uint16_t port, bool only) {
  const ip::tcp::endpoint endpoint(address, port);
  error_code error;
  acceptor.open(endpoint.protocol(), error);
  if (!error && address.is_v6()) {
    acceptor.set_option(ip::v6_only(only), error);
  }
  if (!error) {
    acceptor.set_option(Acceptor::reuse_address(true), error);
  }
  if (!error) {
    acceptor.bind(endpoint, error);
  }
  if (!error) {
    acceptor.listen(kBacklog, error);
  }
  if (error) {
    error_code ignored;
    acceptor.close(ignored);
  }
  return error;
}

bool lacks_ipv6(const error_code& error) {
  return error == boost::system::errc::address_family_not_supported ||
         error == boost::system::errc::address_not_available;
}

class Opening {
 public:
  Opening(boost::asio::io_context& context, std::vector<ip::address> addresses)
      : context_(context),
        addresses_(std::move(addresses)),
        has_ipv4_(std::ranges::any_of(addresses_, &ip::address::is_v4)) {}

  /// On an error none is open.
  error_code open(std::uint16_t port) {
    open_.clear();
    for (const ip::address& address : addresses_) {
      if (const error_code error = add(address, port)) {
        failed_ = address;
        open_.clear();
        return error;
      }
      port = open_.empty() ? port : open_.front().local_endpoint().port();
    }
    return {};
  }
  std::vector<Acceptor> take() { return std::move(open_); }
  [[nodiscard]] const ip::address& failed() const { return failed_; }

 private:
  error_code add(const ip::address& address, std::uint16_t port) {
    Acceptor acceptor(context_);
    const bool any = address.is_v6() && address.is_unspecified();
    error_code error = open_one(acceptor, address, port, has_ipv4_ || !any);
    if (any && lacks_ipv6(error)) {
      log::info("no_ipv6", {{"message", "the system has no IPv6: listening on IPv4 alone"},
                            {"reason", error.message()}});
      if (has_ipv4_) {
        return {};
      }
      error = open_one(acceptor, ip::address_v4::any(), port, false);
    }
    if (!error) {
      open_.push_back(std::move(acceptor));
    }
    return error;
  }

  boost::asio::io_context& context_;
  const std::vector<ip::address> addresses_;
  const bool has_ipv4_;
  std::vector<Acceptor> open_;
  ip::address failed_;
};

}  // namespace

Result<std::vector<Acceptor>> open_listeners(boost::asio::io_context& context,
                                             const std::vector<std::string>& hosts,
                                             std::uint16_t port) {
  std::vector<ip::address> addresses;
  for (const std::string& host : hosts) {
    error_code error;
    addresses.push_back(ip::make_address(host, error));
    if (error) {
      return fail(ErrorCode::kUnavailable, "'" + host + "' is no IP address to listen on");
    }
  }
  Opening opening(context, std::move(addresses));
  error_code error;
  for (int left = port == 0 ? kTries : 1; left > 0; --left) {
    error = opening.open(port);
    if (error != boost::system::errc::address_in_use) {
      break;
    }
  }
  if (error) {
    return fail(ErrorCode::kUnavailable, "cannot listen on " +
                                             host_and_port(opening.failed().to_string(), port) +
                                             ": " + error.message());
  }
  auto open = opening.take();
  if (open.empty()) {
    return fail(ErrorCode::kUnavailable, "there is no address to listen on");
  }
  return open;
}

Result<std::vector<Acceptor>> take_listener(boost::asio::io_context& context, int socket,
                                            const std::string& name) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast): required by the socket API
  ::getsockname(socket, reinterpret_cast<sockaddr*>(&address), &size);
  std::vector<Acceptor> taken;
  error_code error;
  taken.emplace_back(context).assign(address.ss_family == AF_INET6 ? ip::tcp::v6() : ip::tcp::v4(),
                                     socket, error);
  if (error) {
    return fail(
        ErrorCode::kUnavailable,
        "the socket for " + name + " that was handed in cannot be used: " + error.message());
  }
  return taken;
}

ip::address plain_address(const ip::address& address) {
  if (address.is_v6() && address.to_v6().is_v4_mapped()) {
    return ip::make_address_v4(ip::v4_mapped, address.to_v6());
  }
  return address;
}

}  // namespace podsense::transport
