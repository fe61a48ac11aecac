#include "protocol/form.h"

#include <algorithm>
#include <array>
#include <string>

#include "protocol/json_syntax.h"
#include "protocol/options.h"

namespace podsense::protocol {
namespace {

constexpr std::array<std::string_view, 5> kPartNames{"image", "file", "model", "version", "top_k"};

bool is_option(const FormPart& part) {
  return part.name == "model" || part.name == "version" || part.name == "top_k";
}

bool is_named_image(const FormPart& part) {
  return part.name == "image" || part.name == "file";
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

/// The part named so, or the only one with a file name.
Result<const FormPart*> find_image(const std::vector<FormPart>& parts) {
  const auto named = std::ranges::count_if(parts, is_named_image);
  const auto is_file = [](const FormPart& part) {
    return !is_option(part) && !part.filename.empty();
  };
  if (named > 1 || (named == 0 && std::ranges::count_if(parts, is_file) > 1)) {
    return invalid("the form holds two images; send one, as the part 'image'");
  }
  const auto found = named == 1 ? std::ranges::find_if(parts, is_named_image)
                                : std::ranges::find_if(parts, is_file);
  return found == parts.end() ? nullptr : &*found;
}

}  // namespace

Result<ClassifyRequest> classify_from_form(std::string_view body, std::string_view boundary) {
  auto parts = parse_multipart(body, boundary);
  if (!parts) {
    return tl::unexpected(std::move(parts.error()));
  }
  const auto image = find_image(*parts);
  if (!image) {
    return tl::unexpected(image.error());
  }
  ClassifyRequest request;
  for (auto part = parts->begin(); part != parts->end(); ++part) {
    if (&*part == *image) {
      continue;
    }
    if (!is_option(*part)) {
      return unknown_name("form part", part->name, kPartNames);
    }
    const auto same = [&](const FormPart& other) { return other.name == part->name; };
    if (std::any_of(parts->begin(), part, same)) {
      return invalid("the form part " + in_quotes(part->name) + " is given twice");
    }
    if (auto read = read_option(*part, request); !read) {
      return tl::unexpected(std::move(read.error()));
    }
  }
  if (*image == nullptr) {
    return invalid("the form holds no image; send it as the part 'image'");
  }
  if ((*image)->data.empty()) {
    return invalid("the form part " + in_quotes((*image)->name) +
                   " is empty; it must hold the bytes of an image");
  }
  request.image = (*image)->data;
  return request;
}

}  // namespace podsense::protocol
