#include "server/setting_types.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <system_error>

#include "base/ascii.h"
#include "base/secrets.h"

namespace podsense::server {

namespace {

constexpr std::size_t kMaxQuoted = 64;

bool is_control(char c) {
  return static_cast<unsigned char>(c) < 0x20 || c == 0x7F;
}

/// Parses all of `text` as decimal digits; nullopt: other characters, or overflow.
std::optional<std::uint64_t> whole_number(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) {
    return std::nullopt;
  }
  return value;
}

/// Parses all of `text` as digits with at most one point; no sign, exponent, inf or nan.
std::optional<double> decimal(std::string_view text) {
  const bool plain = !text.empty() && std::ranges::all_of(text, [](char c) {
    return ascii::is_digit(c) || c == '.';
  });
  double value = 0;
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), value, std::chars_format::fixed);
  if (!plain || error != std::errc() || end != text.data() + text.size()) {
    return std::nullopt;
  }
  return value;
}

struct SizeUnit {
  std::string_view name;
  std::uint64_t factor;
};
constexpr std::array<SizeUnit, 14> kSizeUnits{{{"", 1},
                                               {"b", 1},
                                               {"k", 1'000},
                                               {"kb", 1'000},
                                               {"ki", 1ULL << 10U},
                                               {"kib", 1ULL << 10U},
                                               {"m", 1'000'000},
                                               {"mb", 1'000'000},
                                               {"mi", 1ULL << 20U},
                                               {"mib", 1ULL << 20U},
                                               {"g", 1'000'000'000},
                                               {"gb", 1'000'000'000},
                                               {"gi", 1ULL << 30U},
                                               {"gib", 1ULL << 30U}}};

std::optional<std::uint64_t> size_in_bytes(std::string_view text) {
  const auto digits =
      static_cast<std::size_t>(std::ranges::find_if_not(text, ascii::is_digit) - text.begin());
  const auto number = whole_number(text.substr(0, digits));
  const std::string unit = ascii::lower(ascii::trim(text.substr(digits)));
  const auto* known = std::ranges::find(kSizeUnits, unit, &SizeUnit::name);
  if (!number || known == kSizeUnits.end() ||
      *number > std::numeric_limits<std::uint64_t>::max() / known->factor) {
    return std::nullopt;
  }
  return *number * known->factor;
}

struct TimeUnit {
  std::string_view name;
  std::int64_t nanoseconds;
};
/// Longest first: the order in which format_duration tries them.
constexpr std::array<TimeUnit, 7> kTimeUnits{{{"h", 3'600'000'000'000},
                                              {"m", 60'000'000'000},
                                              {"s", 1'000'000'000},
                                              {"ms", 1'000'000},
                                              {"us", 1'000},
                                              {"\xC2\xB5s", 1'000},
                                              {"ns", 1}}};

/// Removes a number with its unit from the front of `rest`.
std::optional<double> take_nanoseconds(std::string_view& rest) {
  const auto in_number = [](char c) { return ascii::is_digit(c) || c == '.'; };
  const auto number_end =
      static_cast<std::size_t>(std::ranges::find_if_not(rest, in_number) - rest.begin());
  const auto number = decimal(rest.substr(0, number_end));
  rest.remove_prefix(number_end);
  const auto unit_end =
      static_cast<std::size_t>(std::ranges::find_if(rest, in_number) - rest.begin());
  const std::string unit = ascii::lower(ascii::trim(rest.substr(0, unit_end)));
  rest.remove_prefix(unit_end);
  const auto* known = std::ranges::find(kTimeUnits, unit, &TimeUnit::name);
  if (!number || known == kTimeUnits.end()) {
    return std::nullopt;
  }
  return *number * static_cast<double>(known->nanoseconds);
}

std::optional<Duration> duration_of(std::string_view text) {
  // Above 2^53 ns (104 days) a double is not exact; no setting allows more.
  constexpr double kMaxNanoseconds = 9e15;
  double total = 0;
  if (const auto seconds = decimal(text)) {
    total = *seconds * 1e9;
  } else {
    if (text.empty()) {
      return std::nullopt;
    }
    while (!text.empty()) {
      const auto part = take_nanoseconds(text);
      if (!part) {
        return std::nullopt;
      }
      total += *part;
    }
  }
  if (!(total <= kMaxNanoseconds)) {
    return std::nullopt;
  }
  return Duration(std::llround(total));
}

}  // namespace

Parsed<std::uint64_t> parse_integer(std::string_view text, const IntegerRange& range) {
  const auto value = whole_number(text);
  if (!value || *value < range.min || *value > range.max) {
    return tl::unexpected("must be a whole number from " + std::to_string(range.min) + " to " +
                          std::to_string(range.max));
  }
  return *value;
}

Parsed<double> parse_number(std::string_view text, const NumberRange& range) {
  const auto value = decimal(text);
  if (!value || *value < range.min || *value > range.max) {
    return tl::unexpected("must be a number from " + format_number(range.min) + " to " +
                          format_number(range.max));
  }
  return *value;
}

Parsed<std::uint64_t> parse_size(std::string_view text, const SizeRange& range) {
  const auto value = size_in_bytes(text);
  if (!value || *value < range.min || *value > range.max) {
    return tl::unexpected("must be a size from " + format_size(range.min) + " to " +
                          format_size(range.max) + ", such as 10485760, 10MB or 10MiB");
  }
  return *value;
}

Parsed<Duration> parse_duration(std::string_view text, const DurationRange& range) {
  const auto value = duration_of(text);
  if (!value || *value < range.min || *value > range.max) {
    return tl::unexpected("must be a duration from " + format_duration(range.min) + " to " +
                          format_duration(range.max) + ", such as 30 (seconds), 500ms or 1m30s");
  }
  return *value;
}

Parsed<std::pair<std::string, std::string>> parse_encoded_pair(std::string_view text) {
  const auto wrong = [] {
    return tl::unexpected(
        std::string("must be NAME=VALUE, with % only before two hexadecimal digits, and no control "
                    "characters"));
  };
  const auto equals = text.find('=');
  const std::string name(ascii::trim(text.substr(0, equals)));
  if (equals == std::string_view::npos || name.empty() ||
      std::ranges::any_of(name, [](char c) { return c <= ' ' || c == ':' || c == 0x7F; })) {
    return wrong();
  }
  std::string value;
  for (std::string_view rest = ascii::trim(text.substr(equals + 1)); !rest.empty();) {
    std::size_t size = 1;
    char c = rest[0];
    if (c == '%') {
      size = 3;
      unsigned byte = 0;
      const std::string_view digits = rest.substr(1, 2);
      const auto [end, error] =
          std::from_chars(digits.data(), digits.data() + digits.size(), byte, 16);
      if (digits.size() != 2 || error != std::errc() || end != digits.data() + 2) {
        return wrong();
      }
      c = static_cast<char>(byte);
    }
    if (is_control(c)) {
      return wrong();
    }
    value += c;
    rest.remove_prefix(size);
  }
  return std::pair(name, value);
}

std::string percent_encoded(std::string_view text) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    if (c > ' ' && c <= '~' && c != '%' && c != ',' && c != ';') {
      out += c;
      continue;
    }
    const auto byte = static_cast<unsigned char>(c);
    out.append(1, '%').append(1, kDigits[byte >> 4U]).append(1, kDigits[byte & 15U]);
  }
  return out;
}

Parsed<bool> parse_boolean(std::string_view text) {
  constexpr std::array<std::string_view, 4> kTrue{"true", "1", "yes", "on"};
  constexpr std::array<std::string_view, 4> kFalse{"false", "0", "no", "off"};
  const std::string word = ascii::lower(text);
  if (std::ranges::find(kTrue, word) != kTrue.end()) {
    return true;
  }
  if (std::ranges::find(kFalse, word) != kFalse.end()) {
    return false;
  }
  return tl::unexpected(std::string("must be true or false (also yes, no, on, off, 1, 0)"));
}

Parsed<std::string> parse_string(std::string_view text) {
  constexpr std::size_t kMaxLength = 4096;
  if (text.size() > kMaxLength || std::ranges::any_of(text, is_control)) {
    return tl::unexpected(
        std::string("must be at most 4096 bytes of text without control characters"));
  }
  return std::string(text);
}

std::string format_size(std::uint64_t bytes) {
  constexpr std::array<std::pair<unsigned, std::string_view>, 3> kUnits{
      {{30U, "GiB"}, {20U, "MiB"}, {10U, "KiB"}}};
  for (const auto& [shift, name] : kUnits) {
    if (bytes != 0 && bytes % (1ULL << shift) == 0) {
      return std::to_string(bytes >> shift).append(name);
    }
  }
  return std::to_string(bytes);
}

std::string format_duration(Duration duration) {
  const auto count = duration.count();
  if (count == 0) {
    return "0s";
  }
  for (const TimeUnit& unit : kTimeUnits) {
    if (count % unit.nanoseconds == 0) {
      return std::to_string(count / unit.nanoseconds).append(unit.name);
    }
  }
  return {};  // unreachable: the last unit divides everything
}

std::string format_number(double value) {
  // A double in fixed notation can have 325 characters; settings have few.
  std::array<char, 400> buffer{};
  const auto [end, error] =
      std::to_chars(buffer.data(), buffer.data() + buffer.size(), value, std::chars_format::fixed);
  return error == std::errc() ? std::string(buffer.data(), end) : std::string();
}

std::string in_quotes(std::string_view given) {
  const std::string shown = without_secrets(given);
  const std::string_view text = shown;
  std::string out = "'";
  for (const char c : text.substr(0, kMaxQuoted)) {
    out.push_back(is_control(c) ? '?' : c);
  }
  out.append(text.size() > kMaxQuoted ? "…'" : "'");
  return out;
}

std::vector<std::string> split_list(std::string_view text) {
  std::vector<std::string> items;
  while (!text.empty()) {
    const auto comma = std::min(text.find(','), text.size());
    if (const auto item = ascii::trim(text.substr(0, comma)); !item.empty()) {
      items.emplace_back(item);
    }
    text.remove_prefix(std::min(comma + 1, text.size()));
  }
  return items;
}

std::optional<std::string> any_string(std::string_view /*text*/) {
  return std::nullopt;
}

std::optional<std::string> listen_address(std::string_view text) {
  if (text.empty() || text.find_first_of(ascii::kBlanks) != std::string_view::npos) {
    return "must be an address such as 0.0.0.0 or ::1";
  }
  return std::nullopt;
}

std::optional<std::string> model_name(std::string_view text) {
  return text.empty() ? "must be a model name" : model_name_or_empty(text);
}

std::optional<std::string> model_name_or_empty(std::string_view text) {
  const auto allowed = [](char c) {
    return ascii::is_alphanumeric(c) || c == '.' || c == '_' || c == '-';
  };
  if (text.size() > 64 || text.starts_with('.') || !std::ranges::all_of(text, allowed)) {
    return "must be a model name: 1 to 64 of A-Z a-z 0-9 . _ - and no leading dot";
  }
  return std::nullopt;
}

std::optional<std::string> cors_origin(std::string_view text) {
  constexpr std::string_view kFault =
      "must be an origin such as https://example.com or http://localhost:3000, without a path, "
      "or *";
  if (text == "*") {
    return std::nullopt;
  }
  for (const std::string_view scheme : {"https://", "http://"}) {
    if (text.starts_with(scheme)) {
      const auto host = text.substr(scheme.size());
      const bool plain = !host.empty() && host.find_first_of("/?#@ \"',") == std::string::npos;
      return plain ? std::nullopt : std::optional<std::string>(kFault);
    }
  }
  return std::string(kFault);
}

}  // namespace podsense::server
