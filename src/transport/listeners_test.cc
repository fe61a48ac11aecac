#include "transport/listeners.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "transport/message.h"

namespace podsense::transport {
namespace {

namespace ip = boost::asio::ip;

class Listeners : public testing::Test {
 protected:
  /// Whether somebody answers there.
  bool answers(const char* address, std::uint16_t port) {
    ip::tcp::socket client(context_);
    boost::system::error_code error;
    client.connect({ip::make_address(address), port}, error);
    return !error;
  }
  bool has_ipv6() { return open_listeners(context_, {"::1"}, 0).has_value(); }
  static std::uint16_t port_of(const std::vector<Acceptor>& open) {
    return open.front().local_endpoint().port();
  }

  boost::asio::io_context context_;
};

TEST_F(Listeners, AllAddressesAreOfBothFamilies) {
  const auto open = open_listeners(context_, {"::"}, 0);
  ASSERT_TRUE(open);
  EXPECT_TRUE(answers("127.0.0.1", port_of(*open)));
  EXPECT_EQ(answers("::1", port_of(*open)), has_ipv6());
}

TEST_F(Listeners, SeveralAddressesShareAPort) {
  for (const std::vector<std::string>& hosts :
       {std::vector<std::string>{"::", "0.0.0.0"}, {"0.0.0.0", "::"}, {"127.0.0.1", "127.0.0.2"}}) {
    const auto open = open_listeners(context_, hosts, 0);
    ASSERT_TRUE(open);
    EXPECT_TRUE(answers("127.0.0.1", port_of(*open)));
    for (const Acceptor& one : *open) {
      EXPECT_EQ(one.local_endpoint().port(), port_of(*open));
    }
  }
}

TEST_F(Listeners, OneFamilyAloneIsThatFamily) {
  const auto open = open_listeners(context_, {"0.0.0.0"}, 0);
  ASSERT_TRUE(open);
  EXPECT_FALSE(answers("::1", port_of(*open)));
  if (has_ipv6()) {
    const auto six = open_listeners(context_, {"::1"}, 0);
    EXPECT_FALSE(answers("127.0.0.1", port_of(*six)));
  }
}

TEST_F(Listeners, SayWhatCannotBeBound) {
  const auto taken = open_listeners(context_, {"127.0.0.1"}, 0);
  ASSERT_TRUE(taken);
  const auto again = open_listeners(context_, {"127.0.0.2", "127.0.0.1"}, port_of(*taken));
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().message, "cannot listen on 127.0.0.1:" + std::to_string(port_of(*taken)) +
                                       ": Address already in use");
  EXPECT_FALSE(answers("127.0.0.2", port_of(*taken)));
  EXPECT_EQ(open_listeners(context_, {"here"}, 0).error().message,
            "'here' is no IP address to listen on");
}

TEST(Addresses, AreWrittenAsUrlsHaveThem) {
  EXPECT_EQ(host_and_port("0.0.0.0", 8080), "0.0.0.0:8080");
  EXPECT_EQ(host_and_port("::", 8080), "[::]:8080");
  EXPECT_EQ(plain_address(ip::make_address("::ffff:192.0.2.1")).to_string(), "192.0.2.1");
  EXPECT_EQ(plain_address(ip::make_address("2001:db8::1")).to_string(), "2001:db8::1");
}

}  // namespace
}  // namespace podsense::transport
