// With a getaddrinfo of its own in place of the C library's, so that libcurl's real look-ups can be
// made to fail, to change and to hang.

#include <dlfcn.h>
#include <gtest/gtest.h>
#include <netdb.h>

#include <future>
#include <string>

#include "base/mutex.h"
#include "fetch/fetch.h"
#include "fetch/fetcher_test_support.h"
#include "fetch/test_server.h"

namespace podsense::fetch {
namespace {

class Resolver {
 public:
  int look_up(const char* name, const char* service, const addrinfo* hints, addrinfo** result)
      EXCLUDES(mutex_) {
    using Function = int (*)(const char*, const char*, const addrinfo*, addrinfo**);
    static const auto real = reinterpret_cast<Function>(dlsym(RTLD_NEXT, "getaddrinfo"));
    const std::string host = name == nullptr ? "" : name;
    const MutexLock lock(mutex_);
    ++look_ups_;
    changed_.notify_all();
    while (host == "hangs.example.com" && !released_) {
      changed_.wait(mutex_);
    }
    --look_ups_;
    changed_.notify_all();
    if (host == "changes.example.com") {
      return real(asked_++ == 0 ? "127.0.0.1" : "127.0.0.2", service, hints, result);
    }
    return host == "good.example.com" ? real("127.0.0.1", service, hints, result) : EAI_NONAME;
  }
  void reset() EXCLUDES(mutex_) {
    const MutexLock lock(mutex_);
    asked_ = 0;
    released_ = false;
  }
  void wait_for_look_ups(int count) EXCLUDES(mutex_) {
    const MutexLock lock(mutex_);
    while (look_ups_ != count) {
      changed_.wait(mutex_);
    }
  }
  void release() EXCLUDES(mutex_) {
    const MutexLock lock(mutex_);
    released_ = true;
    changed_.notify_all();
  }

 private:
  Mutex mutex_;
  CondVar changed_;
  int look_ups_ GUARDED_BY(mutex_) = 0;
  int asked_ GUARDED_BY(mutex_) = 0;
  bool released_ GUARDED_BY(mutex_) = false;
};

Resolver& resolver() {
  static Resolver instance;
  return instance;
}

class FetcherResolver : public testing::Test {
 protected:
  void SetUp() override { resolver().reset(); }
};

bool close_after(Exchange& exchange) {
  exchange.reply("200 OK", "Connection: close\r\n", "x");
  return false;
}

TEST_F(FetcherResolver, SaysThatANameIsUnknown) {
  TestServer server(close_after);
  const auto fetcher = fetcher_for(options_for(server));
  expect_error(fetch(*fetcher, server.url("/", "unknown.example.com")), ErrorCode::kBadGateway,
               "the host's name could not be resolved");
}

/// libcurl remembers an answer for a minute; a second Fetcher has to ask again.
TEST_F(FetcherResolver, JudgesTheAnswerOfEachLookUp) {
  TestServer server(close_after);
  const std::string url = server.url("/", "changes.example.com");
  EXPECT_TRUE(fetch(*fetcher_for(options_for(server)), url));
  expect_error(fetch(*fetcher_for(options_for(server)), url), ErrorCode::kPermissionDenied,
               "the URL leads to a loopback address");
}

/// Without CURLOPT_QUICK_EXIT each step below would wait for the look-up that never ends.
TEST_F(FetcherResolver, ANameServerThatNeverAnswersHoldsNobodyElse) {
  TestServer server(close_after);
  Options options = options_for(server);
  options.max_concurrent = 2;
  auto fetcher = fetcher_for(options);
  const Request hanging{.url = server.url("/", "hangs.example.com"),
                        .deadline = soon(std::chrono::milliseconds(100)),
                        .traceparent = {}};
  auto first = get(*fetcher, hanging);
  auto second = get(*fetcher, hanging);
  resolver().wait_for_look_ups(2);
  auto waiting = get(
      *fetcher, {.url = server.url("/", "good.example.com"), .deadline = {}, .traceparent = {}});
  expect_error(first.get(), ErrorCode::kDeadlineExceeded, "the request's deadline passed");
  expect_error(second.get(), ErrorCode::kDeadlineExceeded, "the request's deadline passed");
  EXPECT_TRUE(waiting.get());
  auto third = get(*fetcher, {.url = hanging.url, .deadline = {}, .traceparent = {}});
  resolver().wait_for_look_ups(3);
  fetcher.reset();
  expect_error(third.get(), ErrorCode::kUnavailable, "the server is shutting down");
  resolver().release();
  resolver().wait_for_look_ups(0);
}

}  // namespace
}  // namespace podsense::fetch

extern "C" int getaddrinfo(const char* name, const char* service, const addrinfo* hints,
                           addrinfo** result) {
  return podsense::fetch::resolver().look_up(name, service, hints, result);
}
