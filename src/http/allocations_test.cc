// How often a small request allocates, counted by this binary's own operator new.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdlib>
#include <iostream>
#include <new>
#include <optional>

#include "http/tiny_testing.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define PODSENSE_SANITIZED 1
#endif
#endif

namespace {

std::atomic<bool> counting{false};
std::atomic<std::uint64_t> allocations{0};

#ifndef PODSENSE_SANITIZED
void* allocate(std::size_t size, std::size_t alignment) {
  if (counting.load(std::memory_order_relaxed)) {
    allocations.fetch_add(1, std::memory_order_relaxed);
  }
  const std::size_t rounded = (std::max<std::size_t>(size, 1) + alignment - 1) & ~(alignment - 1);
  void* at = std::aligned_alloc(alignment, rounded);
  if (at == nullptr) {
    throw std::bad_alloc();
  }
  return at;
}
#endif

}  // namespace

#ifndef PODSENSE_SANITIZED
// The forms for arrays and without exceptions call these.
void* operator new(std::size_t size) {
  return allocate(size, alignof(std::max_align_t));
}
void* operator new(std::size_t size, std::align_val_t alignment) {
  return allocate(size, static_cast<std::size_t>(alignment));
}
void operator delete(void* at) noexcept {
  std::free(at);
}
void operator delete(void* at, std::size_t /*size*/) noexcept {
  std::free(at);
}
void operator delete(void* at, std::align_val_t /*alignment*/) noexcept {
  std::free(at);
}
void operator delete(void* at, std::size_t /*size*/, std::align_val_t /*alignment*/) noexcept {
  std::free(at);
}
#endif

namespace podsense::http {
namespace {

constexpr int kRequests = 200;

/// A keep-alive client that allocates nothing.
class Client {
 public:
  explicit Client(std::uint16_t port) : fd_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in to{.sin_family = AF_INET, .sin_port = htons(port)};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connected_ = ::connect(fd_, reinterpret_cast<sockaddr*>(&to), sizeof to) == 0;
  }
  ~Client() { ::close(fd_); }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  /// The answer's start; empty when it did not come. Answers here are short: one segment each.
  std::string_view ask(std::string_view request) {
    if (!connected_ || ::send(fd_, request.data(), request.size(), MSG_NOSIGNAL) !=
                           static_cast<ssize_t>(request.size())) {
      return {};
    }
    std::size_t have = 0;
    for (;;) {
      const auto got = ::recv(fd_, answer_.data() + have, answer_.size() - have, 0);
      if (got <= 0) {
        return {};
      }
      have += static_cast<std::size_t>(got);
      const std::string_view text(answer_.data(), have);
      if (text.ends_with('}')) {
        return text;
      }
    }
  }

 private:
  int fd_;
  bool connected_ = false;
  std::array<char, 4096> answer_{};
};

class AllocationsTest : public TinyServerTest {
 protected:
  void SetUp() override {
#ifdef PODSENSE_SANITIZED
    GTEST_SKIP() << "sanitizers bring their own operator new";
#endif
    start();
    catalog_.wait_for_checks();  // their allocations are not a request's
  }

  /// Allocations of one run of the model alone, ONNX Runtime's own among them.
  double of_the_run() {
    const auto served = catalog_.find({.name = "tabular"}).value();
    const auto columns = static_cast<std::int64_t>(served->task->features);
    const std::vector<float> row(static_cast<std::size_t>(columns), 0.5F);
    const std::array<std::int64_t, 2> shape{1, columns};
    const model::TensorView input{.shape = shape, .data = std::as_bytes(std::span(row))};
    model::Outputs outputs;
    return counted([&] { EXPECT_TRUE(served->model->run({&input, 1}, outputs)); });
  }

  template <class Call>
  static double counted(Call call) {
    for (int i = 0; i < kRequests; ++i) {
      call();  // everything that grows has its size
    }
    allocations = 0;
    counting = true;
    for (int i = 0; i < kRequests; ++i) {
      call();
    }
    counting = false;
    return static_cast<double>(allocations.load()) / kRequests;
  }
};

/// What they are: the read buffer that an idle connection gives back, the numbers, the task, the
/// callback, and rows, probabilities and text of the answer. ONNX Runtime makes several times as
/// many in its run.
TEST_F(AllocationsTest, ASmallPredictMakesFew) {
  constexpr double kMost = 11;  // 8, and room for another Boost or a build that is not optimised
  const auto columns = catalog_.find({.name = "tabular"}).value()->task->features;
  std::string body = "{\"features\":[";
  for (std::size_t i = 0; i < columns; ++i) {
    body += (i == 0 ? "" : ",") + std::string("0.5");
  }
  body += "]}";
  const std::string request =
      "POST /predict-single HTTP/1.1\r\nHost: localhost\r\nUser-Agent: podsense-test\r\n"
      "Accept: */*\r\nContent-Type: application/json\r\nContent-Length: " +
      std::to_string(body.size()) + "\r\n\r\n" + body;
  Client client(server_->port());
  ASSERT_TRUE(client.ask(request).starts_with("HTTP/1.1 200 OK")) << client.ask(request);
  const double run = of_the_run();
  const double all = counted([&] { EXPECT_FALSE(client.ask(request).empty()); });
  RecordProperty("per_request", std::to_string(all));
  RecordProperty("per_run", std::to_string(run));
  std::cout << "allocations a request: " << all << ", in the model's run: " << run << "\n";
  EXPECT_LE(all - run, kMost);
  EXPECT_GT(run, 0) << "nothing was counted";
}

}  // namespace
}  // namespace podsense::http
