#pragma once

/// A small JPEG of a picture, to show what was asked about. Always encoded anew: not a byte of the
/// file comes through, neither metadata nor anything hidden in it.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "image/image.h"

namespace podsense::image {

inline constexpr std::uint32_t kThumbnailSide = 320;
inline constexpr std::size_t kThumbnailBytes = 10'000;

/// The whole picture upright, its longer side at most kThumbnailSide pixels and never enlarged, in
/// at most kThumbnailBytes: a picture full of detail gets a lower quality.
/// @return a baseline JPEG of three colours
/// @errors as to_tensor; kUnprocessable: it does not fit
/// @threads any; takes about as long as decoding does, never call it from an I/O thread
Result<std::string> thumbnail(std::span<const std::byte> bytes, const Limits& limits,
                              Scratch& scratch);

}  // namespace podsense::image
