// JSON bodies, by every parser of the module. What one accepts must be JSON to the module's own
// slow checker and to another library as well, with the same numbers.

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <variant>

#include "protocol/json_codec.h"
#include "protocol/json_syntax.h"

namespace {

using nlohmann::json;
namespace protocol = podsense::protocol;

void require(bool holds) {
  if (!holds) {
    std::abort();
  }
}

template <class T>
bool is_refused(const podsense::Result<T>& result) {
  if (!result) {
    require(!result.error().message.empty() && result.error().message.size() < 1000);
    require(result.error().message != "the body is not valid JSON");
    std::string out;
    protocol::write_error(out, result.error(), "r");
    require(json::accept(out));
  }
  return !result;
}

/// @returns the body with `null` where it has `NaN`, a missing value to this module and no JSON to
/// others
std::string without_nan(std::string_view body) {
  std::string text;
  bool in_string = false;
  for (std::size_t i = 0; i < body.size(); ++i) {
    if (!in_string && body.substr(i).starts_with("NaN")) {
      text += "null";
      i += 2;
      continue;
    }
    text += body[i];
    if (in_string && body[i] == '\\' && i + 1 < body.size()) {
      text += body[++i];
    } else if (body[i] == '"') {
      in_string = !in_string;
    }
  }
  return text;
}

json parse_as_others_do(std::string_view body) {
  const std::string text = without_nan(protocol::without_byte_order_mark(body));
  require(!protocol::json_fault(text));
  return json::parse(text);
}

bool same_row(const json& row, const float* values, std::size_t columns) {
  if (row.size() != columns) {
    return false;
  }
  for (std::size_t i = 0; i < columns; ++i) {
    if (row[i].is_null()) {
      if (!std::isnan(values[i])) {
        return false;
      }
      continue;
    }
    const double number = row[i].get<double>();
    if (std::abs(number) > std::numeric_limits<float>::max() ||
        static_cast<float>(number) != values[i]) {
      return false;
    }
  }
  return true;
}

void check_model(const json& body, const protocol::ModelRef& model) {
  require(body.value("model", "") == model.name);
  if (body.contains("version")) {
    const json& version = body["version"];
    require(model.version == (version.is_string() ? version.get<std::string>() : version.dump()));
  }
}

bool same_cell(const json& value, const protocol::Cell& cell) {
  if (std::holds_alternative<std::monostate>(cell)) {
    return value.is_null();
  }
  if (const auto* truth = std::get_if<bool>(&cell)) {
    return value.is_boolean() && value.get<bool>() == *truth;
  }
  if (const auto* text = std::get_if<std::string>(&cell)) {
    return value.is_string() && value.get<std::string>() == *text;
  }
  if (const auto* whole = std::get_if<std::int64_t>(&cell)) {
    return value.is_number_integer() && value.get<std::int64_t>() == *whole;
  }
  return value.is_number() && value.get<double>() == std::get<double>(cell);
}

bool same_named_row(const json& row, const protocol::NamedRows& named, std::size_t at) {
  bool same = row.is_object() && row.size() == named.names.size();
  for (std::size_t i = 0; same && i < named.names.size(); ++i) {
    same = row.contains(named.names[i]) && same_cell(row[named.names[i]], named.columns[i].at(at));
  }
  return same;
}

bool same_cells(const json& row, const protocol::Cell* cells, std::size_t columns) {
  bool same = row.size() == columns;
  for (std::size_t i = 0; same && i < columns; ++i) {
    same = same_cell(row[i], cells[i]);
  }
  return same;
}

/// Row `at` is what the other library reads, in whichever of its three forms it came.
void check_row(const json& row, const protocol::RowsRequest& request, std::size_t at) {
  const std::size_t start = at * request.columns;
  if (request.named) {
    require(same_named_row(row, *request.named, at));
  } else if (request.cells) {
    require(same_cells(row, request.cells->cells.data() + start, request.columns));
  } else {
    require(same_row(row, request.values.data() + start, request.columns));
  }
}

void check_sizes(const protocol::RowsRequest& request) {
  const std::size_t values = request.cells ? request.cells->cells.size() : request.values.size();
  require(request.named || values == request.rows * request.columns);
}

void check_features(std::string_view body) {
  const auto request = protocol::parse_features(body);
  if (is_refused(request)) {
    return;
  }
  const json other = parse_as_others_do(body);
  require(request->rows == 1);
  check_sizes(*request);
  check_row(other.contains("features") ? other["features"] : other.at("instances").at(0), *request,
            0);
  check_model(other, request->model);
}

void check_instances(std::string_view body) {
  const auto request = protocol::parse_instances(body);
  if (is_refused(request)) {
    return;
  }
  const json other = parse_as_others_do(body);
  require(request->rows == other.at("instances").size());
  check_sizes(*request);
  for (std::size_t i = 0; i < request->rows; ++i) {
    check_row(other["instances"][i], *request, i);
  }
  check_model(other, request->model);
}

void check_simulate(std::string_view body) {
  const auto request = protocol::parse_simulate(body);
  if (is_refused(request) || body.find_first_not_of(" \t\r\n") == std::string_view::npos) {
    return;
  }
  const json other = parse_as_others_do(body);
  require(other.contains("cpu_ms") == request->cpu.has_value());
  check_model(other, request->model);
}

void check_classify(std::string_view body) {
  if (const auto request = protocol::parse_classify_image(body); !is_refused(request)) {
    const json other = parse_as_others_do(body);
    require(other.value("top_k", 5U) == request->top_k.value_or(5U) && !request->image.empty());
    check_model(other, request->model);
  }
  if (const auto request = protocol::parse_classify_url(body); !is_refused(request)) {
    const json other = parse_as_others_do(body);
    require((other.at("url") == request->url || !request->image.empty()) &&
            other.value("top_k", 5U) == request->top_k.value_or(5U));
    check_model(other, request->model);
  }
  if (const auto request = protocol::parse_classify_several(body); !is_refused(request)) {
    const json other = parse_as_others_do(body);
    require(request->size() == other.value("images", json::array()).size() +
                                   other.value("urls", json::array()).size());
    require(protocol::holds_several_pictures(body));
  }
}

/// The slow checker and the other library agree on what is JSON, but for depth, numbers beyond a
/// double, a leading byte order mark and a NUL, which the other takes for the end.
void check_checker(std::string_view body) {
  const auto fault = protocol::json_fault(body);
  const bool other = json::accept(body);
  if (!other && !fault) {
    try {
      static_cast<void>(json::parse(body));
    } catch (const json::out_of_range&) {
      return;
    } catch (const json::parse_error&) {
      std::abort();
    }
  }
  const bool is_special =
      body.starts_with("\xEF\xBB\xBF") || body.find('\0') != std::string_view::npos;
  require(!fault || fault->too_deep || !other || is_special);
}

}  // namespace

// NOLINTNEXTLINE(readability-identifier-naming): the name is libFuzzer's
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view body(reinterpret_cast<const char*>(data), size);
  check_features(body);
  check_instances(body);
  check_simulate(body);
  check_classify(body);
  check_checker(body);
  return 0;
}
