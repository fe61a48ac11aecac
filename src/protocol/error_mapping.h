#pragma once

/// The table that maps each ErrorCode to HTTP status, gRPC code and retry advice. Envoy's
/// transcoder derives the HTTP status from the gRPC code, so direct and transcoded replies differ
/// only for 405, 408, 411, 413, 415, 422, 431 and 502.

#include <array>
#include <cstddef>
#include <string_view>

#include "base/error.h"
#include "base/grpc_code.h"

namespace podsense::protocol {

enum class Retry { kNo, kAfterWait, kElsewhere, kCallerDecides };

struct ErrorMapping {
  ErrorCode code;
  int http_status;
  GrpcCode grpc;
  Retry retry;
  /// The value of the JSON field "code".
  [[nodiscard]] constexpr std::string_view name() const { return error_name(code); }
};

inline constexpr std::array kErrorTable{
    ErrorMapping{ErrorCode::kInvalidArgument, 400, GrpcCode::kInvalidArgument, Retry::kNo},
    ErrorMapping{ErrorCode::kUnauthenticated, 401, GrpcCode::kUnauthenticated, Retry::kNo},
    ErrorMapping{ErrorCode::kPermissionDenied, 403, GrpcCode::kPermissionDenied, Retry::kNo},
    ErrorMapping{ErrorCode::kNotFound, 404, GrpcCode::kNotFound, Retry::kNo},
    ErrorMapping{ErrorCode::kMethodNotAllowed, 405, GrpcCode::kUnimplemented, Retry::kNo},
    ErrorMapping{ErrorCode::kRequestTimeout, 408, GrpcCode::kDeadlineExceeded,
                 Retry::kCallerDecides},
    ErrorMapping{ErrorCode::kLengthRequired, 411, GrpcCode::kInvalidArgument, Retry::kNo},
    ErrorMapping{ErrorCode::kPayloadTooLarge, 413, GrpcCode::kInvalidArgument, Retry::kNo},
    ErrorMapping{ErrorCode::kUnsupportedMedia, 415, GrpcCode::kInvalidArgument, Retry::kNo},
    ErrorMapping{ErrorCode::kUnprocessable, 422, GrpcCode::kInvalidArgument, Retry::kNo},
    ErrorMapping{ErrorCode::kRateLimited, 429, GrpcCode::kResourceExhausted, Retry::kAfterWait},
    ErrorMapping{ErrorCode::kHeadersTooLarge, 431, GrpcCode::kInvalidArgument, Retry::kNo},
    ErrorMapping{ErrorCode::kCancelled, 499, GrpcCode::kCancelled, Retry::kNo},
    ErrorMapping{ErrorCode::kOverloaded, 503, GrpcCode::kUnavailable, Retry::kElsewhere},
    ErrorMapping{ErrorCode::kUnavailable, 503, GrpcCode::kUnavailable, Retry::kElsewhere},
    ErrorMapping{ErrorCode::kBadGateway, 502, GrpcCode::kUnavailable, Retry::kCallerDecides},
    ErrorMapping{ErrorCode::kDeadlineExceeded, 504, GrpcCode::kDeadlineExceeded,
                 Retry::kCallerDecides},
    ErrorMapping{ErrorCode::kUnimplemented, 501, GrpcCode::kUnimplemented, Retry::kNo},
    ErrorMapping{ErrorCode::kInternal, 500, GrpcCode::kInternal, Retry::kNo},
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
