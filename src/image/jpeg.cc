/// @source ITU-T T.81 annex B (markers); libjpeg-turbo's libjpeg.txt, "Error handling" and "Partial
///         image decompression"

#include <algorithm>
#include <csetjmp>
// clang-format off: jpeglib.h needs cstdio before it, and jerror.h needs jpeglib.h
#include <cstdio>
#include <jpeglib.h>
#include <jerror.h>
// clang-format on
#include <optional>

#include "image/decode.h"
#include "image/exif.h"

namespace podsense::image {
namespace {

constexpr std::string_view kName = "JPEG";

// --- header: our own parser of the markers, without libjpeg's allocations ---

constexpr bool is_frame(std::uint32_t marker) {
  return marker >= 0xC0 && marker <= 0xCF && marker != 0xC4 && marker != 0xC8 && marker != 0xCC;
}
constexpr bool has_no_length(std::uint32_t marker) {
  return marker == 0x01 || (marker >= 0xD0 && marker <= 0xD8);
}

/// The contents of a frame header.
struct FrameHeader {
  std::uint32_t width = 0;
  std::uint32_t height = 0;
  std::uint32_t components = 0;
  std::uint64_t samples = 0;  ///< of all components, rounded up to whole blocks
  bool progressive = false;
};

/// @param body a frame header without its length: precision, height, width, components, then id,
///             sampling and table of each
FrameHeader frame_header(std::uint32_t marker, Bytes body) {
  FrameHeader frame{.width = be16(body, 3),
                    .height = be16(body, 1),
                    .components = u8_at(body, 5),
                    .progressive = (marker & 3U) == 2};
  const std::size_t count = std::min<std::size_t>(frame.components, (body.size() - 6) / 3);
  const auto factor = [&](std::size_t i, unsigned shift) {
    return std::max(1U, u8_at(body, 7 + 3 * i) >> shift & 15U);
  };
  std::uint32_t max_h = 1;
  std::uint32_t max_v = 1;
  for (std::size_t i = 0; i < count; ++i) {
    max_h = std::max(max_h, factor(i, 4));
    max_v = std::max(max_v, factor(i, 0));
  }
  const auto blocks = [](std::uint64_t size, std::uint64_t part, std::uint64_t of) {
    const std::uint64_t mcus = (size + 8 * of - 1) / (8 * of);
    return mcus * part;
  };
  for (std::size_t i = 0; i < count; ++i) {
    frame.samples +=
        64 * blocks(frame.width, factor(i, 4), max_h) * blocks(frame.height, factor(i, 0), max_v);
  }
  return frame;
}

/// libjpeg's memory: 16-bit coefficients of the whole picture if it has several scans, otherwise
/// some rows of blocks.
std::uint64_t memory_of(const FrameHeader& frame, std::uint32_t components_in_first_scan) {
  constexpr std::uint64_t kRows = 64;
  const std::uint64_t rows = std::uint64_t{frame.width} * frame.components * kRows;
  const bool several = frame.progressive || components_in_first_scan < frame.components;
  return rows + (several ? 2 * frame.samples : 0);
}

/// The next marker at or after `at`; moves `at` past it; 0: the end. Skips bytes between segments,
/// as in libjpeg.
std::uint32_t next_marker(Bytes bytes, std::size_t& at) {
  while (at + 1 < bytes.size()) {
    if (u8_at(bytes, at) == 0xFF && u8_at(bytes, at + 1) != 0xFF && u8_at(bytes, at + 1) != 0) {
      at += 2;
      return u8_at(bytes, at - 1);
    }
    ++at;
  }
  return 0;
}

// --- libjpeg with RAII: its errors return by longjmp, only across frames without destructors

/// Whether a warning means missing or wrong picture data. Other warnings (bytes between segments,
/// odd version numbers, a missing end marker) do not affect pixels.
bool spoils_picture(int message_code) {
  switch (message_code) {
    case JWRN_HIT_MARKER:  // premature end of a data segment
    case JWRN_HUFF_BAD_CODE:
    case JWRN_ARITH_BAD_CODE:
    case JWRN_MUST_RESYNC:
      return true;
    default:
      return false;
  }
}

/// The part of a picture to decode: the region, and margins for correct edges.
struct Cut {
  Region region;
  JDIMENSION begin = 0;  ///< first decoded column
  JDIMENSION width = 0;  ///< decoded columns
};

class Decoder {
 public:
  explicit Decoder(const Budget& budget) : budget_(budget) {
    cinfo_.err = jpeg_std_error(&errors_);
    errors_.error_exit = on_error;
    errors_.emit_message = on_message;
    errors_.output_message = [](j_common_ptr) {};
    cinfo_.client_data = this;
    progress_.progress_monitor = on_progress;
  }
  Decoder(const Decoder&) = delete;
  Decoder& operator=(const Decoder&) = delete;
  ~Decoder() { close(); }

  /// Frees its memory. After that only error() may be called.
  void close() { jpeg_destroy_decompress(&cinfo_); }

  /// Runs libjpeg calls. @return false: one of them failed, see error()
  template <class Step>
  bool guarded(Step step) {
    if (setjmp(jump_) != 0) {  // NOLINT(cert-err52-cpp): libjpeg has no other way
      return false;
    }
    step();
    return true;
  }

  void open(Bytes bytes) {
    jpeg_create_decompress(&cinfo_);  // clears all but err and client_data
    cinfo_.progress = &progress_;
    file_size_ = bytes.size();
    jpeg_mem_src(&cinfo_, static_cast<const unsigned char*>(static_cast<const void*>(bytes.data())),
                 bytes.size());
    jpeg_read_header(&cinfo_, TRUE);
  }

  jpeg_decompress_struct& info() { return cinfo_; }

  /// Whether the picture has several scans and the file ended before all of them. Complete means
  /// every bit of every coefficient in progressive pictures, and every component in others.
  [[nodiscard]] bool lacks_scans() {
    if (!ended_ || jpeg_has_multiple_scans(&cinfo_) == 0) {
      return false;
    }
    return !whole_;
  }

  /// `bytes` cut after the last complete scan, if the scans so far are a complete picture. Needed
  /// because later bytes that look like JPEG markers can prevent decoding.
  [[nodiscard]] std::optional<Bytes> whole_scans(Bytes bytes) const {
    if (late_ || scans_end_ == 0 || scans_end_ >= bytes.size() || !whole_) {
      return std::nullopt;
    }
    return bytes.first(scans_end_);
  }

  [[nodiscard]] tl::unexpected<Error> truncated_here() const {
    const auto rows = std::uint64_t{cinfo_.image_height} * cinfo_.input_iMCU_row;
    const auto there = rows / std::max(1U, cinfo_.total_iMCU_rows);
    if (cinfo_.progressive_mode != 0 || cinfo_.comps_in_scan < cinfo_.num_components) {
      return corrupt(kName, "it is truncated in or after scan " +
                                std::to_string(cinfo_.input_scan_number) + ", which has about " +
                                std::to_string(there) + " of " +
                                std::to_string(cinfo_.image_height) + " rows");
    }
    return truncated(kName, there, cinfo_.image_height);
  }

  [[nodiscard]] tl::unexpected<Error> error() const {
    if (late_) {
      return too_slow();
    }
    if (ended_) {
      return truncated_here();
    }
    if (errors_.msg_code == JERR_OUT_OF_MEMORY) {
      return fail(ErrorCode::kUnavailable, "not enough memory to decode this picture now");
    }
    return corrupt(kName, message_);
  }

 private:
  static Decoder& self(j_common_ptr cinfo) { return *static_cast<Decoder*>(cinfo->client_data); }

  [[noreturn]] static void on_error(j_common_ptr cinfo) {
    auto& decoder = self(cinfo);
    cinfo->err->format_message(cinfo, decoder.message_);
    longjmp(decoder.jump_, 1);  // NOLINT(cert-err52-cpp)
  }
  static void on_message(j_common_ptr cinfo, int level) {
    if (level >= 0) {
      return;
    }
    auto& decoder = self(cinfo);
    if (cinfo->err->msg_code == JWRN_JPEG_EOF) {
      decoder.ended_ = true;
      // The arithmetic decoder continues with zeros and never reports missing data.
      if (decoder.cinfo_.arith_code == 0) {
        return;
      }
    } else if (!spoils_picture(cinfo->err->msg_code)) {
      return;
    }
    // An end marker inside the data, added by a program that truncated the file.
    if (cinfo->err->msg_code == JWRN_HIT_MARKER && decoder.cinfo_.unread_marker == JPEG_EOI) {
      decoder.ended_ = true;
    }
    on_error(cinfo);
  }
  /// Called at least once for each row of blocks of each scan. Enforces the time limit for pictures
  /// with thousands of scans.
  static void on_progress(j_common_ptr cinfo) {
    auto& decoder = self(cinfo);
    if (decoder.budget_.spent()) {
      decoder.late_ = true;
      longjmp(decoder.jump_, 1);  // NOLINT(cert-err52-cpp)
    }
    decoder.note_whole_scan();
  }

  void note_whole_scan() {
    if (cinfo_.total_iMCU_rows == 0 || cinfo_.input_iMCU_row < cinfo_.total_iMCU_rows) {
      return;
    }
    const std::span scan(cinfo_.cur_comp_info, static_cast<std::size_t>(cinfo_.comps_in_scan));
    for (const auto* component : scan) {
      seen_ |= 1U << static_cast<unsigned>(component->component_index);
    }
    whole_ = has_all_scans();
    if (!ended_) {  // the marker after the scan was read, if libjpeg remembers it
      scans_end_ = file_size_ - cinfo_.src->bytes_in_buffer - (cinfo_.unread_marker != 0 ? 2 : 0);
    }
  }

  [[nodiscard]] bool has_all_scans() const {
    const auto components = static_cast<unsigned>(cinfo_.num_components);
    if (cinfo_.progressive_mode == 0) {
      return seen_ == (1U << components) - 1;
    }
    if (cinfo_.coef_bits == nullptr) {
      return false;
    }
    const std::span bits(cinfo_.coef_bits, components);
    return std::ranges::all_of(bits, [](const int(&coefficients)[DCTSIZE2]) {
      return std::ranges::all_of(coefficients, [](int left) { return left == 0; });
    });
  }

  jpeg_decompress_struct cinfo_{};
  jpeg_error_mgr errors_{};
  jpeg_progress_mgr progress_{};
  std::jmp_buf jump_{};
  const Budget& budget_;
  bool late_ = false;
  bool ended_ = false;  ///< libjpeg has read past the end of the file
  std::size_t file_size_ = 0;
  std::size_t scans_end_ = 0;  ///< end of the last complete scan, for pictures with several
  bool whole_ = false;         ///< the scans so far are a complete picture
  std::uint32_t seen_ = 0;     ///< components with a complete scan, one bit each
  char message_[JMSG_LENGTH_MAX] = {};
};

/// The colour space to request from libjpeg for the pipeline's pixels.
J_COLOR_SPACE out_space(const jpeg_decompress_struct& cinfo, Pixels wanted) {
  if (cinfo.num_components == 4) {
    return JCS_CMYK;
  }
  // Luminance already is the grey picture; for RGB it is computed as in Pillow.
  const bool luma = cinfo.jpeg_color_space == JCS_YCbCr || cinfo.jpeg_color_space == JCS_GRAYSCALE;
  return wanted == Pixels::kGray && luma ? JCS_GRAYSCALE : JCS_EXT_RGBX;
}

/// CMYK → RGBX in place. Stored inverted, as all programs write it (Adobe's convention, also
/// assumed by Pillow and browsers).
void inverted_cmyk_to_rgbx(std::uint8_t* row, std::size_t pixels) {
  for (std::size_t i = 0; i < pixels; ++i) {
    std::uint8_t* const p = row + 4 * i;
    const std::uint32_t white = p[3];
    for (int c = 0; c < 3; ++c) {
      const std::uint32_t ink = (255U - p[c]) * white + 128U;
      const std::uint32_t removed = (ink + (ink >> 8U)) >> 8U;
      p[c] = static_cast<std::uint8_t>(white > removed ? white - removed : 0);
    }
  }
}

/// Whether the file ends with JPEG's end marker; then rows below the region need not be decoded to
/// detect truncation.
bool ends_properly(Bytes bytes) {
  return bytes.size() >= 2 && be16(bytes, bytes.size() - 2) == 0xFFD9;
}

/// Whether the sampling is one that cameras, phones and editors write: the first component in full,
/// the others in full or halved along one or both axes. Only for these, rows are skipped or columns
/// cropped with libjpeg-turbo. If one component has 4 rows per row of another, jpeg_skip_scanlines
/// miscounts the rows that smooth upsampling has read ahead; it then reads wrong data or never ends
/// (2.1.5, still in 3.2).
bool skips_reliably(const jpeg_decompress_struct& cinfo) {
  if (cinfo.max_h_samp_factor > 2 || cinfo.max_v_samp_factor > 2) {
    return false;
  }
  const std::span components(cinfo.comp_info, static_cast<std::size_t>(cinfo.num_components));
  const auto largest = [&](const jpeg_component_info& c) {
    return c.h_samp_factor == cinfo.max_h_samp_factor && c.v_samp_factor == cinfo.max_v_samp_factor;
  };
  const auto ordinary = [&](const jpeg_component_info& c) {
    return largest(c) || (c.h_samp_factor == 1 && c.v_samp_factor == 1);
  };
  return largest(components.front()) && std::ranges::all_of(components, ordinary);
}

/// The columns to decode: the region and a margin, because smooth colour upsampling uses
/// neighbours.
Cut cut_of(const jpeg_decompress_struct& cinfo, const Region& region) {
  if (!skips_reliably(cinfo)) {
    return {.region = region, .begin = 0, .width = cinfo.output_width};
  }
  constexpr JDIMENSION kMargin = 16;
  const JDIMENSION begin = region.x > kMargin ? region.x - kMargin : 0;
  const JDIMENSION end = std::min(cinfo.output_width, region.x + region.width + kMargin);
  return {.region = region, .begin = begin, .width = end - begin};
}

struct Rows {
  std::uint8_t* line;
  Pipeline& pipeline;
  bool to_the_end;
};

/// Skips `count` rows; may overwrite `line`.
void skip_rows(jpeg_decompress_struct& cinfo, JDIMENSION count, JSAMPROW line) {
  if (skips_reliably(cinfo)) {
    jpeg_skip_scanlines(&cinfo, count);
    return;
  }
  for (; count > 0; --count) {
    jpeg_read_scanlines(&cinfo, &line, 1);
  }
}

void read_rows(Decoder& decoder, const Cut& cut, const Rows& rows) {
  auto& cinfo = decoder.info();
  const auto& region = cut.region;
  const bool cmyk = cinfo.out_color_space == JCS_CMYK;
  const bool gray_from_colour =
      rows.pipeline.pixels() == Pixels::kGray && cinfo.out_color_space != JCS_GRAYSCALE;
  std::uint8_t* const first = rows.line + std::size_t{region.x - cut.begin} *
                                              static_cast<unsigned>(cinfo.output_components);
  if (region.y > 0) {
    skip_rows(cinfo, region.y, rows.line);
  }
  for (std::uint32_t y = 0; y < region.height; ++y) {
    JSAMPROW line = rows.line;
    jpeg_read_scanlines(&cinfo, &line, 1);
    if (cmyk) {
      inverted_cmyk_to_rgbx(first, region.width);
    }
    if (gray_from_colour) {
      to_gray(first, region.width);
    }
    rows.pipeline.row(y, first);
  }
  if (rows.to_the_end) {
    // Do not skip to the end at once: that would skip the data without checking it.
    if (const auto left = cinfo.output_height - cinfo.output_scanline; left > 0) {
      skip_rows(cinfo, left - 1, rows.line);
      JSAMPROW line = rows.line;
      jpeg_read_scanlines(&cinfo, &line, 1);
    }
  }
}

/// EXIF: the first non-empty block counts (Pillow treats further ones as its continuation). XMP:
/// the last block counts.
void read_app1(Bytes body, bool& has_exif, OrientationTags& tags) {
  using std::string_view_literals::operator""sv;
  constexpr auto kXmp = "http://ns.adobe.com/xap/1.0/\0"sv;
  constexpr auto kExif = "Exif\0\0"sv;
  if (matches(body, 0, kExif)) {
    if (!has_exif) {
      has_exif = body.size() > kExif.size();
      tags.exif = exif_orientation(body);
    }
  } else if (matches(body, 0, kXmp)) {
    tags.xmp = xmp_orientation(body.subspan(kXmp.size()));
  }
}

}  // namespace

Result<Header> jpeg_header(Bytes bytes) {
  Header header{.info = {.format = Format::kJpeg}};
  std::optional<FrameHeader> frame;
  OrientationTags tags;
  bool has_exif = false;
  std::size_t at = 2;
  for (auto marker = next_marker(bytes, at); marker != 0; marker = next_marker(bytes, at)) {
    if (has_no_length(marker)) {
      continue;
    }
    if (marker == 0xD9 || bytes.size() - at < 2) {
      break;
    }
    const std::size_t length = be16(bytes, at);
    if (length < 2) {
      return with_fault(std::move(header), corrupt(kName, "a segment with a length below 2"));
    }
    if (bytes.size() - at < length) {
      break;
    }
    const Bytes body = bytes.subspan(at + 2, length - 2);
    if (marker == 0xDA) {  // the picture's data begins
      if (!frame) {
        return corrupt(kName, "no frame header before the data");
      }
      header.info.orientation = tags.orientation();
      header.info.decoder_bytes = memory_of(*frame, body.empty() ? 0 : u8_at(body, 0));
      return header;
    }
    if (is_frame(marker) && !frame) {
      if (body.size() < 6) {
        return corrupt(kName, "its frame header is too short");
      }
      frame = frame_header(marker, body);
      header.info.height = frame->height;
      header.info.width = frame->width;
      header.gray = frame->components == 1;
    } else if (marker == 0xE1) {
      read_app1(body, has_exif, tags);
    }
    at += length;
  }
  return with_fault(std::move(header), corrupt(kName, "it is truncated or has no picture data"));
}

Result<void> decode_jpeg(Bytes bytes, const Source& source, Pipeline& pipeline,
                         Workspace& workspace, const Budget& budget) {
  Decoder decoder(budget);
  auto& cinfo = decoder.info();
  if (!decoder.guarded([&] { decoder.open(bytes); })) {
    return decoder.error();
  }
  if (cinfo.image_width != source.info.width || cinfo.image_height != source.info.height) {
    return corrupt(kName, "its headers contradict each other");
  }
  cinfo.scale_num = source.eighths;
  cinfo.scale_denom = 8;
  cinfo.out_color_space = out_space(cinfo, pipeline.pixels());
  Cut cut;
  if (!decoder.guarded([&] {
        jpeg_start_decompress(&cinfo);
        cut = cut_of(cinfo, pipeline.region());
        if (cut.width < cinfo.output_width) {
          jpeg_crop_scanline(&cinfo, &cut.begin, &cut.width);
        }
      })) {
    const auto whole = decoder.whole_scans(bytes);
    if (!whole) {
      return decoder.error();
    }
    decoder.close();
    return decode_jpeg(*whole, source, pipeline, workspace, budget);
  }
  if (decoder.lacks_scans()) {
    return decoder.truncated_here();
  }
  const Rows rows{.line = workspace.line.reserve(std::size_t{cut.width} * 4 + kRowPadding),
                  .pipeline = pipeline,
                  .to_the_end = !ends_properly(bytes)};
  if (!decoder.guarded([&] { read_rows(decoder, cut, rows); })) {
    return decoder.error();
  }
  return {};
}

}  // namespace podsense::image
