#include "access/keys.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <sys/stat.h>

#include <algorithm>

#include "base/ascii.h"
#include "base/small_file.h"
#include "base/utf8.h"

namespace podsense::access {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMaxFile = 1U << 20U;
constexpr std::size_t kMinKey = 16;
constexpr std::size_t kMaxKey = 512;

tl::unexpected<Error> fault(const std::string& where, const std::string& what) {
  return fail(ErrorCode::kInvalidArgument, where + ": " + what);
}

/// Why a header cannot contain this key; empty: it can.
std::string unmatchable(std::string_view key) {
  if (key.find_first_of("\r\n") != std::string_view::npos) {
    return "it has more than one line; a file of a folder holds one key, a file of keys has "
           "NAME:KEY a line";
  }
  if (!is_utf8(key)) {
    return "it is not UTF-8; save the file as UTF-8, without a byte order mark";
  }
  if (std::ranges::any_of(key, [](char c) { return (c >= 0 && c < ' ') || c == 0x7F; })) {
    return "it has control characters";
  }
  return {};
}

/// Removes the byte order mark that some editors write before UTF-8.
std::string_view without_mark(std::string_view text) {
  return text.starts_with(kByteOrderMark) ? text.substr(kByteOrderMark.size()) : text;
}

/// Detects UTF-16, which contains zero bytes and may start with its own mark.
bool is_utf16(std::string_view text) {
  return text.starts_with("\xFF\xFE") || text.starts_with("\xFE\xFF") ||
         text.find('\0') != std::string_view::npos;
}

/// The folder's files in order, without names that start with a dot: there Kubernetes keeps the
/// versions of a mounted Secret.
std::vector<fs::path> files_of(const fs::path& folder) {
  std::vector<fs::path> files;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, error)) {
    std::error_code ignored;
    if (!entry.path().filename().string().starts_with('.') && entry.is_regular_file(ignored)) {
      files.push_back(entry.path());
    }
  }
  std::ranges::sort(files);
  return files;
}

std::string stat_text(const fs::path& path) {
  struct stat seen{};
  if (::stat(path.c_str(), &seen) != 0) {
    return {};
  }
  return path.string() + ' ' + std::to_string(seen.st_ino) + ' ' + std::to_string(seen.st_size) +
         ' ' + std::to_string(seen.st_mtim.tv_sec) + '.' + std::to_string(seen.st_mtim.tv_nsec) +
         '\n';
}

}  // namespace

Digest digest_of(std::string_view text) {
  Digest digest{};
  // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast): bytes of characters
  SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest.data());
  return digest;
}

Result<std::string> read_small_file(const fs::path& path) {
  return read_regular_file(path, kMaxFile);
}

std::string fingerprint(const fs::path& path) {
  std::error_code ignored;
  if (!fs::is_directory(path, ignored)) {
    return stat_text(path);
  }
  std::string all = stat_text(path);
  for (const fs::path& file : files_of(path)) {
    all += stat_text(file);
  }
  return all;
}

Result<void> Keys::add(std::string_view name, std::string_view key, const std::string& where) {
  if (name.empty() || name.size() > 128 ||
      std::ranges::any_of(name, [](char c) { return c <= ' ' || c > '~'; })) {
    return fault(where, "a name has 1 to 128 printable characters without spaces");
  }
  if (key.size() < kMinKey || key.size() > kMaxKey) {
    return fault(where, "key '" + std::string(name) + "' has " + std::to_string(key.size()) +
                            " characters; accepted: " + std::to_string(kMinKey) + " to " +
                            std::to_string(kMaxKey));
  }
  if (const std::string why = unmatchable(key); !why.empty()) {
    return fault(where,
                 "key '" + std::string(name) + "' can never match what a client sends: " + why);
  }
  const Digest digest = digest_of(key);
  for (const Entry& entry : entries_) {
    if (entry.name == name) {
      return fault(where, "the name '" + entry.name + "' is given twice");
    }
    if (entry.digest == digest) {
      return fault(where, "'" + std::string(name) + "' has the same key as '" + entry.name + "'");
    }
  }
  entries_.push_back({.name = std::string(name), .digest = digest});
  return {};
}

Result<Keys> Keys::read(const fs::path& path) {
  Keys keys;
  std::error_code ignored;
  const bool folder = fs::is_directory(path, ignored);
  for (const fs::path& file : folder ? files_of(path) : std::vector{path}) {
    const auto text = read_small_file(file);
    if (!text) {
      return fail(text.error());
    }
    if (is_utf16(*text)) {
      return fault(file.string(),
                   "is not UTF-8 (UTF-16?), so that its keys can never match; save it as UTF-8");
    }
    if (folder) {
      const std::string_view key = ascii::trim(without_mark(*text));
      if (auto added = keys.add(file.filename().string(), key, file.string()); !added) {
        return fail(std::move(added.error()));
      }
      continue;
    }
    std::size_t number = 0;
    for (std::size_t at = text->size() - without_mark(*text).size(); at < text->size();) {
      const std::size_t end = std::min(text->find('\n', at), text->size());
      const std::string_view line = ascii::trim(std::string_view(*text).substr(at, end - at));
      at = end + 1;
      ++number;
      if (line.empty() || line.starts_with('#')) {
        continue;
      }
      const std::string where = file.string() + ":" + std::to_string(number);
      const auto colon = line.find(':');
      if (colon == std::string_view::npos) {
        return fault(where, "a line is NAME:KEY");
      }
      if (auto added = keys.add(ascii::trim(line.substr(0, colon)),
                                ascii::trim(line.substr(colon + 1)), where);
          !added) {
        return fail(std::move(added.error()));
      }
    }
  }
  if (keys.entries_.empty()) {
    return fault(path.string(), "holds no keys; a line is NAME:KEY, a folder has a file for each");
  }
  return keys;
}

std::string_view Keys::find(std::string_view key) const {
  const Digest digest = digest_of(key);
  std::string_view found;
  for (const Entry& entry : entries_) {
    if (CRYPTO_memcmp(entry.digest.data(), digest.data(), digest.size()) == 0) {
      found = entry.name;  // no early exit, which would reveal the position
    }
  }
  return found;
}

}  // namespace podsense::access
