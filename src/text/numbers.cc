#include "text/numbers.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>

namespace podsense::text {
namespace {

struct Unit {
  std::string_view name;
  double seconds;
};
constexpr std::array<Unit, 7> kUnits{{{.name = "ns", .seconds = 1e-9},
                                      {.name = "us", .seconds = 1e-6},
                                      {.name = "µs", .seconds = 1e-6},
                                      {.name = "ms", .seconds = 1e-3},
                                      {.name = "s", .seconds = 1},
                                      {.name = "m", .seconds = 60},
                                      {.name = "h", .seconds = 3600}}};
constexpr double kLongestSeconds = 1000.0 * 3600;

/// A number at the begin of `text`, which is cut off.
std::optional<double> take_number(std::string_view& text) {
  double value = 0;
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), value, std::chars_format::fixed);
  if (error != std::errc() || !std::isfinite(value)) {
    return std::nullopt;
  }
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return value;
}

std::string printed(const char* format, double value) {
  std::array<char, 64> buffer;
  const int length = std::snprintf(buffer.data(), buffer.size(), format, value);
  return {buffer.data(), static_cast<std::size_t>(length)};
}

/// Three digits.
std::string digits(double value) {
  const double size = std::abs(value);
  return printed(size >= 99.95 ? "%.0f" : size >= 9.995 ? "%.1f" : "%.2f", value);
}

}  // namespace

std::optional<double> parse_number(std::string_view text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(value)) {
    return std::nullopt;
  }
  return value;
}

std::optional<std::string> json_number(std::string_view text) {
  const std::string_view sign = text.starts_with('-') ? "-" : "";
  if (text.starts_with('-') || text.starts_with('+')) {
    text.remove_prefix(1);
  }
  if (text.starts_with('-') || !parse_number(text)) {
    return std::nullopt;
  }
  const std::size_t whole = std::min(text.find_first_not_of("0123456789"), text.size());
  std::string_view digits = text.substr(0, whole);
  while (digits.size() > 1 && digits.starts_with('0')) {
    digits.remove_prefix(1);
  }
  std::string out(sign);
  out += digits.empty() ? "0" : digits;
  text.remove_prefix(whole);
  if (text.starts_with('.')) {
    const std::size_t fraction = std::min(text.find_first_not_of("0123456789", 1), text.size());
    out += fraction > 1 ? text.substr(0, fraction) : std::string_view();
    text.remove_prefix(fraction);
  }
  return out.append(text);
}

std::optional<Duration> parse_duration(std::string_view text) {
  double seconds = 0;
  bool first = true;
  while (first || !text.empty()) {
    const auto value = take_number(text);
    if (!value || *value < 0) {
      return std::nullopt;
    }
    std::size_t letters = 0;
    while (letters < text.size() && text[letters] != '.' &&
           (text[letters] < '0' || text[letters] > '9')) {
      ++letters;
    }
    const std::string_view name = text.substr(0, letters);
    text.remove_prefix(letters);
    const Unit* unit = nullptr;
    for (const Unit& candidate : kUnits) {
      unit = candidate.name == name ? &candidate : unit;
    }
    const bool bare = first && name.empty() && text.empty();
    if (unit == nullptr && !bare) {
      return std::nullopt;
    }
    seconds += *value * (bare ? 1 : unit->seconds);
    first = false;
  }
  if (seconds > kLongestSeconds) {
    return std::nullopt;
  }
  return Duration(std::llround(seconds * 1e9));
}

std::string format_duration(Duration duration) {
  const double seconds = to_seconds(duration);
  if (seconds >= 0.9995) {
    return seconds >= 120 ? printed("%.0f s", seconds) : digits(seconds) + " s";
  }
  return seconds >= 0.9995e-3 ? digits(seconds * 1e3) + " ms" : digits(seconds * 1e6) + " µs";
}

std::string format_count(std::uint64_t count) {
  std::string text = std::to_string(count);
  for (std::size_t at = text.size(); at > 3;) {
    at -= 3;
    text.insert(at, ",");
  }
  return text;
}

std::string format_number(double value) {
  if (value >= 1000) {
    return format_count(static_cast<std::uint64_t>(std::llround(value)));
  }
  std::string text = digits(value);
  if (text.find('.') != std::string::npos) {
    text.erase(text.find_last_not_of('0') + 1);
    if (text.back() == '.') {
      text.pop_back();
    }
  }
  return text;
}

std::string format_share(double share) {
  return format_number(share * 100) + " %";
}

std::string format_share_tenths(double share) {
  return format_rate(std::round(share * 1000) / 10) + " %";
}

std::string format_rate(double value) {
  std::array<char, 32> buffer;
  const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value).ptr;
  return {buffer.data(), end};
}

std::string format_bytes(std::uint64_t bytes) {
  constexpr std::array<std::string_view, 5> kNames{"B", "kB", "MB", "GB", "TB"};
  auto value = static_cast<double>(bytes);
  std::size_t unit = 0;
  while (value >= 999.5 && unit + 1 < kNames.size()) {
    value /= 1000;
    ++unit;
  }
  return (unit == 0 ? std::to_string(bytes) : digits(value)) + " " + std::string(kNames[unit]);
}

}  // namespace podsense::text
