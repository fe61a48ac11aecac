#pragma once

/// Errors as gRPC clients see them, by the table in protocol/error_mapping.h.

#include <chrono>
#include <optional>
#include <string>

#include "base/error.h"

namespace google::rpc {
class Status;
}

namespace podsense::grpc {

/// Details: google.rpc.ErrorInfo with the error's own code as `reason`, and RetryInfo where asking
/// again makes sense.
void fill_status(const Error& error, google::rpc::Status& status);

/// When to ask again; nothing where that would not help.
std::optional<std::chrono::milliseconds> retry_delay(const Error& error);

}  // namespace podsense::grpc
