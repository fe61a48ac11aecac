#include "trace/trace.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <thread>

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

/// A collector: a socket that answers each POST with a status and keeps the bodies.
class Collector {
 public:
  explicit Collector(int status = 200) : status_(status) {
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
      const std::string answer = "HTTP/1.1 " + std::to_string(status_) +
                                 " x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
      ::send(client, answer.data(), answer.size(), MSG_NOSIGNAL);
      ::close(client);
    }
  }

  int status_;
  int listener_ = -1;
  int port_ = 0;
  std::string received_;
  std::thread thread_;
};

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
