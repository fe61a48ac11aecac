#include "text/file.h"

#include <cerrno>
#include <fstream>
#include <iterator>
#include <system_error>

namespace podsense::text {

Result<std::string> read_file(const std::filesystem::path& path, std::string_view begin) {
  std::ifstream file(path, std::ios::binary);
  const int reason = errno;
  std::error_code error;
  if (!file || std::filesystem::is_directory(path, error)) {
    return fail(ErrorCode::kInvalidArgument,
                std::string(begin) + path.string() + ": " +
                    std::generic_category().message(file ? EISDIR : reason));
  }
  return std::string(std::istreambuf_iterator<char>(file), {});
}

}  // namespace podsense::text
