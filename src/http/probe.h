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
  std::string certificate;  ///< PEM, sent to servers that request one; empty: none
  std::string key;
  bool verify = true;  ///< false: accepts any certificate
};

/// Sends one GET over a new connection, for health probes in images without a shell.
/// @errors kInvalidArgument: `url` is not `http[s]://host[:port][/path]`, or a certificate or key
/// file is invalid; kUnavailable: cannot connect, untrusted certificate, or no answer within the
/// timeout
/// @threads any; blocks
Result<ProbeAnswer> probe(std::string_view url, const ProbeOptions& options);

}  // namespace podsense::http
