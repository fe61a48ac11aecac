#pragma once

/// The orientation of a picture from its metadata, as in Pillow's ImageOps.exif_transpose: EXIF if
/// it has the tag, else XMP.

#include <cstddef>
#include <optional>
#include <span>

namespace podsense::image {

/// Orientation 1..8 from an EXIF block: a TIFF header, with or without "Exif\0\0" before it. All
/// number types are accepted (SHORT is usual, some programs write LONG) except BYTE, as in Pillow.
/// The first entry of the tag counts. The result is 1 for a value out of range or of another type,
/// and for a block that is not TIFF. It is nothing for a block that is empty, has no such tag, or
/// ends before it: bad metadata must not make a picture fail. Reads at most the first 512 entries
/// of the first directory.
/// @source TIFF 6.0 section 2; EXIF 2.32 tag 0x0112; Pillow Image.getexif
std::optional<int> exif_orientation(std::span<const std::byte> block);

/// The first `tiff:Orientation="N"` or `<tiff:Orientation>N` of an XMP packet; 1 if out of range.
/// @source Pillow Image.getexif
std::optional<int> xmp_orientation(std::span<const std::byte> packet);

/// A file's orientation tags, by source.
struct OrientationTags {
  std::optional<int> exif;
  std::optional<int> xmp;
  std::optional<int> other;  ///< sources that Pillow does not read
  [[nodiscard]] int orientation() const { return exif.value_or(xmp.value_or(other.value_or(1))); }
};

}  // namespace podsense::image
