#pragma once

/// Creates a small JPEG of a picture for display. It is always re-encoded, so it contains no
/// metadata or other data of the original file.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "image/image.h"

namespace podsense::image {

inline constexpr std::uint32_t kThumbnailSide = 320;
inline constexpr std::size_t kThumbnailBytes = 10'000;

/// The whole picture with its orientation applied. Its longer side has at most kThumbnailSide
/// pixels; it is never enlarged. The JPEG has at most kThumbnailBytes: detailed pictures get a
/// lower quality.
/// @return a baseline JPEG with three colour components
/// @errors as to_tensor; kUnprocessable: it exceeds kThumbnailBytes
/// @threads any; takes about as long as decoding, so never call it on an I/O thread
Result<std::string> thumbnail(std::span<const std::byte> bytes, const Limits& limits,
                              Scratch& scratch);

}  // namespace podsense::image
