#include "image/exif.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <string_view>

#include "image/bytes.h"

namespace podsense::image {
namespace {

using std::string_view_literals::operator""sv;

constexpr std::uint32_t kOrientationTag = 0x0112;
constexpr std::size_t kEntrySize = 12;
constexpr std::size_t kMaxEntries = 512;

enum Type : std::uint32_t {
  kByte = 1,
  kAscii = 2,
  kShort = 3,
  kLong = 4,
  kRational = 5,
  kSignedByte = 6,
  kUndefined = 7,
  kSignedShort = 8,
  kSignedLong = 9,
  kSignedRational = 10,
  kFloat = 11,
  kDouble = 12,
  kDirectory = 13,
  kLong8 = 16,
};

std::size_t size_of(std::uint32_t type) {
  switch (type) {
    case kByte:
    case kAscii:
    case kSignedByte:
    case kUndefined:
      return 1;
    case kShort:
    case kSignedShort:
      return 2;
    case kLong:
    case kSignedLong:
    case kFloat:
    case kDirectory:
      return 4;
    case kRational:
    case kSignedRational:
    case kDouble:
    case kLong8:
      return 8;
    default:
      return 0;
  }
}

/// A TIFF block in its own byte order.
struct Tiff {
  Bytes block;
  bool little = false;
  [[nodiscard]] std::uint32_t u16(std::size_t at) const {
    return little ? le16(block, at) : be16(block, at);
  }
  [[nodiscard]] std::uint32_t u32(std::size_t at) const {
    return little ? le32(block, at) : be32(block, at);
  }
  [[nodiscard]] std::uint64_t u64(std::size_t at) const {
    const std::uint64_t first = u32(at);
    const std::uint64_t second = u32(at + 4);
    return little ? second << 32U | first : first << 32U | second;
  }
};

/// The number of `type` at `at`; 0 if it is not a number. Negative numbers become large ones.
double number(const Tiff& tiff, std::uint32_t type, std::size_t at) {
  switch (type) {
    case kSignedByte:
      return u8_at(tiff.block, at);
    case kShort:
    case kSignedShort:
      return tiff.u16(at);
    case kLong:
    case kSignedLong:
    case kDirectory:
      return tiff.u32(at);
    case kRational:
    case kSignedRational:
      return tiff.u32(at + 4) == 0 ? 0 : static_cast<double>(tiff.u32(at)) / tiff.u32(at + 4);
    case kFloat:
      return std::bit_cast<float>(tiff.u32(at));
    case kDouble:
      return std::bit_cast<double>(tiff.u64(at));
    case kLong8:
      return static_cast<double>(tiff.u64(at));
    default:
      return 0;
  }
}

/// Values of another type, or out of range, mean no rotation.
int orientation_at(const Tiff& tiff, std::uint32_t type, std::size_t at) {
  const double value = number(tiff, type, at);
  return value >= 1 && value <= 8 && value == std::floor(value) ? static_cast<int>(value) : 1;
}

/// The tag in the directory at `directory`: its first entry with a value. Values over four bytes
/// are stored at an offset. An entry whose values exceed the block is skipped; an entry that is
/// itself truncated ends the directory, as in Pillow.
std::optional<int> orientation_in(const Tiff& tiff, std::size_t directory) {
  const std::size_t size = tiff.block.size();
  const std::size_t room = (size - directory - 2) / kEntrySize;
  const std::size_t entries = std::min<std::size_t>({tiff.u16(directory), room, kMaxEntries});
  std::uint64_t values = 0;
  for (std::size_t i = 0; i < entries; ++i) {
    const std::size_t entry = directory + 2 + i * kEntrySize;
    const std::uint32_t type = tiff.u16(entry + 2);
    const std::uint64_t bytes = std::uint64_t{size_of(type)} * tiff.u32(entry + 4);
    std::size_t at = entry + 8;
    if (bytes > 4) {
      values += bytes;
      if (values > size) {
        continue;
      }
      at = tiff.u32(entry + 8);
      if (at > size || bytes > size - at) {
        return std::nullopt;
      }
    }
    if (bytes > 0 && tiff.u16(entry) == kOrientationTag) {
      return orientation_at(tiff, type, at);
    }
  }
  return std::nullopt;
}

}  // namespace

std::optional<int> exif_orientation(std::span<const std::byte> block) {
  for (int i = 0; i < 2 && matches(block, 0, "Exif\0\0"sv); ++i) {
    block = block.subspan(6);
  }
  if (block.empty()) {
    return std::nullopt;
  }
  const bool little = matches(block, 0, "II*\0"sv) || matches(block, 0, "II\0*"sv);
  const bool big = matches(block, 0, "MM\0*"sv) || matches(block, 0, "MM*\0"sv);
  if (block.size() < 8 || (!little && !big)) {
    return 1;
  }
  const Tiff tiff{.block = block, .little = little};
  const std::size_t directory = tiff.u32(4);
  if (directory > block.size() || block.size() - directory < 2) {
    return std::nullopt;
  }
  return orientation_in(tiff, directory);
}

std::optional<int> xmp_orientation(std::span<const std::byte> packet) {
  const std::string_view text(static_cast<const char*>(static_cast<const void*>(packet.data())),
                              packet.size());
  constexpr auto kName = "tiff:Orientation"sv;
  for (auto at = text.find(kName); at != std::string_view::npos; at = text.find(kName, at + 1)) {
    auto rest = text.substr(at + kName.size());
    if (rest.starts_with("=\"")) {
      rest.remove_prefix(2);
    } else if (rest.starts_with('>')) {
      rest.remove_prefix(1);
    } else {
      continue;
    }
    if (!rest.empty() && rest.front() >= '0' && rest.front() <= '9') {
      const int value = rest.front() - '0';
      return value >= 1 && value <= 8 ? value : 1;
    }
  }
  return std::nullopt;
}

}  // namespace podsense::image
