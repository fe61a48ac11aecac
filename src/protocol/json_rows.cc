#include "protocol/json_rows.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>

#include "protocol/json_codec.h"

namespace podsense::protocol {
namespace {

constexpr double kMaxFloat = std::numeric_limits<float>::max();
/// The maximum of numbers to reserve memory for in advance; beyond it the vector grows.
constexpr std::size_t kMaxReserved = std::size_t{1} << 18U;
constexpr std::string_view kCellRule = "it must be a finite number, a string, true, false or null";

constexpr std::array<std::string_view, 6> kExactFields{"features", "instances", "model",
                                                       "version",  "image",     "image_url"};
constexpr Shape kExactShape{kExactFields, R"({"features": [0.5, 1, 2]})"};
constexpr std::size_t kExactFeatures = 0;
constexpr std::size_t kExactInstances = 1;

/// Whether a value is missing: `null`, or `NaN`, which Python and others write.
bool is_missing(ondemand::value& value) {
  std::string_view token = value.raw_json_token();
  if (!token.starts_with('n') && !token.starts_with('N')) {
    return false;
  }
  token = token.substr(0, token.find_last_not_of(" \t\r\n") + 1);
  return token == "null" || token == "NaN";
}

/// Appends a number of a list. False: not a number in float range.
template <class Number>
bool append(ondemand::value& item, std::vector<Number>& values) {
  double number = 0;
  if (is_missing(item)) {
    number = std::numeric_limits<double>::quiet_NaN();
  } else if (!read_double(item, number) || !(std::abs(number) <= kMaxFloat)) {
    return false;
  }
  values.push_back(static_cast<Number>(number));
  return true;
}

/// A number, a text, a boolean or a missing value; nothing: any other value.
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
  if (read_double(value, number) && std::isfinite(number)) {
    return Cell(number);
  }
  return std::nullopt;
}

bool append(ondemand::value& item, std::vector<Cell>& cells) {
  auto cell = read_cell(item);
  if (cell) {
    cells.push_back(std::move(*cell));
  }
  return cell.has_value();
}

tl::unexpected<Error> refuse_item(std::string_view json, ondemand::value& item,
                                  const ValuePlace& place, bool cells) {
  return cells ? refuse(json, item, place, kCellRule) : refuse_number(json, item, place);
}

/// Appends the values of one row; numbers that are missing become NaN. @returns how many
template <class Value>
Result<std::size_t> read_row(std::string_view json, ondemand::value& value, ValuePlace place,
                             std::vector<Value>& values) {
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
    if (!append(item, values)) {
      (place.row == ValuePlace::kNone ? place.row : place.column) = count;
      return refuse_item(json, item, place, std::is_same_v<Value, Cell>);
    }
    if (++count > kMaxColumns) {
      return fail(ErrorCode::kPayloadTooLarge,
                  place.text() + " holds more than " + std::to_string(kMaxColumns) + " numbers");
    }
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

/// Appends row `row`, which is an object of names and values, to `rows`.
Result<void> read_named_row(std::string_view json, ondemand::value& value, const ValuePlace& place,
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
      return refuse(json, field.value(), {.field = where}, kCellRule);
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

/// Reserves memory for all numbers of an ordinary body at once.
void reserve_for(std::string_view json, std::vector<float>& values) {
  const auto commas = static_cast<std::size_t>(std::ranges::count(json, ','));
  values.reserve(std::min(commas + 1, kMaxReserved));
}

/// Reads a row given as a list into `cells` if not null, else into the request's numbers.
Result<std::size_t> read_list(std::string_view json, ondemand::value& value,
                              const ValuePlace& place, RowsRequest& request,
                              std::vector<Cell>* cells) {
  return cells == nullptr ? read_row(json, value, place, request.values)
                          : read_row(json, value, place, *cells);
}

}  // namespace

Result<void> read_rows(std::string_view json, ondemand::value& value, RowsRequest& request,
                       std::vector<Cell>* cells) {
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
    const auto columns = read_list(json, row, {"instances", request.rows}, request, cells);
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

Result<void> read_features(std::string_view json, ondemand::value& value, RowsRequest& request,
                           std::vector<Cell>* cells) {
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
  const auto columns = read_list(json, value, {"features"}, request, cells);
  if (!columns) {
    return tl::unexpected(columns.error());
  }
  request.rows = 1;
  request.columns = *columns;
  return {};
}

namespace {

/// All values of a request's rows, which were already validated.
template <class Value>
Result<std::vector<Value>> read_exact(std::string_view json) {
  std::vector<Value> values;
  const auto on_field = [&](std::size_t index, ondemand::value value,
                            std::string_view text) -> Result<void> {
    if (index > kExactInstances) {
      return {};
    }
    ondemand::array rows;
    if (index == kExactFeatures) {
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

}  // namespace

Result<std::vector<double>> read_exact_values(std::string_view json) {
  return read_exact<double>(json);
}

Result<std::vector<Cell>> read_exact_cells(std::string_view json) {
  return read_exact<Cell>(json);
}

}  // namespace podsense::protocol
