#include "base/small_file.h"

#include <unistd.h>

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

}  // namespace podsense
