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

struct ProbeOptions {
  Duration timeout = std::chrono::seconds(2);
  std::string ca_file;      ///< PEM, for https; empty: the system's authorities
  std::string certificate;  ///< PEM, shown to servers that ask for one; empty: none
  std::string key;
  bool verify = true;  ///< false: any certificate will do
};

/// One GET over a connection of its own: for health probes in images without a shell.
/// @errors kInvalidArgument: not `http[s]://host[:port][/path]`, or a file with a fault;
///         kUnavailable: could not connect, a certificate that is not believed, or no answer within
///         the timeout
/// @threads any; blocks
Result<ProbeAnswer> probe(std::string_view url, const ProbeOptions& options);

}  // namespace podsense::http
