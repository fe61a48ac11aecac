#pragma once

/// Masks secrets in URLs: passwords or tokens before the host, and values in the query or fragment
/// (tokens, signatures of presigned URLs). Used for everything that people see: logs,
/// --print-config.

#include <string>
#include <string_view>

namespace podsense {

/// The replacement of a secret.
inline constexpr std::string_view kMasked = "***";

/// A quick check, one search over the text. False: the text contains no secret.
bool may_have_secrets(std::string_view text);

/// `text` with the secrets of every URL in it masked: "https://me:word@host/x?sig=1" becomes
/// "https://***@host/x?sig=***". Also masks "user:word@host" without a scheme.
std::string without_secrets(std::string_view text);

}  // namespace podsense
