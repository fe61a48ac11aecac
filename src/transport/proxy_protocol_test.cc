#include "transport/proxy_protocol.h"

#include <gtest/gtest.h>

namespace podsense::transport {
namespace {

using State = ProxyHeader::State;
using namespace std::string_literals;

/// Version 2 with this command and family.
std::string binary(char command, char family, const std::string& rest) {
  return std::string(kProxySignature) + command + family + static_cast<char>(rest.size() >> 8U) +
         static_cast<char>(rest.size() & 255U) + rest;
}
const std::string kAddresses4 = "\xC0\x00\x02\x01\x0A\x00\x00\x01\xDC\x04\x1F\x90"s;

/// "ADDRESS PORT", "-" where the proxy asks for itself, "?" where it is none, "…" where more has to
/// come. Whole and byte by byte, with a request behind it.
std::string read(const std::string& text) {
  const std::string behind = text + "GET / HTTP/1.1\r\n";
  ProxyHeader whole;
  const std::size_t taken = whole.take(behind);
  ProxyHeader bytewise;
  for (const char c : text) {
    bytewise.take({&c, 1});
  }
  if (bytewise.state() == State::kMore) {
    return "…";
  }
  EXPECT_EQ(whole.state(), bytewise.state());
  if (whole.state() != State::kDone) {
    return "?";
  }
  EXPECT_EQ(taken, text.size());
  const auto& source = whole.source();
  return source ? source->address().to_string() + " " + std::to_string(source->port()) : "-";
}

TEST(ProxyHeader, OfVersion1) {
  EXPECT_EQ(read("PROXY TCP4 192.0.2.1 10.0.0.1 56324 443\r\n"), "192.0.2.1 56324");
  EXPECT_EQ(read("PROXY TCP6 2001:db8::1 ::1 1 65535\r\n"), "2001:db8::1 1");
  EXPECT_EQ(read("PROXY UNKNOWN\r\n"), "-");
  EXPECT_EQ(read("PROXY UNKNOWN ffff::1 ffff::2 65535 65535\r\n"), "-");
  EXPECT_EQ(read("PROXY TCP4 192.0.2.1 10."), "…");
  EXPECT_EQ(read("PRO"), "…");
}

TEST(ProxyHeader, OfVersion2) {
  EXPECT_EQ(read(binary('\x21', '\x11', kAddresses4)), "192.0.2.1 56324");
  EXPECT_EQ(read(binary('\x21', '\x11', kAddresses4 + "\x04\x00\x01\x00"s)), "192.0.2.1 56324");
  const std::string six = "\x20\x01\x0D\xB8"s + std::string(11, '\0') + "\x01"s;
  EXPECT_EQ(read(binary('\x21', '\x21', six + six + "\x00\x50\x01\xBB"s)), "2001:db8::1 80");
  EXPECT_EQ(read(binary('\x20', '\0', "")), "-") << "a health check";
  EXPECT_EQ(read(binary('\x21', '\0', "")), "-") << "no address is known";
  EXPECT_EQ(read(std::string(kProxySignature)), "…");
}

TEST(ProxyHeader, RefusesAllElse) {
  for (const std::string& wrong :
       {"GET / HTTP/1.1\r\n"s, "PROXY TCP4 192.0.2.1 10.0.0.1 56324\r\n"s,
        "PROXY TCP4 2001:db8::1 ::1 1 2\r\n"s, "PROXY TCP4 192.0.2.1 10.0.0.1 99999 443\r\n"s,
        "PROXY TCP5 a b 1 2\r\n"s, "PROXY "s + std::string(200, 'x'),
        binary('\x11', '\x11', kAddresses4), binary('\x21', '\x11', "abc"),
        std::string(kProxySignature) + "\x21\x11\xFF\xFF"s, "\x16\x03\x01"s}) {
    EXPECT_EQ(read(wrong), "?") << wrong;
  }
}

}  // namespace
}  // namespace podsense::transport
