#pragma once

/// Optimised copies of models, so that the next start on this kind of machine skips the work. Every
/// fault here (no folder, no room, a torn file) costs time, never the load. Private to this module.

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

/// A file's bytes, mapped for reading as long as this lives. Only for files that nobody writes in
/// place: a file cut short under a mapping kills the process that touches it.
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
  /// Gives the pages back to the file cache; they return when touched.
  void forget_pages() const;

 private:
  explicit MappedFile(std::span<const std::byte> bytes) : bytes_(bytes) {}
  std::span<const std::byte> bytes_;
};

/// @threads thread-safe: writers make files of their own and rename them
class ModelCache {
 public:
  /// @param runtime_version ONNX Runtime's; part of every key, as is this machine's CPU
  ModelCache(std::filesystem::path folder, std::string_view runtime_version);

  [[nodiscard]] bool enabled() const { return !folder_.empty(); }
  /// Name of the entry for a model with this content.
  [[nodiscard]] std::string key(const Hash128& content) const;

  struct Entry {
    MappedFile file;
    std::span<const std::byte> model;  ///< borrowed from `file`; empty: barred
    [[nodiscard]] bool barred() const { return model.empty(); }
  };
  /// Empty where there is none. An entry that is not whole is removed.
  [[nodiscard]] std::optional<Entry> find(const std::string& key) const;

  /// Where ONNX Runtime may write a new entry; empty when the folder cannot be written.
  [[nodiscard]] std::filesystem::path scratch(const std::string& key) const;
  /// Seals what was written there and gives it its name. False where that failed.
  bool keep(const std::filesystem::path& scratch, const std::string& key) const;
  void discard(const std::string& key) const;
  /// Notes that ONNX Runtime writes copies of this model that it cannot read (1.31 does so with
  /// tensors in attributes), so that they are not made anew at every start.
  void bar(const std::string& key) const;

 private:
  void make_room() const;

  std::filesystem::path folder_;
  Hash128 machine_;
};

}  // namespace podsense::onnx
