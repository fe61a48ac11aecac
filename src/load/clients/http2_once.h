#pragma once

/// One request over HTTP/2 before a run, to learn what the run has to send.

#include <string>

#include "base/error.h"
#include "load/clients/http2_transport.h"

namespace podsense::load {

/// As in a RequestOutcome.
struct Once {
  ErrorKind error = ErrorKind::kNone;
  int status = 0;
  std::string sample;
};

/// Sends request 0 of `options.messages` and waits for its answer. Blocks, at most for the time
/// limit and `wait`, within which connecting is tried again.
/// @errors kUnavailable, kDeadlineExceeded: why there is no connection; kInvalidArgument: as
/// `Http2Transport::create`
Result<Once> ask_once(const Http2TransportOptions& options, Duration wait);

}  // namespace podsense::load
