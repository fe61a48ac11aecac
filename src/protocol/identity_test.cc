#include "protocol/identity.h"

#include <gtest/gtest.h>

namespace podsense::protocol {
namespace {

TEST(Identity, TakesOnlyIdsFitForHeadersAndLogs) {
  EXPECT_TRUE(valid_request_id("a-B_9.:/+=@"));
  EXPECT_FALSE(valid_request_id(""));
  EXPECT_FALSE(valid_request_id("two words"));
  EXPECT_FALSE(valid_request_id("quote\""));
  EXPECT_FALSE(valid_request_id(std::string(129, 'a')));
  EXPECT_TRUE(valid_request_id(new_request_id()));
  EXPECT_NE(new_request_id(), new_request_id());
}

}  // namespace
}  // namespace podsense::protocol
