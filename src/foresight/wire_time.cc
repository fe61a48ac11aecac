#include <array>
#include <charconv>
#include <chrono>

#include "foresight/snapshot.h"

namespace podsense::foresight {
namespace {

/// The whole text as digits.
std::optional<int> digits(std::string_view text) {
  int value = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') {
      return std::nullopt;
    }
    value = value * 10 + (c - '0');
  }
  return text.empty() || text.size() > 4 ? std::nullopt : std::optional(value);
}

/// ".123" → 123 ms; takes it off the front.
std::optional<Duration> fraction(std::string_view& text) {
  constexpr std::size_t kNanoDigits = 9;
  if (!text.starts_with('.')) {
    return Duration::zero();
  }
  std::size_t end = 1;
  std::int64_t value = 0;
  for (; end < text.size() && text[end] >= '0' && text[end] <= '9'; ++end) {
    value = end <= kNanoDigits ? value * 10 + (text[end] - '0') : value;
  }
  for (std::size_t i = end; i <= kNanoDigits; ++i) {
    value *= 10;
  }
  text.remove_prefix(end);
  return end > 1 ? std::optional(Duration(value)) : std::nullopt;
}

/// "Z", "+01:00"
std::optional<std::chrono::minutes> offset(std::string_view text) {
  if (text == "Z" || text == "z") {
    return std::chrono::minutes(0);
  }
  if (text.size() != 6 || text[3] != ':' || (text[0] != '+' && text[0] != '-')) {
    return std::nullopt;
  }
  const auto hours = digits(text.substr(1, 2));
  const auto minutes = digits(text.substr(4, 2));
  if (!hours || !minutes) {
    return std::nullopt;
  }
  const std::chrono::minutes size(*hours * 60 + *minutes);
  return text[0] == '-' ? -size : size;
}

}  // namespace

std::optional<Duration> parse_rfc3339(std::string_view text) {
  constexpr std::size_t kWhole = 19;
  constexpr std::string_view kShape = "0000-00-00T00:00:00";
  if (text.size() <= kWhole) {
    return std::nullopt;
  }
  std::array<int, 6> parts{};
  for (std::size_t i = 0, part = 0; i < kWhole; ++part) {
    const std::size_t end = std::min(kShape.find_first_not_of('0', i), kWhole);
    const auto value = digits(text.substr(i, end - i));
    if (!value || (end < kWhole && text[end] != kShape[end])) {
      return std::nullopt;
    }
    parts[part] = *value;
    i = end + 1;
  }
  std::string_view rest = text.substr(kWhole);
  const auto part = fraction(rest);
  const auto east = part ? offset(rest) : std::nullopt;
  const std::chrono::year_month_day day(std::chrono::year(parts[0]),
                                        std::chrono::month(static_cast<unsigned>(parts[1])),
                                        std::chrono::day(static_cast<unsigned>(parts[2])));
  const bool is_sound = day.ok() && parts[0] >= 1970 && parts[0] < 2200 && parts[3] < 24 &&
                        parts[4] < 60 && parts[5] <= 60;
  if (!east || !is_sound) {
    return std::nullopt;
  }
  return std::chrono::sys_days(day).time_since_epoch() + std::chrono::hours(parts[3]) +
         std::chrono::minutes(parts[4]) + std::chrono::seconds(parts[5]) + *part - *east;
}

std::optional<Duration> parse_go_duration(std::string_view text) {
  constexpr double kMostSeconds = 1e9;
  struct Unit {
    std::string_view name;
    double seconds;
  };
  constexpr std::array kUnits{Unit{"ms", 1e-3}, Unit{"us", 1e-6}, Unit{"ns", 1e-9},
                              Unit{"h", 3600},  Unit{"m", 60},    Unit{"s", 1}};
  double sum = 0;
  if (text.empty()) {
    return std::nullopt;
  }
  while (!text.empty()) {
    double value = 0;
    const auto [end, fault] =
        std::from_chars(text.data(), text.data() + text.size(), value, std::chars_format::fixed);
    if (fault != std::errc{} || !(value >= 0)) {
      return std::nullopt;
    }
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    const Unit* unit = nullptr;
    for (const Unit& one : kUnits) {
      unit = unit == nullptr && text.starts_with(one.name) ? &one : unit;
    }
    if (unit == nullptr) {
      return std::nullopt;
    }
    text.remove_prefix(unit->name.size());
    sum += value * unit->seconds;
  }
  return sum <= kMostSeconds ? std::optional(Duration(static_cast<std::int64_t>(sum * 1e9)))
                             : std::nullopt;
}

}  // namespace podsense::foresight
