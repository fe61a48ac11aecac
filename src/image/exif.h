#pragma once

/// The one EXIF tag that changes what a picture shows.

#include <cstddef>
#include <span>

namespace podsense::image {

/// Orientation 1..8 from an EXIF block: a TIFF header, with or without "Exif\0\0" before it.
/// Anything missing, out of bounds or out of range is 1: bad metadata must not lose the picture.
/// Reads at most the first 512 entries of the first directory.
/// @source TIFF 6.0 section 2; EXIF 2.32 tag 0x0112
int exif_orientation(std::span<const std::byte> block);

}  // namespace podsense::image
