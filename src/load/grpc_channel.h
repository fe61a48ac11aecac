#pragma once

/// Connections for gRPC calls, and what a call's end means.

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <grpcpp/support/status.h>

#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "load/client_tls.h"
#include "load/results.h"
#include "load/target.h"

namespace podsense::load {

struct GrpcTarget {
  Url url;
  std::vector<Endpoint> endpoints;  ///< at least one
  std::string authority;            ///< empty: the URL's
  ClientTls tls;
  Duration timeout = std::chrono::seconds(20);  ///< of connecting
};

/// Makes channels of which each has a TCP connection of its own, to the addresses that were
/// resolved, past every proxy. A call on them is sent once: gRPC's own retries are off.
/// @threads any
class GrpcChannels {
 public:
  static GrpcChannels create(const GrpcTarget& target);
  [[nodiscard]] std::shared_ptr<::grpc::Channel> open() const;
  /// Why there is no connection, from what gRPC says of it, in words for people.
  [[nodiscard]] std::string reason(const std::string& message) const;

 private:
  GrpcTarget target_;
  std::string addresses_;  ///< as gRPC writes them: ipv4:127.0.0.1:9000
};

/// Why a call that is not OK has no answer; kNone: the server itself said this status. Deadlines
/// and canceled calls are the caller's to tell.
ErrorKind grpc_error_kind(const ::grpc::ClientContext& context, const ::grpc::Status& status);

/// "UNAVAILABLE", or the number where there is no such code.
std::string grpc_status_text(const ::grpc::Status& status);

}  // namespace podsense::load
