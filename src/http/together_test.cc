// Requests that come together, over real connections: the loop's thread is held until all are
// there.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <latch>
#include <list>
#include <optional>
#include <regex>

#include "http/tiny_testing.h"
#include "inference/loop_batch.h"

namespace podsense::http {

using transport::json_response;
using transport::Reply;
using transport::Request;
namespace {

using testing::HasSubstr;
using testing::StartsWith;

class Client {
 public:
  explicit Client(std::uint16_t port) : fd_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in to{.sin_family = AF_INET, .sin_port = htons(port)};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::connect(fd_, reinterpret_cast<sockaddr*>(&to), sizeof to), 0);
  }
  ~Client() { leave(); }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  void send(const std::string& request) const {
    EXPECT_EQ(::send(fd_, request.data(), request.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(request.size()));
  }
  /// One answer, whose body is a JSON object in one line; what came when the peer closed before.
  std::string answer() const {
    std::string text;
    while (!text.ends_with('}')) {
      std::array<char, 4096> part;
      const auto got = ::recv(fd_, part.data(), part.size(), 0);
      if (got <= 0) {
        break;
      }
      text.append(part.data(), static_cast<std::size_t>(got));
    }
    return text;
  }
  void leave() {
    if (fd_ >= 0) {
      ::close(fd_);
    }
    fd_ = -1;
  }

 private:
  int fd_;
};

std::string predict(double value, int columns = 20) {
  std::string body = "{\"features\":[";
  for (int i = 0; i < columns; ++i) {
    body += (i == 0 ? "" : ",") + std::to_string(value);
  }
  body += "]}";
  return "POST /predict-single HTTP/1.1\r\nHost: h\r\nContent-Length: " +
         std::to_string(body.size()) + "\r\n\r\n" + body;
}

std::string probabilities(const std::string& answer) {
  std::smatch found;
  return std::regex_search(answer, found, std::regex("\"probabilities\":\\[[^\\]]*")) ? found.str()
                                                                                      : answer;
}

class TogetherTest : public TinyServerTest {
 protected:
  void SetUp() override {
    router_.add({.path = "/hold", .get = [this](Request&, Reply reply) {
                   held_->count_down();
                   released_->wait();
                   reply(json_response("{}"));
                 }});
    start("batching: {max_batch: 32}\n");
  }
  void TearDown() override {
    clients_.clear();
    holder_.reset();
    TinyServerTest::TearDown();
  }
  /// The loop handles nothing until `release`.
  void hold() {
    held_.emplace(1);
    released_.emplace(1);
    if (!holder_) {
      holder_.emplace(server_->port());
    }
    holder_->send("GET /hold HTTP/1.1\r\nHost: h\r\n\r\n");
    held_->wait();
  }
  void release() { released_->count_down(); }
  /// Rounds in which all clients ask in one turn, until turns gather.
  void make_busy(std::size_t clients) {
    for (std::size_t i = 0; i < clients; ++i) {
      clients_.emplace_back(server_->port()).send(predict(0));
      ASSERT_THAT(clients_.back().answer(), StartsWith("HTTP/1.1 200"));
    }
    const auto gathers = [this] { return counted().rows > counted().compute.count; };
    for (unsigned i = 0; i < 2 * inference::LoopBatch::kWatchEvery && !gathers(); ++i) {
      hold();
      for (const Client& client : clients_) {
        client.send(predict(0));
      }
      release();
      EXPECT_THAT(holder_->answer(), StartsWith("HTTP/1.1 200"));
      for (const Client& client : clients_) {
        EXPECT_THAT(client.answer(), StartsWith("HTTP/1.1 200"));
      }
    }
    ASSERT_TRUE(gathers());
  }
  metrics::ModelMetrics::Phases counted() {
    return catalog_.find({.name = "tabular"}).value()->metrics->phases();
  }

  std::optional<std::latch> held_;
  std::optional<std::latch> released_;
  std::optional<Client> holder_;
  std::list<Client> clients_;
};

TEST_F(TogetherTest, RequestsThatComeTogetherShareARunAndGetTheirOwnAnswers) {
  constexpr std::size_t kClients = 8;
  std::vector<std::string> alone;
  const Client first(server_->port());
  for (std::size_t i = 0; i < kClients; ++i) {
    first.send(predict(static_cast<double>(i) - 3.5));
    alone.push_back(probabilities(first.answer()));
  }
  EXPECT_EQ(counted().compute.count, kClients) << "one run each";
  make_busy(kClients);
  const auto before = counted();
  hold();
  std::size_t i = 0;
  for (const Client& client : clients_) {
    client.send(predict(static_cast<double>(i++) - 3.5));
  }
  release();
  holder_->answer();
  i = 0;
  for (const Client& client : clients_) {
    EXPECT_EQ(probabilities(client.answer()), alone[i++]);
  }
  EXPECT_EQ(counted().rows - before.rows, kClients);
  EXPECT_LT(counted().compute.count - before.compute.count, kClients);
}

TEST_F(TogetherTest, ABadRequestAndALeavingClientConcernNoOther) {
  make_busy(8);
  hold();
  std::size_t i = 0;
  for (Client& client : clients_) {
    client.send(i == 3 ? predict(1, 19) : predict(1));
    if (i++ == 5) {
      client.leave();
    }
  }
  release();
  holder_->answer();
  i = 0;
  for (const Client& client : clients_) {
    if (i != 5) {
      EXPECT_THAT(client.answer(), StartsWith(i == 3 ? "HTTP/1.1 400" : "HTTP/1.1 200")) << i;
    }
    ++i;
  }
}

TEST_F(TogetherTest, PipelinedRequestsAreAnsweredInTheirOrder) {
  make_busy(4);
  hold();
  for (const Client& client : clients_) {
    client.send(predict(1) + predict(1, 3) + predict(1));
  }
  release();
  holder_->answer();
  for (const Client& client : clients_) {
    std::string all;
    while (std::ranges::count(all, '}') < 5) {  // two of an answer, one of the error
      const std::string more = client.answer();
      ASSERT_FALSE(more.empty()) << all;
      all += more;
    }
    const auto error = all.find("HTTP/1.1 400");
    EXPECT_EQ(all.find("HTTP/1.1 200"), 0U);
    EXPECT_GT(all.rfind("HTTP/1.1 200"), error);
  }
}

TEST_F(TogetherTest, ADrainAnswersWhatATurnHasTaken) {
  make_busy(8);
  hold();
  for (const Client& client : clients_) {
    client.send(predict(1));
  }
  server_->announce_close();
  server_->stop_accepting();
  release();
  for (const Client& client : clients_) {
    const std::string answer = client.answer();
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 200"));
    EXPECT_THAT(answer, HasSubstr("Connection: close"));
  }
  EXPECT_TRUE(server_->wait_idle(std::chrono::seconds(20)));
}

}  // namespace
}  // namespace podsense::http
