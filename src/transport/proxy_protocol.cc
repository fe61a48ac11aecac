#include "transport/proxy_protocol.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <vector>

namespace podsense::transport {
namespace {

namespace ip = boost::asio::ip;

/// The longest line of version 1, with its end.
constexpr std::size_t kMostLine = 107;
/// The fixed part of version 2: signature, version and command, family, length of the rest.
constexpr std::size_t kFixed = 16;
/// Addresses and optional fields; TLS certificates are the longest in use.
constexpr std::size_t kMostRest = 4096;
constexpr unsigned char kLocal = 0x20;
constexpr unsigned char kProxied = 0x21;
constexpr unsigned char kTcp4 = 0x11;
constexpr unsigned char kTcp6 = 0x21;

unsigned byte_at(std::string_view bytes, std::size_t at) {
  return static_cast<unsigned char>(bytes[at]);
}

std::uint16_t number_at(std::string_view bytes, std::size_t at) {
  return static_cast<std::uint16_t>(byte_at(bytes, at) << 8U | byte_at(bytes, at + 1));
}

template <class Address>
ip::tcp::endpoint endpoint_at(std::string_view bytes) {
  typename Address::bytes_type address{};
  std::ranges::copy(bytes.substr(kFixed, address.size()), address.begin());
  return {Address(address), number_at(bytes, kFixed + 2 * address.size())};
}

bool one_begins_the_other(std::string_view a, std::string_view b) {
  const std::size_t size = std::min(a.size(), b.size());
  return a.substr(0, size) == b.substr(0, size);
}

}  // namespace

std::size_t ProxyHeader::take(std::string_view bytes) {
  std::size_t taken = 0;
  while (taken < bytes.size() && state_ == State::kMore) {
    bytes_ += bytes[taken++];
    look();
  }
  return taken;
}

void ProxyHeader::look() {
  if (one_begins_the_other(bytes_, kProxyWord)) {
    look_at_line();
  } else if (one_begins_the_other(bytes_, kProxySignature)) {
    look_at_binary();
  } else {
    state_ = State::kWrong;
  }
}

/// `PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n`, `PROXY UNKNOWN …\r\n`
void ProxyHeader::look_at_line() {
  if (!bytes_.ends_with("\r\n")) {
    state_ = bytes_.size() < kMostLine ? State::kMore : State::kWrong;
    return;
  }
  std::vector<std::string_view> words;
  std::string_view line(bytes_);
  line.remove_suffix(2);
  for (std::size_t begin = 0; begin <= line.size();) {
    const std::size_t end = std::min(line.find(' ', begin), line.size());
    words.push_back(line.substr(begin, end - begin));
    begin = end + 1;
  }
  if (words.size() >= 2 && words[1] == "UNKNOWN") {
    state_ = State::kDone;
    return;
  }
  state_ = State::kWrong;
  if (words.size() != 6 || (words[1] != "TCP4" && words[1] != "TCP6")) {
    return;
  }
  boost::system::error_code error;
  const ip::address address = ip::make_address(std::string(words[2]), error);
  std::uint16_t port = 0;
  const auto parsed = std::from_chars(words[4].data(), words[4].data() + words[4].size(), port);
  if (!error && address.is_v4() == (words[1] == "TCP4") && parsed.ec == std::errc() &&
      parsed.ptr == words[4].data() + words[4].size()) {
    source_ = ip::tcp::endpoint(address, port);
    state_ = State::kDone;
  }
}

void ProxyHeader::look_at_binary() {
  if (bytes_.size() < kFixed) {
    return;
  }
  const unsigned command = byte_at(bytes_, 12);
  const unsigned family = byte_at(bytes_, 13);
  const std::size_t rest = number_at(bytes_, 14);
  constexpr std::size_t kAddresses4 = 2 * 4 + 4;
  constexpr std::size_t kAddresses6 = 2 * 16 + 4;
  const std::size_t least = family == kTcp4 ? kAddresses4 : family == kTcp6 ? kAddresses6 : 0;
  if ((command != kLocal && command != kProxied) || rest > kMostRest ||
      (command == kProxied && rest < least)) {
    state_ = State::kWrong;
    return;
  }
  if (bytes_.size() < kFixed + rest) {
    return;
  }
  state_ = State::kDone;
  if (command == kProxied && family == kTcp4) {
    source_ = endpoint_at<ip::address_v4>(bytes_);
  } else if (command == kProxied && family == kTcp6) {
    source_ = endpoint_at<ip::address_v6>(bytes_);
  }
}

}  // namespace podsense::transport
