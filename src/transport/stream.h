#pragma once

/// HTTP/2 streams for services that read and write the bytes themselves, as gRPC does. All other
/// requests go to a Router's handlers, which get complete requests.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "transport/message.h"

namespace podsense::transport {

/// Names are in lower case; names and values contain no control characters.
using Fields = std::vector<std::pair<std::string_view, std::string>>;

/// Bytes to send: `bytes`, then `tail`, which is not copied; `owner` keeps `tail` alive.
struct Chunk {
  std::string bytes;
  std::vector<std::span<const std::byte>> tail;
  std::shared_ptr<const void> owner;
  MemoryBudget::Share memory;
};

/// The interface through which a service uses its stream. @threads the connection's; exception:
/// `post`
class Stream : public std::enable_shared_from_this<Stream> {
 public:
  virtual ~Stream() = default;

  /// The request's head, with the time and the turn of its context. Lives as long as the stream.
  [[nodiscard]] virtual const Request& request() const = 0;

  /// Begins the answer with status 200.
  virtual void respond(Fields headers) = 0;
  virtual void write(Chunk chunk) = 0;
  /// Ends the answer. Without `respond` before, the trailers are the whole answer
  /// ("trailers-only").
  virtual void finish(Fields trailers) = 0;
  /// Allows the client to send `bytes` more, in addition to `kInitialWindow` and earlier grants.
  virtual void grant(std::uint64_t bytes) = 0;
  /// Removes the time limit for the body, which otherwise is that of any request.
  virtual void allow_slow_body() = 0;
  /// The number of bytes given to `write` and not sent yet.
  [[nodiscard]] virtual std::uint64_t unsent() const = 0;

  /// Runs `work` on the connection's thread: at once if called on it. @threads any
  virtual void post(std::move_only_function<void()> work) = 0;
};

/// Bytes that a client may send on a stream before `grant`.
inline constexpr std::uint32_t kInitialWindow = 256U << 10U;

/// The events of a service's stream. @threads the connection's
class StreamService {
 public:
  virtual ~StreamService() = default;
  /// More of the body; `bytes` are valid until this returns.
  virtual void on_data(std::string_view bytes) = 0;
  /// The client has sent the whole body.
  virtual void on_end() = 0;
  /// The body did not arrive in time.
  virtual void on_late() = 0;
  /// Some bytes given to `write` were sent.
  virtual void on_sent() {}
  /// The server is stopping: streams that can end should end.
  virtual void on_stop() {}
  /// Either side ended the stream; nothing more can be sent. Called exactly once, as the last
  /// event.
  virtual void on_closed() = 0;
};

/// Creates the service for a stream whose head has arrived.
using OpenStream = std::function<std::shared_ptr<StreamService>(const std::shared_ptr<Stream>&)>;

}  // namespace podsense::transport
