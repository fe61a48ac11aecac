#pragma once

/// The one table that says what an ErrorCode means outside: HTTP status, gRPC code, retry advice.
/// Envoy's transcoder derives HTTP from the gRPC column, so direct and transcoded replies differ
/// for 405, 408, 411, 413, 415, 422, 431 and 502 alone.

#include <array>
#include <cstddef>
#include <string_view>

#include "base/error.h"

namespace podsense::protocol {

enum class Retry { kNo, kAfterWait, kElsewhere, kCallerDecides };

/// Numbers as in google.rpc.Code.
enum class GrpcCode {
  kCancelled = 1,
  kInvalidArgument = 3,
  kDeadlineExceeded = 4,
  kNotFound = 5,
  kPermissionDenied = 7,
  kResourceExhausted = 8,
  kUnimplemented = 12,
  kInternal = 13,
  kUnavailable = 14,
  kUnauthenticated = 16,
};

struct ErrorMapping {
  ErrorCode code;
  std::string_view name;  ///< in the JSON field "code"
  int http_status;
  GrpcCode grpc;
  Retry retry;
};

inline constexpr std::array kErrorTable{
    ErrorMapping{ErrorCode::kInvalidArgument, "INVALID_ARGUMENT", 400, GrpcCode::kInvalidArgument,
                 Retry::kNo},
    ErrorMapping{ErrorCode::kUnauthenticated, "UNAUTHENTICATED", 401, GrpcCode::kUnauthenticated,
                 Retry::kNo},
    ErrorMapping{ErrorCode::kPermissionDenied, "PERMISSION_DENIED", 403,
                 GrpcCode::kPermissionDenied, Retry::kNo},
    ErrorMapping{ErrorCode::kNotFound, "NOT_FOUND", 404, GrpcCode::kNotFound, Retry::kNo},
    ErrorMapping{ErrorCode::kMethodNotAllowed, "METHOD_NOT_ALLOWED", 405, GrpcCode::kUnimplemented,
                 Retry::kNo},
    ErrorMapping{ErrorCode::kRequestTimeout, "REQUEST_TIMEOUT", 408, GrpcCode::kDeadlineExceeded,
                 Retry::kCallerDecides},
    ErrorMapping{ErrorCode::kLengthRequired, "LENGTH_REQUIRED", 411, GrpcCode::kInvalidArgument,
                 Retry::kNo},
    ErrorMapping{ErrorCode::kPayloadTooLarge, "PAYLOAD_TOO_LARGE", 413, GrpcCode::kInvalidArgument,
                 Retry::kNo},
    ErrorMapping{ErrorCode::kUnsupportedMedia, "UNSUPPORTED_MEDIA_TYPE", 415,
                 GrpcCode::kInvalidArgument, Retry::kNo},
    ErrorMapping{ErrorCode::kUnprocessable, "UNPROCESSABLE_CONTENT", 422,
                 GrpcCode::kInvalidArgument, Retry::kNo},
    ErrorMapping{ErrorCode::kRateLimited, "RATE_LIMITED", 429, GrpcCode::kResourceExhausted,
                 Retry::kAfterWait},
    ErrorMapping{ErrorCode::kHeadersTooLarge, "HEADERS_TOO_LARGE", 431, GrpcCode::kInvalidArgument,
                 Retry::kNo},
    ErrorMapping{ErrorCode::kCancelled, "CANCELLED", 499, GrpcCode::kCancelled, Retry::kNo},
    ErrorMapping{ErrorCode::kOverloaded, "OVERLOADED", 503, GrpcCode::kUnavailable,
                 Retry::kElsewhere},
    ErrorMapping{ErrorCode::kUnavailable, "UNAVAILABLE", 503, GrpcCode::kUnavailable,
                 Retry::kElsewhere},
    ErrorMapping{ErrorCode::kBadGateway, "BAD_GATEWAY", 502, GrpcCode::kUnavailable,
                 Retry::kCallerDecides},
    ErrorMapping{ErrorCode::kDeadlineExceeded, "DEADLINE_EXCEEDED", 504,
                 GrpcCode::kDeadlineExceeded, Retry::kCallerDecides},
    ErrorMapping{ErrorCode::kUnimplemented, "UNIMPLEMENTED", 501, GrpcCode::kUnimplemented,
                 Retry::kNo},
    ErrorMapping{ErrorCode::kInternal, "INTERNAL", 500, GrpcCode::kInternal, Retry::kNo},
};

constexpr const ErrorMapping& mapping(ErrorCode code) {
  return kErrorTable[static_cast<std::size_t>(code)];
}

namespace detail {
consteval bool table_is_complete() {
  for (std::size_t i = 0; i < kErrorTable.size(); ++i) {
    if (static_cast<std::size_t>(kErrorTable[i].code) != i) {
      return false;
    }
  }
  return kErrorTable.size() == static_cast<std::size_t>(ErrorCode::kInternal) + 1;
}
}  // namespace detail
static_assert(detail::table_is_complete(), "one row per ErrorCode, in the enum's order");

}  // namespace podsense::protocol
