#include "model/file_checks.h"

#include <system_error>
#include <utility>

#include "base/digest.h"
#include "model/external_data.h"

namespace podsense::model {
namespace {

namespace fs = std::filesystem;

Error refused(std::string what, std::string detail = {}) {
  return {ErrorCode::kInvalidArgument, std::move(what), std::move(detail)};
}

std::string file_name(const Candidate& candidate) {
  return candidate.file.filename().string();
}

}  // namespace

Result<std::uint64_t> check_file(const Candidate& candidate) {
  std::error_code error;
  const std::uint64_t bytes = fs::file_size(candidate.file, error);
  if (error) {
    return fail(refused(file_name(candidate) + " cannot be read: " + error.message()));
  }
  if (bytes > candidate.manifest.max_file_bytes) {
    return fail(refused(file_name(candidate) + " has " + std::to_string(bytes) +
                        " bytes; 'limits.max_bytes' allows " +
                        std::to_string(candidate.manifest.max_file_bytes)));
  }
  if (const std::string& wanted = candidate.manifest.sha256; !wanted.empty()) {
    const auto found = sha256_file(candidate.file);
    if (!found) {
      return fail(refused(file_name(candidate) + " cannot be read: " + found.error().message));
    }
    if (*found != wanted) {
      return fail(refused("the SHA-256 of " + file_name(candidate) + " is " + *found +
                          ", but model.yaml says " + wanted));
    }
  }
  return bytes;
}

Result<ExternalFiles> check_external_data(const Candidate& candidate, std::uint64_t bytes) {
  auto external = find_external_data(candidate.file);
  if (!external) {
    return fail(
        refused(file_name(candidate) + ": " + external.error().message, external.error().detail));
  }
  auto files = resolve_external_data(*external, candidate.folder);
  if (!files) {
    return fail(files.error());
  }
  std::uint64_t total = bytes;
  for (const fs::path& file : *files) {
    std::error_code error;
    const std::uint64_t size = fs::file_size(file, error);
    total += error ? 0 : size;
  }
  if (total > candidate.manifest.max_file_bytes) {
    return fail(refused(file_name(candidate) + " and its external data have " +
                        std::to_string(total) + " bytes; 'limits.max_bytes' allows " +
                        std::to_string(candidate.manifest.max_file_bytes)));
  }
  return ExternalFiles{.locations = std::move(external->locations),
                       .files = std::move(*files),
                       .elsewhere = external->elsewhere};
}

}  // namespace podsense::model
