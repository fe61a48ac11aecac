#include "trace/trace.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <deque>
#include <thread>
#include <utility>

#include "base/protobuf_wire.h"
#include "trace/otlp.h"

namespace podsense::trace {
namespace {

using std::chrono::milliseconds;
using testing::HasSubstr;
using testing::Not;

constexpr std::string_view kParent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

TEST(Traceparent, ReadsWhatItWrites) {
  Context context;
  ASSERT_TRUE(parse_traceparent(kParent, context));
  EXPECT_EQ(context.traceparent(), kParent);
  EXPECT_TRUE(context.sampled);
  EXPECT_EQ(context.trace_id_text(), "4bf92f3577b34da6a3ce929d0e0e4736");
}

TEST(Traceparent, TakesLaterVersionsAndRefusesWhatIsMalformed) {
  Context context;
  EXPECT_TRUE(
      parse_traceparent("cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00-more", context));
  for (const char* bad : {"", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
                          "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
                          "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
                          "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
                          "00-4BF92F3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
                          "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
                          "00-4bf92f3577b34da6a3ce929d0e0e473600-0f067aa0ba902b7-01"}) {
    EXPECT_FALSE(parse_traceparent(bad, context)) << bad;
  }
}

TEST(Traceparent, OnlySampledTracesMakeExemplars) {
  EXPECT_EQ(sampled_trace_id(kParent), "4bf92f3577b34da6a3ce929d0e0e4736");
  EXPECT_EQ(sampled_trace_id("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"), "");
  EXPECT_EQ(sampled_trace_id(""), "");
}

TEST(Traceparent, ContinuesATraceWithASpanOfItsOwn) {
  const std::string parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
  const std::string child = child_traceparent(parent);
  EXPECT_EQ(child.size(), parent.size());
  EXPECT_EQ(child.substr(0, 36), parent.substr(0, 36));
  EXPECT_NE(child.substr(36, 16), parent.substr(36, 16));
  EXPECT_EQ(child.substr(52), "-01");
}

TEST(Traceparent, IgnoresWhatIsNoTraceparent) {
  for (const char* bad : {"", "00-x", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01x",
                          "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
                          "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
                          "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
                          "00-4BF92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}) {
    EXPECT_EQ(child_traceparent(bad), "") << bad;
  }
}

/// A collector: a socket that answers POSTs with what it is given, then with 200, and keeps them.
class Collector {
 public:
  explicit Collector(std::deque<std::string> answers = {}) : answers_(std::move(answers)) {
    listener_ = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    void* raw = &address;
    ::bind(listener_, static_cast<sockaddr*>(raw), sizeof address);
    ::listen(listener_, 4);
    socklen_t size = sizeof address;
    ::getsockname(listener_, static_cast<sockaddr*>(raw), &size);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { serve(); });
  }
  ~Collector() { stop(); }
  Collector(const Collector&) = delete;
  Collector& operator=(const Collector&) = delete;

  [[nodiscard]] std::string endpoint() const { return "http://127.0.0.1:" + std::to_string(port_); }
  [[nodiscard]] int posts() const { return posts_; }
  /// After the tracer has gone: all that came.
  std::string stop() {
    if (thread_.joinable()) {
      ::shutdown(listener_, SHUT_RDWR);
      thread_.join();
      ::close(listener_);
    }
    return received_;
  }

 private:
  void serve() {
    for (;;) {
      const int client = ::accept(listener_, nullptr, nullptr);
      if (client < 0) {
        return;
      }
      std::string got;
      std::array<char, 65536> chunk{};
      for (;;) {
        const auto end = got.find("\r\n\r\n");
        const auto at = got.find("Content-Length: ");
        if (end != got.npos && at != got.npos &&
            got.size() >= end + 4 + std::stoul(got.substr(at + 16))) {
          break;
        }
        const auto count = ::recv(client, chunk.data(), chunk.size(), 0);
        if (count <= 0) {
          break;
        }
        got.append(chunk.data(), static_cast<std::size_t>(count));
      }
      received_ += got;
      ++posts_;
      std::string answer = "200 x\r\nContent-Length: 0\r\n\r\n";
      if (!answers_.empty()) {
        answer = std::exchange(answers_.front(), {});
        answers_.pop_front();
      }
      answer = "HTTP/1.1 " + answer.insert(answer.find("\r\n"), "\r\nConnection: close");
      ::send(client, answer.data(), answer.size(), MSG_NOSIGNAL);
      ::close(client);
    }
  }

  std::deque<std::string> answers_;  ///< of the thread
  int listener_ = -1;
  int port_ = 0;
  std::string received_;
  std::atomic<int> posts_{0};
  std::thread thread_;
};

std::string status(int code, const std::string& headers = "", const std::string& body = "") {
  return std::to_string(code) + " x\r\n" + headers +
         "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

constexpr Outcome kOk{.method = "POST", .path = "/predict", .request_id = "r1", .code = "OK"};
constexpr Outcome kFailed{.method = "POST",
                          .path = "/predict",
                          .request_id = "r2",
                          .status = 503,
                          .code = "OVERLOADED",
                          .failed = true};

std::unique_ptr<Tracer> tracer_for(const Collector& collector, double ratio) {
  auto tracer = Tracer::create({.endpoint = collector.endpoint(), .ratio = ratio});
  EXPECT_TRUE(tracer);
  return std::move(*tracer);
}

/// What a collector gets from one request.
std::string sent(double ratio, std::string_view parent, const Outcome& outcome) {
  Collector collector;
  const ManualClock clock;
  {
    auto tracer = tracer_for(collector, ratio);
    auto request = tracer->begin(parent, clock.now());
    request->add("queue", clock.now(), clock.now() + milliseconds(2));
    tracer->end(std::move(request), outcome, clock.now() + milliseconds(5));
  }
  return collector.stop();
}

TEST(Tracer, ExportsSampledRequestsWithTheirParts) {
  const std::string got = sent(1, "", kOk);
  EXPECT_THAT(got, HasSubstr("POST /v1/traces HTTP/1.1"));
  EXPECT_THAT(got, HasSubstr("application/x-protobuf"));
  EXPECT_THAT(got, HasSubstr("POST /predict"));
  EXPECT_THAT(got, HasSubstr("queue"));
  EXPECT_THAT(got, HasSubstr("service.name"));
}

TEST(Otlp, NamesTheModelWhereOneWasReached) {
  const Context own{.trace_id = {1, 2}, .span_id = 3, .sampled = true};
  const auto request = std::make_shared<Request>(own, 0, TimePoint());
  EXPECT_THAT(encode({}, {request}), Not(HasSubstr("podsense.model")));
  request->set_model("forest100", "7");
  const std::string got = encode({}, {request});
  EXPECT_THAT(got, HasSubstr("podsense.model.name\x12\x0b\x0a\x09"
                             "forest100"));
  EXPECT_THAT(got, HasSubstr("podsense.model.version\x12\x03\x0a\x01"
                             "7"));
}

TEST(Tracer, FollowsTheCallersDecision) {
  EXPECT_THAT(sent(0, kParent, kOk), HasSubstr("POST /predict"));
  EXPECT_EQ(sent(1, "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00", kOk), "");
}

TEST(Tracer, AlwaysExportsFailures) {
  const std::string got = sent(0, "", kFailed);
  EXPECT_THAT(got, HasSubstr("OVERLOADED"));
  EXPECT_EQ(sent(0, "", kOk), "");
}

TEST(Tracer, ChoosesAboutTheRatio) {
  const Collector collector;
  const auto tracer = tracer_for(collector, 0.25);
  int chosen = 0;
  for (int i = 0; i < 4000; ++i) {
    chosen += tracer->begin("", TimePoint())->context().sampled ? 1 : 0;
  }
  EXPECT_GT(chosen, 800);
  EXPECT_LT(chosen, 1200);
}

TEST(Tracer, DropsWhatDoesNotFitAndCountsIt) {
  auto tracer = Tracer::create({.endpoint = "http://127.0.0.1:1",
                                .ratio = 1,
                                .max_waiting = 1,
                                .interval = std::chrono::hours(1)});
  ASSERT_TRUE(tracer);
  for (int i = 0; i < 50; ++i) {
    (*tracer)->end((*tracer)->begin("", TimePoint()), kOk, TimePoint());
  }
  EXPECT_GE((*tracer)->counts().dropped, 1U);
  EXPECT_LE((*tracer)->counts().dropped, 49U);
}

/// One request's spans, exported at once and tried again soon.
Options quick(const Collector& collector) {
  return {.endpoint = collector.endpoint(),
          .ratio = 1,
          .interval = milliseconds(1),
          .first_pause = milliseconds(1),
          .longest_pause = milliseconds(4)};
}

/// Counts, once `done` holds for them.
template <class Done>
Counts counts_when(const Tracer& tracer, const Done& done) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (!done(tracer.counts()) && std::chrono::steady_clock::now() < deadline) {
    std::this_thread::yield();
  }
  return tracer.counts();
}

TEST(Tracer, TriesAgainWhatTheCollectorCannotTakeNow) {
  Collector collector({status(429), status(502), status(503), status(504)});
  auto tracer = std::move(*Tracer::create(quick(collector)));
  tracer->end(tracer->begin("", TimePoint()), kOk, TimePoint());
  const Counts counts = counts_when(*tracer, [](const Counts& c) { return c.exported > 0; });
  EXPECT_EQ(counts.exported, 1U);
  EXPECT_EQ(counts.failed, 0U);
  EXPECT_EQ(counts.retries, 4U);
  EXPECT_EQ(collector.posts(), 5);
}

TEST(Tracer, WhatTheCollectorRefusesIsNotSentAgain) {
  for (const int code : {400, 401, 404, 413, 500, 501}) {
    Collector collector({status(code)});
    auto tracer = std::move(*Tracer::create(quick(collector)));
    tracer->end(tracer->begin("", TimePoint()), kOk, TimePoint());
    const Counts counts = counts_when(*tracer, [](const Counts& c) { return c.failed > 0; });
    EXPECT_EQ(counts.failed, 1U) << code;
    EXPECT_EQ(counts.retries, 0U) << code;
  }
}

TEST(Tracer, WaitsAsLongAsTheCollectorAsks) {
  Collector collector({status(503, "Retry-After: 1\r\n")});
  auto tracer = std::move(*Tracer::create(quick(collector)));
  const auto begun = std::chrono::steady_clock::now();
  tracer->end(tracer->begin("", TimePoint()), kOk, TimePoint());
  const Counts counts = counts_when(*tracer, [](const Counts& c) { return c.exported > 0; });
  EXPECT_EQ(counts.exported, 1U);
  EXPECT_GE(std::chrono::steady_clock::now() - begun, std::chrono::seconds(1));
}

TEST(Tracer, GivesUpWhenItsPatienceEnds) {
  Options options{.endpoint = "http://127.0.0.1:1",
                  .ratio = 1,
                  .interval = milliseconds(1),
                  .first_pause = milliseconds(1),
                  .longest_pause = milliseconds(2),
                  .patience = milliseconds(20)};
  auto tracer = std::move(*Tracer::create(options));
  tracer->end(tracer->begin("", TimePoint()), kOk, TimePoint());
  const Counts counts = counts_when(*tracer, [](const Counts& c) { return c.failed > 0; });
  EXPECT_EQ(counts.failed, 1U);
  EXPECT_GE(counts.retries, 1U);
}

TEST(Tracer, CountsSpansThatASuccessRejects) {
  WireMessage partial;
  partial.number(1, 1);
  partial.text(2, "too old");
  WireMessage answer;
  answer.message(1, partial);
  Collector collector({status(200, "", answer.take())});
  auto tracer = std::move(*Tracer::create(quick(collector)));
  auto request = tracer->begin("", TimePoint());
  request->add("queue", TimePoint(), TimePoint());
  tracer->end(request, kOk, TimePoint());
  const Counts counts = counts_when(*tracer, [](const Counts& c) { return c.exported > 0; });
  EXPECT_EQ(counts.exported, 1U);
  EXPECT_EQ(counts.failed, 1U);
}

TEST(Otlp, APartialSuccessOfAnyBytesIsRead) {
  EXPECT_EQ(read_partial_success("").rejected, 0U);
  EXPECT_EQ(read_partial_success("<html>").rejected, 0U);
  EXPECT_EQ(read_partial_success(std::string("\x0a\xff\xff", 3)).rejected, 0U);
  EXPECT_EQ(read_partial_success("\x0a\x02\x08\x07").rejected, 7U);
}

TEST(Tracer, ACollectorThatHangsDoesNotHoldTheEnd) {
  // It takes the connection, as the kernel does for it, and never answers.
  const int listener = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
  void* raw = &address;
  socklen_t size = sizeof address;
  ASSERT_EQ(::bind(listener, static_cast<sockaddr*>(raw), size), 0);
  ASSERT_EQ(::listen(listener, 4), 0);
  ::getsockname(listener, static_cast<sockaddr*>(raw), &size);
  std::chrono::steady_clock::time_point begun;
  {
    auto tracer = std::move(
        *Tracer::create({.endpoint = "http://127.0.0.1:" + std::to_string(ntohs(address.sin_port)),
                         .ratio = 1,
                         .interval = milliseconds(1),
                         .timeout = std::chrono::minutes(5)}));
    for (int i = 0; i < 1000; ++i) {
      tracer->end(tracer->begin("", TimePoint()), kOk, TimePoint());
    }
    ::pollfd connected{.fd = listener, .events = POLLIN, .revents = 0};
    ASSERT_EQ(::poll(&connected, 1, 60'000), 1);
    begun = std::chrono::steady_clock::now();
  }
  EXPECT_LT(std::chrono::steady_clock::now() - begun, std::chrono::seconds(1));
  ::close(listener);
}

TEST(Tracer, SendsTheHeadersAndAttributesThatItIsGiven) {
  Collector collector;
  Options options = quick(collector);
  options.headers = {{"Authorization", "Bearer word"}};
  options.attributes = {{"deployment.environment", "test"}, {"service.name", "weaker"}};
  options.service_name = "shop";
  options.traces_endpoint = collector.endpoint() + "/custom";
  {
    auto tracer = std::move(*Tracer::create(options));
    tracer->end(tracer->begin("", TimePoint()), kOk, TimePoint());
  }
  const std::string got = collector.stop();
  EXPECT_THAT(got, HasSubstr("POST /custom HTTP/1.1"));
  EXPECT_THAT(got, HasSubstr("Authorization: Bearer word\r\n"));
  EXPECT_THAT(got, HasSubstr("deployment.environment"));
  EXPECT_THAT(got, HasSubstr("shop"));
  EXPECT_THAT(got, Not(HasSubstr("weaker")));
}

TEST(Tracer, SamplersDoAsOpenTelemetryNamesThem) {
  const std::string off = std::string(kParent.substr(0, 53)) + "00";
  const auto sampled = [&](Sampler sampler, std::string_view parent) {
    auto tracer = std::move(
        *Tracer::create({.endpoint = "http://127.0.0.1:1", .sampler = sampler, .ratio = 0}));
    return tracer->begin(parent, TimePoint())->context().sampled;
  };
  struct Case {
    Sampler sampler;
    bool root, on, off;
  };
  for (const Case& one :
       {Case{Sampler::kAlwaysOn, true, true, true}, Case{Sampler::kAlwaysOff, false, false, false},
        Case{Sampler::kRatio, false, false, false},
        Case{Sampler::kParentAlwaysOn, true, true, false},
        Case{Sampler::kParentAlwaysOff, false, true, false},
        Case{Sampler::kParentRatio, false, true, false}}) {
    const int name = static_cast<int>(one.sampler);
    EXPECT_EQ(sampled(one.sampler, ""), one.root) << name;
    EXPECT_EQ(sampled(one.sampler, kParent), one.on) << name;
    EXPECT_EQ(sampled(one.sampler, off), one.off) << name;
  }
}

TEST(Tracer, RefusesAnEndpointThatIsNoUrl) {
  const auto tracer = Tracer::create({.endpoint = "collector:4318"});
  ASSERT_FALSE(tracer);
  EXPECT_THAT(tracer.error().message, HasSubstr("collector:4318"));
}

TEST(Otlp, CountsTheSpansItWrites) {
  Context own{.trace_id = {1, 2}, .span_id = 3, .sampled = true};
  const auto request = std::make_shared<Request>(own, 0, TimePoint());
  request->add("queue", TimePoint(), TimePoint());
  EXPECT_EQ(span_count(*request), 2U);
  // Field 1 of the whole message is the resource's spans, length-delimited.
  EXPECT_EQ(encode({}, {request}).front(), 0x0A);
}

}  // namespace
}  // namespace podsense::trace
