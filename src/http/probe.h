#pragma once

#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/error.h"

namespace podsense::http {

struct ProbeAnswer {
  int status = 0;
  std::string body;
};

/// One GET over a connection of its own: for health probes in images without a shell.
/// @errors kInvalidArgument: not `http://host[:port][/path]`; kUnavailable: could not connect, or
///         no answer within `timeout`
/// @threads any; blocks
Result<ProbeAnswer> probe(std::string_view url, Duration timeout);

}  // namespace podsense::http
