#include "load/clients/endpoints.h"

#include <algorithm>
#include <array>
#include <boost/asio/io_context.hpp>

namespace podsense::load {
bool is_private(const boost::asio::ip::address& address) {
  namespace ip = boost::asio::ip;
  if (address.is_v6() && address.to_v6().is_v4_mapped()) {
    return is_private(ip::make_address_v4(ip::v4_mapped, address.to_v6()));
  }
  if (address.is_v6()) {
    const auto bytes = address.to_v6().to_bytes();
    return address.is_loopback() || address.to_v6().is_link_local() || (bytes[0] & 0xFEU) == 0xFC;
  }
  struct Block {
    std::uint32_t network;
    unsigned bits;
  };
  constexpr std::array<Block, 6> kBlocks{{{.network = 0x7F000000, .bits = 8},     // 127/8
                                          {.network = 0x0A000000, .bits = 8},     // 10/8
                                          {.network = 0xAC100000, .bits = 12},    // 172.16/12
                                          {.network = 0xC0A80000, .bits = 16},    // 192.168/16
                                          {.network = 0xA9FE0000, .bits = 16},    // 169.254/16
                                          {.network = 0x64400000, .bits = 10}}};  // 100.64/10
  const std::uint32_t value = address.to_v4().to_uint();
  return std::ranges::any_of(kBlocks, [value](const Block& block) {
    return ((value ^ block.network) >> (32 - block.bits)) == 0;
  });
}

Result<std::vector<Endpoint>> resolve(const Url& url) {
  boost::asio::io_context context;
  boost::asio::ip::tcp::resolver resolver(context);
  boost::system::error_code error;
  const auto found = resolver.resolve(url.host, std::to_string(url.port), error);
  std::vector<Endpoint> endpoints;
  if (!error) {
    for (const bool first : {true, false}) {
      for (const auto& entry : found) {
        const Endpoint endpoint = entry.endpoint();
        if (first == (endpoint.address().is_v4() && endpoint.address().is_loopback())) {
          endpoints.push_back(endpoint);
        }
      }
    }
  }
  if (endpoints.empty()) {
    return fail(ErrorCode::kNotFound,
                "cannot resolve '" + url.host + "': " + (error ? error.message() : "no address"));
  }
  return endpoints;
}

}  // namespace podsense::load
