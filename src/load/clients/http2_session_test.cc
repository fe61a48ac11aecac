#include "load/clients/http2_session.h"

#include <gtest/gtest.h>
#include <nghttp2/nghttp2.h>

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace podsense::load {
namespace {

/// nghttp2's own server side, fed from a string and into one.
class Server {
 public:
  explicit Server(std::vector<nghttp2_settings_entry> settings = {}) {
    nghttp2_session_callbacks* callbacks = nullptr;
    nghttp2_session_callbacks_new(&callbacks);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(
        callbacks, [](nghttp2_session*, std::uint8_t, std::int32_t id, const std::uint8_t* bytes,
                      std::size_t size, void* user) {
          static_cast<Server*>(user)->bodies[id].append(bytes, bytes + size);
          return 0;
        });
    nghttp2_session_callbacks_set_on_frame_recv_callback(
        callbacks, [](nghttp2_session*, const nghttp2_frame* frame, void* user) {
          auto& server = *static_cast<Server*>(user);
          if (frame->hd.type == NGHTTP2_RST_STREAM) {
            server.resets[frame->hd.stream_id] = frame->rst_stream.error_code;
          }
          return 0;
        });
    nghttp2_session_server_new(&session_, callbacks, this);
    nghttp2_session_callbacks_del(callbacks);
    nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, settings.data(), settings.size());
  }
  ~Server() { nghttp2_session_del(session_); }
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  void receive(std::string_view bytes) {
    // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast): nghttp2's bytes are unsigned
    const auto* const data = reinterpret_cast<const std::uint8_t*>(bytes.data());
    EXPECT_EQ(nghttp2_session_mem_recv(session_, data, bytes.size()),
              static_cast<ssize_t>(bytes.size()));
  }
  std::string output() {
    std::string all;
    const std::uint8_t* bytes = nullptr;
    for (ssize_t size = 0; (size = nghttp2_session_mem_send(session_, &bytes)) > 0;) {
      all.append(bytes, bytes + size);
    }
    return all;
  }
  /// A head without a body.
  void reply(std::int32_t id, std::string status = "204") {
    std::string name = ":status";
    // NOLINTBEGIN(cppcoreguidelines-pro-type-reinterpret-cast): nghttp2's bytes are unsigned
    const nghttp2_nv field{.name = reinterpret_cast<std::uint8_t*>(name.data()),
                           .value = reinterpret_cast<std::uint8_t*>(status.data()),
                           .namelen = name.size(),
                           .valuelen = status.size(),
                           .flags = 0};
    // NOLINTEND(cppcoreguidelines-pro-type-reinterpret-cast)
    nghttp2_submit_response(session_, id, &field, 1, nullptr);
  }
  void reset(std::int32_t id, std::uint32_t code) {
    nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, id, code);
  }
  void leave(std::int32_t last) {
    nghttp2_submit_goaway(session_, NGHTTP2_FLAG_NONE, last, NGHTTP2_NO_ERROR, nullptr, 0);
  }

  std::map<std::int32_t, std::string> bodies;
  std::map<std::int32_t, std::uint32_t> resets;

 private:
  nghttp2_session* session_ = nullptr;
};

class Stream final : public Http2ClientStream {
 public:
  explicit Stream(std::optional<std::string> body = std::nullopt) {
    request.head = std::make_shared<const Http2Head>(Http2Head{{.name = ":method", .value = "POST"},
                                                               {.name = ":scheme", .value = "http"},
                                                               {.name = ":authority", .value = "a"},
                                                               {.name = ":path", .value = "/"}});
    request.body = body ? std::make_shared<const std::string>(std::move(*body)) : nullptr;
  }
  void on_header(std::string_view name, std::string_view value) override {
    fields.emplace_back(name, value);
  }
  void on_data(std::string_view bytes) override { data.append(bytes); }
  void on_end() override { ++ends; }
  void on_failure(const Failure& why) override { failures.push_back(why); }

  std::vector<std::pair<std::string, std::string>> fields;
  std::string data;
  int ends = 0;
  std::vector<Failure> failures;
};

class Session : public ::testing::Test, public Http2Session::Events {
 protected:
  void on_settings() override { ++settings; }
  void on_goaway(std::uint32_t /*code*/, std::string_view /*why*/) override { ++goaways; }

  /// Lets both say what they have to, until neither has anything.
  void talk() {
    while (true) {
      std::string out;
      while (true) {
        const auto more = session.output();
        if (more.empty()) {
          break;
        }
        out.append(more);
      }
      server.receive(out);
      const std::string in = server.output();
      session.receive(in);
      if (out.empty() && in.empty()) {
        return;
      }
    }
  }

  Http2Session session{*this};
  Server server{{{.settings_id = NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, .value = 7},
                 {.settings_id = NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, .value = 100}}};
  int settings = 0;
  int goaways = 0;
};

TEST_F(Session, KnowsWhatTheServerAllows) {
  talk();
  EXPECT_EQ(settings, 1);
  EXPECT_EQ(session.allowed_streams(), 7U);
  EXPECT_EQ(session.fault(), "");
}

TEST_F(Session, SendsABodyAsTheServersWindowOpens) {
  talk();
  std::string body;
  for (int i = 0; i < 5000; ++i) {
    body += static_cast<char>(i);
  }
  Stream stream(body);
  ASSERT_TRUE(session.submit(stream));
  talk();
  EXPECT_EQ(server.bodies[1], body);
  server.reply(1);
  talk();
  EXPECT_EQ(stream.ends, 1);
  EXPECT_TRUE(stream.failures.empty());
  EXPECT_EQ(stream.fields, (std::vector<std::pair<std::string, std::string>>{{":status", "204"}}));
  EXPECT_GT(stream.wire_out, body.size());
}

TEST_F(Session, AnAnswerBeforeTheBodyIsThroughEndsTheStream) {
  talk();
  Stream stream(std::string(5000, 'x'));
  ASSERT_TRUE(session.submit(stream));
  std::string first(session.output());  // the head
  server.receive(first);
  server.reply(1, "413");
  talk();
  EXPECT_EQ(stream.ends, 1);
  EXPECT_EQ(server.resets[1], static_cast<std::uint32_t>(NGHTTP2_CANCEL));
}

TEST_F(Session, ACanceledStreamHearsNothingMore) {
  talk();
  Stream sent(std::string(5000, 'x'));
  ASSERT_TRUE(session.submit(sent));
  talk();
  session.cancel(sent);
  Stream unsent;  // its head waits yet
  ASSERT_TRUE(session.submit(unsent));
  session.cancel(unsent);
  talk();
  EXPECT_EQ(server.resets.count(3), 0U);
  server.leave(0);
  talk();
  for (const Stream* const stream : {&sent, &unsent}) {
    EXPECT_EQ(stream->ends, 0);
    EXPECT_TRUE(stream->failures.empty() && stream->fields.empty());
  }
}

TEST_F(Session, TellsResetsFromWhatWasNotProcessed) {
  using Cause = Http2ClientStream::Failure::Cause;
  talk();
  std::vector<Stream> streams(3);
  for (Stream& stream : streams) {
    ASSERT_TRUE(session.submit(stream));
  }
  talk();
  server.reset(1, NGHTTP2_INTERNAL_ERROR);
  server.reset(3, NGHTTP2_REFUSED_STREAM);
  server.leave(3);  // 5 came too late
  talk();
  EXPECT_EQ(goaways, 1);
  const std::vector<std::pair<Cause, std::uint32_t>> expected{
      {Cause::kReset, NGHTTP2_INTERNAL_ERROR},
      {Cause::kUnprocessed, NGHTTP2_REFUSED_STREAM},
      {Cause::kUnprocessed, 0}};
  for (std::size_t i = 0; i < streams.size(); ++i) {
    ASSERT_EQ(streams[i].failures.size(), 1U) << i;
    EXPECT_EQ(streams[i].failures[0].cause, expected[i].first) << i;
    EXPECT_EQ(streams[i].failures[0].code, expected[i].second) << i;
  }
  Stream late;
  if (session.submit(late)) {  // or it is not taken at all
    talk();
    ASSERT_EQ(late.failures.size(), 1U);
    EXPECT_EQ(late.failures[0].cause, Cause::kUnprocessed);
  }
}

TEST_F(Session, ARequestThatCannotBeSentIsAFault) {
  talk();
  Stream stream;
  Http2Head head = *stream.request.head;
  head.push_back({.name = "a", .value = std::string(100'000, 'x')});
  stream.request.head = std::make_shared<const Http2Head>(std::move(head));
  ASSERT_TRUE(session.submit(stream));
  talk();
  ASSERT_EQ(stream.failures.size(), 1U);
  EXPECT_EQ(stream.failures[0].cause, Http2ClientStream::Failure::Cause::kFault);
  EXPECT_NE(stream.failures[0].what.find("cannot be sent"), std::string::npos);
}

TEST_F(Session, WhatIsNoHttp2IsAFaultOfTheConnection) {
  session.receive("HTTP/1.1 400 Bad Request\r\n\r\n");
  while (!session.output().empty()) {
  }
  EXPECT_NE(session.fault(), "");
}

}  // namespace
}  // namespace podsense::load
