#include "model/model_files.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

namespace podsense::model {
namespace {

namespace fs = std::filesystem;

bool is_there(const fs::path& path) {
  std::error_code error;
  return fs::exists(fs::symlink_status(path, error));  // a dangling link counts as existing
}

constexpr std::array<std::string_view, 3> kUsualFiles{"model.onnx", "model.ort", "onnx/model.onnx"};

bool is_model_name(const fs::path& path) {
  return path.extension() == ".onnx" || path.extension() == ".ort";
}

/// The names of model files in a folder, sorted.
std::vector<std::string> model_names(const fs::path& folder) {
  std::vector<std::string> names;
  std::error_code error;
  std::size_t seen = 0;
  for (fs::directory_iterator it(folder, error), end;
       !error && it != end && ++seen <= kMaxFolderEntries; it.increment(error)) {
    std::error_code gone;
    const std::string name = it->path().filename().string();
    if (is_model_name(it->path()) && !name.starts_with('.') && it->is_regular_file(gone)) {
      names.push_back(name);
    }
  }
  std::ranges::sort(names);
  return names;
}

}  // namespace

std::optional<std::uint64_t> version_number(std::string_view text) {
  constexpr std::uint64_t kMost = std::uint64_t{1} << 53U;  // exact as a double, as in JSON
  if (text.starts_with('v') || text.starts_with('V')) {
    text.remove_prefix(1);
  }
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool whole = error == std::errc() && end == text.data() + text.size();
  return whole && value > 0 && value <= kMost ? std::optional(value) : std::nullopt;
}

Result<std::vector<Entry>> folders_in(const fs::path& folder) {
  std::vector<Entry> found;
  std::error_code error;
  std::size_t seen = 0;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    std::string name = it->path().filename().string();
    if (++seen > kMaxFolderEntries) {
      return fail(ErrorCode::kInvalidArgument,
                  "more than " + std::to_string(kMaxFolderEntries) + " entries in one folder");
    }
    std::error_code not_a_folder;
    if (name.starts_with('.') || name == "lost+found" ||
        !fs::is_directory(it->path(), not_a_folder)) {
      continue;
    }
    found.push_back({std::move(name), it->path()});
  }
  if (error) {
    return fail(ErrorCode::kInvalidArgument, "the folder cannot be read: " + error.message());
  }
  std::ranges::sort(found, {}, &Entry::name);
  return found;
}

Result<fs::path> find_model_file(const fs::path& folder, const std::string& wanted) {
  if (!wanted.empty()) {
    if (!is_there(folder / wanted)) {
      return fail(ErrorCode::kInvalidArgument,
                  "no " + wanted + " in the version's folder, which 'file' asks for");
    }
    return folder / wanted;
  }
  for (const std::string_view usual : kUsualFiles) {
    if (is_there(folder / usual)) {
      return folder / usual;
    }
  }
  for (const fs::path& place : {folder, folder / "onnx"}) {
    const std::vector<std::string> names = model_names(place);
    if (names.size() == 1) {
      return place / names.front();
    }
    if (!names.empty()) {
      std::string list = names.front();
      constexpr std::size_t kShown = 5;
      for (std::size_t i = 1; i < std::min(names.size(), kShown); ++i) {
        list += ", " + names[i];
      }
      return fail(ErrorCode::kInvalidArgument,
                  "several files that may be the model (" + list +
                      (names.size() > kShown ? ", …" : "") +
                      "); name one model.onnx, or in model.yaml: 'file: " + names.front() + "'");
    }
  }
  return fs::path();
}

bool looks_like_a_model(const fs::path& folder) {
  const auto direct = [](const fs::path& place) {
    for (const std::string_view name : {"model.yaml", "model.yml", "config.pbtxt"}) {
      if (is_there(place / name)) {
        return true;
      }
    }
    const auto file = find_model_file(place);
    return !file || !file->empty();
  };
  if (direct(folder)) {
    return true;
  }
  const auto inner = folders_in(folder);
  return inner && std::ranges::any_of(*inner, [&](const Entry& entry) {
           return version_number(entry.name).has_value() || direct(entry.path);
         });
}

}  // namespace podsense::model
