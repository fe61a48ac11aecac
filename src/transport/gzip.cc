#include "transport/gzip.h"

#define ZLIB_CONST  // next_in may point to const
#include <zlib.h>

#include <algorithm>
#include <limits>

namespace podsense::transport {
namespace {
constexpr std::size_t kSlice = 256U << 10U;
constexpr int kGzipOnly = 16 + MAX_WBITS;

/// Whether a zlib header starts `data`. @source RFC 1950, section 2.2
bool has_zlib_header(std::string_view data) {
  if (data.size() < 2) {
    return false;
  }
  const auto first = static_cast<unsigned char>(data[0]);
  const auto second = static_cast<unsigned char>(data[1]);
  return (first & 15U) == 8 && (first * 256U + second) % 31 == 0;
}

int window_bits(Coding coding, std::string_view data) {
  if (coding == Coding::kGzip) {
    return kGzipOnly;
  }
  return has_zlib_header(data) ? MAX_WBITS : -MAX_WBITS;
}
}  // namespace

Result<std::string> compress(std::string_view text, Coding coding, Effort effort) {
  z_stream z{};
  constexpr int kMemory = 8;  // zlib's default
  if (text.size() > std::numeric_limits<uInt>::max() ||
      deflateInit2(&z, effort == Effort::kLeast ? Z_BEST_SPEED : Z_DEFAULT_COMPRESSION, Z_DEFLATED,
                   coding == Coding::kGzip ? kGzipOnly : MAX_WBITS, kMemory,
                   Z_DEFAULT_STRATEGY) != Z_OK) {
    return fail(ErrorCode::kInternal, "no memory to compress");
  }
  std::string out(deflateBound(&z, text.size()), '\0');
  z.next_in = reinterpret_cast<const Bytef*>(text.data());
  z.avail_in = static_cast<uInt>(text.size());
  z.next_out = reinterpret_cast<Bytef*>(out.data());
  z.avail_out = static_cast<uInt>(out.size());
  const int done = deflate(&z, Z_FINISH);
  out.resize(z.total_out);
  deflateEnd(&z);
  if (done != Z_STREAM_END) {
    return fail(ErrorCode::kInternal, "the text cannot be compressed");
  }
  return out;
}

struct Inflater::Stream {
  z_stream z{};
  bool ready = false;
};

Inflater::Inflater(std::string_view compressed, Coding coding, std::uint64_t max_bytes)
    : stream_(std::make_unique<Stream>()), coding_(coding), max_bytes_(max_bytes) {
  stream_->z.next_in = reinterpret_cast<const Bytef*>(compressed.data());
  // Bodies are bounded far below 4 GiB before they come here.
  stream_->z.avail_in =
      static_cast<uInt>(std::min<std::size_t>(compressed.size(), std::numeric_limits<uInt>::max()));
  stream_->ready = inflateInit2(&stream_->z, window_bits(coding, compressed)) == Z_OK;
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
  const std::string name = coding_ == Coding::kGzip ? "gzip" : "deflate";
  z_stream& z = stream_->z;
  const std::size_t had = out_.size();
  // Not resize: it would write zeros for every member, which an attacker could exploit with a body
  // of many empty members.
  out_.resize_and_overwrite(had + kSlice, [](char*, std::size_t size) { return size; });
  z.next_out = reinterpret_cast<Bytef*>(out_.data() + had);
  z.avail_out = static_cast<uInt>(kSlice);
  const int status = inflate(&z, Z_NO_FLUSH);
  out_.resize(had + kSlice - z.avail_out);
  if (out_.size() > max_bytes_) {
    return fail(ErrorCode::kPayloadTooLarge, "the body is larger than " +
                                                 std::to_string(max_bytes_) + " bytes when its " +
                                                 name + " is undone");
  }
  if (status == Z_STREAM_END) {
    if (z.avail_in == 0) {
      return true;
    }
    if (coding_ == Coding::kDeflate) {
      return fail(ErrorCode::kInvalidArgument,
                  "Content-Encoding is deflate, and bytes follow its end");
    }
    // A gzip file may have several members; any other data after a member is an error.
    return inflateReset2(&z, kGzipOnly) == Z_OK
               ? Result<bool>(false)
               : fail(ErrorCode::kInternal, "gzip is not available");
  }
  if (status != Z_OK || (z.avail_in == 0 && z.avail_out > 0)) {
    return fail(ErrorCode::kInvalidArgument,
                "Content-Encoding is " + name + ", but the body is not: it is corrupt or cut off");
  }
  return false;
}

Result<std::string> inflate(std::string_view compressed, Coding coding, std::uint64_t max_bytes) {
  Inflater inflater(compressed, coding, max_bytes);
  for (;;) {
    const auto done = inflater.step();
    if (!done) {
      return fail(done.error());
    }
    if (*done) {
      return inflater.take();
    }
  }
}

}  // namespace podsense::transport
