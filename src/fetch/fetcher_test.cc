#include <gtest/gtest.h>
#include <zlib.h>

#include <cstdlib>
#include <string>
#include <thread>
#include <utility>

#include "fetch/curl_fetcher.h"
#include "fetch/fetch.h"
#include "fetch/fetcher_test_support.h"
#include "fetch/test_server.h"

namespace podsense::fetch {
namespace {

using std::chrono::milliseconds;

TEST(Fetcher, BringsBodyAndType) {
  TestServer server(ok);
  const auto fetcher = fetcher_for(options_for(server));
  const auto result = fetch(*fetcher, server.url("/a/b?c=d#fragment"));
  ASSERT_TRUE(result) << result.error().message;
  EXPECT_EQ(result->body, "picture");
  EXPECT_EQ(result->content_type, "image/png");
  EXPECT_EQ(result->redirects, 0U);
  EXPECT_GT(result->elapsed, Duration::zero());
  EXPECT_EQ(fetcher->active(), 0U);
}

TEST(Fetcher, SendsNothingButThePlainRequest) {
  TestServer server(ok);
  // NOLINTBEGIN(concurrency-mt-unsafe): no other thread reads the environment yet, or any more
  setenv("http_proxy", "http://127.0.0.1:1", 1);
  setenv("ALL_PROXY", "http://127.0.0.1:1", 1);
  const auto result = fetch(*fetcher_for(options_for(server)), server.url("/a?c=d#fragment"));
  unsetenv("http_proxy");
  unsetenv("ALL_PROXY");
  // NOLINTEND(concurrency-mt-unsafe)
  ASSERT_TRUE(result) << result.error().message;
  EXPECT_EQ(server.heads().at(0),
            "GET /a?c=d HTTP/1.1\r\nHost: 127.0.0.1:" + std::to_string(server.port()) +
                "\r\nUser-Agent: podsense\r\nAccept: */*\r\n\r\n");
}

TEST(Fetcher, PassesTraceparentOnWhenWellFormed) {
  TestServer server(ok);
  const auto fetcher = fetcher_for(options_for(server));
  const std::string trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
  for (const std::string& text : {trace, trace + "\r\nX-Evil: 1", std::string("x")}) {
    ASSERT_TRUE(get(*fetcher, {.url = server.url("/"), .deadline = {}, .traceparent = text}).get());
  }
  EXPECT_TRUE(server.heads().at(0).contains("\r\ntraceparent: " + trace + "\r\n"));
  EXPECT_FALSE(server.heads().at(1).contains("traceparent"));
  EXPECT_FALSE(server.heads().at(2).contains("traceparent"));
}

TEST(Fetcher, ReusesAConnectionThatPassed) {
  TestServer server(ok);
  const auto fetcher = fetcher_for(options_for(server));
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE(fetch(*fetcher, server.url("/")));
  }
  EXPECT_EQ(server.connections(), 1U);
}

TEST(Fetcher, ReadsChunksAndBodiesThatEndWithTheConnection) {
  TestServer server([](Exchange& exchange) {
    if (exchange.path() == "/chunks") {
      exchange.send(
          "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n3\r\nabc\r\n4\r\ndefg\r\n");
      exchange.send("0\r\nTrailer: x\r\n\r\n");
      return true;
    }
    exchange.send("HTTP/1.0 200 OK\r\n\r\nto the end");
    return false;
  });
  const auto fetcher = fetcher_for(options_for(server));
  EXPECT_EQ(fetch(*fetcher, server.url("/chunks"))->body, "abcdefg");
  EXPECT_EQ(fetch(*fetcher, server.url("/close"))->body, "to the end");
}

TEST(Fetcher, RefusesBadUrlsOnTheCallersThread) {
  TestServer server(ok);
  const auto fetcher = fetcher_for(options_for(server));
  std::thread::id thread;
  ErrorCode code{};
  fetcher->get({.url = "http://127.0.0.2:" + std::to_string(server.port()),
                .deadline = {},
                .traceparent = {}},
               [&](Result<Response> result) {
                 thread = std::this_thread::get_id();
                 code = result.error().code;
               });
  EXPECT_EQ(thread, std::this_thread::get_id());
  EXPECT_EQ(code, ErrorCode::kPermissionDenied);
  EXPECT_EQ(server.connections(), 0U);
}

TEST(Fetcher, SaysWhenItIsSwitchedOff) {
  Options options;
  options.enabled = false;
  const auto fetcher = fetcher_for(options);
  expect_error(fetch(*fetcher, "http://example.com/"), ErrorCode::kUnimplemented,
               "fetching URLs is switched off");
}

TEST(Fetcher, RefusesADeclaredSizeBeforeTheBody) {
  TestServer server([](Exchange& exchange) {
    exchange.send("HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n");
    exchange.hold();  // not one byte of body: the refusal cannot wait for it
    return false;
  });
  Options options = options_for(server);
  options.max_bytes = 1000;
  const auto fetcher = fetcher_for(options);
  expect_error(fetch(*fetcher, server.url("/")), ErrorCode::kPayloadTooLarge,
               "the answer has more than the 1000 bytes that are accepted (limits.max_body_bytes)");
}

TEST(Fetcher, CountsWhatStreamsWithoutADeclaredSize) {
  TestServer server([](Exchange& exchange) {
    if (exchange.path() == "/fits") {
      exchange.send("HTTP/1.0 200 OK\r\n\r\n" + std::string(1000, 'x'));
      return false;
    }
    exchange.send(exchange.path() == "/chunked"
                      ? "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                      : "HTTP/1.0 200 OK\r\n\r\n");
    while (exchange.send("64\r\n" + std::string(100, 'x') + "\r\n")) {  // until the client leaves
    }
    return false;
  });
  Options options = options_for(server);
  options.max_bytes = 1000;
  const auto fetcher = fetcher_for(options);
  EXPECT_EQ(fetch(*fetcher, server.url("/fits"))->body.size(), 1000U);
  for (const char* path : {"/chunked", "/endless"}) {
    expect_error(fetch(*fetcher, server.url(path)), ErrorCode::kPayloadTooLarge,
                 "the answer has more than the 1000 bytes");
  }
}

TEST(Fetcher, EndsASlowBodyAtTheDeadline) {
  TestServer server([](Exchange& exchange) {
    exchange.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nx");
    exchange.hold();
    return false;
  });
  const auto fetcher = fetcher_for(options_for(server));
  const auto result =
      get(*fetcher,
          {.url = server.url("/"), .deadline = soon(milliseconds(100)), .traceparent = {}})
          .get();
  expect_error(result, ErrorCode::kDeadlineExceeded, "the request's deadline passed");
}

TEST(Fetcher, EndsAnAnswerThatNeverComesAtTheTimeout) {
  TestServer server([](Exchange& exchange) {
    exchange.hold();
    return false;
  });
  Options options = options_for(server);
  options.timeout = milliseconds(100);
  const auto fetcher = fetcher_for(options);
  expect_error(fetch(*fetcher, server.url("/")), ErrorCode::kDeadlineExceeded,
               "fetching the URL took over 0.1 s");
}

TEST(Fetcher, SpendsOneTimeoutOnAllRedirects) {
  TestServer server([](Exchange& exchange) {
    if (exchange.path() == "/held") {
      exchange.hold();
      return false;
    }
    exchange.redirect("/held");
    return true;
  });
  Options options = options_for(server);
  options.timeout = milliseconds(200);
  options.max_redirects = 1;
  const auto fetcher = fetcher_for(options);
  const TimePoint start = SteadyClock().now();
  expect_error(fetch(*fetcher, server.url("/")), ErrorCode::kDeadlineExceeded,
               "fetching the URL took over 0.2 s");
  EXPECT_GE(SteadyClock().now() - start, milliseconds(200));
}

TEST(Fetcher, RefusesADeadlineThatHasPassed) {
  TestServer server(ok);
  const auto fetcher = fetcher_for(options_for(server));
  const auto result =
      get(*fetcher, {.url = server.url("/"), .deadline = soon(Duration(0)), .traceparent = {}})
          .get();
  expect_error(result, ErrorCode::kDeadlineExceeded, "the request's deadline passed");
  EXPECT_EQ(server.connections(), 0U);
}

TEST(Fetcher, EndsAHeaderFlood) {
  TestServer server([](Exchange& exchange) {
    if (exchange.path() == "/interim") {
      while (exchange.send("HTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n")) {
      }
    } else if (exchange.path() == "/line") {
      exchange.send("HTTP/1.1 200 OK\r\nX-Flood: ");
      while (exchange.send(std::string(500, 'x'))) {
      }
    } else {
      exchange.send("HTTP/1.1 200 OK\r\n");
      while (exchange.send("X-Flood: " + std::string(500, 'x') + "\r\n")) {
      }
    }
    return false;
  });
  const auto fetcher = fetcher_for(options_for(server));
  for (const char* path : {"/headers", "/interim"}) {
    expect_error(fetch(*fetcher, server.url(path)), ErrorCode::kBadGateway,
                 "the answer has more than 32768 bytes of headers");
  }
  expect_error(fetch(*fetcher, server.url("/line")), ErrorCode::kBadGateway,
               "the answer has a header line without an end");
}

TEST(Fetcher, RefusesATransferEncodingThatWasNotAskedFor) {
  TestServer server([](Exchange& exchange) {
    exchange.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\nx");
    exchange.hold();
    return false;
  });
  const auto fetcher = fetcher_for(options_for(server));
  expect_error(fetch(*fetcher, server.url("/")), ErrorCode::kBadGateway,
               "the answer is compressed, although no compression was requested");
}

std::string gzipped(const std::string& text) {
  z_stream z{};
  EXPECT_EQ(deflateInit2(&z, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
  std::string in = text;
  std::string out(deflateBound(&z, text.size()), '\0');
  z.next_in = static_cast<Bytef*>(static_cast<void*>(in.data()));
  z.avail_in = static_cast<uInt>(in.size());
  z.next_out = static_cast<Bytef*>(static_cast<void*>(out.data()));
  z.avail_out = static_cast<uInt>(out.size());
  EXPECT_EQ(deflate(&z, Z_FINISH), Z_STREAM_END);
  out.resize(z.total_out);
  deflateEnd(&z);
  return out;
}

TEST(Fetcher, UndoesGzipWithinTheLimitAndTakesPlainBytesWhateverTheyAreCalled) {
  const std::string picture(200'000, 'p');
  const std::string packed = gzipped(picture);
  TestServer server([&](Exchange& exchange) {
    const std::string path = exchange.path();
    const bool plain = path.starts_with("/plain");
    const std::string coding = plain ? path.substr(6) : "GZIP";
    const std::string body = plain            ? picture
                             : path == "/cut" ? packed.substr(0, packed.size() - 9)
                             : path == "/bad" ? packed.substr(0, 20) + std::string(50, 'x')
                                              : packed;
    exchange.reply("200", "Content-Encoding: " + coding + "\r\n", body);
    return true;
  });
  Options options = options_for(server);
  options.max_bytes = picture.size();
  const auto fetcher = fetcher_for(options);
  for (const char* path : {"/packed", "/plaingzip", "/plainidentity", "/plainutf-8", "/plainbr"}) {
    const auto got = fetch(*fetcher, server.url(path));
    ASSERT_TRUE(got) << path << ": " << got.error().message;
    EXPECT_EQ(got->body, picture) << path;
  }
  expect_error(fetch(*fetcher, server.url("/cut")), ErrorCode::kBadGateway,
               "the host's answer is gzip data that end early");
  expect_error(fetch(*fetcher, server.url("/bad")), ErrorCode::kBadGateway,
               "the host's answer says that it is gzip, and is corrupt");
  options.max_bytes = picture.size() - 1;
  expect_error(fetch(*fetcher_for(options), server.url("/packed")), ErrorCode::kPayloadTooLarge,
               "the answer has more than the 199999 bytes");
}

// Remote faults ----------------------------------------------------------------------------------

TEST(Fetcher, NamesAnyStatusBut200) {
  TestServer server([](Exchange& exchange) {
    exchange.reply(exchange.path().substr(1), "", "not a picture");
    return true;
  });
  const auto fetcher = fetcher_for(options_for(server));
  for (const std::string status : {"201", "206", "304", "400", "407"}) {
    expect_error(fetch(*fetcher, server.url("/" + status)), ErrorCode::kBadGateway,
                 "the URL answers with status " + status + "; 200 is needed");
  }
  const std::pair<const char*, ErrorCode> told_apart[] = {
      {"401", ErrorCode::kPermissionDenied}, {"403", ErrorCode::kPermissionDenied},
      {"404", ErrorCode::kUnprocessable},    {"410", ErrorCode::kUnprocessable},
      {"429", ErrorCode::kRateLimited},      {"500", ErrorCode::kBadGateway},
      {"503", ErrorCode::kBadGateway}};
  for (const auto& [status, code] : told_apart) {
    expect_error(fetch(*fetcher, server.url(std::string("/") + status)), code,
                 std::string("the URL answers with status ") + status);
  }
}

TEST(Fetcher, PassesOnHowLongAHostAsksToWait) {
  TestServer server([](Exchange& exchange) {
    exchange.reply("429", "Retry-After: 17\r\n", "");
    return true;
  });
  const auto result = fetch(*fetcher_for(options_for(server)), server.url("/"));
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().retry_after, std::chrono::seconds(17));
}

TEST(Fetcher, DropsTheBodyOfAnErrorThatGoesOn) {
  TestServer server([](Exchange& exchange) {
    exchange.send("HTTP/1.1 404 Not Found\r\n\r\n");
    while (exchange.send(std::string(1000, 'x'))) {
    }
    return false;
  });
  const auto fetcher = fetcher_for(options_for(server));
  expect_error(fetch(*fetcher, server.url("/")), ErrorCode::kUnprocessable,
               "the URL answers with status 404");
}

TEST(Fetcher, SaysHowTheConnectionFailed) {
  const auto [closed, port] = bind_loopback();
  TestServer server([](Exchange& exchange) {
    if (exchange.path() == "/cut") {
      exchange.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nx");
    } else if (exchange.path() == "/http09") {
      exchange.send("hello, here is no header at all");
    } else if (exchange.path() == "/length") {
      exchange.send("HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nx");
    }
    return false;
  });
  Options options = options_for(server);
  options.ports.push_back(port);
  const auto fetcher = fetcher_for(options);
  constexpr auto kGateway = ErrorCode::kBadGateway;
  expect_error(fetch(*fetcher, "http://127.0.0.1:" + std::to_string(port)), kGateway,
               "the host could not be connected to");
  expect_error(fetch(*fetcher, server.url("/empty")), kGateway,
               "the host closed the connection without an answer");
  expect_error(fetch(*fetcher, server.url("/cut")), kGateway,
               "the connection broke before the answer was complete");
  expect_error(fetch(*fetcher, server.url("/http09")), kGateway,
               "the host's answer is not valid HTTP");
  expect_error(fetch(*fetcher, server.url("/length")), kGateway,
               "the host's answer is not valid HTTP");
}

TEST(Fetcher, KeepsLibcurlsWordsForTheLogAndQueriesOutOfIt) {
  TestServer server([](Exchange&) { return false; });
  const auto fetcher = fetcher_for(options_for(server));
  const auto result = fetch(*fetcher, server.url("/path?secret=1"));
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().detail, "http://127.0.0.1:" + std::to_string(server.port()) +
                                       ", redirects 0, status 0: Empty reply from server");
}

}  // namespace
}  // namespace podsense::fetch
