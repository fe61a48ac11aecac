#pragma once

/// A file that a result goes to, or standard output. It is opened before the run, so that a wrong
/// path costs no run, and nothing is cut off before there is something to write.

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include "base/error.h"

namespace podsense::load {

/// By any of its names.
bool is_stdout(const std::filesystem::path& path);

/// An open file, or a descriptor that the process has already (/dev/stdout, /dev/fd/3).
class OutputFile {
 public:
  /// @errors kInvalidArgument: path and reason
  static Result<std::unique_ptr<OutputFile>> open(const std::filesystem::path& path);
  ~OutputFile();
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;

  /// Appends; the first call empties a file that was there.
  /// @errors kUnavailable: path and reason, as a full disk
  Result<void> write(std::string_view text);
  /// @errors as `write`: some file systems say only now that they are full
  Result<void> close();
  /// Both write to one file on a disk.
  [[nodiscard]] bool same_file(const OutputFile& other) const;
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  enum class Kind {
    kOld,    ///< was there: emptied by the first write
    kMade,   ///< by us: removed again where nothing is written
    kGiven,  ///< a descriptor that the process had: written on from where it is
  };
  OutputFile(std::string path, int descriptor, Kind kind)
      : path_(std::move(path)), descriptor_(descriptor), kind_(kind) {}

  std::string path_;
  int descriptor_;
  Kind kind_;
  bool written_ = false;
};

}  // namespace podsense::load
