#include "fetch/address.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "fetch/fetch.h"

namespace podsense::fetch {
namespace {

using enum AddressKind;

struct Row {
  const char* text;
  AddressKind kind;
};

Address address(const char* text) {
  return Address::parse(text).value();
}

std::vector<std::uint8_t> bytes_of(const Address& address) {
  std::vector<std::uint8_t> bytes;
  for (int shift = 56; address.v6 && shift >= 0; shift -= 8) {
    bytes.push_back(static_cast<std::uint8_t>(address.high >> shift));
  }
  for (int shift = address.v6 ? 56 : 24; shift >= 0; shift -= 8) {
    bytes.push_back(static_cast<std::uint8_t>(address.low >> shift));
  }
  return bytes;
}

// The first and last address of each range and the neighbours outside it.
constexpr Row kRows[] = {
    {"0.0.0.0", kUnspecified},
    {"0.255.255.255", kUnspecified},
    {"1.0.0.0", kPublic},
    {"9.255.255.255", kPublic},
    {"10.0.0.0", kPrivate},
    {"10.255.255.255", kPrivate},
    {"11.0.0.0", kPublic},
    {"100.63.255.255", kPublic},
    {"100.64.0.0", kShared},
    {"100.100.100.199", kShared},
    {"100.100.100.200", kMetadata},
    {"100.100.100.201", kShared},
    {"100.127.255.255", kShared},
    {"100.128.0.0", kPublic},
    {"126.255.255.255", kPublic},
    {"127.0.0.0", kLoopback},
    {"127.0.0.1", kLoopback},
    {"127.255.255.255", kLoopback},
    {"128.0.0.0", kPublic},
    {"168.63.129.15", kPublic},
    {"168.63.129.16", kMetadata},
    {"168.63.129.17", kPublic},
    {"169.253.255.255", kPublic},
    {"169.254.0.0", kLinkLocal},
    {"169.254.169.253", kLinkLocal},
    {"169.254.169.254", kMetadata},
    {"169.254.170.2", kMetadata},
    {"169.254.170.23", kMetadata},
    {"169.254.255.255", kLinkLocal},
    {"169.255.0.0", kPublic},
    {"172.15.255.255", kPublic},
    {"172.16.0.0", kPrivate},
    {"172.31.255.255", kPrivate},
    {"172.32.0.0", kPublic},
    {"191.255.255.255", kPublic},
    {"192.0.0.0", kReserved},
    {"192.0.0.192", kMetadata},
    {"192.0.0.255", kReserved},
    {"192.0.1.0", kPublic},
    {"192.0.1.255", kPublic},
    {"192.0.2.0", kDocumentation},
    {"192.0.2.255", kDocumentation},
    {"192.0.3.0", kPublic},
    {"192.88.98.255", kPublic},
    {"192.88.99.0", kRelay},
    {"192.88.99.255", kRelay},
    {"192.88.100.0", kPublic},
    {"192.167.255.255", kPublic},
    {"192.168.0.0", kPrivate},
    {"192.168.255.255", kPrivate},
    {"192.169.0.0", kPublic},
    {"198.17.255.255", kPublic},
    {"198.18.0.0", kBenchmarking},
    {"198.19.255.255", kBenchmarking},
    {"198.20.0.0", kPublic},
    {"198.51.99.255", kPublic},
    {"198.51.100.0", kDocumentation},
    {"198.51.100.255", kDocumentation},
    {"198.51.101.0", kPublic},
    {"203.0.112.255", kPublic},
    {"203.0.113.0", kDocumentation},
    {"203.0.113.255", kDocumentation},
    {"203.0.114.0", kPublic},
    {"223.255.255.255", kPublic},
    {"224.0.0.0", kMulticast},
    {"239.255.255.255", kMulticast},
    {"240.0.0.0", kReserved},
    {"255.255.255.254", kReserved},
    {"255.255.255.255", kBroadcast},

    {"::", kUnspecified},
    {"::1", kLoopback},
    {"::2", kCompatible},
    {"::127.0.0.1", kCompatible},
    {"::8.8.8.8", kCompatible},
    {"::ffff:ffff", kCompatible},
    {"::1:0:0", kReserved},
    {"::fffe:ffff:ffff", kReserved},
    {"::ffff:0.0.0.0", kMapped},
    {"::ffff:127.0.0.1", kMapped},
    {"::ffff:8.8.8.8", kMapped},
    {"::ffff:255.255.255.255", kMapped},
    {"::ffff:0:127.0.0.1", kTranslated},
    {"::1:0:0:0", kReserved},
    {"64:ff9a:ffff:ffff:ffff:ffff:ffff:ffff", kReserved},
    {"64:ff9b::", kNat64},
    {"64:ff9b::7f00:1", kNat64},
    {"64:ff9b::ffff:ffff", kNat64},
    {"64:ff9b::1:0:0", kReserved},
    {"64:ff9b:1::", kLocalNat64},
    {"64:ff9b:1:ffff:ffff:ffff:ffff:ffff", kLocalNat64},
    {"64:ff9b:2::", kReserved},
    {"100::1", kReserved},
    {"1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", kReserved},
    {"2000::", kPublic},
    {"2000:ffff:ffff:ffff:ffff:ffff:ffff:ffff", kPublic},
    {"2001::", kTeredo},
    {"2001:0:ffff:ffff:ffff:ffff:ffff:ffff", kTeredo},
    {"2001:1::1", kReserved},
    {"2001:2::", kBenchmarking},
    {"2001:2:0:ffff:ffff:ffff:ffff:ffff", kBenchmarking},
    {"2001:2:1::", kReserved},
    {"2001:10::", kOrchid},
    {"2001:1f:ffff:ffff:ffff:ffff:ffff:ffff", kOrchid},
    {"2001:20::", kOrchid},
    {"2001:2f:ffff:ffff:ffff:ffff:ffff:ffff", kOrchid},
    {"2001:30::", kReserved},
    {"2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff", kReserved},
    {"2001:200::", kPublic},
    {"2001:4860:4860::8888", kPublic},
    {"2001:db7:ffff:ffff:ffff:ffff:ffff:ffff", kPublic},
    {"2001:db8::", kDocumentation},
    {"2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", kDocumentation},
    {"2001:db9::", kPublic},
    {"2001:ffff:ffff:ffff:ffff:ffff:ffff:ffff", kPublic},
    {"2002::", k6to4},
    {"2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff", k6to4},
    {"2003::", kPublic},
    {"2606:4700:4700::1111", kPublic},
    {"3ffe:ffff:ffff:ffff:ffff:ffff:ffff:ffff", kPublic},
    {"3fff::", kDocumentation},
    {"3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff", kDocumentation},
    {"3fff:1000::", kPublic},
    {"3fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", kPublic},
    {"4000::", kReserved},
    {"5f00::1", kReserved},
    {"fbff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", kReserved},
    {"fc00::", kUniqueLocal},
    {"fd00:ec2::23", kMetadata},
    {"fd00:ec2::253", kUniqueLocal},
    {"fd00:ec2::254", kMetadata},
    {"fd00:ec2::255", kUniqueLocal},
    {"fd20:ce::254", kMetadata},
    {"fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", kUniqueLocal},
    {"fe00::", kReserved},
    {"fe7f:ffff:ffff:ffff:ffff:ffff:ffff:ffff", kReserved},
    {"fe80::", kLinkLocal},
    {"febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff", kLinkLocal},
    {"fec0::", kSiteLocal},
    {"feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", kSiteLocal},
    {"ff00::", kMulticast},
    {"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", kMulticast},
};

TEST(Address, KnowsTheEdgesOfEachRange) {
  for (const Row& row : kRows) {
    EXPECT_EQ(classify(address(row.text)).kind, row.kind)
        << row.text << " is " << describe(classify(address(row.text)).kind);
  }
}

TEST(Address, PolicyRefusesAllThatIsNotPublicAndNamesTheKind) {
  const auto policy = UrlPolicy::create({}).value();
  for (const Row& row : kRows) {
    const auto bytes = bytes_of(address(row.text));
    const auto result = policy.check_address(bytes);
    ASSERT_EQ(result.has_value(), row.kind == kPublic) << row.text;
    if (!result) {
      EXPECT_EQ(result.error().code, ErrorCode::kPermissionDenied) << row.text;
      EXPECT_EQ(result.error().message,
                "the URL leads to " + std::string(describe(row.kind)) + ", which is not allowed");
      EXPECT_FALSE(result.error().message.contains(row.text));
    }
  }
}

TEST(Address, RefusesAddressesOfOddLength) {
  const auto policy = UrlPolicy::create({}).value();
  const std::vector<std::uint8_t> bytes(20, 8);
  for (std::size_t length = 0; length <= bytes.size(); ++length) {
    const auto result = policy.check_address(std::span(bytes).first(length));
    EXPECT_EQ(result.has_value(), length == 4) << length;  // 16 times 8 is 808:..., not handed out
  }
}

TEST(Address, FindsTheIPv4AddressInside) {
  const struct {
    const char* outer;
    const char* inner;
  } rows[] = {
      {"::ffff:10.1.2.3", "10.1.2.3"},
      {"::10.1.2.3", "10.1.2.3"},
      {"::ffff:0:10.1.2.3", "10.1.2.3"},
      {"64:ff9b::10.1.2.3", "10.1.2.3"},
      {"2002:a01:203::1", "10.1.2.3"},
      {"2001:0:4136:e378:8000:63bf:f5fe:fdfc", "10.1.2.3"},
      {"64:ff9b::169.254.169.254", "169.254.169.254"},
  };
  for (const auto& row : rows) {
    const auto inner = classify(address(row.outer)).inner;
    ASSERT_TRUE(inner) << row.outer;
    EXPECT_EQ(inner->text(), row.inner) << row.outer;
  }
  EXPECT_FALSE(classify(address("10.1.2.3")).inner);
  EXPECT_FALSE(classify(address("2606:4700::1")).inner);
}

TEST(Address, ParsesOnlyPlainText) {
  for (const char* text :
       {"", "1.2.3", "1.2.3.4.", "01.2.3.4", "0x1.2.3.4", "1.2.3.256", "1.2.3.4 ", "[::1]",
        "fe80::1%1", "::1/128", ":::1", "1::2::3", "::1.2.3", "1:2:3:4:5:6:7:8:9",
        "1:2:3:4:5:6:7:1.2.3.4.5", "localhost"}) {
    EXPECT_FALSE(Address::parse(text)) << text;
  }
  EXPECT_FALSE(Address::parse(std::string_view("1.2.3.4\0", 8)));
  EXPECT_EQ(address("2001:0DB8:0:0:0:0:0:1").text(), "2001:db8::1");
  EXPECT_EQ(address("1.2.3.4").text(), "1.2.3.4");
}

TEST(Cidr, CoversExactlyItsRange) {
  const struct {
    const char* cidr;
    const char* address;
    bool contains;
  } rows[] = {
      {"0.0.0.0/0", "255.255.255.255", true},
      {"0.0.0.0/0", "::1", false},
      {"10.0.0.0/8", "10.255.255.255", true},
      {"10.0.0.0/8", "11.0.0.0", false},
      {"10.1.2.3", "10.1.2.3", true},
      {"10.1.2.3", "10.1.2.2", false},
      {"10.1.2.2/31", "10.1.2.3", true},
      {"10.1.2.2/31", "10.1.2.4", false},
      {"::/0", "ffff::", true},
      {"::/0", "10.0.0.1", false},
      {"fd00::/8", "fdff::1", true},
      {"fd00::/8", "fc00::", false},
      {"2001:db8::/63", "2001:db8:0:1::", true},
      {"2001:db8::/63", "2001:db8:0:2::", false},
      {"2001:db8::/64", "2001:db8::ffff", true},
      {"2001:db8::/64", "2001:db8:0:1::", false},
      {"2001:db8::/65", "2001:db8::7fff:0:0:0", true},
      {"2001:db8::/65", "2001:db8::8000:0:0:0", false},
      {"::1/128", "::1", true},
      {"::1/128", "::", false},
  };
  for (const auto& row : rows) {
    const auto cidr = Cidr::parse(row.cidr);
    ASSERT_TRUE(cidr) << row.cidr;
    EXPECT_EQ(cidr->contains(address(row.address)), row.contains) << row.cidr << ' ' << row.address;
  }
}

TEST(Cidr, RefusesWhatIsNone) {
  for (const char* text : {"",
                           "/",
                           "/8",
                           "10.0.0.0/",
                           "10.0.0.0/33",
                           "10.0.0.0/-1",
                           "10.0.0.0/+8",
                           "10.0.0.0/8 ",
                           "10.0.0.0/8/8",
                           "10.0.0.0/0x8",
                           "10.0.0/8",
                           "10/8",
                           "fd00::/129",
                           "[fd00::]/8",
                           "fd00::%1/8",
                           "example.com",
                           "10.0.0.1/8",
                           "fd00::1/8",
                           "8000::/0",
                           "1.0.0.0/0",
                           "fd00::1:0:0:0:0/60"}) {
    const auto cidr = Cidr::parse(text);
    ASSERT_FALSE(cidr) << text;
    EXPECT_EQ(cidr.error().code, ErrorCode::kInvalidArgument);
  }
  EXPECT_EQ(Cidr::parse("10.1.2.3/8").error().message,
            "'10.1.2.3/8' has bits set after its prefix; the network is 10.0.0.0/8");
  EXPECT_EQ(Cidr::parse("fd00::1/64").error().message,
            "'fd00::1/64' has bits set after its prefix; the network is fd00::/64");
}

}  // namespace
}  // namespace podsense::fetch
