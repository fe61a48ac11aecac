#pragma once

/// A cache of optimised models, for faster starts on the same kind of machine. Faults (no folder,
/// no space, a damaged file) cost time but never fail a load. Private to this module.

#include <cstddef>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>

#include "model/cpu.h"
#include "model/fast_hash.h"

namespace podsense::onnx {

using model::cpu_description;
using model::fast_hash;
using model::Hash128;

/// A read-only mapping of a file. Only for files that are never modified in place: accessing a
/// mapping of a truncated file kills the process.
class MappedFile {
 public:
  static std::optional<MappedFile> open(const std::filesystem::path& path);
  MappedFile(MappedFile&& other) noexcept : bytes_(std::exchange(other.bytes_, {})) {}
  MappedFile& operator=(MappedFile&& other) noexcept {
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  ~MappedFile();
  [[nodiscard]] std::span<const std::byte> bytes() const { return bytes_; }
  /// Releases the pages; they are read again on access.
  void forget_pages() const;

 private:
  explicit MappedFile(std::span<const std::byte> bytes) : bytes_(bytes) {}
  std::span<const std::byte> bytes_;
};

/// @threads thread-safe: writers create temporary files and rename them
class ModelCache {
 public:
  /// @param runtime_version of ONNX Runtime; part of every key, like this machine's CPU
  ModelCache(std::filesystem::path folder, std::string_view runtime_version);

  [[nodiscard]] bool enabled() const { return !folder_.empty(); }
  /// The name of the entry for a model with this content.
  [[nodiscard]] std::string key(const Hash128& content) const;

  struct Entry {
    MappedFile file;
    std::span<const std::byte> model;  ///< borrowed from `file`; empty: barred, see `bar`
    [[nodiscard]] bool barred() const { return model.empty(); }
  };
  /// Nothing if there is no entry. A damaged entry is removed.
  [[nodiscard]] std::optional<Entry> find(const std::string& key) const;

  /// The temporary file for a new entry; empty: the folder is not writable.
  [[nodiscard]] std::filesystem::path scratch(const std::string& key) const;
  /// Adds the seal to the temporary file and renames it. False: failed.
  bool keep(const std::filesystem::path& scratch, const std::string& key) const;
  void discard(const std::string& key) const;
  /// Marks a model whose optimised copy ONNX Runtime cannot read back (as in 1.31 with tensors in
  /// attributes), so that the copy is not created again at every start.
  void bar(const std::string& key) const;

 private:
  void make_room() const;

  std::filesystem::path folder_;
  Hash128 machine_;
};

}  // namespace podsense::onnx
