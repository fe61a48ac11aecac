#include "protocol/json_syntax.h"

#include <simdjson.h>

#include <array>
#include <charconv>

namespace podsense::protocol {
namespace {

constexpr std::string_view kSpace = " \t\r\n";

constexpr bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

constexpr bool is_continuation(char c) {
  return (static_cast<unsigned char>(c) & 0xC0U) == 0x80U;
}

std::string hex_byte(char c) {
  static constexpr std::string_view kHex = "0123456789ABCDEF";
  const auto byte = static_cast<unsigned char>(c);
  return {'0', 'x', kHex[byte >> 4U], kHex[byte & 15U]};
}

/// The length of the number at the start of `text`; 0: none.
std::size_t number_length(std::string_view text) {
  std::size_t i = 0;
  const auto digits = [&] {
    const std::size_t start = i;
    while (i < text.size() && is_digit(text[i])) {
      ++i;
    }
    return i > start;
  };
  const auto at = [&](char c) { return i < text.size() && text[i] == c; };
  if (at('-')) {
    ++i;
  }
  if (at('0')) {
    ++i;
  } else if (!digits()) {
    return 0;
  }
  if (at('.')) {
    ++i;
    if (!digits()) {
      return 0;
    }
  }
  if (at('e') || at('E')) {
    ++i;
    if (at('+') || at('-')) {
      ++i;
    }
    if (!digits()) {
      return 0;
    }
  }
  return i;
}

/// Recursive descent; kMaxDepth bounds the recursion. Each step returns false
/// once fault_ is set.
class Checker {
 public:
  explicit Checker(std::string_view json) : json_(json) {}

  std::optional<JsonFault> run() {
    if (is_utf16()) {
      fail(0, "it is in UTF-16, and JSON is UTF-8");
      return std::move(fault_);
    }
    skip_space();
    if (value(0)) {
      skip_space();
      if (at_ < json_.size()) {
        expected("the end of the body");
      }
    }
    return std::move(fault_);
  }

 private:
  bool fail(std::size_t offset, std::string_view why) {
    fault_.emplace();
    fault_->message = "the body is not valid JSON at byte " + std::to_string(offset) + ": ";
    fault_->message += why;
    return false;
  }

  /// Detected by a byte order mark, or by a zero byte next to an ASCII character.
  [[nodiscard]] bool is_utf16() const {
    return json_.starts_with("\xFF\xFE") || json_.starts_with("\xFE\xFF") ||
           (json_.size() > 1 && (json_[0] == '\0') != (json_[1] == '\0'));
  }

  bool expected(std::string_view what) {
    std::string why = "expected ";
    why += what;
    why += ", found ";
    if (at_ >= json_.size()) {
      why += "the end of the body";
    } else if (json_[at_] > ' ' && json_[at_] < 0x7F) {
      why += {'\'', json_[at_], '\''};
    } else {
      why += hex_byte(json_[at_]);
    }
    return fail(at_, why);
  }

  [[nodiscard]] bool next_is(char c) const { return at_ < json_.size() && json_[at_] == c; }

  void skip_space() {
    const std::size_t next = json_.find_first_not_of(kSpace, at_);
    at_ = next == std::string_view::npos ? json_.size() : next;
  }

  bool value(std::size_t depth) {
    if (next_is('{') || next_is('[')) {
      if (depth == kMaxDepth) {
        fault_.emplace();
        fault_->message = "the body nests deeper than " + std::to_string(kMaxDepth) +
                          " levels at byte " + std::to_string(at_);
        fault_->too_deep = true;
        return false;
      }
      return json_[at_] == '{' ? object(depth + 1) : array(depth + 1);
    }
    return next_is('"') ? string() : scalar();
  }

  bool object(std::size_t depth) {
    ++at_;
    skip_space();
    if (next_is('}')) {
      ++at_;
      return true;
    }
    while (true) {
      if (!next_is('"')) {
        return expected("a field name in double quotes");
      }
      if (!string()) {
        return false;
      }
      skip_space();
      if (!next_is(':')) {
        return expected("':' after a field name");
      }
      ++at_;
      skip_space();
      if (!value(depth)) {
        return false;
      }
      skip_space();
      if (next_is('}')) {
        ++at_;
        return true;
      }
      if (!next_is(',')) {
        return expected("',' or '}' after a field");
      }
      ++at_;
      skip_space();
    }
  }

  bool array(std::size_t depth) {
    ++at_;
    skip_space();
    if (next_is(']')) {
      ++at_;
      return true;
    }
    while (true) {
      if (!value(depth)) {
        return false;
      }
      skip_space();
      if (next_is(']')) {
        ++at_;
        return true;
      }
      if (!next_is(',')) {
        return expected("',' or ']' after an element");
      }
      ++at_;
      skip_space();
    }
  }

  bool scalar() {
    const std::string_view token = first_token(json_.substr(at_));
    if (token.empty() || token.front() <= ' ' || token.front() >= 0x7F) {
      return expected("a value");
    }
    if (token == "true" || token == "false" || token == "null" || is_json_number(token)) {
      at_ += token.size();
      return true;
    }
    return fail(at_, in_quotes(token) + " is not a JSON value");
  }

  bool string() {
    const std::size_t start = at_++;
    while (at_ < json_.size()) {
      const char c = json_[at_];
      if (c == '"') {
        ++at_;
        return true;
      }
      if (c == '\\') {
        if (!escape()) {
          return false;
        }
      } else if (static_cast<unsigned char>(c) < 0x20) {
        return fail(at_, "the control character " + hex_byte(c) + " in a string must be escaped");
      } else if (static_cast<unsigned char>(c) < 0x80) {
        ++at_;
      } else if (!character()) {
        return fail(at_, hex_byte(c) + " is not UTF-8");
      }
    }
    return fail(start, "a string without its closing quote");
  }

  /// A multi-byte UTF-8 character.
  bool character() {
    const auto lead = static_cast<unsigned char>(json_[at_]);
    const std::size_t length = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
    if (json_.size() - at_ < length || !simdjson::validate_utf8(json_.data() + at_, length)) {
      return false;
    }
    at_ += length;
    return true;
  }

  bool escape() {
    const std::size_t start = at_;
    const char kind = at_ + 1 < json_.size() ? json_[at_ + 1] : '\0';
    if (kind != 'u') {
      if (std::string_view("\"\\/bfnrt").find(kind) == std::string_view::npos || kind == '\0') {
        return fail(start, "an unknown escape in a string");
      }
      at_ += 2;
      return true;
    }
    const auto unit = code_unit();
    if (!unit) {
      return fail(start, R"(\u must be followed by 4 hexadecimal digits)");
    }
    if (*unit < 0xD800 || *unit > 0xDFFF) {
      return true;
    }
    if (*unit < 0xDC00 && json_.substr(at_).starts_with("\\u")) {
      const auto low = code_unit();
      if (low && *low >= 0xDC00 && *low <= 0xDFFF) {
        return true;
      }
    }
    return fail(start, R"(a lone surrogate; characters above U+FFFF are written as a pair)");
  }

  std::optional<unsigned> code_unit() {
    unsigned unit = 0;
    if (json_.size() - at_ < 6) {
      return std::nullopt;
    }
    const char* digits = json_.data() + at_ + 2;
    if (std::from_chars(digits, digits + 4, unit, 16).ptr != digits + 4) {
      return std::nullopt;
    }
    at_ += 6;
    return unit;
  }

  std::string_view json_;
  std::size_t at_ = 0;
  std::optional<JsonFault> fault_;
};

}  // namespace

std::optional<JsonFault> json_fault(std::string_view json) {
  return Checker(json).run();
}

bool is_json_number(std::string_view token) {
  return !token.empty() && number_length(token) == token.size();
}

std::string_view first_token(std::string_view rest) {
  return rest.substr(0, rest.find_first_of(" \t\r\n,:[]{}\""));
}

std::string in_quotes(std::string_view text) {
  constexpr std::size_t kLongest = 48;
  std::string_view shown = text.substr(0, kLongest);
  if (shown.size() < text.size()) {
    std::size_t end = shown.size();
    while (end > 0 && is_continuation(text[end])) {
      --end;
    }
    shown = text.substr(0, end);
  }
  const bool is_utf8 = simdjson::validate_utf8(shown.data(), shown.size());
  std::string out = "'";
  for (const char c : shown) {
    const auto byte = static_cast<unsigned char>(c);
    out += byte < 0x20 || byte == 0x7F || (byte >= 0x80 && !is_utf8) ? '?' : c;
  }
  if (shown.size() < text.size()) {
    out += "…";
  }
  return out += '\'';
}

}  // namespace podsense::protocol
