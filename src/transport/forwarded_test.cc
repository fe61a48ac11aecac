#include "transport/forwarded.h"

#include <gtest/gtest.h>

#include <utility>

namespace podsense::transport {
namespace {

using Fields = std::vector<std::pair<std::string_view, std::string_view>>;

/// Behind proxies of 10.0.0.0/8 and fd00::/8; empty: the proxy itself.
std::string client(const Fields& fields, ForwardedBy by = ForwardedBy::kAny) {
  Headers headers;
  for (const auto& [name, value] : fields) {
    headers.add(name, value);
  }
  const auto trusted = Networks::parse({"10.0.0.0/8", "fd00::/8"});
  const auto found = forwarded_client(headers, *trusted, by);
  return found ? found->to_string() : "";
}
std::string by_x(std::string_view value) {
  return client({{"X-Forwarded-For", value}});
}
std::string by_standard(std::string_view value) {
  return client({{"Forwarded", value}});
}

TEST(Forwarded, IsReadFromTheRight) {
  EXPECT_EQ(by_x("192.0.2.1"), "192.0.2.1");
  EXPECT_EQ(by_x("6.6.6.6, 192.0.2.1"), "192.0.2.1");
  EXPECT_EQ(by_x("6.6.6.6, 192.0.2.1, 10.1.1.1 ,10.2.2.2"), "192.0.2.1");
  EXPECT_EQ(by_x("10.3.3.3, 10.1.1.1"), "10.3.3.3") << "all are proxies: the first is the client";
  EXPECT_EQ(by_standard("for=6.6.6.6, for=192.0.2.1;proto=https, for=10.1.1.1"), "192.0.2.1");
  EXPECT_EQ(client({{"x-forwarded-for", "6.6.6.6"}, {"x-forwarded-for", "192.0.2.1"}}),
            "192.0.2.1");
}

TEST(Forwarded, TakesEveryFormOfAnAddress) {
  EXPECT_EQ(by_x("192.0.2.1:4711"), "192.0.2.1");
  EXPECT_EQ(by_x("2001:db8::1"), "2001:db8::1");
  EXPECT_EQ(by_x("[2001:DB8::1]:80, fd00::1"), "2001:db8::1");
  EXPECT_EQ(by_x("::ffff:192.0.2.1"), "192.0.2.1");
  EXPECT_EQ(by_standard(R"(For="[2001:db8:cafe::17]:4711")"), "2001:db8:cafe::17");
  EXPECT_EQ(by_standard(R"(proto=http; by="a,b;c"; for="192.0.2.43:47011")"), "192.0.2.43");
}

TEST(Forwarded, StopsAtWhatIsNoAddress) {
  EXPECT_EQ(by_x("192.0.2.1, unknown"), "");
  EXPECT_EQ(by_x("192.0.2.1, unknown, 10.1.1.1"), "10.1.1.1");
  EXPECT_EQ(by_standard("for=192.0.2.1, for=_hidden"), "");
  EXPECT_EQ(by_standard("for=192.0.2.1, proto=http"), "");
  for (const char* wrong : {"", ",", "1.2.3", "[::1", "[::1]x", "1.2.3.4.5", "a\"b", "for="}) {
    EXPECT_EQ(by_x(wrong), "") << wrong;
    EXPECT_EQ(by_standard(wrong), "") << wrong;
  }
}

TEST(Forwarded, TwoHeadersMustAgreeUnlessOneIsChosen) {
  const Fields forged{{"forwarded", "for=6.6.6.6"}, {"x-forwarded-for", "192.0.2.1"}};
  EXPECT_EQ(client(forged), "");
  EXPECT_EQ(client(forged, ForwardedBy::kXForwardedFor), "192.0.2.1");
  EXPECT_EQ(client(forged, ForwardedBy::kForwarded), "6.6.6.6");
  EXPECT_EQ(client({{"forwarded", "for=192.0.2.1"}, {"x-forwarded-for", "192.0.2.1"}}),
            "192.0.2.1");
}

TEST(Networks, ContainTheirAddresses) {
  const auto all =
      Networks::parse({"192.168.0.0/17", "198.51.100.7", "2001:db8::/33", "0.0.0.0/32"});
  ASSERT_TRUE(all);
  const auto contains = [&](const char* text) {
    return all->contains(boost::asio::ip::make_address(text));
  };
  EXPECT_TRUE(contains("192.168.127.255"));
  EXPECT_FALSE(contains("192.168.128.0"));
  EXPECT_TRUE(contains("198.51.100.7"));
  EXPECT_FALSE(contains("198.51.100.6"));
  EXPECT_TRUE(contains("2001:db8:7fff::1"));
  EXPECT_FALSE(contains("2001:db8:8000::1"));
  const auto everybody = Networks::parse({"0.0.0.0/0"});
  EXPECT_TRUE(everybody->contains(boost::asio::ip::make_address("8.8.8.8")));
  EXPECT_FALSE(everybody->contains(boost::asio::ip::make_address("::1")));
}

TEST(Networks, RefuseWhatIsNone) {
  for (const char* wrong : {"", "/8", "10.0.0.0/", "10.0.0.0/33", "::/129", "10.0.0.0/8x",
                            "10.0.0.0/-1", "proxies.example"}) {
    EXPECT_FALSE(is_network(wrong)) << wrong;
  }
  EXPECT_EQ(Networks::parse({"here"}).error().message,
            "'here' is no network such as 10.0.0.0/8 or fd00::/8");
}

}  // namespace
}  // namespace podsense::transport
