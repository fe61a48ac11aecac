#pragma once

/// How a request gets to the server. The engine decides when; a Transport holds connections and
/// never waits for one to become free.
/// @threads confined to the thread of its io_context

#include <functional>
#include <memory>

#include "base/clock.h"
#include "base/error.h"
#include "load/measuring/results.h"

namespace boost::asio {
class io_context;  // NOLINT(readability-identifier-naming): Asio's own
}

namespace podsense::load {

/// Who learns what becomes of requests; the calls come from the transport's thread, never from
/// inside `Transport::send`.
class Sink {
 public:
  virtual ~Sink() = default;
  virtual void finished(const RequestOutcome& outcome) = 0;
  virtual void connected(Duration took) = 0;
};

class Transport {
 public:
  Transport() = default;
  Transport(const Transport&) = delete;
  Transport& operator=(const Transport&) = delete;
  virtual ~Transport() = default;

  /// Opens the connections that the run begins with; `ready` gets the first failure.
  virtual void open(std::function<void(Result<void>)> ready) = 0;
  /// Sends now, on a free connection or a new one. False: none is free and no more are allowed;
  /// nothing was sent, and nothing will be.
  virtual bool send(const RequestTicket& ticket) = 0;
  /// Gives up what has taken longer than the time limit. Called many times a second.
  virtual void check_time(TimePoint now) = 0;
  /// Ends what is under way: every request gets its outcome, as ErrorKind::kCanceled. A request
  /// that can no longer be sent is refused.
  virtual void close() = 0;
  [[nodiscard]] virtual std::size_t in_flight() const = 0;
};

using MakeTransport =
    std::function<Result<std::unique_ptr<Transport>>(boost::asio::io_context& context, Sink& sink)>;

}  // namespace podsense::load
