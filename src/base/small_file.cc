#include "base/small_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <fstream>
#include <string>
#include <system_error>

namespace podsense {

Result<void> replace_file(const std::filesystem::path& path, std::string_view bytes) {
  static std::atomic<unsigned> next{0};
  std::filesystem::path scratch = path;
  scratch += "." + std::to_string(::getpid()) + "-" + std::to_string(next++) + ".tmp";
  std::error_code error;
  {
    errno = 0;
    std::ofstream file(scratch, std::ios::binary);
    file << bytes;
    file.close();
    if (!file) {
      error.assign(errno == 0 ? EIO : errno, std::generic_category());
    }
  }
  if (!error) {
    std::filesystem::rename(scratch, path, error);
  }
  if (error) {
    std::error_code ignored;
    std::filesystem::remove(scratch, ignored);
    return fail(ErrorCode::kInternal, path.string() + " cannot be written: " + error.message());
  }
  return {};
}

Result<std::string> read_regular_file(const std::filesystem::path& path, std::size_t most) {
  const auto wrong = [&](const std::string& what) {
    return fail(ErrorCode::kInvalidArgument, path.string() + ": " + what);
  };
  // Without O_NONBLOCK, opening a pipe without a writer would block forever.
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (file < 0) {
    return wrong("cannot be read: " + std::generic_category().message(errno));
  }
  struct Closer {
    int file;
    ~Closer() { ::close(file); }
  } const closer{file};
  struct stat state{};
  if (::fstat(file, &state) != 0 || !S_ISREG(state.st_mode)) {
    return wrong("is no regular file");
  }
  std::string text;
  for (;;) {
    const std::size_t had = text.size();
    text.resize(had + std::min<std::size_t>(most + 1 - had, 64U << 10U));
    const ssize_t got = ::read(file, text.data() + had, text.size() - had);
    text.resize(had + static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
    if (got < 0 && errno != EINTR) {
      return wrong("cannot be read: " + std::generic_category().message(errno));
    }
    if (text.size() > most) {
      return wrong("is larger than " + std::to_string(most) + " bytes");
    }
    if (got == 0) {
      return text;
    }
  }
}

}  // namespace podsense
