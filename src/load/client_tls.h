#pragma once

/// What a client shows in a TLS handshake and whom it believes, for HTTP and gRPC alike. Private to
/// the module.

#include <string>

#include "base/error.h"
#include "load/load.h"

namespace podsense::load {

struct ClientTls {
  bool verify = true;       ///< the server's certificate
  std::string roots;        ///< PEM; empty: the system's
  std::string certificate;  ///< PEM, the client's own first; empty: none is shown
  std::string key;          ///< PEM without passphrase, belongs to `certificate`
};

/// Reads the files that the options name, and sees that they can be used together.
/// @errors kInvalidArgument: names flag and file
Result<ClientTls> read_client_tls(const Options& options);

}  // namespace podsense::load
