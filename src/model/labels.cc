#include "model/labels.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <fstream>
#include <optional>

#include "base/utf8.h"

namespace podsense::model {
namespace {

namespace fs = std::filesystem;

bool inside(const fs::path& folder, const fs::path& file) {
  return std::mismatch(folder.begin(), folder.end(), file.begin(), file.end()).first ==
         folder.end();
}

/// Reads a flat JSON list. A whole JSON library for this one shape would be another dependency
/// here.
class ListReader {
 public:
  explicit ListReader(std::string_view text) : text_(text) {}

  std::optional<std::vector<std::string>> read() {
    std::vector<std::string> items;
    if (!take('[')) {
      return std::nullopt;
    }
    if (!take(']')) {
      do {
        std::string item;
        if (items.size() == kMaxLabels || !read_item(item)) {
          return std::nullopt;
        }
        items.push_back(std::move(item));
      } while (take(','));
      if (!take(']')) {
        return std::nullopt;
      }
    }
    skip_blanks();
    return at_ == text_.size() ? std::optional(std::move(items)) : std::nullopt;
  }

 private:
  void skip_blanks() {
    while (at_ < text_.size() && std::string_view(" \t\r\n").contains(text_[at_])) {
      ++at_;
    }
  }
  bool take(char wanted) {
    skip_blanks();
    const bool there = at_ < text_.size() && text_[at_] == wanted;
    at_ += there ? 1 : 0;
    return there;
  }
  bool read_item(std::string& out) { return take('"') ? read_string(out) : read_whole(out); }

  bool read_whole(std::string& out) {
    std::int64_t value = 0;
    const char* begin = text_.data() + at_;
    const auto [end, error] = std::from_chars(begin, text_.data() + text_.size(), value);
    if (error != std::errc()) {
      return false;
    }
    out.assign(begin, end);
    at_ += out.size();
    return true;
  }

  bool read_string(std::string& out) {
    while (at_ < text_.size()) {
      const char c = text_[at_++];
      if (c == '"') {
        return true;
      }
      if (static_cast<unsigned char>(c) < 0x20 || (c == '\\' && !read_escape(out))) {
        return false;
      }
      if (c != '\\') {
        out.push_back(c);
      }
    }
    return false;
  }

  bool read_escape(std::string& out) {
    constexpr std::string_view kNames = "\"\\/bfnrt";
    constexpr std::string_view kMeanings = "\"\\/\b\f\n\r\t";
    if (at_ == text_.size()) {
      return false;
    }
    const char c = text_[at_++];
    if (const auto known = kNames.find(c); known != std::string_view::npos) {
      out.push_back(kMeanings[known]);
      return true;
    }
    std::uint32_t point = 0;
    if (c != 'u' || !read_hex4(point)) {
      return false;
    }
    if (point >= 0xD800 && point < 0xE000) {
      std::uint32_t low = 0;
      if (point >= 0xDC00 || !text_.substr(at_).starts_with("\\u")) {
        return false;
      }
      at_ += 2;
      if (!read_hex4(low) || low < 0xDC00 || low >= 0xE000) {
        return false;
      }
      point = 0x10000 + ((point - 0xD800) << 10U) + (low - 0xDC00);
    }
    append_utf8(out, point);
    return true;
  }

  bool read_hex4(std::uint32_t& out) {
    const std::string_view digits = text_.substr(std::min(at_, text_.size()), 4);
    const auto [end, error] =
        std::from_chars(digits.data(), digits.data() + digits.size(), out, 16);
    at_ += digits.size();
    return digits.size() == 4 && error == std::errc() && end == digits.data() + 4;
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

}  // namespace

Result<fs::path> resolve_inside(const fs::path& folder, std::string_view relative) {
  const std::string name = "'" + std::string(relative) + "'";
  const fs::path path(relative);
  if (relative.empty() || relative.contains('\0')) {
    return fail(ErrorCode::kInvalidArgument, "an empty file name");
  }
  if (path.is_absolute() || std::ranges::find(path, "..") != path.end()) {
    return fail(ErrorCode::kInvalidArgument,
                name + " leaves the model's folder; name a file inside it");
  }
  std::error_code error;
  const fs::path root = fs::canonical(folder, error);
  if (error) {
    return fail(ErrorCode::kInvalidArgument, "the model's folder cannot be read", error.message());
  }
  fs::path file = fs::weakly_canonical(root / path, error);
  if (error) {
    return fail(ErrorCode::kInvalidArgument, name + " cannot be read", error.message());
  }
  if (!inside(root, file)) {
    return fail(ErrorCode::kInvalidArgument, name + " is a link that leaves the model's folder");
  }
  const fs::file_status status = fs::symlink_status(file, error);
  if (status.type() == fs::file_type::not_found) {
    return fail(ErrorCode::kInvalidArgument, "there is no file " + name + " in the model's folder");
  }
  if (error || status.type() != fs::file_type::regular) {
    return fail(ErrorCode::kInvalidArgument, name + " is not a regular file");
  }
  return file;
}

Result<std::vector<std::string>> read_label_file(const fs::path& folder,
                                                 const std::string& relative) {
  const auto path = resolve_inside(folder, relative);
  if (!path) {
    return fail(path.error());
  }
  std::ifstream file(*path, std::ios::binary);
  std::string text(kMaxLabelBytes + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(file.gcount()));
  if (file.bad() || (!file.eof() && file.fail())) {
    return fail(ErrorCode::kInvalidArgument, "'" + relative + "' cannot be read");
  }
  if (text.size() > kMaxLabelBytes) {
    return fail(ErrorCode::kInvalidArgument, "'" + relative + "' is larger than 16 MiB");
  }
  std::string_view rest = text;
  if (rest.starts_with(kByteOrderMark)) {
    rest.remove_prefix(kByteOrderMark.size());
  }
  std::vector<std::string> labels;
  while (!rest.empty()) {
    const auto end = rest.find('\n');
    std::string_view line = rest.substr(0, end);
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
    if (line.ends_with('\r')) {
      line.remove_suffix(1);
    }
    if (labels.size() == kMaxLabels) {
      return fail(ErrorCode::kInvalidArgument, "'" + relative + "' has more than 1000000 lines");
    }
    labels.emplace_back(line);
  }
  while (!labels.empty() && labels.back().empty()) {
    labels.pop_back();
  }
  if (labels.empty()) {
    return fail(ErrorCode::kInvalidArgument, "'" + relative + "' is empty; one label a line");
  }
  return labels;
}

std::string not_utf8(const std::vector<std::string>& labels, const std::string& source) {
  const auto wrong = std::ranges::find_if_not(labels, is_utf8);
  if (wrong == labels.end()) {
    return {};
  }
  const auto count =
      std::ranges::count_if(labels, [](const auto& label) { return !is_utf8(label); });
  return std::to_string(count) + " of the labels of " + source +
         " are not UTF-8 (the first is number " + std::to_string(wrong - labels.begin() + 1) +
         "), and clients get U+FFFD in place of what is wrong; save the file as UTF-8";
}

Result<std::vector<std::string>> parse_label_list(std::string_view json) {
  if (json.size() > kMaxLabelBytes) {
    return fail(ErrorCode::kInvalidArgument, "the label list is larger than 16 MiB");
  }
  auto labels = ListReader(json).read();
  if (!labels) {
    return fail(ErrorCode::kInvalidArgument, "not a JSON list of texts");
  }
  return std::move(*labels);
}

}  // namespace podsense::model
