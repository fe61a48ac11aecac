#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "base/temp_folder_testing.h"
#include "fetch/curl_fetcher.h"
#include "fetch/fetch.h"
#include "fetch/fetcher_test_support.h"
#include "fetch/test_server.h"

namespace podsense::fetch {
namespace {

TEST(Fetcher, RefusesANameThatLeadsToLoopback) {
  TestServer server(ok);
  Options options;
  options.ports = {server.port()};
  options.allow_hosts = {"localhost"};  // lifts the rule on names, not the one on addresses
  const auto fetcher = fetcher_for(options);
  const auto result = fetch(*fetcher, server.url("/", "localhost"));
  expect_error(result, ErrorCode::kPermissionDenied,
               "the URL leads to a loopback address, which is not allowed");
  EXPECT_FALSE(result.error().message.contains("127.0.0.1"));
  EXPECT_EQ(server.connections(), 0U);
}

/// Rebinding: the name passes gate 1 each time; what it leads to differs from one look-up to the
/// next. The gate sits where the socket is made, so it judges the address of this very connection.
TEST(Fetcher, JudgesEachAnswerOfANameThatChanges) {
  TestServer server([](Exchange& exchange) {
    exchange.reply("200 OK", "Connection: close\r\n", "x");
    return false;
  });
  std::atomic<const char*> address = "127.0.0.1";
  const auto fetcher = fetcher_for(options_for(server), [&](const CheckedUrl& url) {
    return std::vector{url.host + ":" + std::to_string(url.port) + ":" + address.load()};
  });
  const std::string url = server.url("/", "rebind.example.com");
  EXPECT_TRUE(fetch(*fetcher, url));
  for (const char* inside : {"127.0.0.2", "10.0.0.1", "169.254.169.254", "[::1]", "[fe80::1]",
                             "[::ffff:127.0.0.1]", "[64:ff9b::7f00:1]", "0.0.0.0"}) {
    address = inside;
    expect_error(fetch(*fetcher, url), ErrorCode::kPermissionDenied, "the URL leads to a");
  }
  address = "127.0.0.1";
  EXPECT_TRUE(fetch(*fetcher, url));
  EXPECT_EQ(server.connections(), 2U);
}

TEST(Fetcher, JudgesANameThatChangesBetweenRedirects) {
  TestServer server([&](Exchange& exchange) {
    exchange.reply("302 Found", "Connection: close\r\nLocation: /next\r\n", "");
    return false;
  });
  Options options = options_for(server);
  options.max_redirects = 3;
  std::atomic<int> asked = 0;
  const auto fetcher = fetcher_for(options, [&](const CheckedUrl& url) {
    return std::vector{url.host + ":" + std::to_string(url.port) +
                       (asked++ == 0 ? ":127.0.0.1" : ":127.0.0.2")};
  });
  expect_error(fetch(*fetcher, server.url("/", "rebind.example.com")), ErrorCode::kPermissionDenied,
               "the URL leads to a loopback address");
  EXPECT_EQ(server.connections(), 1U);
}

TEST(Fetcher, ConnectsOnlyToThoseOfSeveralAddressesThatPass) {
  TestServer server(ok);
  const auto fetcher = fetcher_for(options_for(server), [&](const CheckedUrl& url) {
    return std::vector{url.host + ":" + std::to_string(url.port) + ":127.0.0.2,127.0.0.1"};
  });
  EXPECT_TRUE(fetch(*fetcher, server.url("/", "both.example.com")));
  EXPECT_EQ(server.connections(), 1U);
}

// Redirects --------------------------------------------------------------------------------------

bool redirector(const TestServer*& self, Exchange& exchange) {
  const std::string path = exchange.path();
  if (path == "/ok") {
    return ok(exchange);
  }
  if (path.starts_with("/to?")) {
    exchange.redirect(path.substr(4));
  } else if (path == "/loop") {
    exchange.redirect("/loop");
  } else if (path.starts_with("/count/")) {
    const int left = std::stoi(path.substr(7));
    exchange.redirect(left == 1 ? "/ok" : "/count/" + std::to_string(left - 1));
  } else if (path == "/inside") {
    exchange.redirect(self->url("/ok", "127.0.0.2"));
  } else if (path == "/name") {
    exchange.redirect(self->url("/ok", "localhost"));
  } else if (path == "/user") {
    exchange.redirect(self->url("/ok", "me:secret@127.0.0.1"));
  } else if (path == "/injected") {
    exchange.redirect("/ok\\r\\nx y");
  } else if (path == "/nowhere") {
    exchange.reply("302 Found", "", "");
  } else {
    exchange.redirect(path.substr(1));
  }
  return true;
}

class FetcherRedirects : public testing::Test {
 protected:
  std::unique_ptr<Fetcher> fetcher(unsigned max) {
    Options options = options_for(server_);
    options.max_redirects = max;
    return fetcher_for(std::move(options));
  }

  const TestServer* self_ = nullptr;
  TestServer server_{[this](Exchange& exchange) {
    self_ = &server_;
    return redirector(self_, exchange);
  }};
};

TEST_F(FetcherRedirects, AreNotFollowedWhereTheirNumberIsZero) {
  const auto off = fetcher(0);
  expect_error(fetch(*off, server_.url("/count/1")), ErrorCode::kBadGateway,
               "the URL answers with a redirect, and redirects are not followed");
  EXPECT_EQ(server_.heads().size(), 1U);
}

TEST_F(FetcherRedirects, AreFollowedUpToTheirNumber) {
  const auto three = fetcher(3);
  const auto result = fetch(*three, server_.url("/count/3"));
  ASSERT_TRUE(result) << result.error().message;
  EXPECT_EQ(result->redirects, 3U);
  EXPECT_EQ(result->body, "picture");
  EXPECT_EQ(server_.connections(), 1U);
  expect_error(fetch(*three, server_.url("/count/4")), ErrorCode::kBadGateway,
               "the URL redirects more than 3 times");
  expect_error(fetch(*three, server_.url("/loop")), ErrorCode::kBadGateway,
               "the URL redirects more than 3 times");
}

TEST_F(FetcherRedirects, InwardAreRefused) {
  const auto three = fetcher(3);
  const std::string refused = "the URL redirects to one that is refused: ";
  expect_error(fetch(*three, server_.url("/inside")), ErrorCode::kPermissionDenied,
               refused + "the URL leads to a loopback address");
  expect_error(fetch(*three, server_.url("/name")), ErrorCode::kPermissionDenied,
               refused + "the host is a local name");
  expect_error(fetch(*three, server_.url("/to?http://169.254.169.254/latest/")),
               ErrorCode::kPermissionDenied, refused + "port 80 is not allowed");
  const std::string port = ":" + std::to_string(server_.port());
  for (const std::string host :
       {"169.254.169.254", "10.0.0.1", "2130706434", "0x7f.2", "[::1]", "[::ffff:127.0.0.1]",
        "[fd00:ec2::254]", "metadata.google.internal", "127.0.0.2."}) {
    expect_error(fetch(*three, server_.url(("/to?http://" + host).append(port))),
                 ErrorCode::kPermissionDenied, refused);
  }
  EXPECT_EQ(server_.connections(), 1U);
}

TEST_F(FetcherRedirects, ToWhatIsNoWebUrlAreRefused) {
  const auto three = fetcher(3);
  const std::string refused = "the URL redirects to one that is refused: ";
  expect_error(fetch(*three, server_.url("/user")), ErrorCode::kBadGateway,
               refused + "the URL has credentials");
  for (const char* target : {"file:///etc/passwd", "ftp://127.0.0.1/", "gopher://127.0.0.1:6379/_x",
                             "dict://127.0.0.1/", "javascript:alert(1)", "data:,x"}) {
    expect_error(fetch(*three, server_.url(std::string("/to?") + target)), ErrorCode::kBadGateway,
                 refused);
  }
  expect_error(fetch(*three, server_.url("/injected")), ErrorCode::kBadGateway, refused);
  expect_error(fetch(*three, server_.url("/nowhere")), ErrorCode::kBadGateway,
               "the URL answers with a redirect that leads nowhere");
}

// Headers of one origin -----------------------------------------------------------------------

class FetcherHeaders : public FetcherRedirects {
 protected:
  /// With a token for the server as 127.0.0.1, and as nobody else.
  std::unique_ptr<Fetcher> fetcher_with(const std::string& lines) {
    std::ofstream(file_) << lines;
    Options options = options_for(server_);
    options.headers_file = file_.string();
    options.allow_cidrs = {"127.0.0.0/8"};
    return fetcher_for(std::move(options));
  }
  [[nodiscard]] std::string origin() const { return server_.url("", "127.0.0.1"); }
  [[nodiscard]] unsigned with_token() {
    return static_cast<unsigned>(std::ranges::count_if(server_.heads(), [](const auto& head) {
      return head.contains("Authorization: Bearer abc");
    }));
  }
  const TempFolder folder_;
  const std::filesystem::path file_ = folder_.path() / "headers";
};

TEST_F(FetcherHeaders, GoToTheirOriginAndNowhereElse) {
  const auto fetcher =
      fetcher_with("# a bucket\n\n" + origin() + "  Authorization:  Bearer abc \n" + origin() +
                   " X-Other: 1\r\n");
  EXPECT_TRUE(fetch(*fetcher, server_.url("/ok")));
  EXPECT_EQ(with_token(), 1U);
  EXPECT_TRUE(server_.heads().back().contains("X-Other: 1"));
  EXPECT_TRUE(fetch(*fetcher, server_.url("/ok", "127.0.0.2")));
  EXPECT_EQ(with_token(), 1U);
  EXPECT_TRUE(fetch(*fetcher, server_.url("/count/2")));  // the same origin, twice more and /ok
  EXPECT_EQ(with_token(), 4U);
  EXPECT_TRUE(fetch(*fetcher, server_.url("/inside")));  // to 127.0.0.2
  EXPECT_EQ(with_token(), 5U);
  EXPECT_FALSE(server_.heads().back().contains("Authorization"));
  // Away and back: the origin counts, not the way.
  EXPECT_TRUE(fetch(*fetcher, server_.url("/to?" + origin() + "/ok", "127.0.0.2")));
  EXPECT_EQ(with_token(), 6U);
}

TEST_F(FetcherHeaders, ABadFileIsRefusedByLineAndNeverQuoted) {
  const std::pair<const char*, const char*> table[] = {
      {"https://a.example.com\n", "line 1: it must be an origin, a name and a value"},
      {"\nhttps://a.example.com Authorization secret\n", "line 2: it must be an origin"},
      {"https://a.example.com X: a\x01secret\n", "line 1: it must be an origin"},
      {"https://a.example.com Host: secret\n", "line 1: Host cannot be set"},
      {"https://a.example.com/path X: secret\n", "line 1: the origin must end"},
      {"a.example.com X: secret\n", "line 1: the URL is not absolute"},
      {"https://a.example.com:22 X: secret\n", "line 1: port 22 is not allowed"},
  };
  for (const auto& [lines, message] : table) {
    std::ofstream(file_) << lines;
    Options options;
    options.headers_file = file_.string();
    const auto result = Fetcher::create(options);
    ASSERT_FALSE(result) << lines;
    EXPECT_TRUE(result.error().message.starts_with(std::string("headers_file: ") + message))
        << result.error().message;
    EXPECT_FALSE(result.error().message.contains("secret"));
  }
}

}  // namespace
}  // namespace podsense::fetch
