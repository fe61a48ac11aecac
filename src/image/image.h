#pragma once

/// Image bytes → model input. Hostile input meets limits first: `inspect` reads the header alone,
/// and nothing is decoded whose declared size is over the limit. The format is told by content,
/// never by a declared type.
///
///   Scratch scratch;                                   // one per thread, reused
///   std::vector<float> tensor(element_count(spec));
///   auto done = to_tensor(bytes, spec, limits, std::span<float>(tensor), scratch);
///
/// Pixels that are missing or wrong are an error, never half an answer: a file that ends early
/// (the error says how much was there), image data that does not decode, a wrong checksum of a
/// PNG's data. Damage that no pixel depends on is none: bytes between JPEG segments, bytes after
/// the end, an end marker or end chunk that is missing, metadata of any kind, and data below the
/// last row the crop needs in a JPEG that ends with its end marker. Colour profiles and gamma are
/// ignored, as Pillow ignores them; of 16-bit samples the high byte counts; CMYK is taken as
/// inverted, as everyone writes it.
///
/// Transparency is laid over white. Orientation is honoured as by Pillow's ImageOps.exif_transpose:
/// EXIF where it has the tag (APP1, eXIf, WebP's EXIF, PNG's "Raw profile type exif" where there is
/// no eXIf), else XMP, else PNG's "Raw profile type APP1" and "xmp". Scaled JPEG decoding is used
/// as far as the cropped picture stays at least as large as the target.
///
/// Of an animation the first frame counts: of a GIF on its canvas as Pillow lays it, of an AVIF
/// sequence its first picture. An AVIF's own rotation and mirror go before its EXIF.

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/error.h"
#include "base/memory_budget.h"

namespace podsense::image {

enum class Format { kJpeg, kPng, kWebp, kGif, kAvif };
std::string_view mime_type(Format format);

struct Limits {
  std::uint64_t max_bytes = 20ULL << 20U;
  std::uint64_t max_pixels = 8192ULL * 8192;  ///< width × height, from the header
  std::uint32_t max_side = 16'384;
  std::uint32_t max_frames = 1000;  ///< of an animation; only the first is used
  /// What decoding one picture may take, estimated from its header (memory_needed). Enough for a
  /// progressive JPEG of 8192 × 8192.
  std::uint64_t max_memory = 512ULL << 20U;
  MemoryBudget* budget = nullptr;  ///< that all pictures share; null: none
  /// Decoding stops here (progressive JPEG scans make time per byte unbounded).
  Duration max_time = std::chrono::seconds(5);
};

struct Info {
  Format format{};
  std::uint32_t width = 0;  ///< as stored, before orientation
  std::uint32_t height = 0;
  std::uint32_t frames = 1;
  int orientation = 1;  ///< 1..8, as EXIF counts
  /// What the decoder itself will hold at most, estimated from the header: coefficients of
  /// progressive JPEGs, whole pictures of interlaced PNG and of WebP. See memory_needed.
  std::uint64_t decoder_bytes = 0;
};

enum class Resize {
  kCropThenResize,  ///< centre square of crop_fraction × short side, then to width × height
  kResizeThenCrop,  ///< short side to max(width, height) / crop_fraction, then centre crop
                    ///< (torchvision)
  kSquash,          ///< whole picture to width × height, aspect ratio not kept
  kLetterbox,       ///< whole picture inside width × height, aspect kept, padded with `pad_value`
};
enum class Filter { kBicubic, kBilinear, kLanczos, kBox, kNearest };  ///< antialiased, as Pillow's
enum class Channels { kRgb, kBgr, kGray };
enum class Layout { kNchw, kNhwc };

/// How a picture becomes a tensor: value = (byte × scale − mean[c]) / std[c].
struct TensorSpec {
  std::uint32_t width = 224;
  std::uint32_t height = 224;
  Resize resize = Resize::kCropThenResize;
  double crop_fraction = 0.875;  ///< 0 < f ≤ 1
  Filter filter = Filter::kBicubic;
  Channels channels = Channels::kRgb;
  Layout layout = Layout::kNchw;
  float scale = 1.0F;
  std::array<float, 3> mean{127.0F, 127.0F, 127.0F};
  std::array<float, 3> std{128.0F, 128.0F, 128.0F};
  std::uint8_t pad_value = 0;
  bool pad_after = false;  ///< kLetterbox: the picture lies at the top left, not in the middle
  /// JPEG: decode at 1/2, 1/4 or 1/8 where the cropped picture stays as large as the target. False
  /// decodes in full, which agrees to the byte with Pillow's (docs/adr/0005) and costs up to 4×.
  bool scaled_decoding = true;
};

/// Where a tensor's pixels lie in its picture: picture x = left + tensor x × scale_x, and so for y.
struct Geometry {
  std::uint32_t width = 0;  ///< of the picture as it is displayed, which is after orientation
  std::uint32_t height = 0;
  double left = 0;  ///< of the tensor's corner, in pixels of the picture; negative: padding
  double top = 0;
  double scale_x = 1;  ///< pixels of the picture for one of the tensor
  double scale_y = 1;
  std::uint32_t frames = 1;  ///< of an animation; the first is the picture
};

std::size_t element_count(const TensorSpec& spec);  ///< channels × height × width
std::size_t channel_count(Channels channels);

/// Buffers that grow to what one thread needs and stay, up to 64 MB. @threads confined to one
/// thread
class Scratch {
 public:
  Scratch();
  ~Scratch();
  Scratch(Scratch&&) noexcept;
  Scratch& operator=(Scratch&&) noexcept;
  [[nodiscard]] std::size_t bytes() const;  ///< held now
  struct Impl;
  Impl& impl() { return *impl_; }

 private:
  std::unique_ptr<Impl> impl_;
};

/// Format by content. @errors kUnsupportedMedia: none of them; the message says what the bytes look
/// like (HEIC, HTML, …), what to do about it and what is accepted
Result<Format> sniff(std::span<const std::byte> bytes);

/// Header only; a few microseconds, no allocation in proportion to the declared size.
/// @errors as to_tensor
Result<Info> inspect(std::span<const std::byte> bytes, const Limits& limits);

/// What to_tensor will take at most for a picture, in bytes without the tensor and the file: what
/// the decoder holds, and the rows on their way. An estimate from the header alone, for a budget
/// over many pictures; a few percent above what is used where that is large.
std::uint64_t memory_needed(const Info& info, const TensorSpec& spec);

/// Decodes, orients, resizes, normalises into `out`.
/// @shape  out: element_count(spec) values, [C,H,W] or [H,W,C]
/// @return where the tensor's pixels lie in the picture
/// @errors kUnsupportedMedia; kPayloadTooLarge: bytes, pixels, side, frames or memory over the
///         limit;
///         kOverloaded: the budget has too little left now; kUnprocessable: truncated or corrupt;
///         kDeadlineExceeded: over max_time (WebP: looked at every 64 KiB, so a small file's time
///         is bounded by its pixels, as an AVIF's is); kUnavailable: no memory; kInternal: `out` or
///         `spec` out of range
/// @threads any; takes 1 to 60 ms of CPU, never call it from an I/O thread
/// @source Pillow's Image.resize (support, a = −0.5 for bicubic, renormalised at the borders)
Result<Geometry> to_tensor(std::span<const std::byte> bytes, const TensorSpec& spec,
                           const Limits& limits, std::span<float> out, Scratch& scratch);

/// The same for models that take raw bytes: no normalisation. @shape [H,W,C] or [C,H,W] uint8
Result<Geometry> to_tensor(std::span<const std::byte> bytes, const TensorSpec& spec,
                           const Limits& limits, std::span<std::uint8_t> out, Scratch& scratch);

}  // namespace podsense::image
