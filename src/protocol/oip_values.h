#pragma once

/// Parses the nested parts of the protocol's JSON: fields, lists, parameters and values. Errors
/// contain the position. Private to this module.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "base/error.h"
#include "protocol/json_body.h"
#include "protocol/json_syntax.h"
#include "protocol/oip_checks.h"
#include "protocol/oip_codec.h"
#include "protocol/options.h"

namespace podsense::protocol {

inline constexpr std::string_view kObjectRule = "it must be an object";

/// Reads values; errors say what was there instead.
class Values {
 public:
  explicit Values(std::string_view json) : json_(json) {}
  [[nodiscard]] std::string_view json() const { return json_; }

  Result<std::string> string(ondemand::value& value, const Where& where, std::string_view member,
                             std::size_t most) const {
    std::string_view text;
    if (value.get_string().get(text) != simdjson::SUCCESS) {
      return refuse(json_, value, {where.text(member)}, kStringRule, '"');
    }
    if (text.size() > most) {
      return fail(check_length(where.text(member), text, most).error());
    }
    return std::string(text);
  }

  Result<std::uint64_t> count(ondemand::value& value, const std::string& place) const {
    std::uint64_t number = 0;
    if (value.get_uint64().get(number) != simdjson::SUCCESS) {
      return refuse(json_, value, {place}, kCountRule);
    }
    return number;
  }

  Result<bool> boolean(ondemand::value& value, const std::string& place) const {
    bool is = false;
    if (value.get_bool().get(is) != simdjson::SUCCESS) {
      return refuse(json_, value, {place}, kBoolRule);
    }
    return is;
  }

  /// Checks a parameter that is accepted but not used.
  Result<void> scalar(ondemand::value& value, const std::string& place) const {
    ondemand::json_type type{};
    std::string_view text;
    double number = 0;
    bool is = false;
    if (value.type().get(type) != simdjson::SUCCESS) {
      return syntax_error(json_);
    }
    const bool right =
        (type == ondemand::json_type::string &&
         value.get_string().get(text) == simdjson::SUCCESS) ||
        (type == ondemand::json_type::number &&
         value.get_double().get(number) == simdjson::SUCCESS) ||
        (type == ondemand::json_type::boolean && value.get_bool().get(is) == simdjson::SUCCESS);
    if (!right) {
      return refuse(json_, value, {place}, "it must be a string, a number or a boolean",
                    type == ondemand::json_type::string ? '"' : '\0');
    }
    return {};
  }

  /// Calls `on_field(name, value, place)` for each parameter.
  template <class OnField>
  Result<void> parameters(ondemand::value& value, const Where& where, OnField on_field) const {
    ondemand::object object;
    if (value.get_object().get(object) != simdjson::SUCCESS) {
      return refuse(json_, value, {where.text("parameters")}, kObjectRule, '{');
    }
    return read_fields(
        json_, object, where, {},
        [&](std::size_t, std::string_view name, ondemand::value parameter) {
          return on_field(name, parameter,
                          where.text("parameters") + '.' + std::string(name.substr(0, kShownName)));
        });
  }

  /// Calls `on_object(where, object)` for each object of a list.
  template <class OnObject>
  Result<void> list(ondemand::value& value, std::string_view name, OnObject on_object) const {
    ondemand::array array;
    if (value.get_array().get(array) != simdjson::SUCCESS) {
      return refuse(json_, value, {name}, "it must be an array of objects", '[');
    }
    Where where{.list = name};
    for (auto element : array) {
      ondemand::value item;
      ondemand::object object;
      if (std::move(element).get(item) != simdjson::SUCCESS) {
        return syntax_error(json_);
      }
      if (where.index == kMaxTensors) {
        return too_many_tensors(name);
      }
      if (item.get_object().get(object) != simdjson::SUCCESS) {
        return refuse(json_, item, {where.text()}, kObjectRule, '{');
      }
      if (Result<void> read = on_object(where, object); !read) {
        return read;
      }
      ++where.index;
    }
    return {};
  }

 private:
  static constexpr std::size_t kShownName = 64;
  std::string_view json_;
};

}  // namespace podsense::protocol
