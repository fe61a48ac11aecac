#include "http/probe.h"

#include <gtest/gtest.h>

namespace podsense::http {
namespace {

TEST(Probe, NamesWhatIsWrongWithAUrl) {
  EXPECT_EQ(probe("ftp://x/", {}).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(probe("http://", {}).error().code, ErrorCode::kInvalidArgument);
}

}  // namespace
}  // namespace podsense::http
