#include "inference/saved_profiles.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <iterator>
#include <utility>
#include <vector>

#include "base/log.h"
#include "base/small_file.h"
#include "model/cache_folder.h"
#include "model/fast_hash.h"

namespace podsense::inference {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kHead = "podsense profile 3\n";
constexpr std::string_view kAnyHead = "podsense profile ";
constexpr std::string_view kSuffix = ".podsense-profile";
constexpr std::size_t kMaxFiles = 256;
constexpr std::size_t kMaxBytes = 16U << 10U;
/// Longer than any warm-up may take.
constexpr Duration kLongestRun = std::chrono::minutes(10);
constexpr unsigned kMostThreads = 4096;
constexpr double kMillion = 1e6;

/// Removes "NAME VALUE\n" from the front of `text`.
std::optional<std::string_view> take_line(std::string_view& text, std::string_view name) {
  const auto end = text.find('\n');
  if (end == std::string_view::npos || !text.starts_with(name) || text.size() <= name.size() ||
      text[name.size()] != ' ') {
    return std::nullopt;
  }
  const std::string_view value = text.substr(name.size() + 1, end - name.size() - 1);
  text.remove_prefix(end + 1);
  return value;
}

template <class Number>
std::optional<Number> number(std::string_view text) {
  Number out{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc() && end == text.data() + text.size() ? std::optional(out)
                                                                  : std::nullopt;
}

Error damaged() {
  return {.code = ErrorCode::kInvalidArgument, .message = "the file is damaged"};
}

/// Lines "run ROWS NANOSECONDS NOISE", rows rising from 1, the noise in millionths.
std::optional<Profile> read_points(std::string_view text) {
  Profile profile;
  while (!text.empty()) {
    const auto line = take_line(text, "run");
    const auto space = line ? line->find(' ') : std::string_view::npos;
    if (space == std::string_view::npos) {
      return std::nullopt;
    }
    const auto last = line->rfind(' ');
    const auto rows = number<std::size_t>(line->substr(0, space));
    const auto time = number<Duration::rep>(line->substr(space + 1, last - space - 1));
    const auto noise = number<std::uint32_t>(line->substr(last + 1));
    const std::size_t least = profile.empty() ? 1 : profile.back().rows + 1;
    if (!rows || !time || !noise || last == space || *rows < least || *rows > kMaxProfiledRows ||
        *time < 0 || Duration(*time) > kLongestRun) {
      return std::nullopt;
    }
    profile.push_back(
        {.rows = *rows, .time = Duration(*time), .noise = static_cast<double>(*noise) / kMillion});
  }
  return !profile.empty() && profile.front().rows == 1 ? std::optional(profile) : std::nullopt;
}

constexpr std::string_view kRowsUnknown = "unknown";
constexpr std::string_view kRowsShared = "shared";
constexpr std::string_view kRowsAlone = "alone: ";

std::string rows_text(const std::optional<std::string>& rows) {
  if (!rows || rows->empty()) {
    return std::string(rows ? kRowsShared : kRowsUnknown);
  }
  std::string text(kRowsAlone);
  std::ranges::replace_copy_if(
      *rows, std::back_inserter(text), [](char c) { return c == '\n' || c == '\r'; }, ' ');
  return text;
}

/// The inverse of rows_text; false: `text` is invalid.
bool read_rows(std::string_view text, std::optional<std::string>& rows) {
  if (text.starts_with(kRowsAlone) && text.size() > kRowsAlone.size()) {
    rows = text.substr(kRowsAlone.size());
    return true;
  }
  rows = text == kRowsShared ? std::optional(std::string()) : std::nullopt;
  return text == kRowsShared || text == kRowsUnknown;
}

}  // namespace

std::string write_profile(const ProfileKey& key, const SavedProfile& saved) {
  std::string text(kHead);
  const auto line = [&](std::string_view name, const std::string& value) {
    text.append(name).append(" ").append(value).append("\n");
  };
  line("model", key.model);
  line("content", key.content);
  line("cpu", key.cpu);
  line("runtime", key.runtime);
  line("plan", key.plan);
  line("threads", std::to_string(saved.threads));
  line("rows", rows_text(saved.rows));
  for (const ProfilePoint& point : saved.profile) {
    constexpr double kMostNoise = 1000;
    const double noise = std::clamp(point.noise, 0.0, kMostNoise) * kMillion;
    line("run", std::to_string(point.rows) + " " + std::to_string(point.time.count()) + " " +
                    std::to_string(std::llround(noise)));
  }
  line("sum", model::fast_hash(text).hex());
  return text;
}

Result<SavedProfile> read_profile(std::string_view text, const ProfileKey& key) {
  if (text.starts_with(kAnyHead) && !text.starts_with(kHead)) {
    return fail(ErrorCode::kInvalidArgument, "another version of PodSense has written it");
  }
  const auto last = text.rfind("\nsum ");
  if (!text.starts_with(kHead) || last == std::string_view::npos) {
    return fail(damaged());
  }
  std::string_view end = text.substr(last + 1);
  const std::string_view body = text.substr(0, last + 1);
  const auto sum = take_line(end, "sum");
  if (!sum || !end.empty() || *sum != model::fast_hash(body).hex()) {
    return fail(damaged());
  }
  std::string_view rest = body.substr(kHead.size());
  for (const auto& [name, now] :
       {std::pair<std::string_view, const std::string&>{"model", key.model},
        {"content", key.content},
        {"cpu", key.cpu},
        {"runtime", key.runtime},
        {"plan", key.plan}}) {
    const auto then = take_line(rest, name);
    if (!then) {
      return fail(damaged());
    }
    if (*then != now) {
      return fail(ErrorCode::kInvalidArgument, "it was measured with " + std::string(name) + " '" +
                                                   std::string(*then) + "', now it is '" + now +
                                                   "'");
    }
  }
  const auto threads_text = take_line(rest, "threads");
  const auto threads = threads_text ? number<unsigned>(*threads_text) : std::nullopt;
  const auto rows_line = take_line(rest, "rows");
  std::optional<std::string> rows;
  const bool rows_known = rows_line && read_rows(*rows_line, rows);
  auto points = read_points(rest);
  if (!rows_known || !threads || *threads == 0 || *threads > kMostThreads || !points) {
    return fail(damaged());
  }
  return SavedProfile{.threads = *threads, .profile = std::move(*points), .rows = std::move(rows)};
}

fs::path SavedProfiles::path_of(const ProfileKey& key) const {
  return folder_ / (key.model + std::string(kSuffix));
}

Result<std::optional<SavedProfile>> SavedProfiles::read(const ProfileKey& key) const {
  const fs::path path = path_of(key);
  std::error_code error;
  if (folder_.empty() || key.content.empty() ||
      fs::status(path, error).type() == fs::file_type::not_found) {
    return std::nullopt;
  }
  const auto text = read_regular_file(path, kMaxBytes);
  if (!text) {
    return fail(text.error());
  }
  auto saved = read_profile(*text, key);
  if (!saved) {
    return fail(ErrorCode::kInvalidArgument, path.string() + ": " + saved.error().message);
  }
  saved->file = path.string();
  return std::optional(std::move(*saved));
}

std::optional<SavedProfile> SavedProfiles::find(const ProfileKey& key) const {
  auto saved = read(key);
  if (saved) {
    return std::move(*saved);
  }
  const auto dash = key.model.rfind('-');  // "name-version"
  const std::string& reason = saved.error().message;
  log::warning(
      "profile_refused",
      {{"model", std::string_view(key.model).substr(0, dash)},
       {"version", std::string_view(key.model).substr(std::min(dash + 1, key.model.size()))},
       {"file", path_of(key).string()},
       {"reason", reason},
       {"message", "a saved profile is not used, the model is measured anew: " + reason}});
  return std::nullopt;
}

void SavedProfiles::keep(const ProfileKey& key, const SavedProfile& saved) const {
  if (folder_.empty() || key.content.empty()) {
    return;
  }
  std::error_code error;
  fs::create_directories(folder_, error);
  auto written = error ? Result<void>(fail(ErrorCode::kInternal, error.message()))
                       : replace_file(path_of(key), write_profile(key, saved));
  if (written) {
    return make_room();
  }
  model::tell_cache_unwritable(folder_, written.error().message);
}

/// Deletes the oldest files above kMaxFiles, because models change and the folder may exist for
/// years.
void SavedProfiles::make_room() const {
  std::vector<std::pair<fs::file_time_type, fs::path>> files;
  std::error_code error;
  for (fs::directory_iterator it(folder_, error), end; !error && it != end; it.increment(error)) {
    if (it->path().extension() == kSuffix) {
      std::error_code gone;
      files.emplace_back(it->last_write_time(gone), it->path());
    }
  }
  std::ranges::sort(files);
  for (std::size_t i = 0; i + kMaxFiles < files.size(); ++i) {
    fs::remove(files[i].second, error);
  }
}

}  // namespace podsense::inference
