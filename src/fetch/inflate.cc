#include "fetch/inflate.h"

#include <zlib.h>

#include <algorithm>
#include <array>

namespace podsense::fetch {

struct AnswerInflater::Stream {
  z_stream z{};
  bool ready = false;
  bool ended = false;
};

AnswerInflater::AnswerInflater() : stream_(std::make_unique<Stream>()) {
  constexpr int kGzip = 15 + 16;
  stream_->ready = inflateInit2(&stream_->z, kGzip) == Z_OK;
}

AnswerInflater::~AnswerInflater() {
  if (stream_->ready) {
    inflateEnd(&stream_->z);
  }
}

AnswerInflater::Result AnswerInflater::add(std::string_view data, std::string& out,
                                           std::uint64_t max) {
  auto& z = stream_->z;
  if (!stream_->ready) {
    return Result::kCorrupt;
  }
  std::string input(data);  // zlib needs non-const input
  z.next_in = static_cast<Bytef*>(static_cast<void*>(input.data()));
  z.avail_in = static_cast<uInt>(input.size());
  std::array<char, std::size_t{16} << 10U> buffer{};
  while (!stream_->ended) {
    z.next_out = static_cast<Bytef*>(static_cast<void*>(buffer.data()));
    z.avail_out = static_cast<uInt>(buffer.size());
    const int code = inflate(&z, Z_NO_FLUSH);
    const std::size_t made = buffer.size() - z.avail_out;
    if (code != Z_OK && code != Z_STREAM_END && code != Z_BUF_ERROR) {
      return Result::kCorrupt;
    }
    if (made > max - std::min<std::uint64_t>(max, out.size())) {
      return Result::kTooLarge;
    }
    out.append(buffer.data(), made);
    stream_->ended = code == Z_STREAM_END;
    if (z.avail_out != 0) {
      break;  // all input is consumed
    }
  }
  return Result::kGood;
}

bool AnswerInflater::complete() const {
  return stream_->ended;
}

bool is_gzip(std::string_view data) {
  return data.starts_with("\x1F\x8B");
}

}  // namespace podsense::fetch
