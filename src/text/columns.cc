#include "text/columns.h"

#include <algorithm>

namespace podsense::text {
namespace {

std::string blanks(std::string_view text, std::size_t width) {
  return std::string(width - std::min(width, width_of(text)), ' ');
}

}  // namespace

std::size_t width_of(std::string_view text) {
  return static_cast<std::size_t>(std::ranges::count_if(
      text, [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80; }));
}

std::string right(std::string_view text, std::size_t width) {
  return blanks(text, width).append(text);
}

std::string left(std::string_view text, std::size_t width) {
  return std::string(text) + blanks(text, width);
}

}  // namespace podsense::text
