#pragma once

/// Text that every module writes: JSON strings and numbers, and the nearest known name.

#include <charconv>
#include <concepts>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace podsense {

/// Appends `text` quoted and escaped for JSON. Bytes that are not UTF-8 become U+FFFD.
void append_json_string(std::string& out, std::string_view text);

/// Shortest form that reads back to the same value; JSON has no NaN or infinity: `null`.
void append_json_number(std::string& out, double value);
void append_json_number(std::string& out, float value);
void append_json_number(std::string& out, std::integral auto value) {
  char buffer[24];
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, value).ptr;
  out.append(buffer, end);
}

/// The same at `at`, which has room for kJsonNumberSize bytes; returns the end.
inline constexpr std::size_t kJsonNumberSize = 25;
char* write_json_number(char* at, double value);
char* write_json_number(char* at, float value);
char* write_json_number(char* at, std::integral auto value) {
  return std::to_chars(at, at + kJsonNumberSize, value).ptr;
}

/// The candidate with the smallest edit distance when it is near enough to be a slip, else "".
/// The result borrows from `candidates`.
std::string_view nearest_name(std::string_view name, std::span<const std::string_view> candidates);

}  // namespace podsense
