#pragma once

/// Which way up a picture is shown, from its metadata. As Pillow's ImageOps.exif_transpose decides:
/// EXIF where it has the tag at all, else XMP.

#include <cstddef>
#include <optional>
#include <span>

namespace podsense::image {

/// Orientation 1..8 from an EXIF block: a TIFF header, with or without "Exif\0\0" before it. Any
/// type of number counts (SHORT is usual, some programs write LONG); BYTE does not, as in Pillow.
/// The first entry of the tag counts. A value out of range or of another type is 1, and so is a
/// block that is no TIFF; an empty one, one without the tag, or one that ends before it, is none:
/// bad metadata must not lose the picture.
/// Reads at most the first 512 entries of the first directory.
/// @source TIFF 6.0 section 2; EXIF 2.32 tag 0x0112; Pillow Image.getexif
std::optional<int> exif_orientation(std::span<const std::byte> block);

/// The first `tiff:Orientation="N"` or `<tiff:Orientation>N` of an XMP packet; 1 out of range.
/// @source Pillow Image.getexif
std::optional<int> xmp_orientation(std::span<const std::byte> packet);

/// What a file's metadata say, by place.
struct OrientationTags {
  std::optional<int> exif;
  std::optional<int> xmp;
  std::optional<int> other;  ///< places that Pillow does not read
  [[nodiscard]] int orientation() const { return exif.value_or(xmp.value_or(other.value_or(1))); }
};

}  // namespace podsense::image
