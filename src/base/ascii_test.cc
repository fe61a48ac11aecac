#include "base/ascii.h"

#include <gtest/gtest.h>

#include <cctype>

#include "base/utf8.h"

namespace podsense {
namespace {

TEST(Ascii, ClassesAreTheCLocales) {
  for (int byte = 0; byte < 256; ++byte) {
    const char c = static_cast<char>(byte);
    EXPECT_EQ(ascii::is_digit(c), std::isdigit(byte) != 0) << byte;
    EXPECT_EQ(ascii::is_letter(c), std::isalpha(byte) != 0) << byte;
    EXPECT_EQ(ascii::is_alphanumeric(c), std::isalnum(byte) != 0) << byte;
    EXPECT_EQ(ascii::lower(c), static_cast<char>(std::tolower(byte))) << byte;
    EXPECT_EQ(ascii::hex_value(c) >= 0, std::isxdigit(byte) != 0) << byte;
  }
  EXPECT_EQ(ascii::hex_value('9'), 9);
  EXPECT_EQ(ascii::hex_value('a'), 10);
  EXPECT_EQ(ascii::hex_value('F'), 15);
}

TEST(Ascii, CaseIsIgnoredInLettersAlone) {
  EXPECT_TRUE(ascii::equal_ignoring_case("Content-Type", "content-tYPE"));
  EXPECT_FALSE(ascii::equal_ignoring_case("[", "{"));  // 0x20 apart, as letters are
  EXPECT_FALSE(ascii::equal_ignoring_case("a", "ab"));
  EXPECT_EQ(ascii::lower("ÄZ"), "Äz");
}

TEST(Ascii, TrimsBothEnds) {
  EXPECT_EQ(ascii::trim(" \t a b\r\n"), "a b");
  EXPECT_EQ(ascii::trim("  "), "");
  EXPECT_EQ(ascii::trim(""), "");
  EXPECT_EQ(ascii::trim("--a-", "-"), "a");
}

TEST(Ascii, TokensAreThoseOfHttp) {
  EXPECT_TRUE(ascii::is_token("x-api!key"));
  EXPECT_FALSE(ascii::is_token(""));
  EXPECT_FALSE(ascii::is_token("a b"));
  EXPECT_FALSE(ascii::is_token("a:"));
}

TEST(Utf8, CodePointsAreWrittenAsRead) {
  std::string out;
  for (const std::uint32_t point : {0x7FU, 0x80U, 0x7FFU, 0x800U, 0xFFFFU, 0x10000U, 0x10FFFFU}) {
    append_utf8(out, point);
  }
  EXPECT_EQ(out, "\x7F\u0080\u07FF\u0800\uFFFF\U00010000\U0010FFFF");
  EXPECT_TRUE(is_utf8(out));
}

}  // namespace
}  // namespace podsense
