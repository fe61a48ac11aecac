#include "image/thumbnail.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <csetjmp>
// clang-format off: jpeglib.h needs cstdio before it, and jerror.h needs jpeglib.h
#include <cstdio>
#include <jpeglib.h>
#include <jerror.h>
// clang-format on
#include <new>
#include <vector>

#include "image/geometry.h"

namespace podsense::image {
namespace {

constexpr std::array kQualities{70, 50, 32, 18, 8, 3};

/// libjpeg with RAII, as in jpeg.cc. Fails if the output exceeds the buffer.
class Encoder {
 public:
  Encoder() {
    cinfo_.err = jpeg_std_error(&errors_);
    errors_.error_exit = [](j_common_ptr cinfo) {
      longjmp(static_cast<Encoder*>(cinfo->client_data)->jump_, 1);  // NOLINT(cert-err52-cpp)
    };
    errors_.output_message = [](j_common_ptr) {};
    cinfo_.client_data = this;
    target_.init_destination = [](j_compress_ptr) {};
    target_.term_destination = [](j_compress_ptr) {};
    target_.empty_output_buffer = [](j_compress_ptr cinfo) -> boolean {
      ERREXIT(cinfo, JERR_BUFFER_SIZE);
      return FALSE;
    };
  }
  Encoder(const Encoder&) = delete;
  Encoder& operator=(const Encoder&) = delete;
  ~Encoder() { jpeg_destroy_compress(&cinfo_); }

  /// Encodes into `room`; returns the JPEG's size in bytes, or 0 if it does not fit.
  std::size_t encode(std::vector<std::uint8_t>& rgb, const TensorSpec& size, int quality,
                     std::string& room) {
    if (setjmp(jump_) != 0) {  // NOLINT(cert-err52-cpp): libjpeg knows no other way
      jpeg_abort_compress(&cinfo_);
      return 0;
    }
    jpeg_create_compress(&cinfo_);  // clears all but err and client_data
    cinfo_.dest = &target_;
    target_.next_output_byte = static_cast<JOCTET*>(static_cast<void*>(room.data()));
    target_.free_in_buffer = room.size();
    cinfo_.image_width = size.width;
    cinfo_.image_height = size.height;
    cinfo_.input_components = 3;
    cinfo_.in_color_space = JCS_RGB;
    jpeg_set_defaults(&cinfo_);
    jpeg_set_quality(&cinfo_, quality, TRUE);
    cinfo_.optimize_coding = TRUE;
    jpeg_start_compress(&cinfo_, TRUE);
    while (cinfo_.next_scanline < cinfo_.image_height) {
      JSAMPROW line = rgb.data() + std::size_t{3} * size.width * cinfo_.next_scanline;
      jpeg_write_scanlines(&cinfo_, &line, 1);
    }
    jpeg_finish_compress(&cinfo_);
    const std::size_t used = room.size() - target_.free_in_buffer;
    jpeg_destroy_compress(&cinfo_);
    return used;
  }

 private:
  jpeg_compress_struct cinfo_{};
  jpeg_error_mgr errors_{};
  jpeg_destination_mgr target_{};
  std::jmp_buf jump_{};
};

/// The thumbnail's size, as a preprocessing spec.
TensorSpec small_spec(const Info& info) {
  const bool transposed = orientation_of(info.orientation).transposed;
  const std::uint32_t width = transposed ? info.height : info.width;
  const std::uint32_t height = transposed ? info.width : info.height;
  const double scale = std::min(1.0, kThumbnailSide / static_cast<double>(std::max(width, height)));
  const auto side = [scale](std::uint32_t full) {
    return std::max(1U, static_cast<std::uint32_t>(std::lround(full * scale)));
  };
  return {.width = side(width),
          .height = side(height),
          .resize = Resize::kSquash,
          .filter = Filter::kBilinear,
          .layout = Layout::kNhwc};
}

}  // namespace

Result<std::string> thumbnail(std::span<const std::byte> bytes, const Limits& limits,
                              Scratch& scratch) {
  const auto info = inspect(bytes, limits);
  if (!info) {
    return fail(info.error());
  }
  const TensorSpec spec = small_spec(*info);
  std::vector<std::uint8_t> rgb(element_count(spec));
  if (auto done = to_tensor(bytes, spec, limits, std::span(rgb), scratch); !done) {
    return fail(std::move(done.error()));
  }
  std::string jpeg(kThumbnailBytes, '\0');
  for (const int quality : kQualities) {
    Encoder encoder;
    if (const std::size_t used = encoder.encode(rgb, spec, quality, jpeg); used > 0) {
      jpeg.resize(used);
      return jpeg;
    }
  }
  return fail(ErrorCode::kUnprocessable, "the picture has too much detail for a thumbnail");
}

}  // namespace podsense::image
