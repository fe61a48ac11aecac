#pragma once

/// Explains why a text is not JSON. The fast parser only detects that something is wrong. This
/// slower, exact check runs only on refused bodies, so that messages do not depend on the version
/// of simdjson.

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace podsense::protocol {

/// `text` without UTF-8's byte order mark, which some programs write and RFC 8259 allows to ignore.
inline std::string_view without_byte_order_mark(std::string_view text) {
  constexpr std::string_view kMark = "\xEF\xBB\xBF";
  return text.substr(text.starts_with(kMark) ? kMark.size() : 0);
}

inline constexpr std::size_t kMaxDepth = 16;

struct JsonFault {
  std::string message;    ///< a whole sentence with the byte's offset
  bool too_deep = false;  ///< deeper than kMaxDepth, without an earlier fault
};

/// The first violation of RFC 8259's grammar, UTF-8 or the depth limit; nothing: valid JSON.
std::optional<JsonFault> json_fault(std::string_view json);

/// Whether `token` is a JSON number, of any size.
bool is_json_number(std::string_view token);

/// The first token of `rest`: up to white space or one of `,:[]{}"`.
std::string_view first_token(std::string_view rest);

/// `'text'` for a message: at most 48 bytes, cut between characters. Control characters and invalid
/// UTF-8 become '?'.
std::string in_quotes(std::string_view text);

}  // namespace podsense::protocol
