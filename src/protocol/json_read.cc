#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <optional>

#include "protocol/form.h"
#include "protocol/json_body.h"
#include "protocol/json_codec.h"
#include "protocol/options.h"
#include "protocol/parameters.h"

namespace podsense::protocol {
namespace {

constexpr double kMaxFloat = std::numeric_limits<float>::max();
constexpr std::size_t kMaxUrl = 8192;
/// Numbers to reserve room for before they are read; above it the vector grows
/// as they come.
constexpr std::size_t kMaxReserved = std::size_t{1} << 18U;

constexpr std::string_view kNameRule = "it must be a string of at most 64 characters";
constexpr std::string_view kVersionRule = "it must be a string or a positive integer";
constexpr std::string_view kSpace = " \t\r\n";

constexpr std::array<std::string_view, 4> kImageFields{"image", "model", "version", "top_k"};
constexpr std::array<std::string_view, 4> kUrlFields{"url", "model", "version", "top_k"};
constexpr std::array<std::string_view, 3> kFeaturesFields{"features", "model", "version"};
constexpr std::array<std::string_view, 3> kInstancesFields{"instances", "model", "version"};
constexpr std::array<std::string_view, 6> kInferFields{"image", "model",     "version",
                                                       "top_k", "image_url", "features"};
constexpr std::array<std::string_view, 3> kSimulateFields{"cpu_ms", "model", "version"};

constexpr std::array<std::string_view, 4> kExactFields{"features", "instances", "model", "version"};

constexpr Shape kImageShape{kImageFields, R"({"image": "<base64>"})"};
constexpr Shape kUrlShape{kUrlFields, R"({"url": "https://example.com/cat.jpg"})"};
constexpr Shape kFeaturesShape{kFeaturesFields, R"({"features": [0.5, 1, 2]})"};
constexpr Shape kInstancesShape{kInstancesFields, R"({"instances": [[0.5, 1], [2, 3]]})"};
constexpr Shape kInferShape{kInferFields, R"({"features": [0.5, 1, 2]})"};
constexpr Shape kSimulateShape{kSimulateFields, R"({"cpu_ms": 25})"};

constexpr Shape kExactShape{kExactFields, R"({"features": [0.5, 1, 2]})"};

constexpr std::size_t kMainField = 0;
constexpr std::size_t kExactRows = 1;
constexpr std::size_t kModelField = 1;
constexpr std::size_t kTopKField = 3;
constexpr std::size_t kImageUrlField = 4;

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

/// Base64, bare or in a `data:` URL; the declared media type is not looked at,
/// the content is.
Result<std::string> read_image(std::string_view text) {
  std::size_t skip = 0;
  if (same_name(text.substr(0, 5), "data:")) {
    constexpr std::string_view kMark = ";base64";
    const std::size_t comma = text.find(',');
    const std::string_view head = text.substr(0, std::min(comma, text.size()));
    if (comma == std::string_view::npos || head.size() < kMark.size() ||
        !same_name(head.substr(head.size() - kMark.size()), kMark)) {
      return invalid(
          "image is a data: URL without ';base64,'; send "
          "data:image/jpeg;base64,…");
    }
    skip = comma + 1;
  } else if (same_name(text.substr(0, 7), "http://") || same_name(text.substr(0, 8), "https://")) {
    return invalid(
        "image is a URL; it must be base64; URLs go to /predict/url "
        "as the field 'url'");
  }
  auto bytes = decode_base64_field("image", text, skip);
  if (bytes && bytes->empty()) {
    return invalid("image is empty; it must be the base64 of an image's bytes");
  }
  return bytes;
}

/// A value that is missing: `null`, or `NaN` as Python and others write it.
bool is_missing(ondemand::value& value) {
  std::string_view token = value.raw_json_token();
  if (!token.starts_with('n') && !token.starts_with('N')) {
    return false;
  }
  token = token.substr(0, token.find_last_not_of(" \t\r\n") + 1);
  return token == "null" || token == "NaN";
}

/// Appends the numbers of one row; those that are missing become NaN. @returns how many
template <class Number>
Result<std::size_t> read_row(std::string_view json, ondemand::value& value, Place place,
                             std::vector<Number>& values) {
  ondemand::array array;
  if (value.get_array().get(array) != simdjson::SUCCESS) {
    return refuse(json, value, place, "it must be an array of numbers", '[');
  }
  std::size_t count = 0;
  for (auto element : array) {
    ondemand::value item;
    if (std::move(element).get(item) != simdjson::SUCCESS) {
      return syntax_error(json);
    }
    double number = 0;
    if (is_missing(item)) {
      number = std::numeric_limits<double>::quiet_NaN();
    } else if (item.get_double().get(number) != simdjson::SUCCESS ||
               !(std::abs(number) <= kMaxFloat)) {
      (place.row == Place::kNone ? place.row : place.column) = count;
      return refuse_number(json, item, place);
    }
    if (count == kMaxColumns) {
      return fail(ErrorCode::kPayloadTooLarge,
                  place.text() + " holds more than " + std::to_string(kMaxColumns) + " numbers");
    }
    values.push_back(static_cast<Number>(number));
    ++count;
  }
  if (count == 0) {
    return invalid(place.text() + " holds 0 numbers; at least 1 is needed");
  }
  return count;
}

bool is_object(ondemand::value& value) {
  ondemand::json_type type{};
  return value.type().get(type) == simdjson::SUCCESS && type == ondemand::json_type::object;
}

/// A number, a text, a boolean, or nothing where it is missing.
std::optional<Cell> read_cell(ondemand::value& value) {
  if (is_missing(value)) {
    return Cell();
  }
  std::string_view text;
  if (value.get_string().get(text) == simdjson::SUCCESS) {
    return Cell(std::string(text));
  }
  bool truth = false;
  if (value.get_bool().get(truth) == simdjson::SUCCESS) {
    return Cell(truth);
  }
  std::int64_t whole = 0;
  if (value.get_int64().get(whole) == simdjson::SUCCESS) {
    return Cell(whole);
  }
  double number = 0;
  if (value.get_double().get(number) == simdjson::SUCCESS && std::isfinite(number)) {
    return Cell(number);
  }
  return std::nullopt;
}

/// Appends row `row`, which is an object of names and values, to `rows`.
Result<void> read_named_row(std::string_view json, ondemand::value& value, const Place& place,
                            std::size_t row, NamedRows& rows) {
  ondemand::object object;
  if (value.get_object().get(object) != simdjson::SUCCESS) {
    return refuse(json, value, place, "it must be an object as the rows before it are", '{');
  }
  for (auto entry : object) {
    ondemand::field field;
    std::string_view name;
    if (std::move(entry).get(field) != simdjson::SUCCESS ||
        field.unescaped_key().get(name) != simdjson::SUCCESS) {
      return syntax_error(json);
    }
    const std::string where = place.text() + "." + std::string(name);
    auto at = static_cast<std::size_t>(std::ranges::find(rows.names, name) - rows.names.begin());
    if (at == rows.names.size()) {
      if (row > 0) {
        return invalid(where + " is not in the first row; all rows must have the same names");
      }
      if (at == kMaxNamedColumns) {
        return fail(ErrorCode::kPayloadTooLarge, place.text() + " holds more than " +
                                                     std::to_string(kMaxNamedColumns) + " names");
      }
      rows.names.emplace_back(name);
      rows.columns.emplace_back();
    }
    if (rows.columns[at].size() != row) {
      return invalid(where + " is given twice");
    }
    auto cell = read_cell(field.value());
    if (!cell) {
      return refuse(json, field.value(), {.field = where},
                    "it must be a finite number, a string, true, false or null");
    }
    rows.columns[at].push_back(std::move(*cell));
  }
  for (std::size_t at = 0; at < rows.names.size(); ++at) {
    if (rows.columns[at].size() != row + 1) {
      return invalid(place.text() + " has no '" + rows.names[at] + "', which the first row has");
    }
  }
  return rows.names.empty() ? invalid(place.text() + " holds no names; at least 1 is needed")
                            : Result<void>();
}

/// One allocation for all numbers of a usual body.
void reserve_for(std::string_view json, std::vector<float>& values) {
  const auto commas = static_cast<std::size_t>(std::ranges::count(json, ','));
  values.reserve(std::min(commas + 1, kMaxReserved));
}

Result<void> read_rows(std::string_view json, ondemand::value& value, RowsRequest& request) {
  ondemand::array array;
  if (value.get_array().get(array) != simdjson::SUCCESS) {
    return refuse(json, value, {"instances"}, "it must be an array of arrays of numbers", '[');
  }
  reserve_for(json, request.values);
  std::shared_ptr<NamedRows> named;
  for (auto element : array) {
    ondemand::value row;
    if (std::move(element).get(row) != simdjson::SUCCESS) {
      return syntax_error(json);
    }
    if (request.rows == kMaxRows) {
      return fail(ErrorCode::kPayloadTooLarge,
                  "instances holds more than " + std::to_string(kMaxRows) + " rows");
    }
    if (named || (request.rows == 0 && is_object(row))) {
      named = named ? std::move(named) : std::make_shared<NamedRows>();
      auto read = read_named_row(json, row, {"instances", request.rows}, request.rows, *named);
      if (!read) {
        return read;
      }
      request.columns = named->names.size();
      ++request.rows;
      continue;
    }
    const auto columns = read_row(json, row, {"instances", request.rows}, request.values);
    if (!columns) {
      return tl::unexpected(columns.error());
    }
    if (request.rows == 0) {
      request.columns = *columns;
    } else if (*columns != request.columns) {
      return invalid("instances[" + std::to_string(request.rows) + "] holds " +
                     std::to_string(*columns) + " numbers and instances[0] " +
                     std::to_string(request.columns) + "; all rows must be equally long");
    }
    ++request.rows;
  }
  if (request.rows == 0) {
    return invalid("instances holds 0 rows; at least 1 is needed");
  }
  request.named = std::move(named);
  return {};
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

Result<void> read_url_field(std::string_view json, ondemand::value& value, std::string_view field,
                            ClassifyRequest& request) {
  std::string_view url;
  if (value.get_string().get(url) != simdjson::SUCCESS) {
    return refuse(json, value, {field}, "it must be a string", '"');
  }
  if (url.empty() || url.size() > kMaxUrl) {
    return invalid(std::string(field) + " is " + std::to_string(url.size()) +
                   " bytes long; it must be 1 to " + std::to_string(kMaxUrl));
  }
  request.url = url;
  return {};
}

Result<void> read_features_field(std::string_view json, ondemand::value& value,
                                 RowsRequest& request) {
  if (is_object(value)) {
    auto named = std::make_shared<NamedRows>();
    if (auto read = read_named_row(json, value, {"features"}, 0, *named); !read) {
      return read;
    }
    request.rows = 1;
    request.columns = named->names.size();
    request.named = std::move(named);
    return {};
  }
  reserve_for(json, request.values);
  const auto columns = read_row(json, value, {"features"}, request.values);
  if (!columns) {
    return tl::unexpected(columns.error());
  }
  request.rows = 1;
  request.columns = *columns;
  return {};
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
  if (request.url.empty()) {
    return missing(kUrlShape);
  }
  return request;
}

Result<RowsRequest> parse_features(std::string_view json) {
  RowsRequest request;
  const auto on_field = [&](std::size_t index, ondemand::value value, std::string_view text) {
    return index == kMainField ? read_features_field(text, value, request)
                               : read_model(text, value, index, request.model);
  };
  if (auto read = read_object(json, kFeaturesShape, on_field); !read) {
    return tl::unexpected(std::move(read.error()));
  }
  if (request.rows == 0) {
    return missing(kFeaturesShape);
  }
  request.json = json;
  return request;
}

Result<RowsRequest> parse_instances(std::string_view json) {
  RowsRequest request;
  const auto on_field = [&](std::size_t index, ondemand::value value, std::string_view text) {
    return index == kMainField ? read_rows(text, value, request)
                               : read_model(text, value, index, request.model);
  };
  if (auto read = read_object(json, kInstancesShape, on_field); !read) {
    return tl::unexpected(std::move(read.error()));
  }
  if (request.rows == 0) {
    return missing(kInstancesShape);
  }
  request.json = json;
  return request;
}

Result<std::vector<double>> read_exact_values(std::string_view json) {
  std::vector<double> values;
  const auto on_field = [&](std::size_t index, ondemand::value value,
                            std::string_view text) -> Result<void> {
    if (index > kExactRows) {
      return {};
    }
    ondemand::array rows;
    if (index == kMainField) {
      return read_row(text, value, {"features"}, values).map([](std::size_t) {});
    }
    if (value.get_array().get(rows) != simdjson::SUCCESS) {
      return syntax_error(text);
    }
    for (auto element : rows) {
      ondemand::value row;
      if (std::move(element).get(row) != simdjson::SUCCESS) {
        return syntax_error(text);
      }
      if (auto read = read_row(text, row, {"instances"}, values); !read) {
        return tl::unexpected(std::move(read.error()));
      }
    }
    return {};
  };
  if (auto read = read_object(json, kExactShape, on_field); !read) {
    return tl::unexpected(std::move(read.error()));
  }
  return values;
}

Result<std::variant<ClassifyRequest, RowsRequest>> parse_infer(std::string_view json) {
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
        return read_features_field(text, value, rows);
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
    if (value.get_double().get(ms) == simdjson::SUCCESS) {
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
