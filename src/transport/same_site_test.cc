#include "transport/same_site.h"

#include <gtest/gtest.h>

#include <initializer_list>
#include <string_view>
#include <utility>

namespace podsense::transport {
namespace {

using Lines = std::initializer_list<std::pair<std::string_view, std::string_view>>;

ErrorCode answer(const Lines& headers, const std::vector<std::string>& names = {}) {
  Request request;
  for (const auto& [name, value] : headers) {
    request.headers.add(name, value);
  }
  const auto checked = check_same_site(request, names);
  return checked ? ErrorCode::kInternal : checked.error().code;
}
constexpr ErrorCode kPasses = ErrorCode::kInternal;

TEST(SameSite, TakesHostsThatNoStrangerCanOwn) {
  for (const char* host :
       {"127.0.0.1:8000", "10.1.2.3", "[::1]:8000", "localhost:8000", "LOCALHOST", "podsense:8000",
        "podsense.ns.svc", "podsense.ns.svc.cluster.local:8000", "host.docker.internal",
        "a.localhost", "podsense.ns.svc.cluster.local."}) {
    EXPECT_EQ(answer({{"Host", host}}), kPasses) << host;
  }
  for (const char* host : {"evil.example", "evil.example:8000", "127.0.0.1.evil.example", "",
                           "a.svc.evil.example", "1.2.3.4.nip.io"}) {
    EXPECT_EQ(answer({{"Host", host}}), ErrorCode::kPermissionDenied) << host;
  }
  EXPECT_EQ(answer({{"Host", "admin.example.com:8000"}}, {"admin.example.com"}), kPasses);
}

TEST(SameSite, TakesNoPageOfAnotherSite) {
  for (const char* origin : {"http://evil.example", "null", "", "http://localhost",
                             "localhost:8000", "http://localhost:8001", "file://"}) {
    EXPECT_EQ(answer({{"Host", "localhost:8000"}, {"Origin", origin}}),
              ErrorCode::kPermissionDenied)
        << origin;
  }
  EXPECT_EQ(answer({{"Host", "localhost:8000"}, {"Origin", "http://localhost:8000"}}), kPasses);
  for (const char* site : {"cross-site", "same-site", "odd"}) {
    EXPECT_EQ(answer({{"Host", "localhost"}, {"Sec-Fetch-Site", site}}),
              ErrorCode::kPermissionDenied)
        << site;
  }
  for (const char* site : {"same-origin", "none"}) {
    EXPECT_EQ(answer({{"Host", "localhost"}, {"Sec-Fetch-Site", site}}), kPasses) << site;
  }
}

TEST(SameSite, TakesNoBodyThatAPageMaySendWithoutBeingAsked) {
  for (const char* type : {"text/plain", "application/x-www-form-urlencoded",
                           "multipart/form-data; boundary=x", "application/octet-stream"}) {
    EXPECT_EQ(answer({{"Host", "localhost"}, {"Content-Type", type}}), ErrorCode::kUnsupportedMedia)
        << type;
  }
  EXPECT_EQ(answer({{"Host", "localhost"}, {"Content-Type", "application/json; charset=utf-8"}}),
            kPasses);
}

}  // namespace
}  // namespace podsense::transport
