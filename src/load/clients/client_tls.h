#pragma once

/// What a client shows in a TLS handshake and whom it believes, for HTTP and gRPC alike.

#include <string>

namespace podsense::load {

struct ClientTls {
  bool verify = true;       ///< the server's certificate
  std::string roots;        ///< PEM; empty: the system's
  std::string certificate;  ///< PEM, the client's own first; empty: none is shown
  std::string key;          ///< PEM without passphrase, belongs to `certificate`
};

}  // namespace podsense::load
