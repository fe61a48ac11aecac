#pragma once

/// A 128-bit hash at memory speed, for accidents only (fingerprints, cache keys, torn files).
/// Whoever wants to be sure who made a file uses SHA-256.
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

/// Chain by giving the last result as `seed`; pieces count: hash(a + b) differs from hash(b,
/// hash(a)).
Hash128 fast_hash(std::span<const std::byte> bytes, Hash128 seed = {});
Hash128 fast_hash(std::string_view text, Hash128 seed = {});

/// Reads the file in pieces. Empty when it cannot be read.
std::optional<Hash128> fast_hash_file(const std::filesystem::path& path, Hash128 seed = {});

}  // namespace podsense::model
