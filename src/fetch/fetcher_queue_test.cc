#include <gtest/gtest.h>

#include <atomic>
#include <csignal>
#include <functional>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "fetch/curl_fetcher.h"
#include "fetch/fetch.h"
#include "fetch/fetcher_test_support.h"
#include "fetch/test_server.h"

namespace podsense::fetch {
namespace {

using std::chrono::milliseconds;

/// Holds each request until told, then answers it.
class Latched {
 public:
  bool operator()(Exchange& exchange) {
    {
      const MutexLock lock(mutex_);
      while (!open_) {
        changed_.wait(mutex_);
      }
    }
    return ok(exchange);
  }
  void open() {
    const MutexLock lock(mutex_);
    open_ = true;
    changed_.notify_all();
  }

 private:
  Mutex mutex_;
  CondVar changed_;
  bool open_ GUARDED_BY(mutex_) = false;
};

TEST(Fetcher, QueuesBeyondItsConcurrencyAndRefusesBeyondItsQueue) {
  Latched latch;
  TestServer server(std::ref(latch));
  Options options = options_for(server);
  options.max_concurrent = 2;
  options.max_waiting = 1;
  const auto fetcher = fetcher_for(options);
  const Request request{.url = server.url("/"), .deadline = {}, .traceparent = {}};
  auto first = get(*fetcher, request);
  auto second = get(*fetcher, request);
  server.wait_for_requests(2);
  EXPECT_EQ(fetcher->active(), 2U);
  auto third = get(*fetcher, request);
  auto fourth = get(*fetcher, request);
  expect_error(fourth.get(), ErrorCode::kOverloaded, "too many URLs are being fetched");
  EXPECT_EQ(server.heads().size(), 2U);
  latch.open();
  EXPECT_TRUE(first.get());
  EXPECT_TRUE(second.get());
  EXPECT_TRUE(third.get());
  EXPECT_EQ(fetcher->active(), 0U);
}

TEST(Fetcher, EndsWhatWaitsAtItsDeadline) {
  Latched latch;
  TestServer server(std::ref(latch));
  Options options = options_for(server);
  options.max_concurrent = 1;
  const auto fetcher = fetcher_for(options);
  auto running = get(*fetcher, {.url = server.url("/"), .deadline = {}, .traceparent = {}});
  server.wait_for_requests(1);
  auto patient = get(*fetcher, {.url = server.url("/"), .deadline = {}, .traceparent = {}});
  auto waiting = get(
      *fetcher, {.url = server.url("/"), .deadline = soon(milliseconds(50)), .traceparent = {}});
  expect_error(waiting.get(), ErrorCode::kDeadlineExceeded, "the request's deadline passed");
  EXPECT_EQ(server.heads().size(), 1U);
  latch.open();
  EXPECT_TRUE(running.get());
  EXPECT_TRUE(patient.get());
}

TEST(Fetcher, ServesManyFromManyThreads) {
  TestServer server(ok);
  Options options = options_for(server);
  options.max_concurrent = 8;
  options.max_waiting = 1000;
  const auto fetcher = fetcher_for(options);
  std::atomic<int> good = 0;
  std::vector<std::thread> threads;
  threads.reserve(4);
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      std::vector<std::future<Result<Response>>> futures;
      futures.reserve(50);
      for (int i = 0; i < 50; ++i) {
        futures.push_back(
            get(*fetcher, {.url = server.url("/"), .deadline = {}, .traceparent = {}}));
      }
      for (auto& future : futures) {
        good += future.get().has_value() ? 1 : 0;
      }
    });
  }
  for (auto& thread : threads) {
    thread.join();
  }
  EXPECT_EQ(good, 200);
  EXPECT_LE(server.connections(), 200U);
}

TEST(Fetcher, ACallbackMayFetchAgain) {
  TestServer server(ok);
  const auto fetcher = fetcher_for(options_for(server));
  std::promise<Result<Response>> promise;
  fetcher->get(
      {.url = server.url("/1"), .deadline = {}, .traceparent = {}}, [&](const Result<Response>&) {
        fetcher->get({.url = server.url("/2"), .deadline = {}, .traceparent = {}},
                     [&](Result<Response> result) { promise.set_value(std::move(result)); });
      });
  EXPECT_TRUE(promise.get_future().get());
  EXPECT_EQ(server.heads().size(), 2U);
}

TEST(Fetcher, EndsAllThatIsUnderWayWhenDestroyed) {
  TestServer server([](Exchange& exchange) {
    if (exchange.path() == "/body") {
      exchange.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nx");
    }
    exchange.hold();
    return false;
  });
  Options options = options_for(server);
  options.max_concurrent = 2;
  auto fetcher = fetcher_for(options);
  std::vector<std::future<Result<Response>>> futures;
  for (const char* path : {"/body", "/silent", "/waiting", "/waiting"}) {
    futures.push_back(get(*fetcher, {.url = server.url(path), .deadline = {}, .traceparent = {}}));
  }
  server.wait_for_requests(2);
  fetcher.reset();
  for (auto& future : futures) {
    ASSERT_EQ(future.wait_for(milliseconds(0)), std::future_status::ready);
    expect_error(future.get(), ErrorCode::kUnavailable, "the server is shutting down");
  }
}

TEST(Fetcher, ACallbackThatFetchesWhileItIsDestroyedIsToldSo) {
  TestServer server([](Exchange& exchange) {
    exchange.hold();
    return false;
  });
  auto fetcher = fetcher_for(options_for(server));
  std::atomic<int> unavailable = 0;
  fetcher->get({.url = server.url("/"), .deadline = {}, .traceparent = {}},
               [&, raw = fetcher.get()](const Result<Response>& first) {
                 unavailable += first.error().code == ErrorCode::kUnavailable ? 1 : 0;
                 raw->get({.url = server.url("/"), .deadline = {}, .traceparent = {}},
                          [&](const Result<Response>& second) {
                            unavailable += second.error().code == ErrorCode::kUnavailable ? 1 : 0;
                          });
               });
  server.wait_for_requests(1);
  fetcher.reset();
  EXPECT_EQ(unavailable, 2);
}

TEST(Fetcher, LeavesSignalsToOtherThreads) {
  TestServer server(ok);
  const auto fetcher = fetcher_for(options_for(server));
  sigset_t mask;
  sigemptyset(&mask);
  std::promise<void> done;
  fetcher->get({.url = server.url("/"), .deadline = {}, .traceparent = {}},
               [&](const Result<Response>&) {
                 pthread_sigmask(SIG_SETMASK, nullptr, &mask);
                 done.set_value();
               });
  done.get_future().get();
  EXPECT_EQ(sigismember(&mask, SIGTERM), 1);
  EXPECT_EQ(sigismember(&mask, SIGPIPE), 1);
  EXPECT_EQ(sigismember(&mask, SIGSEGV), 0);
  pthread_sigmask(SIG_SETMASK, nullptr, &mask);
  EXPECT_EQ(sigismember(&mask, SIGTERM), 0);
}

}  // namespace
}  // namespace podsense::fetch
