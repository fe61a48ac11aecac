#pragma once

/// Errors are values. A function that can fail for reasons outside the program returns Result<T>.
/// Exceptions of third-party libraries are caught where the library is called.
/// protocol/error_mapping.h maps each code to its HTTP and gRPC status.

#include <array>
#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <utility>

namespace podsense {

/// When adding a code, extend protocol/error_mapping.h.
enum class ErrorCode {
  kInvalidArgument,   ///< the request's content is wrong: the client must change it
  kUnauthenticated,   ///< missing or wrong credentials
  kPermissionDenied,  ///< the policy forbids it, e.g. a URL whose address is refused
  kNotFound,          ///< no such route, model or version
  kMethodNotAllowed,  ///< the route exists, the method does not
  kRequestTimeout,    ///< the client sent its request too slowly
  kLengthRequired,    ///< no Content-Length or chunked encoding, but a body is required
  kPayloadTooLarge,   ///< a byte, pixel or row limit is exceeded
  kUnsupportedMedia,  ///< a format that is not accepted
  kUnprocessable,     ///< the format is right, the content cannot be decoded
  kRateLimited,       ///< this client asked too often
  kHeadersTooLarge,   ///< request line or headers over their limit
  kCancelled,         ///< the client went away
  kOverloaded,        ///< the queue cannot meet the deadline
  kUnavailable,       ///< starting, draining, or the model is not loaded
  kBadGateway,        ///< the remote side of a fetch failed
  kDeadlineExceeded,  ///< too late, before the work began or while fetching
  kUnimplemented,     ///< known, but not supported
  kInternal,          ///< a bug, or a fault of the machine
};

inline constexpr std::size_t kErrorCodeCount = static_cast<std::size_t>(ErrorCode::kInternal) + 1;

/// The name of the code in responses, metrics and logs.
constexpr std::string_view error_name(ErrorCode code) {
  constexpr std::array<std::string_view, kErrorCodeCount> kNames{"INVALID_ARGUMENT",
                                                                 "UNAUTHENTICATED",
                                                                 "PERMISSION_DENIED",
                                                                 "NOT_FOUND",
                                                                 "METHOD_NOT_ALLOWED",
                                                                 "REQUEST_TIMEOUT",
                                                                 "LENGTH_REQUIRED",
                                                                 "PAYLOAD_TOO_LARGE",
                                                                 "UNSUPPORTED_MEDIA_TYPE",
                                                                 "UNPROCESSABLE_CONTENT",
                                                                 "RATE_LIMITED",
                                                                 "HEADERS_TOO_LARGE",
                                                                 "CANCELLED",
                                                                 "OVERLOADED",
                                                                 "UNAVAILABLE",
                                                                 "BAD_GATEWAY",
                                                                 "DEADLINE_EXCEEDED",
                                                                 "UNIMPLEMENTED",
                                                                 "INTERNAL"};
  return kNames[static_cast<std::size_t>(code)];
}

/// `message` is sent to the client: what was wrong and what is accepted. `detail` is only logged.
/// `retry_after`: when to retry, for codes that error_mapping.h marks as retryable; zero: unknown.
struct Error {
  ErrorCode code = ErrorCode::kInternal;
  std::string message;
  std::string detail;
  std::chrono::milliseconds retry_after{};
};

template <class T>
using Result = tl::expected<T, Error>;

/// `return fail(ErrorCode::kNotFound, "no model 'x'; there are: a, b");`
inline tl::unexpected<Error> fail(ErrorCode code, std::string message, std::string detail = {}) {
  return tl::unexpected<Error>(Error{code, std::move(message), std::move(detail)});
}
inline tl::unexpected<Error> fail(Error error) {
  return tl::unexpected<Error>(std::move(error));
}

}  // namespace podsense
