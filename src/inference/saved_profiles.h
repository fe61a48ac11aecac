#pragma once

/// Profiles of earlier starts, so that the next one need not measure: one small text file a model
/// version in the folder of optimised copies. A profile holds only for what it was measured with;
/// one that differs, or is damaged, is refused with a line in the log, measured anew and replaced.
/// Every other fault here (no folder, a read-only one) costs time, never the load.

#include <array>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "inference/profile.h"

namespace podsense::inference {

/// What a profile depends on. No value may hold a line's end.
struct ProfileKey {
  std::string model;    ///< name-version; also names the file
  std::string content;  ///< hash of the model's file; empty: unknown, so that nothing is kept
  std::string cpu;      ///< model and flags
  std::string runtime;  ///< ONNX Runtime's version
  std::string plan;     ///< cores, and what the manifest says of batches, instances and threads
};

struct SavedProfile {
  unsigned threads = 1;  ///< per run
  Profile profile;
  /// Whether rows of different requests may share a run (stacking.h): nothing: not known; empty:
  /// they may; else why not. One line.
  std::optional<std::string> rows = std::nullopt;
  std::string file{};  ///< from which it was read
};

/// @threads thread-safe: writers make files of their own and rename them
class SavedProfiles {
 public:
  /// An empty folder: nothing is kept or found.
  explicit SavedProfiles(std::filesystem::path folder) : folder_(std::move(folder)) {}

  [[nodiscard]] bool enabled() const { return !folder_.empty(); }
  /// Empty where there is none. @errors kInvalidArgument: it does not hold for `key`, or cannot be
  /// read; the message names the file
  [[nodiscard]] Result<std::optional<SavedProfile>> read(const ProfileKey& key) const;
  /// The same, with one line in the log in place of an error.
  [[nodiscard]] std::optional<SavedProfile> find(const ProfileKey& key) const;
  void keep(const ProfileKey& key, const SavedProfile& saved) const;

 private:
  [[nodiscard]] std::filesystem::path path_of(const ProfileKey& key) const;
  void make_room() const;

  std::filesystem::path folder_;
};

/// The file's text and back. @errors kInvalidArgument: damaged, or measured with something else
/// than `key`; the message says which
std::string write_profile(const ProfileKey& key, const SavedProfile& saved);
Result<SavedProfile> read_profile(std::string_view text, const ProfileKey& key);

}  // namespace podsense::inference
