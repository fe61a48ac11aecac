#include "base/secrets.h"

#include <gtest/gtest.h>

#include <array>
#include <utility>

#include "base/utc_time.h"

namespace podsense {
namespace {

TEST(Secrets, OfUrlsAreMaskedWhereverTheyStand) {
  constexpr std::array<std::pair<std::string_view, std::string_view>, 15> kCases{{
      {"http://collector:4318", "http://collector:4318"},
      {"https://me:pass@host:4318/v1", "https://***@host:4318/v1"},
      {"https://token@host", "https://***@host"},
      {"https://me:p@ss@host/a@b", "https://***@host/a@b"},
      {"https://host/a?token=abc&x=1#id=2", "https://host/a?token=***&x=***#id=***"},
      {"https://host/a?bare", "https://host/a?***"},
      {"https://bucket/x?X-Amz-Credential=A%2Fb&X-Amz-Signature=0f",
       "https://bucket/x?X-Amz-Credential=***&X-Amz-Signature=***"},
      {"https://h/?a==b&&c=", "https://h/?a=***&&c=***"},
      {"cannot reach 'http://u:p@h/?k=v': refused", "cannot reach 'http://***@h/?k=***': refused"},
      {"http://a:b@c http://d:e@f", "http://***@c http://***@f"},
      {"me:pass@host:4318", "***@host:4318"},
      {"mail me@example.org", "mail me@example.org"},
      {"1.2.3.4:80", "1.2.3.4:80"},
      {"at 12:30", "at 12:30"},
      {"", ""},
  }};
  for (const auto& [text, shown] : kCases) {
    EXPECT_EQ(without_secrets(text), shown);
    EXPECT_EQ(may_have_secrets(text) || text == shown, true) << text;
  }
}

TEST(UtcTime, IsRightBefore1970AndAtTheEndsOfTheCalendar) {
  EXPECT_EQ(utc_text(0), "1970-01-01T00:00:00Z");
  EXPECT_EQ(utc_text(-1), "1969-12-31T23:59:59Z");
  EXPECT_EQ(utc_text(-60'000'000'000), "0068-09-03T13:20:00Z");
  EXPECT_EQ(utc_text(253'402'300'799), "9999-12-31T23:59:59Z");
  EXPECT_EQ(utc_text(INT64_MAX), "9999-12-31T23:59:59Z");
  EXPECT_EQ(utc_text(INT64_MIN).substr(0, 4), "0000");
  std::string text;
  append_utc(text, std::chrono::system_clock::time_point(std::chrono::milliseconds(-1)));
  EXPECT_EQ(text, "1969-12-31T23:59:59.999Z");
}

}  // namespace
}  // namespace podsense
