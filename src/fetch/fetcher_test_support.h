#pragma once

/// Helpers for the tests of Fetcher.

#include <gtest/gtest.h>

#include <chrono>
#include <future>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "fetch/curl_fetcher.h"
#include "fetch/fetch.h"
#include "fetch/test_server.h"

namespace podsense::fetch {

using Exchange = TestServer::Exchange;

/// Only 127.0.0.1 is allowed; 127.0.0.2 reaches the same server and represents a forbidden internal
/// address.
inline Options options_for(const TestServer& server) {
  Options options;
  options.ports = {server.port()};
  options.allow_cidrs = {"127.0.0.1/32"};
  return options;
}

inline std::unique_ptr<Fetcher> fetcher_for(Options options, Answers answers = nullptr) {
  return create_fetcher(std::move(options), std::move(answers)).value();
}

/// A second call of the callback would throw in set_value, so it is detected.
inline std::future<Result<Response>> get(Fetcher& fetcher, Request request) {
  std::promise<Result<Response>> promise;
  auto future = promise.get_future();
  fetcher.get(std::move(request), [promise = std::move(promise)](Result<Response> result) mutable {
    promise.set_value(std::move(result));
  });
  return future;
}

inline Result<Response> fetch(Fetcher& fetcher, const std::string& url) {
  return get(fetcher, {.url = url, .deadline = {}, .traceparent = {}}).get();
}

inline Deadline soon(Duration duration) {
  return Deadline::after(SteadyClock().now(), duration);
}

inline void expect_error(const Result<Response>& result, ErrorCode code, std::string_view message) {
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, code) << result.error().message << " / " << result.error().detail;
  EXPECT_TRUE(result.error().message.starts_with(message))
      << result.error().message << " / " << result.error().detail;
}

inline bool ok(Exchange& exchange) {
  exchange.reply("200 OK", "Content-Type: image/png\r\n", "picture");
  return true;
}

}  // namespace podsense::fetch
