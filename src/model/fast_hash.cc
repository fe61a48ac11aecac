#include "model/fast_hash.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <memory>

namespace podsense::model {
namespace {

constexpr std::array<std::uint64_t, 4> kSecret{0xa0761d6478bd642f, 0xe7037ed1a0b428db,
                                               0x8ebc6af09c88c6e3, 0x589965cc75374cc3};

std::uint64_t fold(std::uint64_t a, std::uint64_t b) {
  __extension__ using Wide = unsigned __int128;
  const Wide product = static_cast<Wide>(a) * b;
  return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64U);
}

std::uint64_t word(const std::byte* at) {
  std::uint64_t value = 0;
  std::memcpy(&value, at, sizeof value);
  return value;
}

/// Four lanes of 16 bytes each, so that multiplications overlap.
struct Lanes {
  std::array<std::uint64_t, 4> value;

  void block(const std::byte* at) {
    for (std::size_t i = 0; i < value.size(); ++i) {
      value[i] = fold(word(at + (16 * i)) ^ kSecret[i], word(at + (16 * i) + 8) ^ value[i]) ^
                 (value[i] << 1U | value[i] >> 63U);
    }
  }
};

}  // namespace

std::string Hash128::hex() const {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string out(32, '0');
  for (unsigned i = 0; i < 16; ++i) {
    out[15 - i] = kDigits[(high >> (4U * i)) & 0xFU];
    out[31 - i] = kDigits[(low >> (4U * i)) & 0xFU];
  }
  return out;
}

Hash128 fast_hash(std::span<const std::byte> bytes, Hash128 seed) {
  constexpr std::size_t kBlock = 64;
  Lanes lanes{{seed.low ^ kSecret[0], seed.high ^ kSecret[1], seed.low ^ kSecret[2],
               seed.high ^ kSecret[3]}};
  const std::size_t size = bytes.size();
  std::size_t at = 0;
  for (; at + kBlock <= size; at += kBlock) {
    lanes.block(bytes.data() + at);
  }
  if (at < size) {
    std::array<std::byte, kBlock> rest{};
    std::memcpy(rest.data(), bytes.data() + at, size - at);
    lanes.block(rest.data());
  }
  const auto& v = lanes.value;
  return {.low = fold(fold(v[0] ^ size, v[1] ^ kSecret[2]), v[2] ^ v[3] ^ kSecret[0]),
          .high = fold(fold(v[2] ^ kSecret[1], v[3] ^ size), v[0] ^ v[1] ^ kSecret[3])};
}

Hash128 fast_hash(std::string_view text, Hash128 seed) {
  return fast_hash(std::as_bytes(std::span(text)), seed);
}

std::optional<Hash128> fast_hash_file(const std::filesystem::path& path, Hash128 seed) {
  constexpr std::size_t kPiece = 1U << 18U;
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    return std::nullopt;
  }
  const auto piece = std::make_unique_for_overwrite<std::byte[]>(kPiece);
  std::optional<Hash128> hash = seed;
  for (;;) {
    // Hash only full blocks, so that short reads do not change the result.
    std::size_t filled = 0;
    ssize_t got = 0;
    while (filled < kPiece && ((got = ::read(fd, piece.get() + filled, kPiece - filled)) > 0 ||
                               (got < 0 && errno == EINTR))) {
      filled += got > 0 ? static_cast<std::size_t>(got) : 0;
    }
    if (got < 0) {
      hash.reset();
      break;
    }
    if (filled == 0) {
      break;
    }
    hash = fast_hash({piece.get(), filled}, *hash);
    if (filled < kPiece) {
      break;
    }
  }
  ::close(fd);
  return hash;
}

}  // namespace podsense::model
