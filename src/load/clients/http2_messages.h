#pragma once

/// What is said over HTTP/2, apart from how: requests as fields and bytes, and what answers mean.
/// There are two kinds, HTTP's own (http2_requests.h) and gRPC's (grpc_messages.h).

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "load/measuring/results.h"

namespace podsense::load {

struct HeaderField {
  std::string name;  ///< lower case; pseudo-headers (":path") stand before all others
  std::string value;
};
using Http2Head = std::vector<HeaderField>;

struct Http2Request {
  std::shared_ptr<const Http2Head> head;
  std::shared_ptr<const std::string> body;     ///< null: none
  std::optional<std::uint64_t> message_bytes;  ///< for the report; unset: what is on the wire
};

/// What became of a request. `message_bytes` as above.
struct AnswerVerdict {
  ErrorKind error = ErrorKind::kNone;
  bool ok = false;
  int status = 0;
  std::optional<std::uint64_t> message_bytes;
  std::string sample;
};

/// Reads the answer to one request. It keeps little of it: what a report shows.
class Http2Answer {
 public:
  Http2Answer() = default;
  Http2Answer(const Http2Answer&) = delete;
  Http2Answer& operator=(const Http2Answer&) = delete;
  virtual ~Http2Answer() = default;

  /// Fields of the head, of interim answers before it (1xx), and of trailers.
  virtual void header(std::string_view name, std::string_view value) = 0;
  virtual void data(std::string_view bytes) = 0;
  /// True once the head has begun that is no interim one.
  [[nodiscard]] virtual bool has_begun() const = 0;

  /// It is complete, and took so long since the request was sent.
  virtual AnswerVerdict judge(Duration took) = 0;
  /// The server reset the stream with this error code of HTTP/2.
  virtual AnswerVerdict judge_reset(std::uint32_t code, Duration took) = 0;
  /// What has to be sent in place of the request since the complete answer says so, as a redirect;
  /// nothing: the answer stands.
  virtual std::optional<Http2Request> follow() { return std::nullopt; }
};

/// @threads immutable once made
class Http2Messages {
 public:
  Http2Messages() = default;
  Http2Messages(const Http2Messages&) = delete;
  Http2Messages& operator=(const Http2Messages&) = delete;
  virtual ~Http2Messages() = default;

  /// For people: "HTTP/2", "gRPC".
  [[nodiscard]] virtual std::string_view protocol() const = 0;
  /// @errors why the request with this number cannot be made
  [[nodiscard]] virtual Result<Http2Request> request(std::uint64_t index) const = 0;
  [[nodiscard]] virtual std::unique_ptr<Http2Answer> answer(std::uint64_t index) const = 0;
};

}  // namespace podsense::load
