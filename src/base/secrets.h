#pragma once

/// Secrets that URLs carry: a user's password or token before the host, and the values of a query
/// or fragment (tokens, signatures of presigned addresses). What is shown to people, in logs and
/// with --print-config, has none of them.

#include <string>
#include <string_view>

namespace podsense {

/// Stands where a secret was.
inline constexpr std::string_view kMasked = "***";

/// False for most texts, at the cost of one search.
bool may_have_secrets(std::string_view text);

/// The text, whatever it is, with the secrets of each URL in it masked:
/// "https://me:word@host/x?sig=1" becomes "https://***@host/x?sig=***". A "user:word@host" without
/// a scheme counts, too.
std::string without_secrets(std::string_view text);

}  // namespace podsense
