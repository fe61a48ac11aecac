#include "transport/places.h"

#include <gtest/gtest.h>

namespace podsense::transport {
namespace {

using Kind = Place::Kind;

TEST(Places, AreKeptForProbesWhenAllOthersAreTaken) {
  Places places({.most = 2, .kept = 1});
  const Place first = places.enter("a", 3);
  EXPECT_EQ(first.kind, Kind::kOrdinary);
  EXPECT_EQ(places.enter("b", 4).kind, Kind::kOrdinary);
  const Place kept = places.enter("c", 5);
  EXPECT_EQ(kept.kind, Kind::kKept);
  EXPECT_EQ(kept.reason, "limit");
  EXPECT_EQ(places.enter("c", 6).kind, Kind::kNone);
  const Place instead = places.enter_kept("limit");
  places.leave(kept, "c");
  EXPECT_EQ(places.enter("c", 6).kind, Kind::kNone);
  places.leave(instead, "c");
  EXPECT_EQ(places.enter("c", 5).kind, Kind::kKept);
  places.leave(first, "a");
  EXPECT_EQ(places.enter("c", 7).kind, Kind::kOrdinary);
}

TEST(Places, OfAProxyAreNotLimitedAndThoseOfItsClientsAre) {
  Places places({.per_address = 1, .kept = 0});
  const Place one = places.enter("proxy", 3, true, true);
  EXPECT_EQ(places.enter("proxy", 4, true, true).kind, Kind::kOrdinary);
  EXPECT_TRUE(places.enter_client("a"));
  EXPECT_FALSE(places.enter_client("a"));
  EXPECT_TRUE(places.enter_client("b"));
  EXPECT_EQ(places.enter("a", 5).kind, Kind::kNone) << "by itself, too";
  places.leave_client("a");
  EXPECT_TRUE(places.enter_client("a"));
  places.leave(one, "proxy");
}

TEST(Places, OfOneAddressAreLimited) {
  Places places({.per_address = 1, .kept = 9});
  const Place first = places.enter("a", 3);
  EXPECT_EQ(first.kind, Kind::kOrdinary);
  const Place second = places.enter("a", 4);
  EXPECT_EQ(second.kind, Kind::kKept);
  EXPECT_EQ(second.reason, "per_address");
  EXPECT_EQ(places.enter("b", 5).kind, Kind::kOrdinary);
  places.leave(second, "a");
  EXPECT_EQ(places.enter("a", 6).kind, Kind::kKept);  // the first is still there
  places.leave(first, "a");
  EXPECT_EQ(places.enter("a", 7).kind, Kind::kOrdinary);
}

TEST(Places, EndWhereDescriptorsGetScarce) {
  Places places({.kept = 1, .most_descriptor = 100});
  EXPECT_EQ(places.enter("a", 100).kind, Kind::kOrdinary);
  const Place kept = places.enter("a", 101);
  EXPECT_EQ(kept.kind, Kind::kKept);
  EXPECT_EQ(kept.reason, "descriptors");
  EXPECT_EQ(places.enter("a", 102).kind, Kind::kNone);
  EXPECT_EQ(places.enter("a", 50).kind, Kind::kOrdinary);
}

}  // namespace
}  // namespace podsense::transport
