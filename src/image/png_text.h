#pragma once

/// Reads the orientation from a PNG's text chunks, as written by ImageMagick, exiftool and
/// Photoshop.

#include "image/bytes.h"
#include "image/exif.h"

namespace podsense::image {

/// Reads one tEXt, zTXt or iTXt chunk: XMP ("XML:com.adobe.xmp"), or hexadecimal EXIF ("Raw profile
/// type exif", "Raw profile type APP1") or XMP ("Raw profile type xmp"). Chunks with other names
/// cost nothing; compressed ones are decompressed up to 1 MiB. Invalid chunks are ignored.
/// `has_exif`: the file has an eXIf chunk, which has priority over a raw profile.
/// @param ihdr the first 33 bytes of the file: signature and IHDR
/// @param chunk the complete chunk, with length and checksum
/// @return whether the chunk has one of these names
bool read_png_text(Bytes ihdr, Bytes chunk, bool has_exif, OrientationTags& tags);

}  // namespace podsense::image
