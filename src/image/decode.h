#pragma once

/// The interface of the decoders: read a header for checking limits, and decode into a Pipeline.

#include <optional>
#include <string>
#include <utility>

#include "base/clock.h"
#include "base/error.h"
#include "image/bytes.h"
#include "image/image.h"
#include "image/pipeline.h"

namespace podsense::image {

struct Header {
  Info info;
  bool gray = false;      ///< decodes to one channel
  bool animated = false;  ///< WebP with an animation chunk, even with one frame
  /// Why the picture cannot be decoded. Reported only after the size limits are checked, so that a
  /// truncated, too large picture gets the size error, which also applies to the complete file.
  std::optional<Error> fault;
};

/// The time allowed for one picture.
class Budget {
 public:
  explicit Budget(Duration time) : deadline_(Deadline::after(SteadyClock().now(), time)) {}
  [[nodiscard]] bool spent() const { return deadline_.passed(SteadyClock().now()); }

 private:
  Deadline deadline_;
};

inline tl::unexpected<Error> too_slow() {
  return fail(ErrorCode::kDeadlineExceeded,
              "the picture takes longer to decode than is allowed here");
}
inline tl::unexpected<Error> corrupt(std::string_view format, std::string_view why) {
  return fail(ErrorCode::kUnprocessable,
              std::string("the ").append(format).append(" cannot be decoded: ").append(why));
}

inline Header with_fault(Header header, tl::unexpected<Error> fault) {
  header.fault = std::move(fault).value();
  return header;
}

/// Turns a header's fault into an error, for decoding.
template <class Parsed>
Result<Parsed> without_fault(Result<Parsed> parsed) {
  if (parsed && parsed->header.fault) {
    return fail(std::move(*parsed->header.fault));
  }
  return parsed;
}

/// The error for a truncated file. `rows`: approximate number of complete rows
inline tl::unexpected<Error> truncated(std::string_view format, std::uint64_t rows,
                                       std::uint64_t of) {
  return corrupt(format, "it is truncated: about " + std::to_string(rows) + " of " +
                             std::to_string(of) + " rows are there");
}

/// Reads the format's header: sizes, frames, orientation, memory for decoding. Applies no limits
/// and allocates nothing. Faults after the sizes are stored in the header's `fault`.
/// @errors kUnprocessable
Result<Header> jpeg_header(Bytes bytes);
Result<Header> png_header(Bytes bytes);
Result<Header> webp_header(Bytes bytes);
Result<Header> gif_header(Bytes bytes);
/// @errors also kUnavailable: libavif allocates memory for the container's lists
Result<Header> avif_header(Bytes bytes);

/// Decodes the pipeline's region, row by row.
/// @errors kUnprocessable, kDeadlineExceeded, kUnavailable (no memory)
Result<void> decode_jpeg(Bytes bytes, const Source& source, Pipeline& pipeline,
                         Workspace& workspace, const Budget& budget);
Result<void> decode_png(Bytes bytes, const Source& source, const Limits& limits, Pipeline& pipeline,
                        Workspace& workspace, const Budget& budget);
Result<void> decode_webp(Bytes bytes, Pipeline& pipeline, Workspace& workspace,
                         const Budget& budget);
Result<void> decode_gif(Bytes bytes, Pipeline& pipeline, Workspace& workspace,
                        const Budget& budget);
Result<void> decode_avif(Bytes bytes, Pipeline& pipeline, Workspace& workspace,
                         const Budget& budget);

}  // namespace podsense::image
