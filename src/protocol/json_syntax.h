#pragma once

/// Why a text is not JSON. The fast reader only notices that something is
/// wrong; this slow, exact second look runs on refused bodies alone, so that a
/// message does not depend on the version of the fast reader's library.

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace podsense::protocol {

/// `text` behind UTF-8's byte order mark, which programs on Windows write and RFC 8259 lets be
/// passed over.
inline std::string_view without_byte_order_mark(std::string_view text) {
  constexpr std::string_view kMark = "\xEF\xBB\xBF";
  return text.substr(text.starts_with(kMark) ? kMark.size() : 0);
}

inline constexpr std::size_t kMaxDepth = 16;

struct JsonFault {
  std::string message;    ///< a whole sentence with the byte's offset
  bool too_deep = false;  ///< over kMaxDepth, and no fault before that
};

/// The first fault of RFC 8259's grammar, UTF-8, or depth; nothing when it is
/// JSON.
std::optional<JsonFault> json_fault(std::string_view json);

/// Whether `token` is one JSON number, whatever its size.
bool is_json_number(std::string_view token);

/// The token that starts `rest`: up to white space or one of `,:[]{}"`.
std::string_view first_token(std::string_view rest);

/// `'text'` for a message: at most 48 bytes, cut between characters; control
/// characters and bytes that are not UTF-8 become '?'.
std::string in_quotes(std::string_view text);

}  // namespace podsense::protocol
