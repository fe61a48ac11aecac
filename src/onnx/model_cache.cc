#include "onnx/model_cache.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <vector>

#include "base/small_file.h"
#include "model/cache_folder.h"

namespace podsense::onnx {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kSuffix = ".podsense-ort";
constexpr std::size_t kMaxEntries = 32;

/// The last bytes of every entry, to detect incomplete or modified files.
struct Seal {
  std::array<char, 8> magic{'P', 'S', 'O', 'R', 'T', '0', '0', '1'};
  std::uint64_t size = 0;
  std::uint64_t low = 0;
  std::uint64_t high = 0;
};

Seal seal_for(std::span<const std::byte> model) {
  const Hash128 hash = fast_hash(model);
  return {.size = model.size(), .low = hash.low, .high = hash.high};
}

bool append_seal(const fs::path& path, const Seal& seal) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC);
  if (fd < 0) {
    return false;
  }
  const bool whole = ::write(fd, &seal, sizeof seal) == static_cast<ssize_t>(sizeof seal);
  return ::close(fd) == 0 && whole;
}

}  // namespace

std::optional<MappedFile> MappedFile::open(const fs::path& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  if (fd < 0) {
    return std::nullopt;
  }
  struct stat status{};
  std::optional<MappedFile> out;
  if (::fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && status.st_size > 0) {
    const auto size = static_cast<std::size_t>(status.st_size);
    void* at = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
    if (at != MAP_FAILED) {
      out = MappedFile(std::span(static_cast<const std::byte*>(at), size));
    }
  }
  ::close(fd);
  return out;
}

MappedFile::~MappedFile() {
  if (!bytes_.empty()) {
    ::munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size());
  }
}

void MappedFile::forget_pages() const {
  if (!bytes_.empty()) {
    ::madvise(const_cast<std::byte*>(bytes_.data()), bytes_.size(), MADV_DONTNEED);
  }
}

ModelCache::ModelCache(fs::path folder, std::string_view runtime_version)
    : folder_(std::move(folder)) {
  if (enabled()) {
    machine_ = fast_hash(runtime_version, fast_hash(cpu_description()));
  }
}

std::string ModelCache::key(const Hash128& content) const {
  const std::array<Hash128, 2> parts{machine_, content};
  return fast_hash(std::as_bytes(std::span(parts))).hex();
}

std::optional<ModelCache::Entry> ModelCache::find(const std::string& key) const {
  auto file = MappedFile::open(folder_ / (key + std::string(kSuffix)));
  if (!file) {
    return std::nullopt;
  }
  const auto bytes = file->bytes();
  Seal seal;
  if (bytes.size() >= sizeof seal) {
    const auto model = bytes.first(bytes.size() - sizeof seal);
    std::memcpy(&seal, bytes.data() + model.size(), sizeof seal);
    const Seal wanted = seal_for(model);
    if (std::memcmp(&seal, &wanted, sizeof seal) == 0) {
      return Entry{std::move(*file), model};
    }
  }
  discard(key);
  return std::nullopt;
}

fs::path ModelCache::scratch(const std::string& key) const {
  static std::atomic<unsigned> next{0};
  std::error_code error;
  fs::create_directories(folder_, error);
  if (!error && ::access(folder_.c_str(), W_OK | X_OK) != 0) {
    error.assign(errno, std::generic_category());
  }
  if (error) {
    model::tell_cache_unwritable(folder_, error.message());
    return {};
  }
  return folder_ / (key + "." + std::to_string(::getpid()) + "-" + std::to_string(next++) + ".tmp");
}

bool ModelCache::keep(const fs::path& scratch, const std::string& key) const {
  std::error_code error;
  bool sealed = false;
  if (const auto written = MappedFile::open(scratch)) {
    sealed = append_seal(scratch, seal_for(written->bytes()));
  }
  if (sealed) {
    fs::permissions(scratch, fs::perms::owner_read | fs::perms::owner_write, error);
    fs::rename(scratch, folder_ / (key + std::string(kSuffix)), error);
    sealed = !error;
  }
  if (!sealed) {
    model::tell_cache_unwritable(folder_,
                                 error ? error.message() : std::generic_category().message(errno));
    fs::remove(scratch, error);
  } else {
    make_room();
  }
  return sealed;
}

void ModelCache::discard(const std::string& key) const {
  std::error_code error;
  fs::remove(folder_ / (key + std::string(kSuffix)), error);
}

void ModelCache::bar(const std::string& key) const {
  std::error_code error;
  fs::create_directories(folder_, error);
  const Seal seal = seal_for({});
  const auto bytes = std::bit_cast<std::array<char, sizeof seal>>(seal);
  // If it cannot be written, the copy is tried again at the next start.
  if (auto written =
          replace_file(folder_ / (key + std::string(kSuffix)), {bytes.data(), bytes.size()});
      !written) {
    model::tell_cache_unwritable(folder_, written.error().message);
  }
}

/// Deletes the oldest entries above kMaxEntries, and temporary files of processes that died. A
/// deleted entry that is still mapped stays valid.
void ModelCache::make_room() const {
  constexpr auto kDead = std::chrono::hours(1);
  std::vector<std::pair<fs::file_time_type, fs::path>> entries;
  std::error_code error;
  for (fs::directory_iterator it(folder_, error), end; !error && it != end; it.increment(error)) {
    std::error_code gone;
    const auto written = it->last_write_time(gone);
    if (it->path().extension() == kSuffix) {
      entries.emplace_back(written, it->path());
    } else if (it->path().extension() == ".tmp" &&
               written < fs::file_time_type::clock::now() - kDead) {
      fs::remove(it->path(), gone);
    }
  }
  std::ranges::sort(entries);
  for (std::size_t i = 0; i + kMaxEntries < entries.size(); ++i) {
    fs::remove(entries[i].second, error);
  }
}

}  // namespace podsense::onnx
