#pragma once

/// TLS for gRPC's port, with the certificates that are in force at each handshake. Private to this
/// module.

#include <grpcpp/security/server_credentials.h>

#include <memory>

#include "access/certificates.h"

namespace podsense::grpc {

/// `certificates` outlives the server that takes these.
std::shared_ptr<::grpc::ServerCredentials> tls_credentials(access::Certificates& certificates);

}  // namespace podsense::grpc
