#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zlib.h>

#include "http/gzip.h"
#include "http/message.h"
#include "http/probe.h"
#include "http/router.h"

namespace podsense::http {
namespace {

using testing::HasSubstr;

std::string gzip(const std::string& text) {
  z_stream z{};
  deflateInit2(&z, 9, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY);
  std::string out(text.size() + 256, '\0');
  std::string in = text;
  z.next_in = reinterpret_cast<Bytef*>(in.data());
  z.avail_in = static_cast<uInt>(in.size());
  z.next_out = reinterpret_cast<Bytef*>(out.data());
  z.avail_out = static_cast<uInt>(out.size());
  deflate(&z, Z_FINISH);
  out.resize(z.total_out);
  deflateEnd(&z);
  return out;
}

Result<std::string> inflate_all(const std::string& compressed, std::uint64_t most) {
  Inflater inflater(compressed, Inflater::kGzip, most);
  for (;;) {
    const auto done = inflater.step();
    if (!done) {
      return fail(done.error());
    }
    if (*done) {
      return inflater.take();
    }
  }
}

TEST(Inflater, UndoesGzipOfAnySizeInSlices) {
  const std::string text(1'000'000, 'x');
  EXPECT_EQ(inflate_all(gzip(text), 2'000'000).value(), text);
  EXPECT_EQ(inflate_all(gzip("a") + gzip("b"), 10).value(), "ab");
}

TEST(Inflater, StopsABombAtTheLimit) {
  const auto bomb = inflate_all(gzip(std::string(50'000'000, '\0')), 1'000'000);
  EXPECT_EQ(bomb.error().code, ErrorCode::kPayloadTooLarge);
}

TEST(Inflater, RefusesWhatIsNotGzipOrCutOffAnywhere) {
  EXPECT_EQ(inflate_all("plain text", 100).error().code, ErrorCode::kInvalidArgument);
  const std::string whole = gzip("a few words to be cut");
  for (std::size_t size = 0; size < whole.size(); ++size) {
    EXPECT_FALSE(inflate_all(whole.substr(0, size), 100)) << size;
  }
}

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
  EXPECT_TRUE(Router::handler(*route, beast_http::verb::head));
  EXPECT_EQ(Router::handler(*route, beast_http::verb::post).error().code,
            ErrorCode::kMethodNotAllowed);
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

TEST(Probe, NamesWhatIsWrongWithAUrl) {
  EXPECT_EQ(probe("ftp://x/", {}).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(probe("http://", {}).error().code, ErrorCode::kInvalidArgument);
}

TEST(ReasonPhrase, IsKnownForEveryStatusWeSend) {
  EXPECT_EQ(reason_phrase(200), "OK");
  EXPECT_EQ(reason_phrase(422), "Unprocessable Content");
  EXPECT_EQ(reason_phrase(499), "Client Closed Request");
  EXPECT_EQ(reason_phrase(431), "Request Header Fields Too Large");
}

}  // namespace
}  // namespace podsense::http
