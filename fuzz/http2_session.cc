// A client of HTTP/2, good or bad, on a connection to the real server: no crash, and what comes
// back is HTTP/2. The first byte chooses: '0': the rest is sent as it is, behind preface and
// SETTINGS; else it is a list of steps, each a byte and what it needs, of which frames are made.

#include <array>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "session_target.h"

namespace {

using namespace podsense;  // NOLINT(google-build-using-namespace): a fuzz target
using transport::Stream;

constexpr std::string_view kPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
enum Type : std::uint8_t {
  kData,
  kHeaders,
  kPriority,
  kReset,
  kSettings,
  kPush,
  kPing,
  kGoaway,
  kWindow,
  kContinuation
};
constexpr std::uint8_t kEndStream = 1;
constexpr std::uint8_t kAck = 1;
constexpr std::uint8_t kEndHeaders = 4;

/// What is written by a service: all that came, copied and borrowed in turns.
class Echo final : public transport::StreamService {
 public:
  explicit Echo(std::shared_ptr<Stream> stream) : stream_(std::move(stream)) {}

  void on_data(std::string_view bytes) override {
    stream_->grant(bytes.size());
    if (!std::exchange(begun_, true)) {
      stream_->respond({{"content-type", "application/grpc"}});
    }
    const auto owned = std::make_shared<std::string>(bytes);
    stream_->write(
        {.bytes = std::string(bytes.substr(0, 5)),
         .tail = {std::as_bytes(std::span(*owned)), {}, std::as_bytes(std::span(*owned))},
         .owner = owned});
  }
  void on_end() override { stream_->finish({{"grpc-status", "0"}}); }
  void on_late() override { stream_->finish({{"grpc-status", "4"}}); }
  void on_closed() override {}

 private:
  const std::shared_ptr<Stream> stream_;
  bool begun_ = false;
};

const transport::Router& routes() {
  static transport::Router& router = *new transport::Router;
  const auto answer = [](transport::Request& request, transport::Reply reply) {
    transport::Response response =
        transport::json_response("{\"bytes\":" + std::to_string(request.body.size()) + "}");
    const auto body = std::make_shared<std::string>(std::move(request.body));
    response.tail.push_back(std::as_bytes(std::span(*body)));
    response.tail_owner = body;
    reply(std::move(response));
  };
  router.add({.path = "/echo", .post = answer, .max_body = 100'000, .api = true});
  router.add({.path = "/health", .get = answer});
  router.add_stream_service("application/grpc", [](const std::shared_ptr<Stream>& stream) {
    return std::make_shared<Echo>(stream);
  });
  return router;
}

void frame(std::string& out, std::uint8_t type, std::uint8_t flags, std::uint32_t stream,
           std::string_view payload) {
  for (const unsigned shift : {16U, 8U, 0U}) {
    out += static_cast<char>(payload.size() >> shift & 255U);
  }
  out += static_cast<char>(type);
  out += static_cast<char>(flags);
  for (const unsigned shift : {24U, 16U, 8U, 0U}) {
    out += static_cast<char>(stream >> shift & 255U);
  }
  out += payload;
}

std::string field(std::string_view name, std::string_view value) {
  return std::string(1, '\0') + static_cast<char>(name.size()) + std::string(name) +
         static_cast<char>(value.size()) + std::string(value);
}

/// Heads of requests that there are.
const std::array<std::string, 5>& heads() {
  static const auto& all = *[] {
    const auto head = [](std::string_view method, std::string_view path) {
      return field(":method", method) + field(":scheme", "http") + field(":path", path) +
             field(":authority", "a");
    };
    return new std::array<std::string, 5>{
        head("GET", "/health"), head("POST", "/echo"),
        head("POST", "/any") + field("content-type", "application/grpc"),
        head("POST", "/echo") + field("content-encoding", "gzip"),
        head("POST", "/echo") + field("content-length", "9")};
  }();
  return all;
}

/// Makes a session of the rest of an input.
class Steps {
 public:
  explicit Steps(std::string_view rest) : rest_(rest) {}

  std::string session() {
    while (!rest_.empty() && out_.size() < (256U << 10U)) {
      step(byte());
    }
    return std::move(out_);
  }

 private:
  std::uint8_t byte() {
    if (rest_.empty()) {
      return 0;
    }
    const auto first = static_cast<std::uint8_t>(rest_[0]);
    rest_.remove_prefix(1);
    return first;
  }
  std::string_view some(std::size_t size) {
    const std::string_view taken = rest_.substr(0, size);
    rest_.remove_prefix(taken.size());
    return taken;
  }
  /// One of those that were opened, or will be.
  std::uint32_t stream() { return byte() * 2U % (next_ + 4U) | 1U; }
  std::uint32_t word() {
    std::uint32_t value = 0;
    for (int i = 0; i < 4; ++i) {
      value = value << 8U | byte();
    }
    return value;
  }
  static std::string text(std::uint32_t value) {
    return {static_cast<char>(value >> 24U), static_cast<char>(value >> 16U),
            static_cast<char>(value >> 8U), static_cast<char>(value)};
  }

  void step(std::uint8_t kind) {
    switch (kind % 12) {
      case 0:  // a request without a body
      case 1:  // and the beginning of one that has some
        frame(out_, kHeaders, kEndHeaders | (kind % 12 == 0 ? kEndStream : 0), next_,
              heads()[byte() % heads().size()]);
        next_ += 2;
        return;
      case 2: {  // a body's piece, small or large
        const std::size_t size = byte();
        const std::string piece =
            size < 128 ? std::string(some(size)) : std::string(size * 64, 'x');
        const std::uint8_t flags = byte() & (kEndStream | 8U);
        return frame(out_, kData, flags, stream(), piece);
      }
      case 3:
        return frame(out_, kHeaders, byte(), stream(), some(byte()));
      case 4:
        return frame(out_, kContinuation, byte(), stream(), some(byte()));
      case 5:
        return frame(out_, kReset, 0, stream(), text(byte()));
      case 6: {
        const std::string id{'\0', static_cast<char>(byte() % 9)};
        return frame(out_, kSettings, 0, 0, id + text(word()));
      }
      case 7:
        return frame(out_, kWindow, 0, byte() % 2 == 0 ? 0 : stream(),
                     text(word() >> (byte() % 32)));
      case 8:
        return frame(out_, kPing, byte() & kAck, 0, "12345678");
      case 9:
        return frame(out_, kPriority, 0, stream(), some(5));
      case 10:
        return frame(out_, kGoaway, 0, 0,
                     text(word()) + text(byte()) + std::string(some(byte() % 8)));
      default: {
        const std::uint8_t type = byte();
        const std::uint8_t flags = byte();
        return frame(out_, type, flags, stream(), some(byte()));
      }
    }
  }

  std::string_view rest_;
  std::string out_;
  std::uint32_t next_ = 1;
};

void require(bool holds) {
  if (!holds) {
    std::abort();
  }
}

/// What any server may say: frames in an order that a client can follow.
class Follower {
 public:
  void read(std::string_view answer) {
    bool first = true;
    while (answer.size() >= 9) {
      const std::size_t size = number(answer.substr(0, 3));
      const std::uint8_t type = static_cast<std::uint8_t>(answer[3]);
      const std::uint8_t flags = static_cast<std::uint8_t>(answer[4]);
      const std::size_t stream = number(answer.substr(5, 4));
      answer.remove_prefix(9);
      require(type <= kContinuation && type != kPush);
      require(!first || (type == kSettings && flags == 0));
      first = false;
      if (answer.size() < size) {
        return;  // cut off: the connection ended by force
      }
      note(type, flags, stream, size);
      answer.remove_prefix(size);
    }
  }

 private:
  enum class State : std::uint8_t { kHead, kEnded };
  static std::size_t number(std::string_view bytes) {
    std::size_t value = 0;
    for (const char c : bytes) {
      value = value << 8U | static_cast<unsigned char>(c);
    }
    return value;
  }
  void note(std::uint8_t type, std::uint8_t flags, std::size_t stream, std::size_t size) {
    require(continued_ == 0 || (type == kContinuation && stream == continued_));
    const auto found = streams_.find(stream);
    switch (type) {
      case kData:
        require(found != streams_.end() && found->second == State::kHead);
        break;
      case kHeaders:
        require(stream % 2 == 1 && (found == streams_.end() || found->second == State::kHead));
        streams_[stream] = State::kHead;
        continued_ = (flags & kEndHeaders) != 0 ? 0 : stream;
        break;
      case kContinuation:
        continued_ = (flags & kEndHeaders) != 0 ? 0 : stream;
        return;
      case kReset:
      case kWindow:
        require(size == 4);
        return;
      default:
        require(stream == 0 || type == kPriority);
        return;
    }
    if ((flags & kEndStream) != 0) {
      streams_[stream] = State::kEnded;
    }
  }

  std::map<std::size_t, State> streams_;
  std::size_t continued_ = 0;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static auto& target = *new fuzz::SessionTarget(routes());  // outlives libFuzzer's exit handlers
  if (size == 0 || size > 16'384) {
    return 0;
  }
  const std::string_view rest(reinterpret_cast<const char*>(data) + 1, size - 1);
  std::string session(kPreface);
  frame(session, kSettings, 0, 0, {});
  session += data[0] == '0' ? std::string(rest) : Steps(rest).session();
  const std::string answer = target.exchange(session);
  require(!answer.empty());
  Follower().read(answer);
  return 0;
}
