#include "load/reports/output_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <optional>
#include <system_error>
#include <utility>

namespace podsense::load {
namespace {

std::string reason(int error) {
  return std::generic_category().message(error);
}

/// That of /dev/stdout, /dev/fd/3 and the like: opening those anew would lose the place in the
/// file, and whether it is appended to.
std::optional<int> given_descriptor(std::string_view path) {
  if (path == "-" || path == "/dev/stdout") {
    return STDOUT_FILENO;
  }
  if (path == "/dev/stderr") {
    return STDERR_FILENO;
  }
  for (const std::string_view folder : {"/dev/fd/", "/proc/self/fd/"}) {
    if (path.starts_with(folder)) {
      const std::string_view number = path.substr(folder.size());
      int descriptor = 0;
      const auto [end, error] =
          std::from_chars(number.data(), number.data() + number.size(), descriptor);
      return error == std::errc() && end == number.data() + number.size() && descriptor >= 0
                 ? std::optional(descriptor)
                 : std::nullopt;
    }
  }
  return std::nullopt;
}

}  // namespace

bool is_stdout(const std::filesystem::path& path) {
  return given_descriptor(path.native()) == STDOUT_FILENO;
}

Result<std::unique_ptr<OutputFile>> OutputFile::open(const std::filesystem::path& path) {
  std::error_code ignored;
  const bool there = std::filesystem::exists(path, ignored);
  const auto given = given_descriptor(path.native());
  // Not cut off yet: a run that does not come about leaves the file as it was.
  const int descriptor =
      given ? dup(*given) : ::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
  if (descriptor < 0) {
    return fail(ErrorCode::kInvalidArgument,
                "cannot write " + path.string() + ": " + reason(errno));
  }
  const Kind kind = given ? Kind::kGiven : there ? Kind::kOld : Kind::kMade;
  return std::unique_ptr<OutputFile>(
      new OutputFile(is_stdout(path) ? "standard output" : path.string(), descriptor, kind));
}

OutputFile::~OutputFile() {
  if (descriptor_ >= 0) {
    ::close(descriptor_);
  }
  if (kind_ == Kind::kMade && !written_) {
    ::unlink(path_.c_str());
  }
}

bool OutputFile::same_file(const OutputFile& other) const {
  struct stat mine{};
  struct stat others{};
  return fstat(descriptor_, &mine) == 0 && fstat(other.descriptor_, &others) == 0 &&
         S_ISREG(mine.st_mode) && mine.st_dev == others.st_dev && mine.st_ino == others.st_ino;
}

Result<void> OutputFile::write(std::string_view text) {
  if (!std::exchange(written_, true) && kind_ != Kind::kGiven) {
    struct stat about{};
    if (fstat(descriptor_, &about) == 0 && S_ISREG(about.st_mode) &&
        ftruncate(descriptor_, 0) != 0) {
      return fail(ErrorCode::kUnavailable, "cannot write " + path_ + ": " + reason(errno));
    }
  }
  while (!text.empty()) {
    const auto done = ::write(descriptor_, text.data(), text.size());
    if (done < 0 && errno == EINTR) {
      continue;
    }
    if (done <= 0) {
      return fail(ErrorCode::kUnavailable, "cannot write " + path_ + ": " + reason(errno));
    }
    text.remove_prefix(static_cast<std::size_t>(done));
  }
  return {};
}

Result<void> OutputFile::close() {
  if (const int descriptor = std::exchange(descriptor_, -1);
      descriptor >= 0 && ::close(descriptor) != 0) {
    return fail(ErrorCode::kUnavailable, "cannot write " + path_ + ": " + reason(errno));
  }
  return {};
}

}  // namespace podsense::load
