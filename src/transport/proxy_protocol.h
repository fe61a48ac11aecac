#pragma once

/// Parses the PROXY protocol, version 1 (a line) and 2 (binary): a header in which a proxy names
/// its client before the client's own bytes. Pure. Private to this module.
/// @source haproxy.org/download/3.2/doc/proxy-protocol.txt

#include <boost/asio/ip/tcp.hpp>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace podsense::transport {

/// The first bytes of a version 2 header.
inline constexpr std::string_view kProxySignature("\r\n\r\n\0\r\nQUIT\n", 12);
inline constexpr std::string_view kProxyWord = "PROXY ";

class ProxyHeader {
 public:
  enum class State { kMore, kDone, kWrong };

  /// Consumes bytes up to the end of the header. Returns how many.
  std::size_t take(std::string_view bytes);
  [[nodiscard]] State state() const { return state_; }
  /// The client's address, once the header is complete. Nothing: the proxy connected on its own
  /// behalf (a health check), or knows no address.
  [[nodiscard]] const std::optional<boost::asio::ip::tcp::endpoint>& source() const {
    return source_;
  }

 private:
  void look();
  void look_at_line();
  void look_at_binary();

  std::string bytes_;
  State state_ = State::kMore;
  std::optional<boost::asio::ip::tcp::endpoint> source_;
};

}  // namespace podsense::transport
