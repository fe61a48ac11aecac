#include "transport/router.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace podsense::transport {
namespace {

using testing::HasSubstr;

TEST(Router, NamesTheNearestPathAndTheAllowedMethods) {
  Router router;
  const Handler nothing = [](Request&, const Reply&) {};
  router.add({.path = "/predict", .post = nothing});
  router.add({.path = "/health", .get = nothing});
  EXPECT_EQ(router.find("/predikt").error().message,
            "there is no /predikt; did you mean /predict?");
  EXPECT_THAT(router.find("/x/y/z").error().message, HasSubstr("/openapi.json"));
  const Route* route = router.find("/health").value().route;
  EXPECT_EQ(Router::allowed(*route), "GET, HEAD, OPTIONS");
  EXPECT_TRUE(Router::handler(*route, {.method = Method::kHead}));
  EXPECT_EQ(Router::handler(*route, {.method = Method::kPost}).error().code,
            ErrorCode::kMethodNotAllowed);
}

TEST(Router, HasOnePathForAllWaysToWriteIt) {
  EXPECT_EQ(Router::plain_path("/predict%2Dsingle/"), "/predict-single");
  EXPECT_EQ(Router::plain_path("/v1/models/m%3apredict"), "/v1/models/m:predict");
  for (const char* same : {"/", "/a%2Fb", "/a%2", "/a%", "/a%zz", "/a%20b", "/predict", "/a%00b"}) {
    EXPECT_EQ(Router::plain_path(same), same);
  }
}

TEST(Router, TellsSegmentsApartByTheirEnds) {
  Router router;
  const Handler nothing = [](Request&, const Reply&) {};
  router.add({.path = "/m/{model}:predict", .post = nothing});
  router.add({.path = "/m/{model}", .get = nothing});
  const auto predict = router.find("/m/a:b:predict").value();
  EXPECT_EQ(predict.route->path, "/m/{model}:predict");
  EXPECT_EQ(predict.values[0], "a:b");
  EXPECT_EQ(router.find("/m/a:b").value().values[0], "a:b");
  EXPECT_EQ(router.find("/m/:predict").value().values[0], ":predict");
}

}  // namespace
}  // namespace podsense::transport
