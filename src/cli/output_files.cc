#include "cli/output_files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <system_error>

namespace podsense::cli {
namespace {

namespace fs = std::filesystem;

/// 0, or why it cannot be written.
int fault_of(const fs::path& path) {
  struct stat about{};
  if (stat(path.c_str(), &about) == 0) {
    // Opening a pipe would wait for its reader.
    return S_ISDIR(about.st_mode) ? EISDIR : access(path.c_str(), W_OK) == 0 ? 0 : errno;
  }
  if (errno != ENOENT) {
    return errno;
  }
  const int made = open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (made >= 0) {
    close(made);
    unlink(path.c_str());
    return 0;
  }
  const int fault = errno;
  // A link that leads to no file yet: where it leads to.
  std::error_code error;
  const fs::path target = fault == EEXIST ? fs::read_symlink(path, error) : fs::path();
  if (target.empty() || error) {
    return fault;
  }
  return fault_of(target.is_absolute() ? target : path.parent_path() / target);
}

/// Also where it is not there yet.
bool is_one_file(const fs::path& a, const fs::path& b) {
  std::error_code error;
  if (fs::exists(a, error) && fs::exists(b, error)) {
    return fs::is_regular_file(a, error) && fs::equivalent(a, b, error);
  }
  return fs::weakly_canonical(a, error) == fs::weakly_canonical(b, error);
}

}  // namespace

Result<void> check_outputs(const std::vector<OutputFlag>& outputs) {
  for (const OutputFlag& one : outputs) {
    if (one.path.empty()) {
      continue;
    }
    if (const int fault = one.path == "-" ? 0 : fault_of(one.path); fault != 0) {
      return fail(ErrorCode::kInvalidArgument, std::string(one.flag) + ": cannot write " +
                                                   one.path.string() + ": " +
                                                   std::generic_category().message(fault));
    }
    for (const OutputFlag& other : outputs) {
      if (&other == &one) {
        break;
      }
      if (other.path.empty() || (other.path == "-") != (one.path == "-")) {
        continue;
      }
      if (one.path == "-" || is_one_file(other.path, one.path)) {
        return fail(ErrorCode::kInvalidArgument,
                    std::string(other.flag) + " and " + std::string(one.flag) + " are both " +
                        (one.path == "-" ? "standard output" : one.path.string()) +
                        ": each needs a file of its own");
      }
    }
  }
  return {};
}

}  // namespace podsense::cli
