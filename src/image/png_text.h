#pragma once

/// Orientation in a PNG's text chunks, where ImageMagick, exiftool and Photoshop put it.

#include "image/bytes.h"
#include "image/exif.h"

namespace podsense::image {

/// Looks into one tEXt, zTXt or iTXt chunk: XMP ("XML:com.adobe.xmp"), EXIF in hexadecimal ("Raw
/// profile type exif", "Raw profile type APP1"), XMP likewise ("Raw profile type xmp"). Chunks of
/// other names cost nothing; compressed ones are inflated up to 1 MiB. What cannot be read says
/// nothing. `has_exif`: the file has an eXIf chunk, which a raw profile does not override.
/// @param ihdr   the file's first 33 bytes, signature and IHDR
/// @param chunk  whole, with length and checksum
/// @return whether the chunk was of such a name
bool read_png_text(Bytes ihdr, Bytes chunk, bool has_exif, OrientationTags& tags);

}  // namespace podsense::image
