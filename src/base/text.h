#pragma once

/// Text functions for every module: JSON strings and numbers, and the closest known name.

#include <charconv>
#include <concepts>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace podsense {

/// Appends `text` quoted and escaped for JSON. Bytes that are not UTF-8 become U+FFFD.
void append_json_string(std::string& out, std::string_view text);

/// Appends the shortest number that parses back to the same value. NaN and infinity become `null`,
/// as JSON has neither.
void append_json_number(std::string& out, double value);
void append_json_number(std::string& out, float value);
void append_json_number(std::string& out, std::integral auto value) {
  char buffer[24];
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, value).ptr;
  out.append(buffer, end);
}

/// Like append_json_number, but writes to `at`, which needs room for kJsonNumberSize bytes. Returns
/// the end.
inline constexpr std::size_t kJsonNumberSize = 25;
char* write_json_number(char* at, double value);
char* write_json_number(char* at, float value);
char* write_json_number(char* at, std::integral auto value) {
  return std::to_chars(at, at + kJsonNumberSize, value).ptr;
}

/// The candidate with the smallest edit distance if it is close enough to be a typing error, else
/// "". The result borrows from `candidates`.
std::string_view nearest_name(std::string_view name, std::span<const std::string_view> candidates);

}  // namespace podsense
