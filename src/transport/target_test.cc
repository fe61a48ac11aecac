#include "transport/target.h"

#include <gtest/gtest.h>

namespace podsense::transport {
namespace {

TEST(Target, TakesPathsWholeUrlsAndTheAsterisk) {
  struct Row {
    const char *target, *path, *query;
  };
  for (const Row& row :
       {Row{"/", "/", ""}, Row{"/a?b=c", "/a", "b=c"}, Row{"/a?", "/a", ""},
        Row{"/a?b?c", "/a", "b?c"}, Row{"//a", "//a", ""}, Row{"*", "*", ""},
        Row{"http://h/a?b", "/a", "b"}, Row{"HTTPS://h:443/a", "/a", ""}, Row{"http://h", "/", ""},
        Row{"http://h?/a", "/", "/a"}, Row{"http://[::1]:8080/a", "/a", ""}}) {
    const auto target = parse_target(row.target);
    ASSERT_TRUE(target) << row.target;
    EXPECT_EQ(target->path, row.path) << row.target;
    EXPECT_EQ(target->query, row.query) << row.target;
  }
}

TEST(Target, RefusesAllElse) {
  for (const char* target :
       {"", "livez", "nope?x=://h/livez", "foo/bar://h/livez", "ftp://h/a", "http:///a",
        "http://?a", "http://u@h/a", "http://h:port/a", "http://a b/c", "x:80", "/a#b",
        "/a\xc3\xa9", "/a\x7f", "http:/a", "://h/a"}) {
    EXPECT_FALSE(parse_target(target)) << target;
  }
}

TEST(Host, IsAHostWithAnOptionalPort) {
  for (const char* host : {"", "x", "x:80", "x:", "a.b-c_d~e", "1.2.3.4:65535", "[::1]", "[::1]:80",
                           "a%20b", "a!$&'()*+,;="}) {
    EXPECT_TRUE(valid_host(host)) << host;
  }
  for (const char* host :
       {"a b", "a/b", "a@b", "a b/@c", "x:8a", "x:123456", "[::1", "::1", "[x]", "[::1]x", "a%2",
        "a%zz", "a\tb", "x:80:80", "\xc3\xa9", "\"x\"", "a?b"}) {
    EXPECT_FALSE(valid_host(host)) << host;
  }
  EXPECT_EQ(host_name("x:80"), "x");
  EXPECT_EQ(host_name("[::1]:80"), "::1");
  EXPECT_EQ(host_name(""), "");
}

}  // namespace
}  // namespace podsense::transport
