#include "image/exif.h"

#include <algorithm>

#include "image/bytes.h"

namespace podsense::image {
namespace {

constexpr std::uint32_t kOrientationTag = 0x0112;
constexpr std::uint32_t kShortType = 3;
constexpr std::size_t kEntrySize = 12;
constexpr std::size_t kMaxEntries = 512;

}  // namespace

int exif_orientation(std::span<const std::byte> block) {
  using std::string_view_literals::operator""sv;
  if (matches(block, 0, "Exif\0\0"sv)) {
    block = block.subspan(6);
  }
  const bool little = matches(block, 0, "II*\0"sv);
  if (block.size() < 10 || (!little && !matches(block, 0, "MM\0*"sv))) {
    return 1;
  }
  const auto u16 = [&](std::size_t at) { return little ? le16(block, at) : be16(block, at); };
  const std::size_t directory = little ? le32(block, 4) : be32(block, 4);
  if (directory > block.size() - 2) {
    return 1;
  }
  const std::size_t room = (block.size() - directory - 2) / kEntrySize;
  const std::size_t entries = std::min<std::size_t>({u16(directory), room, kMaxEntries});
  for (std::size_t i = 0; i < entries; ++i) {
    const std::size_t entry = directory + 2 + i * kEntrySize;
    if (u16(entry) == kOrientationTag) {
      const std::uint32_t value = u16(entry + 8);
      return u16(entry + 2) == kShortType && value >= 1 && value <= 8 ? static_cast<int>(value) : 1;
    }
  }
  return 1;
}

}  // namespace podsense::image
