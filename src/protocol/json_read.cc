#include <algorithm>
#include <array>
#include <vector>

#include "protocol/form.h"
#include "protocol/json_body.h"
#include "protocol/json_codec.h"
#include "protocol/json_rows.h"
#include "protocol/options.h"
#include "protocol/parameters.h"
#include "protocol/v1_codec.h"

namespace podsense::protocol {
namespace {

constexpr std::size_t kMaxUrl = 8192;

constexpr std::string_view kNameRule = "it must be a string of at most 64 characters";
constexpr std::string_view kVersionRule = "it must be a string or a positive integer";
constexpr std::string_view kSpace = " \t\r\n";

constexpr std::array<std::string_view, 4> kImageFields{"image", "model", "version", "top_k"};
constexpr std::array<std::string_view, 4> kUrlFields{"url", "model", "version", "top_k"};
constexpr std::array<std::string_view, 4> kFeaturesFields{"features", "model", "version",
                                                          "instances"};
constexpr std::array<std::string_view, 3> kInstancesFields{"instances", "model", "version"};
constexpr std::array<std::string_view, 6> kInferFields{"image", "model",     "version",
                                                       "top_k", "image_url", "features"};
constexpr std::array<std::string_view, 3> kSimulateFields{"cpu_ms", "model", "version"};

constexpr std::array<std::string_view, 5> kSeveralFields{"images", "model", "version", "top_k",
                                                         "urls"};

constexpr Shape kImageShape{kImageFields, R"({"image": "<base64>"})"};
constexpr Shape kUrlShape{kUrlFields, R"({"url": "https://example.com/cat.jpg"})"};
constexpr Shape kFeaturesShape{kFeaturesFields, R"({"features": [0.5, 1, 2]})"};
constexpr Shape kInstancesShape{kInstancesFields, R"({"instances": [[0.5, 1], [2, 3]]})"};
constexpr Shape kInferShape{kInferFields, R"({"features": [0.5, 1, 2]})"};
constexpr Shape kSimulateShape{kSimulateFields, R"({"cpu_ms": 25})"};

constexpr Shape kSeveralShape{kSeveralFields, R"({"images": ["<base64>", "<base64>"]})"};

constexpr std::size_t kMainField = 0;
constexpr std::size_t kModelField = 1;
constexpr std::size_t kTopKField = 3;
constexpr std::size_t kOneInstanceField = 3;
constexpr std::size_t kImageUrlField = 4;
constexpr std::size_t kUrlsField = 4;

tl::unexpected<Error> missing(const Shape& shape) {
  return invalid("the field '" + std::string(shape.fields[kMainField]) + "' is missing; send " +
                 std::string(shape.example));
}

Result<std::string> read_name(std::string_view json, ondemand::value& value,
                              std::string_view field) {
  std::string_view text;
  if (value.get_string().get(text) != simdjson::SUCCESS) {
    return refuse(json, value, {field}, kNameRule, '"');
  }
  return name_option(field, text);
}

Result<std::string> read_version(std::string_view json, ondemand::value& value) {
  std::string_view text;
  const simdjson::error_code error = value.get_string().get(text);
  if (error == simdjson::SUCCESS) {
    return name_option("version", text);
  }
  std::uint64_t number = 0;
  if (error != simdjson::INCORRECT_TYPE || value.get_uint64().get(number) != simdjson::SUCCESS ||
      number == 0) {
    return refuse(json, value, {"version"}, kVersionRule, '"');
  }
  return std::to_string(number);
}

Result<void> read_model(std::string_view json, ondemand::value& value, std::size_t index,
                        ModelRef& model) {
  auto text = index == kModelField ? read_name(json, value, "model") : read_version(json, value);
  if (!text) {
    return tl::unexpected(std::move(text.error()));
  }
  (index == kModelField ? model.name : model.version) = std::move(*text);
  return {};
}

Result<void> read_classify_option(std::string_view json, ondemand::value& value, std::size_t index,
                                  ClassifyRequest& request) {
  if (index != kTopKField) {
    return read_model(json, value, index, request.model);
  }
  std::uint64_t top_k = 0;
  if (value.get_uint64().get(top_k) != simdjson::SUCCESS || top_k == 0 || top_k > kMaxTopK) {
    return refuse(json, value, {"top_k"}, kTopKRule);
  }
  request.top_k = static_cast<std::uint32_t>(top_k);
  return {};
}

bool is_data_url(std::string_view text) {
  return same_name(text.substr(0, 5), "data:");
}

/// Decodes a data: URL. Its declared media type is ignored, as the content decides.
/// @source WHATWG Fetch, "data: URL processor"
Result<std::string> read_data_url(std::string_view field, std::string_view text) {
  constexpr std::string_view kMark = "base64";
  const std::size_t comma = text.find(',');
  std::string_view head = text.substr(0, std::min(comma, text.size()));
  bool base64 = comma != std::string_view::npos && head.size() > kMark.size() &&
                same_name(head.substr(head.size() - kMark.size()), kMark);
  if (base64) {
    head.remove_suffix(kMark.size());
    head = head.substr(0, head.find_last_not_of(' ') + 1);
    base64 = head.ends_with(';');
  }
  if (!base64) {
    return invalid(std::string(field) +
                   " is a data: URL without ';base64,'; send data:image/jpeg;base64,…");
  }
  if (text.find('%', comma) == std::string_view::npos) {
    return decode_base64_field(field, text, comma + 1);
  }
  return decode_base64_field(field, decode_segment(text.substr(comma + 1)), 0);
}

/// Decodes base64, plain or in a data: URL.
Result<std::string> read_image(std::string_view text, std::string_view field = "image") {
  if (same_name(text.substr(0, 7), "http://") || same_name(text.substr(0, 8), "https://")) {
    return invalid(std::string(field) +
                   " is a URL; it must be base64; URLs go to /predict/url "
                   "as the field 'url'");
  }
  auto bytes = is_data_url(text) ? read_data_url(field, text) : decode_base64_field(field, text, 0);
  if (bytes && bytes->empty()) {
    return invalid(std::string(field) + " is empty; it must be the base64 of an image's bytes");
  }
  return bytes;
}

Result<void> read_image_field(std::string_view json, ondemand::value& value,
                              ClassifyRequest& request) {
  std::string_view encoded;
  if (value.get_string().get(encoded) != simdjson::SUCCESS) {
    return refuse(json, value, {"image"}, "it must be a string of base64", '"');
  }
  auto image = read_image(encoded);
  if (!image) {
    return tl::unexpected(std::move(image.error()));
  }
  request.image = std::move(*image);
  return {};
}

/// Reads a URL; a data: URL contains the picture itself.
Result<void> read_url(std::string_view url, const std::string& field, ClassifyRequest& request) {
  if (is_data_url(url)) {
    auto image = read_image(url, field);
    if (!image) {
      return tl::unexpected(std::move(image.error()));
    }
    request.image = std::move(*image);
    return {};
  }
  if (url.empty() || url.size() > kMaxUrl) {
    return invalid(field + " is " + std::to_string(url.size()) + " bytes long; it must be 1 to " +
                   std::to_string(kMaxUrl));
  }
  request.url = url;
  return {};
}

Result<void> read_url_field(std::string_view json, ondemand::value& value, std::string_view field,
                            ClassifyRequest& request) {
  std::string_view url;
  if (value.get_string().get(url) != simdjson::SUCCESS) {
    return refuse(json, value, {field}, "it must be a string", '"');
  }
  return read_url(url, std::string(field), request);
}

/// The elements of `images` or `urls`.
Result<void> read_pictures(std::string_view json, ondemand::value& value, std::string_view field,
                           Pictures& pictures) {
  ondemand::array list;
  if (value.get_array().get(list) != simdjson::SUCCESS) {
    return refuse(json, value, {field}, "it must be a list of strings", '[');
  }
  for (auto element : list) {
    ondemand::value item;
    std::string_view text;
    if (std::move(element).get(item) != simdjson::SUCCESS) {
      return syntax_error(json);
    }
    const ValuePlace place{field, pictures.size()};
    if (item.get_string().get(text) != simdjson::SUCCESS) {
      return refuse(json, item, place, "it must be a string", '"');
    }
    if (pictures.size() == kMaxPictures) {
      return too_many_pictures();
    }
    ClassifyRequest picture;
    Result<void> read;
    if (field == kSeveralFields[kUrlsField]) {
      read = read_url(text, place.text(), picture);
    } else if (auto image = read_image(text, place.text()); image) {
      picture.image = std::move(*image);
    } else {
      read = tl::unexpected(std::move(image.error()));
    }
    pictures.push_back(read ? Result<ClassifyRequest>(std::move(picture))
                            : Result<ClassifyRequest>(tl::unexpected(std::move(read.error()))));
  }
  return {};
}

/// `on_rows` reads the fields that hold rows.
template <class OnRows>
Result<RowsRequest> read_rows_body(std::string_view json, const Shape& shape,
                                   const OnRows& on_rows) {
  RowsRequest request;
  const auto on_field = [&](std::size_t index, ondemand::value value, std::string_view text) {
    return index == kMainField || index == kOneInstanceField
               ? on_rows(text, value, index, request)
               : read_model(text, value, index, request.model);
  };
  if (auto read = read_object(json, shape, on_field); !read) {
    return tl::unexpected(std::move(read.error()));
  }
  if (request.rows == 0) {
    return missing(shape);
  }
  request.json = json;
  return request;
}

/// Reads one row: `features`, or `instances` with one element.
Result<void> read_one_row(std::string_view json, ondemand::value& value, std::size_t index,
                          RowsRequest& request, std::vector<Cell>* cells) {
  if (request.rows != 0) {
    return invalid("there are both features and instances; send one of them");
  }
  if (index == kMainField) {
    return read_features(json, value, request, cells);
  }
  if (auto read = read_rows(json, value, request, cells); !read) {
    return read;
  }
  return request.rows == 1 ? Result<void>()
                           : invalid("instances holds " + std::to_string(request.rows) +
                                     " rows; this takes 1, /predict-batch takes several");
}

Result<std::variant<ClassifyRequest, RowsRequest>> read_infer(std::string_view json,
                                                              std::vector<Cell>* cells) {
  ClassifyRequest picture;
  RowsRequest rows;
  bool has_top_k = false;
  const auto on_field = [&](std::size_t index, ondemand::value value, std::string_view text) {
    switch (index) {
      case kMainField:
        return read_image_field(text, value, picture);
      case kImageUrlField:
        return read_url_field(text, value, kInferFields[index], picture);
      case kModelField:
      case kTopKField - 1:
        return read_model(text, value, index, picture.model);
      case kTopKField:
        has_top_k = true;
        return read_classify_option(text, value, index, picture);
      default:
        return read_features(text, value, rows, cells);
    }
  };
  if (auto read = read_object(json, kInferShape, on_field); !read) {
    return tl::unexpected(std::move(read.error()));
  }
  const int given =
      (picture.image.empty() ? 0 : 1) + (picture.url.empty() ? 0 : 1) + (rows.rows == 0 ? 0 : 1);
  if (given != 1) {
    return invalid(std::string(given == 0 ? "there is no input" : "there are several inputs") +
                   "; send exactly one of image, image_url and features");
  }
  if (rows.rows == 0) {
    return picture;
  }
  if (has_top_k) {
    return invalid("top_k goes with image and image_url, not with features");
  }
  rows.model = std::move(picture.model);
  rows.json = json;
  return rows;
}

}  // namespace

Result<ClassifyRequest> parse_classify_image(std::string_view json) {
  ClassifyRequest request;
  const auto on_field = [&](std::size_t index, ondemand::value value, std::string_view text) {
    return index == kMainField ? read_image_field(text, value, request)
                               : read_classify_option(text, value, index, request);
  };
  if (auto read = read_object(json, kImageShape, on_field); !read) {
    return tl::unexpected(std::move(read.error()));
  }
  if (request.image.empty()) {
    return missing(kImageShape);
  }
  return request;
}

Result<ClassifyRequest> parse_classify_url(std::string_view json) {
  ClassifyRequest request;
  const auto on_field = [&](std::size_t index, ondemand::value value, std::string_view text) {
    return index == kMainField ? read_url_field(text, value, "url", request)
                               : read_classify_option(text, value, index, request);
  };
  if (auto read = read_object(json, kUrlShape, on_field); !read) {
    return tl::unexpected(std::move(read.error()));
  }
  if (request.url.empty() && request.image.empty()) {
    return missing(kUrlShape);
  }
  return request;
}

Result<Pictures> parse_classify_several(std::string_view json) {
  Pictures pictures;
  ClassifyRequest options;
  bool both = false;
  const auto on_field = [&](std::size_t index, ondemand::value value,
                            std::string_view text) -> Result<void> {
    if (index != kMainField && index != kUrlsField) {
      return read_classify_option(text, value, index, options);
    }
    both = both || !pictures.empty();
    return read_pictures(text, value, kSeveralFields[index], pictures);
  };
  if (auto read = read_object(json, kSeveralShape, on_field); !read) {
    return tl::unexpected(std::move(read.error()));
  }
  if (both || pictures.empty()) {
    return invalid(both ? "there are both images and urls; send one of the lists"
                        : "there are no pictures; send " + std::string(kSeveralShape.example));
  }
  for (auto& picture : pictures) {
    if (picture) {
      picture->model = options.model;
      picture->top_k = options.top_k;
    }
  }
  return pictures;
}

bool holds_several_pictures(std::string_view json) {
  return has_member(json, kSeveralFields[kMainField]) ||
         has_member(json, kSeveralFields[kUrlsField]);
}

Result<RowsRequest> parse_features(std::string_view json) {
  return parse_rows([&](std::vector<Cell>* cells) {
    return read_rows_body(json, kFeaturesShape,
                          [&](auto text, auto& value, auto index, auto& rows) {
                            return read_one_row(text, value, index, rows, cells);
                          });
  });
}

Result<RowsRequest> parse_instances(std::string_view json) {
  return parse_rows([&](std::vector<Cell>* cells) {
    return read_rows_body(json, kInstancesShape, [&](auto text, auto& value, auto, auto& rows) {
      return read_rows(text, value, rows, cells);
    });
  });
}

Result<std::variant<ClassifyRequest, RowsRequest>> parse_infer(std::string_view json) {
  return parse_rows([&](std::vector<Cell>* cells) { return read_infer(json, cells); });
}

Result<SimulateRequest> parse_simulate(std::string_view json) {
  SimulateRequest request;
  if (json.find_first_not_of(kSpace) == std::string_view::npos) {
    return request;
  }
  const auto on_field = [&](std::size_t index, ondemand::value value,
                            std::string_view text) -> Result<void> {
    if (index != kMainField) {
      return read_model(text, value, index, request.model);
    }
    double ms = -1;
    if (read_double(value, ms)) {
      request.cpu = cpu_from_ms(ms);
    }
    if (!request.cpu) {
      return refuse(text, value, {"cpu_ms"}, kCpuRule);
    }
    return {};
  };
  if (auto read = read_object(json, kSimulateShape, on_field); !read) {
    return tl::unexpected(std::move(read.error()));
  }
  return request;
}

}  // namespace podsense::protocol
