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

/// Kept as digests: a memory dump shows no key, and all have one length to compare.
class Keys {
 public:
  /// A byte order mark in front of UTF-8 is passed over.
  /// @errors kInvalidArgument: unreadable, a line without a colon, a key too short or too long or
  ///         that no header can hold, a name or key given twice, none at all
  static Result<Keys> read(const std::filesystem::path& path);

  /// The key's name, or "" when there is none. Takes the same time whichever key it is.
  [[nodiscard]] std::string_view find(std::string_view key) const;

 private:
  struct Entry {
    std::string name;
    Digest digest{};
  };
  Result<void> add(std::string_view name, std::string_view key, const std::string& where);
  std::vector<Entry> entries_;
};

/// What changes when a file, or any file of a folder, does; "" when it cannot be looked at.
std::string fingerprint(const std::filesystem::path& path);

/// A whole small file. @errors kInvalidArgument: unreadable or over 1 MiB
Result<std::string> read_small_file(const std::filesystem::path& path);

}  // namespace podsense::access
