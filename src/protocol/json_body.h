#pragma once

/// What all JSON bodies have in common: one object, known fields, each once, nothing after it; and
/// the sentences that refuse a value. simdjson's types stay between this header and json_read.cc.

#include <simdjson.h>

#include <algorithm>
#include <limits>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/error.h"
#include "protocol/options.h"

namespace podsense::protocol {

namespace ondemand = simdjson::ondemand;

/// One kind of body: its fields in the order that the readers' indices mean,
/// and one to imitate.
struct Shape {
  std::span<const std::string_view> fields;
  std::string_view example;
};

/// The thread's parser and the copy of the body with the padding that simdjson
/// reads past its end.
class Reader {
 public:
  /// The copy, valid until the next load.
  std::string_view load(std::string_view json);

  simdjson::simdjson_result<ondemand::document> parse(std::string_view loaded) {
    return parser_.iterate(loaded.data(), loaded.size(), capacity_);
  }

  /// One large image must not cost every I/O thread its size for ever.
  void release_if_large();

 private:
  ondemand::parser parser_;
  std::unique_ptr<char[]> buffer_;
  std::size_t capacity_ = 0;
};

Reader& thread_reader();

/// Lends the thread's reader for one body.
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

/// Where a value stands, written only when it is refused.
struct Place {
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

/// `features[3] is a string; it must be a finite number`. `wanted` is how a
/// right value starts: one that starts so and was still refused is a syntax
/// error, as is what is no JSON value at all.
tl::unexpected<Error> refuse(std::string_view json, ondemand::value& value, const Place& place,
                             std::string_view rule, char wanted = '\0');
/// The same for a value that starts at byte `at` of `json`.
tl::unexpected<Error> refuse_at(std::string_view json, std::size_t at, const std::string& where,
                                std::string_view rule, char wanted = '\0');
/// For a number that must fit a float.
tl::unexpected<Error> refuse_number(std::string_view json, ondemand::value& value,
                                    const Place& place);
tl::unexpected<Error> not_an_object(std::string_view json, const Shape& shape);

/// Calls `on_field(index, value, json)` for each field of the object that is
/// the whole body. Everything is checked: the reader below it parses only what
/// is touched, so all is touched.
template <class OnField>
Result<void> read_object(std::string_view body, const Shape& shape, OnField on_field) {
  Lease reader;
  const std::string_view json = reader->load(body);
  ondemand::document document;
  ondemand::object object;
  // Newer versions of simdjson skip a byte order mark, older ones do not.
  if (json.starts_with('\xEF') || reader->parse(json).get(document) != simdjson::SUCCESS ||
      document.get_object().get(object) != simdjson::SUCCESS) {
    return not_an_object(json, shape);
  }
  unsigned seen = 0;
  for (auto entry : object) {
    ondemand::field field;
    std::string_view name;
    if (std::move(entry).get(field) != simdjson::SUCCESS ||
        field.unescaped_key().get(name) != simdjson::SUCCESS) {
      return syntax_error(json);
    }
    const auto known = std::ranges::find(shape.fields, name);
    if (known == shape.fields.end()) {
      return unknown_name("field", name, shape.fields);
    }
    const auto index = static_cast<std::size_t>(known - shape.fields.begin());
    if ((seen >> index & 1U) != 0) {
      return invalid("the field '" + std::string(*known) + "' is given twice");
    }
    seen |= 1U << index;
    if (Result<void> read = on_field(index, field.value(), json); !read) {
      return read;
    }
  }
  if (document.current_location().error() != simdjson::OUT_OF_BOUNDS) {
    return syntax_error(json);
  }
  return {};
}

}  // namespace podsense::protocol
