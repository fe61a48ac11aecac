#include "load/clients/endpoints.h"

#include <gtest/gtest.h>

namespace podsense::load {
namespace {

TEST(Endpoints, KnowsOwnAddressesFromPublicOnes) {
  const auto own = [](const char* text) { return is_private(boost::asio::ip::make_address(text)); };
  for (const char* text :
       {"127.0.0.1", "10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.1.1", "169.254.1.1",
        "100.64.0.1", "::1", "fe80::1", "fd00::1", "::ffff:10.0.0.1"}) {
    EXPECT_TRUE(own(text)) << text;
  }
  for (const char* text : {"8.8.8.8", "172.32.0.1", "172.15.0.1", "192.169.0.1", "100.128.0.1",
                           "2001:db8::1", "::ffff:8.8.8.8", "0.0.0.0"}) {
    EXPECT_FALSE(own(text)) << text;
  }
}

}  // namespace
}  // namespace podsense::load
