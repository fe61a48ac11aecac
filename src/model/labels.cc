#include "model/labels.h"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/utf8.h"

namespace podsense::model {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

bool inside(const fs::path& folder, const fs::path& file) {
  return std::mismatch(folder.begin(), folder.end(), file.begin(), file.end()).first ==
         folder.end();
}

/// A label, or nothing: a text, a whole number, or the last text of a list, as Keras lists
/// `["n01440764", "tench"]`.
std::optional<std::string> label_of(const json& value) {
  if (value.is_string()) {
    return value.get<std::string>();
  }
  if (value.is_number_integer()) {
    return value.dump();
  }
  return value.is_array() && !value.empty() && value.back().is_string()
             ? std::optional(value.back().get<std::string>())
             : std::nullopt;
}

/// `{"0": "cat", "1": "dog"}`: the names are all the numbers below their count.
std::optional<std::vector<std::string>> labels_by_index(const json& object) {
  std::vector<std::string> labels(object.size());
  std::vector<bool> seen(object.size());
  for (const auto& [name, value] : object.items()) {
    std::size_t index = 0;
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), index);
    auto label = label_of(value);
    if (error != std::errc() || end != name.data() + name.size() || index >= labels.size() ||
        seen[index] || !label) {
      return std::nullopt;
    }
    seen[index] = true;
    labels[index] = std::move(*label);
  }
  return labels;
}

std::optional<std::vector<std::string>> labels_in_order(const json& list) {
  std::vector<std::string> labels;
  for (const json& value : list) {
    auto label = value.is_array() ? std::nullopt : label_of(value);
    if (!label) {
      return std::nullopt;
    }
    labels.push_back(std::move(*label));
  }
  return labels;
}

/// `text` without the byte order mark that some editors write.
std::string_view without_mark(std::string_view text) {
  return text.substr(text.starts_with(kByteOrderMark) ? kByteOrderMark.size() : 0);
}

std::vector<std::string> lines_of(std::string_view text) {
  std::vector<std::string> lines;
  while (!text.empty() && lines.size() <= kMaxLabels) {
    const auto end = text.find('\n');
    std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (line.ends_with('\r')) {
      line.remove_suffix(1);
    }
    lines.emplace_back(line);
  }
  return lines;
}

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
  if (path->extension() == ".json") {
    auto labels = parse_label_json(text);
    if (!labels || labels->empty()) {
      return fail(ErrorCode::kInvalidArgument,
                  "'" + relative + "' is " + (labels ? "empty" : labels.error().message));
    }
    return labels;
  }
  std::vector<std::string> labels = lines_of(without_mark(text));
  if (labels.size() > kMaxLabels) {
    return fail(ErrorCode::kInvalidArgument, "'" + relative + "' has more than 1000000 lines");
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

Result<std::vector<std::string>> parse_label_json(std::string_view text) {
  if (text.size() > kMaxLabelBytes) {
    return fail(ErrorCode::kInvalidArgument, "a label list of more than 16 MiB");
  }
  // What is deeper than a label can be is passed over: a nest of brackets costs no memory.
  const auto is_shallow = [](int depth, json::parse_event_t /*event*/, json& /*value*/) {
    return depth <= 3;
  };
  const json value = json::parse(without_mark(text), is_shallow, false);
  std::optional<std::vector<std::string>> labels;
  if (value.is_array() && value.size() <= kMaxLabels) {
    labels = labels_in_order(value);
  } else if (value.is_object() && value.size() <= kMaxLabels) {
    const auto nested = value.find("id2label");
    labels = nested == value.end() ? labels_by_index(value)
             : nested->is_object() ? labels_by_index(*nested)
                                   : std::nullopt;
  }
  if (!labels) {
    return fail(
        ErrorCode::kInvalidArgument,
        std::string(value.is_discarded() ? "not JSON" : "no list of labels") +
            R"(; accepted: ["cat", "dog"], {"0": "cat", "1": "dog"} or a config.json with such an id2label)");
  }
  return std::move(*labels);
}

}  // namespace podsense::model
