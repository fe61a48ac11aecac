#pragma once

/// Converts image bytes to model input. Limits protect against hostile input: `inspect` reads only
/// the header, and a picture whose declared size exceeds the limit is not decoded. The format is
/// recognised by content, never by a declared type.
///
///   Scratch scratch;                                   // one per thread, reused
///   std::vector<float> tensor(element_count(spec));
///   auto done = to_tensor(bytes, spec, limits, std::span<float>(tensor), scratch);
///
/// Missing or wrong pixels are an error, never a partial result: a truncated file (the error says
/// how much was there), image data that cannot be decoded, a wrong checksum of PNG data. Damage
/// that affects no pixel is ignored: bytes between JPEG segments or after the end, a missing end
/// marker or end chunk, any metadata, and data below the last row that the crop needs in a JPEG
/// that ends with its end marker. Colour profiles and gamma are ignored, as in Pillow. Of 16-bit
/// samples the high byte is used. CMYK is treated as inverted, as all programs write it.
///
/// Transparent pixels are composed over white. Orientation is applied as in Pillow's
/// ImageOps.exif_transpose: EXIF if it has the tag (APP1, eXIf, WebP's EXIF, or PNG's "Raw profile
/// type exif" without eXIf), else XMP, else PNG's "Raw profile type APP1" and "xmp". JPEGs are
/// decoded at reduced size as long as the cropped picture is at least as large as the target.
///
/// Of an animation the first frame is used: of a GIF composed on its canvas as in Pillow, of an
/// AVIF sequence its first picture. An AVIF's own rotation and mirroring have priority over its
/// EXIF.

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
  /// Maximum memory for decoding one picture, bytes, estimated from its header (memory_needed).
  /// Enough for a progressive JPEG of 8192 × 8192.
  std::uint64_t max_memory = 512ULL << 20U;
  MemoryBudget* budget = nullptr;  ///< shared by all pictures; null: none
  /// Maximum decoding time (with progressive JPEG scans the time per byte is unlimited).
  Duration max_time = std::chrono::seconds(5);
};

struct Info {
  Format format{};
  std::uint32_t width = 0;  ///< as stored, before orientation
  std::uint32_t height = 0;
  std::uint32_t frames = 1;
  int orientation = 1;  ///< 1..8, as in EXIF
  /// Maximum memory of the decoder itself, estimated from the header: coefficients of progressive
  /// JPEGs, whole pictures of interlaced PNG and of WebP. See memory_needed.
  std::uint64_t decoder_bytes = 0;
};

enum class Resize {
  kCropThenResize,  ///< centre square of crop_fraction × short side, then to width × height
  kResizeThenCrop,  ///< short side to max(width, height) / crop_fraction, then centre crop
                    ///< (torchvision)
  kSquash,          ///< whole picture to width × height, aspect ratio not kept
  kLetterbox,       ///< whole picture inside width × height, aspect kept, padded with `pad_value`
};
enum class Filter { kBicubic, kBilinear, kLanczos, kBox, kNearest };  ///< antialiased, as in Pillow
enum class Channels { kRgb, kBgr, kGray };
enum class Layout { kNchw, kNhwc };

/// How to convert a picture to a tensor: value = (byte × scale − mean[c]) / std[c].
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
  bool pad_after = false;  ///< kLetterbox: picture at the top left instead of the centre
  /// JPEG: decode at 1/2, 1/4 or 1/8 if the cropped picture is still at least as large as the
  /// target. False: decode in full, which gives exactly Pillow's bytes (docs/adr/0005) and takes up
  /// to 4× as long.
  bool scaled_decoding = true;
};

/// The position of a tensor's pixels in its picture: picture x = left + tensor x × scale_x, and
/// likewise for y.
struct Geometry {
  std::uint32_t width = 0;  ///< of the displayed picture, after orientation
  std::uint32_t height = 0;
  double left = 0;  ///< of the tensor's corner in the picture, pixels; negative: padding
  double top = 0;
  double scale_x = 1;  ///< picture pixels per tensor pixel
  double scale_y = 1;
  std::uint32_t frames = 1;  ///< of an animation; the first one is used
};

std::size_t element_count(const TensorSpec& spec);  ///< channels × height × width
std::size_t channel_count(Channels channels);

/// A thread's buffers, which grow as needed and are kept, up to 64 MB. @threads confined to one
/// thread
class Scratch {
 public:
  Scratch();
  ~Scratch();
  Scratch(Scratch&&) noexcept;
  Scratch& operator=(Scratch&&) noexcept;
  [[nodiscard]] std::size_t bytes() const;  ///< memory held now
  struct Impl;
  Impl& impl() { return *impl_; }

 private:
  std::unique_ptr<Impl> impl_;
};

/// Recognises the format by content. @errors kUnsupportedMedia: unsupported; the message says what
/// the bytes look like (HEIC, HTML, …), what to do, and what is accepted
Result<Format> sniff(std::span<const std::byte> bytes);

/// Reads only the header: takes a few microseconds; allocations do not depend on the declared size.
/// @errors as to_tensor
Result<Info> inspect(std::span<const std::byte> bytes, const Limits& limits);

/// The maximum memory of to_tensor for a picture, in bytes, without the tensor and the file: the
/// decoder and the buffered rows. An estimate from the header, for a budget over many pictures; a
/// few percent too high for large pictures.
std::uint64_t memory_needed(const Info& info, const TensorSpec& spec);

/// Decodes, orients, resizes, normalises into `out`.
/// @shape  out: element_count(spec) values, [C,H,W] or [H,W,C]
/// @return the position of the tensor's pixels in the picture
/// @errors kUnsupportedMedia; kPayloadTooLarge: bytes, pixels, side, frames or memory over the
/// limit; kOverloaded: the budget has too little memory left now; kUnprocessable: truncated or
/// corrupt; kDeadlineExceeded: over max_time (for WebP checked every 64 KiB, so the time of a small
/// file is only limited by its pixels, as for AVIF); kUnavailable: no memory; kInternal: `out` or
/// `spec` out of range
/// @threads any; takes 1 to 60 ms of CPU, never call it from an I/O thread
/// @source Pillow's Image.resize (support, a = −0.5 for bicubic, renormalised at the borders)
Result<Geometry> to_tensor(std::span<const std::byte> bytes, const TensorSpec& spec,
                           const Limits& limits, std::span<float> out, Scratch& scratch);

/// The same without normalisation, for models that take bytes. @shape [H,W,C] or [C,H,W] uint8
Result<Geometry> to_tensor(std::span<const std::byte> bytes, const TensorSpec& spec,
                           const Limits& limits, std::span<std::uint8_t> out, Scratch& scratch);

}  // namespace podsense::image
