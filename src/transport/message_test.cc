#include "transport/message.h"

#include <gtest/gtest.h>

namespace podsense::transport {
namespace {

TEST(ErrorResponse, CarriesStatusCodeAndRetryAfter) {
  const auto response = error_response({.code = ErrorCode::kOverloaded,
                                        .message = "full",
                                        .retry_after = std::chrono::milliseconds(1500)},
                                       "id-1");
  EXPECT_EQ(response.status, 503);
  EXPECT_EQ(response.body, R"({"error":"full","code":"OVERLOADED","request_id":"id-1"})");
  ASSERT_EQ(response.headers.size(), 1U);
  EXPECT_EQ(response.headers[0].second, "2");
}

TEST(ReasonPhrase, IsKnownForEveryStatusWeSend) {
  EXPECT_EQ(reason_phrase(200), "OK");
  EXPECT_EQ(reason_phrase(422), "Unprocessable Content");
  EXPECT_EQ(reason_phrase(499), "Client Closed Request");
  EXPECT_EQ(reason_phrase(431), "Request Header Fields Too Large");
}

TEST(AcceptsGzip, WhereItIsNamedAndWanted) {
  const auto accepts = [](std::string_view value) {
    Headers headers;
    headers.add("accept-encoding", value);
    return accepts_gzip(headers);
  };
  for (const char* yes : {"gzip", "br, GZIP", "gzip;q=0.5", "deflate, gzip ; q=1.0", "x-gzip"}) {
    EXPECT_TRUE(accepts(yes)) << yes;
  }
  for (const char* no :
       {"", "br", "*", "gzip;q=0", "gzip; q=0.000", "identity, gzip;Q=0", "gzipped"}) {
    EXPECT_FALSE(accepts(no)) << no;
  }
}

}  // namespace
}  // namespace podsense::transport
