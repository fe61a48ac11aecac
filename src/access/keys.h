#pragma once

/// Named secrets from a file or a folder. Private to this module.

#include <array>
#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace podsense::access {

using Digest = std::array<unsigned char, 32>;
/// SHA-256.
Digest digest_of(std::string_view text);

/// Keys, stored as digests: a memory dump shows no key, and all comparisons have the same length.
class Keys {
 public:
  /// A leading UTF-8 byte order mark is ignored.
  /// @errors kInvalidArgument: unreadable file, line without a colon, key too short, too long or
  /// not possible in a header, duplicate name or key, no keys at all
  static Result<Keys> read(const std::filesystem::path& path);

  /// The name of `key`, or "" if unknown. Takes constant time, independent of which key matches.
  [[nodiscard]] std::string_view find(std::string_view key) const;

 private:
  struct Entry {
    std::string name;
    Digest digest{};
  };
  Result<void> add(std::string_view name, std::string_view key, const std::string& where);
  std::vector<Entry> entries_;
};

/// A text that changes when the file, or any file of the folder, changes; "" if it cannot be read.
std::string fingerprint(const std::filesystem::path& path);

/// Reads a whole file. @errors kInvalidArgument: unreadable or over 1 MiB
Result<std::string> read_small_file(const std::filesystem::path& path);

}  // namespace podsense::access
