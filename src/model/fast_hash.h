#pragma once

/// A 128-bit hash at memory speed. It detects only accidental changes (fingerprints, cache keys,
/// incomplete files); use SHA-256 against deliberate ones.
/// @source the multiply-and-fold step of wyhash (public domain)

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace podsense::model {

struct Hash128 {
  std::uint64_t low = 0;
  std::uint64_t high = 0;
  friend bool operator==(const Hash128&, const Hash128&) = default;
  [[nodiscard]] std::string hex() const;  ///< 32 digits
};

/// To hash several pieces, pass the previous result as `seed`. The division into pieces matters:
/// hash(a + b) differs from hash(b, hash(a)).
Hash128 fast_hash(std::span<const std::byte> bytes, Hash128 seed = {});
Hash128 fast_hash(std::string_view text, Hash128 seed = {});

/// Hashes a file, read in blocks. Nothing: it cannot be read.
std::optional<Hash128> fast_hash_file(const std::filesystem::path& path, Hash128 seed = {});

}  // namespace podsense::model
