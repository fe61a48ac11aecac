#pragma once

/// Model, version, top_k and cpu_ms: the same rules for JSON, forms and query strings.

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/error.h"
#include "protocol/messages.h"

namespace podsense::protocol {

inline constexpr std::size_t kMaxNameLength = 64;  ///< characters of a model's name or version

inline constexpr std::string_view kTopKRule = "it must be an integer from 1 to 1000";
inline constexpr std::string_view kCpuRule = "it must be a number from 0 to 60000";

/// @errors kInvalidArgument: over kMaxNameLength characters, control characters, not UTF-8
Result<std::string> name_option(std::string_view field, std::string_view text);
Result<std::uint32_t> top_k_option(std::string_view text);
Result<Duration> cpu_option(std::string_view text);

/// Nothing: `ms` is out of range or NaN.
std::optional<Duration> cpu_from_ms(double ms);

/// The error `unknown KIND 'x'; did you mean 'y'?`, or with the list of accepted names.
tl::unexpected<Error> unknown_name(std::string_view kind, std::string_view name,
                                   std::span<const std::string_view> accepted);

/// `a, b, c`
std::string list_of(std::span<const std::string_view> names);

/// The error for more than kMaxPictures in one request.
tl::unexpected<Error> too_many_pictures();

inline tl::unexpected<Error> invalid(std::string message) {
  return fail(ErrorCode::kInvalidArgument, std::move(message));
}

/// Like decode_base64, but the message contains the field's name and offsets from the start of the
/// value.
Result<std::string> decode_base64_field(std::string_view field, std::string_view text,
                                        std::size_t skip);

}  // namespace podsense::protocol
