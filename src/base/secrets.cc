#include "base/secrets.h"

#include <algorithm>

namespace podsense {
namespace {

constexpr std::string_view kScheme = "://";
/// A URL ends before each of these characters. Brackets and commas may be part of a URL.
constexpr std::string_view kEnds = " \t\r\n\"'<>`";

/// The values after '?' or '#'. A part without a name is masked completely.
void append_masked_values(std::string& out, std::string_view query) {
  while (!query.empty()) {
    out += query.front();  // ? & ; or #
    query.remove_prefix(1);
    const std::string_view part =
        query.substr(0, std::min(query.find_first_of("?&;#"), query.size()));
    const auto equals = part.find('=');
    if (equals != std::string_view::npos) {
      out.append(part.substr(0, equals + 1)).append(kMasked);
    } else if (!part.empty()) {
      out += kMasked;
    }
    query.remove_prefix(part.size());
  }
}

/// The part after the scheme's "://".
void append_masked(std::string& out, std::string_view rest) {
  const auto authority_end = std::min(rest.find_first_of("/?#\\"), rest.size());
  if (const auto at = rest.substr(0, authority_end).rfind('@'); at != std::string_view::npos) {
    out += kMasked;
    rest.remove_prefix(at);
  }
  const auto query = std::min(rest.find_first_of("?#"), rest.size());
  out += rest.substr(0, query);
  append_masked_values(out, rest.substr(query));
}

/// One word, which may be or contain a URL.
void append_word(std::string& out, std::string_view word) {
  if (const auto scheme = word.find(kScheme); scheme != std::string_view::npos) {
    out += word.substr(0, scheme + kScheme.size());
    return append_masked(out, word.substr(scheme + kScheme.size()));
  }
  const auto at = word.rfind('@');
  const auto colon = word.find(':');
  if (at != std::string_view::npos && colon < at && colon > 0 && word.find('/') > at) {
    out.append(kMasked).append(word.substr(at));
    return;
  }
  out += word;
}

}  // namespace

bool may_have_secrets(std::string_view text) {
  return text.find(kScheme) != std::string_view::npos || text.find('@') != std::string_view::npos;
}

std::string without_secrets(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const auto end = std::min(text.find_first_of(kEnds), text.size());
    append_word(out, text.substr(0, end));
    const auto next = std::min(text.find_first_not_of(kEnds, end), text.size());
    out += text.substr(end, next - end);
    text.remove_prefix(next);
  }
  return out;
}

}  // namespace podsense
