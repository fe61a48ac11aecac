#include "http/gzip.h"

#define ZLIB_CONST  // next_in may point to const
#include <zlib.h>

#include <algorithm>
#include <limits>

namespace podsense::http {
namespace {
constexpr std::size_t kSlice = 256U << 10U;
constexpr int kGzipOnly = 16 + MAX_WBITS;
}  // namespace

struct Inflater::Stream {
  z_stream z{};
  bool ready = false;
};

Inflater::Inflater(std::string_view compressed, std::uint64_t max_bytes)
    : stream_(std::make_unique<Stream>()), max_bytes_(max_bytes) {
  stream_->z.next_in = reinterpret_cast<const Bytef*>(compressed.data());
  // Bodies are bounded far below 4 GiB before they come here.
  stream_->z.avail_in =
      static_cast<uInt>(std::min<std::size_t>(compressed.size(), std::numeric_limits<uInt>::max()));
  stream_->ready = inflateInit2(&stream_->z, kGzipOnly) == Z_OK;
}

Inflater::~Inflater() {
  if (stream_->ready) {
    inflateEnd(&stream_->z);
  }
}

Result<bool> Inflater::step() {
  if (!stream_->ready) {
    return fail(ErrorCode::kInternal, "gzip is not available");
  }
  z_stream& z = stream_->z;
  const std::size_t had = out_.size();
  // Not resize: zeros written for each member of a body of empty ones would be an attack's gain.
  out_.resize_and_overwrite(had + kSlice, [](char*, std::size_t size) { return size; });
  z.next_out = reinterpret_cast<Bytef*>(out_.data() + had);
  z.avail_out = static_cast<uInt>(kSlice);
  const int status = inflate(&z, Z_NO_FLUSH);
  out_.resize(had + kSlice - z.avail_out);
  if (out_.size() > max_bytes_) {
    return fail(
        ErrorCode::kPayloadTooLarge,
        "the body is larger than " + std::to_string(max_bytes_) + " bytes when its gzip is undone");
  }
  if (status == Z_STREAM_END) {
    if (z.avail_in == 0) {
      return true;
    }
    // A gzip file may have several members; anything else behind the first is an error.
    return inflateReset2(&z, kGzipOnly) == Z_OK
               ? Result<bool>(false)
               : fail(ErrorCode::kInternal, "gzip is not available");
  }
  if (status != Z_OK || (z.avail_in == 0 && z.avail_out > 0)) {
    return fail(ErrorCode::kInvalidArgument,
                "Content-Encoding is gzip, but the body is not: it is corrupt or cut off");
  }
  return false;
}

}  // namespace podsense::http
