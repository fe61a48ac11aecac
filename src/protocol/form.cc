#include "protocol/form.h"

#include <algorithm>
#include <array>
#include <string>

#include "base/text.h"
#include "protocol/json_syntax.h"
#include "protocol/options.h"

namespace podsense::protocol {
namespace {

constexpr std::array<std::string_view, 3> kOptions{"model", "version", "top_k"};
constexpr std::array<std::string_view, 5> kPartNames{"image", "file", "model", "version", "top_k"};
constexpr std::array<std::string_view, 4> kImageNames{"image", "file", "images", "files"};

bool is_option(const FormPart& part) {
  return std::ranges::find(kOptions, part.name) != kOptions.end();
}

bool is_picture(const FormPart& part) {
  std::string_view name = part.name;
  if (name.ends_with("[]")) {
    name.remove_suffix(2);
  }
  return std::ranges::find(kImageNames, name) != kImageNames.end() ||
         (!part.filename.empty() && !is_option(part));
}

Result<void> read_option(const FormPart& part, ClassifyRequest& request) {
  if (part.name == "top_k") {
    auto top_k = top_k_option(part.data);
    if (!top_k) {
      return tl::unexpected(std::move(top_k.error()));
    }
    request.top_k = *top_k;
    return {};
  }
  auto text = name_option(part.name, part.data);
  if (!text) {
    return tl::unexpected(std::move(text.error()));
  }
  (part.name == "model" ? request.model.name : request.model.version) = std::move(*text);
  return {};
}

/// Reads the options. Empty inputs count as missing.
Result<ClassifyRequest> read_options(const std::vector<FormPart>& parts) {
  ClassifyRequest options;
  for (auto part = parts.begin(); part != parts.end(); ++part) {
    if (!is_option(*part)) {
      // A misspelled option would be silently ignored, so it is an error.
      if (!is_picture(*part) && !nearest_name(part->name, kOptions).empty()) {
        return unknown_name("form part", part->name, kOptions);
      }
      continue;
    }
    const auto same = [&](const FormPart& other) { return other.name == part->name; };
    if (std::any_of(parts.begin(), part, same)) {
      return invalid("the form part " + in_quotes(part->name) + " is given twice");
    }
    if (part->data.empty()) {
      continue;
    }
    if (auto read = read_option(*part, options); !read) {
      return tl::unexpected(std::move(read.error()));
    }
  }
  return options;
}

Error no_picture(const std::vector<FormPart>& parts) {
  if (const auto empty = std::ranges::find_if(parts, is_picture); empty != parts.end()) {
    return invalid("the form part " + in_quotes(empty->name) +
                   " is empty; it must hold the bytes of an image")
        .value();
  }
  if (const auto other = std::ranges::find_if_not(parts, is_option); other != parts.end()) {
    return unknown_name("form part", other->name, kPartNames).value();
  }
  return invalid("the form holds no image; send it as the part 'image'").value();
}

}  // namespace

Result<Pictures> classify_from_form(std::string_view body, std::string_view boundary) {
  auto parts = parse_multipart(body, boundary);
  if (!parts) {
    return tl::unexpected(std::move(parts.error()));
  }
  const auto options = read_options(*parts);
  if (!options) {
    return tl::unexpected(options.error());
  }
  Pictures pictures;
  for (const FormPart& part : *parts) {
    if (!is_picture(part) || part.data.empty()) {
      continue;
    }
    if (pictures.size() == kMaxPictures) {
      return too_many_pictures();
    }
    pictures.emplace_back(ClassifyRequest{.model = options->model,
                                          .image = std::string(part.data),
                                          .url = {},
                                          .top_k = options->top_k});
  }
  if (pictures.empty()) {
    return tl::unexpected(no_picture(*parts));
  }
  return pictures;
}

bool begins_binary(std::string_view body) {
  for (const std::string_view mark : {"\xEF\xBB\xBF", "\xFF\xFE", "\xFE\xFF"}) {
    if (body.starts_with(mark)) {
      return false;
    }
  }
  // UTF-16 without a byte order mark.
  if (body.size() > 1 && (body[0] == '\0') != (body[1] == '\0') &&
      std::string_view("{[").contains(body[0] == '\0' ? body[1] : body[0])) {
    return false;
  }
  return std::ranges::any_of(body.substr(0, 12), [](unsigned char c) {
    return c >= 0x80 || c == 0x7F || (c < 0x20 && c != '\t' && c != '\n' && c != '\r' && c != '\f');
  });
}

}  // namespace podsense::protocol
