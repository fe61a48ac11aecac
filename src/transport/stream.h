#pragma once

/// One stream of HTTP/2 in the hands of a service that reads and writes its bytes itself, as gRPC
/// does. All else is answered by a Router's handlers, which see whole requests.

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

/// Names in lower case; names and values are free of control characters.
using Fields = std::vector<std::pair<std::string_view, std::string>>;

/// Bytes to be sent: `bytes`, then `tail`, which is not copied and which `owner` keeps alive.
struct Chunk {
  std::string bytes;
  std::vector<std::span<const std::byte>> tail;
  std::shared_ptr<const void> owner;
  MemoryBudget::Share memory;
};

/// What a service does with its stream. @threads the connection's; exceptions: `post`
class Stream : public std::enable_shared_from_this<Stream> {
 public:
  virtual ~Stream() = default;

  /// The request's head, with its context's time and turn. Lives as long as the stream.
  [[nodiscard]] virtual const Request& request() const = 0;

  /// Begins the answer, with status 200.
  virtual void respond(Fields headers) = 0;
  virtual void write(Chunk chunk) = 0;
  /// Ends the answer. Where it was not begun, this is all of it, in one piece.
  virtual void finish(Fields trailers) = 0;
  /// The client may send so many bytes more than it was allowed to so far: `kInitialWindow`.
  virtual void grant(std::uint64_t bytes) = 0;
  /// The body may take as long as the client wants; else as long as any request's.
  virtual void allow_slow_body() = 0;
  /// Bytes given to `write` that are not sent yet.
  [[nodiscard]] virtual std::uint64_t unsent() const = 0;

  /// Has `work` done on the connection's thread: at once, if this is it. @threads any
  virtual void post(std::move_only_function<void()> work) = 0;
};

/// What a client may send on a stream before it is granted more.
inline constexpr std::uint32_t kInitialWindow = 256U << 10U;

/// What happens to a service's stream. @threads the connection's
class StreamService {
 public:
  virtual ~StreamService() = default;
  /// `bytes` live until this returns.
  virtual void on_data(std::string_view bytes) = 0;
  /// The client has sent all.
  virtual void on_end() = 0;
  /// The body did not come in time.
  virtual void on_late() = 0;
  /// Some of what `write` took has been sent.
  virtual void on_sent() {}
  /// The server stops: what need not go on should end.
  virtual void on_stop() {}
  /// The stream is over, ended by either side; nothing can be sent any more. Called once, last.
  virtual void on_closed() = 0;
};

/// Takes a stream whose head is there.
using OpenStream = std::function<std::shared_ptr<StreamService>(const std::shared_ptr<Stream>&)>;

}  // namespace podsense::transport
