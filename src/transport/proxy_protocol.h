#pragma once

/// The PROXY protocol: what a proxy says of its client before the client's own bytes, version 1 (a
/// line) and 2 (binary). Pure. Private to this module.
/// @source haproxy.org/download/3.2/doc/proxy-protocol.txt

#include <boost/asio/ip/tcp.hpp>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace podsense::transport {

/// What the bytes of version 2 begin with.
inline constexpr std::string_view kProxySignature("\r\n\r\n\0\r\nQUIT\n", 12);
inline constexpr std::string_view kProxyWord = "PROXY ";

class ProxyHeader {
 public:
  enum class State { kMore, kDone, kWrong };

  /// Takes bytes up to the header's end and no more; how many were its own.
  std::size_t take(std::string_view bytes);
  [[nodiscard]] State state() const { return state_; }
  /// Once it is done: whence the client has connected. Nothing: the proxy asks for itself (a
  /// health check), or knows no address.
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
