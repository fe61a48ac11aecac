#pragma once

/// The common rules of all JSON bodies: one object, only known fields, no duplicates, nothing after
/// it; and the error messages for wrong values. Include it only in this module's .cc files and
/// private headers, so that simdjson's types stay in this module.

#include <simdjson.h>

#include <algorithm>
#include <limits>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/error.h"
#include "protocol/json_syntax.h"
#include "protocol/options.h"

namespace podsense::protocol {

namespace ondemand = simdjson::ondemand;

/// A kind of body: its fields, in the order of the readers' indices, and an example for messages.
struct Shape {
  std::span<const std::string_view> fields;
  std::string_view example;
};

/// A thread's parser, and its copy of the body with the padding that simdjson needs.
class Reader {
 public:
  /// Copies the body; the result is valid until the next load.
  std::string_view load(std::string_view json);

  simdjson::simdjson_result<ondemand::document> parse(std::string_view loaded) {
    return parser_.iterate(loaded.data(), loaded.size(), capacity_);
  }

  /// Frees large buffers, so that one large image does not increase every I/O thread's memory
  /// forever.
  void release_if_large();

 private:
  ondemand::parser parser_;
  std::unique_ptr<char[]> buffer_;
  std::size_t capacity_ = 0;
};

Reader& thread_reader();

/// Holds the thread's reader while one body is parsed.
class Lease {
 public:
  Lease() = default;
  Lease(const Lease&) = delete;
  Lease& operator=(const Lease&) = delete;
  ~Lease() { reader_.release_if_large(); }
  Reader* operator->() { return &reader_; }

 private:
  Reader& reader_ = thread_reader();
};

tl::unexpected<Error> syntax_error(std::string_view json);

/// simdjson before 3.6.3 misreads numbers with more than 19 digits after `0.`.
/// @source https://github.com/simdjson/simdjson/issues/2093
inline constexpr std::size_t kLongNumber = std::string_view("0.12345678901234567890").size();
/// The double nearest to a JSON number; `otherwise` if it is too small for std::from_chars.
double nearest_double(std::string_view token, double otherwise);

/// Reads a number of any length as the nearest double. False: not a number, or out of range.
inline bool read_double(ondemand::value& value, double& out) {
  const std::string_view token = value.raw_json_token();
  if (value.get_double().get(out) != simdjson::SUCCESS) {
    return false;
  }
  if (token.size() >= kLongNumber) [[unlikely]] {
    out = nearest_double(token, out);
  }
  return true;
}

/// The position of a value; formatted only for error messages.
struct ValuePlace {
  static constexpr std::size_t kNone = std::numeric_limits<std::size_t>::max();
  std::string_view field;
  std::size_t row = kNone;
  std::size_t column = kNone;

  [[nodiscard]] std::string text() const {
    std::string out(field);
    for (const std::size_t index : {row, column}) {
      if (index != kNone) {
        out += '[' + std::to_string(index) + ']';
      }
    }
    return out;
  }
};

/// The error `features[3] is a string; it must be a finite number, …`. `wanted`: first character of
/// a correct value. If the refused value starts with it, or is not JSON at all, the error is a
/// syntax error instead.
tl::unexpected<Error> refuse(std::string_view json, ondemand::value& value, const ValuePlace& place,
                             std::string_view rule, char wanted = '\0');
/// The same error for a value that starts at byte `at` of `json`.
tl::unexpected<Error> refuse_at(std::string_view json, std::size_t at, const std::string& where,
                                std::string_view rule, char wanted = '\0');
/// The error for a value that must be a number in float range.
tl::unexpected<Error> refuse_number(std::string_view json, ondemand::value& value,
                                    const ValuePlace& place);
tl::unexpected<Error> not_an_object(std::string_view json, const Shape& shape);

/// The position of a value, such as `inputs[2].shape`; formatted only for error messages.
struct Where {
  std::string_view list{};  ///< empty: the body itself
  std::size_t index = 0;

  [[nodiscard]] std::string text() const {
    return list.empty() ? std::string() : std::string(list) + '[' + std::to_string(index) + ']';
  }
  [[nodiscard]] std::string text(std::string_view member) const {
    return list.empty() ? std::string(member) : text() + '.' + std::string(member);
  }
};

/// Calls `on_field(index, name, value)` for each field. With `known`, unknown and duplicate fields
/// are refused. Without it, any name is accepted and `index` is undefined.
template <class OnField>
Result<void> read_fields(std::string_view json, ondemand::object& object, const Where& where,
                         std::span<const std::string_view> known, OnField on_field) {
  unsigned seen = 0;
  for (auto entry : object) {
    ondemand::field field;
    std::string_view name;
    if (std::move(entry).get(field) != simdjson::SUCCESS ||
        field.unescaped_key().get(name) != simdjson::SUCCESS) {
      return syntax_error(json);
    }
    std::size_t index = 0;
    if (!known.empty()) {
      const auto found = std::ranges::find(known, name);
      if (found == known.end()) {
        return unknown_name(where.list.empty() ? "field" : "field in " + where.text(), name, known);
      }
      index = static_cast<std::size_t>(found - known.begin());
      if ((seen >> index & 1U) != 0) {
        return invalid("the field '" + where.text(name) + "' is given twice");
      }
      seen |= 1U << index;
    }
    if (Result<void> read = on_field(index, name, field.value()); !read) {
      return read;
    }
  }
  return {};
}

/// Calls `on_field(index, value, json)` for each field of the body's object. simdjson validates
/// only values that are read, so this makes sure that all are read.
template <class OnField>
Result<void> read_object(std::string_view body, const Shape& shape, OnField on_field) {
  Lease reader;
  const std::string_view json = reader->load(without_byte_order_mark(body));
  ondemand::document document;
  ondemand::object object;
  // Newer versions of simdjson skip a second byte order mark, older ones do not; so it is refused
  // here.
  if (json.starts_with('\xEF') || reader->parse(json).get(document) != simdjson::SUCCESS ||
      document.get_object().get(object) != simdjson::SUCCESS) {
    return not_an_object(json, shape);
  }
  auto read = read_fields(json, object, {}, shape.fields,
                          [&](std::size_t index, std::string_view, ondemand::value value) {
                            return on_field(index, std::move(value), json);
                          });
  if (!read) {
    return read;
  }
  if (document.current_location().error() != simdjson::OUT_OF_BOUNDS) {
    return syntax_error(json);
  }
  return {};
}

}  // namespace podsense::protocol
