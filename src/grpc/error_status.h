#pragma once

/// Converts errors to gRPC statuses with the table in protocol/error_mapping.h.

#include <chrono>
#include <optional>
#include <string>

#include "base/error.h"

namespace google::rpc {
class Status;
}

namespace podsense::grpc {

/// Details: google.rpc.ErrorInfo with error_name as `reason`, and RetryInfo for errors that clients
/// should retry.
void fill_status(const Error& error, google::rpc::Status& status);

/// When to retry; nothing if a retry would not help.
std::optional<std::chrono::milliseconds> retry_delay(const Error& error);

}  // namespace podsense::grpc
