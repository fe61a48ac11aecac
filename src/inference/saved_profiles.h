#pragma once

/// Saves profiles for the next start, which then need not measure: one small text file per model
/// version, in the folder of optimised copies. A profile is only valid for the conditions it was
/// measured under. One that does not match, or is damaged, is logged, measured again and replaced.
/// Other faults (no folder, read-only folder) cost time but never fail the load.

#include <array>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "inference/profile.h"

namespace podsense::inference {

/// The conditions of a profile. No value may contain a line break.
struct ProfileKey {
  std::string model;    ///< name-version; also names the file
  std::string content;  ///< hash of the model's file; empty: unknown, nothing is saved
  std::string cpu;      ///< model and flags
  std::string runtime;  ///< ONNX Runtime's version
  std::string plan;     ///< cores, and the manifest's batching, instances and threads
};

struct SavedProfile {
  unsigned threads = 1;  ///< per run
  Profile profile;
  /// Whether rows of different requests may share a run (stacking.h). Nothing: unknown; empty: they
  /// may; else why not, in one line.
  std::optional<std::string> rows = std::nullopt;
  std::string file{};  ///< the file it was read from
};

/// @threads thread-safe: writers create temporary files and rename them
class SavedProfiles {
 public:
  /// `folder` empty: nothing is saved or found.
  explicit SavedProfiles(std::filesystem::path folder) : folder_(std::move(folder)) {}

  [[nodiscard]] bool enabled() const { return !folder_.empty(); }
  /// Nothing if there is none. @errors kInvalidArgument: it does not match `key` or cannot be read;
  /// the message names the file
  [[nodiscard]] Result<std::optional<SavedProfile>> read(const ProfileKey& key) const;
  /// Like `read`, but logs errors.
  [[nodiscard]] std::optional<SavedProfile> find(const ProfileKey& key) const;
  void keep(const ProfileKey& key, const SavedProfile& saved) const;

 private:
  [[nodiscard]] std::filesystem::path path_of(const ProfileKey& key) const;
  void make_room() const;

  std::filesystem::path folder_;
};

/// Converts a profile to the file's text and back. @errors kInvalidArgument: damaged, or it does
/// not match `key`; the message says what differs
std::string write_profile(const ProfileKey& key, const SavedProfile& saved);
Result<SavedProfile> read_profile(std::string_view text, const ProfileKey& key);

}  // namespace podsense::inference
