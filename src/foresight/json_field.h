#pragma once

/// Reading JSON with messages that name the field and what it accepts. For this module and for
/// plan.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "foresight/quantity.h"

namespace podsense::foresight {

struct JsonWholeRange {
  std::int64_t least = 0;
  std::int64_t most = 0;
};
struct JsonRealRange {
  double least = 0;
  double most = 0;
};
inline constexpr JsonWholeRange kAnyInt32{.least = INT32_MIN, .most = INT32_MAX};
inline constexpr JsonRealRange kSeconds{.least = -1e9, .most = 1e9};  ///< 31 years each way
inline constexpr JsonRealRange kNotNegativeSeconds{.least = 0, .most = 1e9};

/// One value and how it was reached. Borrows the document and its parent.
class JsonField {
 public:
  explicit JsonField(const nlohmann::json& value, std::string_view root = "")
      : value_(value), key_(root) {}
  JsonField(const nlohmann::json& value, const JsonField& parent, std::string_view key)
      : value_(value), parent_(&parent), key_(key) {}
  JsonField(const nlohmann::json& value, const JsonField& parent, std::size_t index)
      : value_(value), parent_(&parent), index_(index) {}

  [[nodiscard]] const nlohmann::json& value() const { return value_; }
  /// "ticks[3].pods[0].request.cpu"
  [[nodiscard]] std::string path() const;
  [[nodiscard]] tl::unexpected<Error> refuse(const std::string& what) const;
  /// "must be a number, not "x""
  [[nodiscard]] tl::unexpected<Error> wrong_type(std::string_view wanted) const;

  [[nodiscard]] Result<std::int64_t> whole(JsonWholeRange range) const;
  [[nodiscard]] Result<std::int32_t> int32(JsonWholeRange range = kAnyInt32) const;
  [[nodiscard]] Result<double> real(JsonRealRange range) const;
  /// Seconds as a number, cut to nanoseconds as Go's time.Duration(s * 1e9) does.
  [[nodiscard]] Result<Duration> seconds(JsonRealRange range) const;
  [[nodiscard]] Result<bool> boolean() const;
  [[nodiscard]] Result<std::string> text() const;
  /// Index into `names`.
  [[nodiscard]] Result<std::size_t> choice(std::span<const std::string_view> names) const;
  /// A string or a number.
  [[nodiscard]] Result<Quantity> quantity() const;

  /// Calls `read(child)` for each element.
  template <class Read>
  [[nodiscard]] Result<void> each(std::size_t most, Read read) const;
  /// Calls `read(key, child)` for each member that is not null.
  template <class Read>
  [[nodiscard]] Result<void> members(Read read) const;
  [[nodiscard]] tl::unexpected<Error> unknown_key(std::string_view key,
                                                  std::span<const std::string_view> known) const;

 private:
  const nlohmann::json& value_;
  const JsonField* parent_ = nullptr;
  std::string_view key_;
  std::size_t index_ = 0;
};

/// One key of an object: how its value gets into `Out`.
template <class Out>
struct FieldKey {
  std::string_view name;
  Result<void> (*read)(const JsonField& field, Out& out);
};

template <class Read>
Result<void> JsonField::each(std::size_t most, Read read) const {
  if (!value_.is_array()) {
    return wrong_type("a list");
  }
  if (value_.size() > most) {
    return refuse("has " + std::to_string(value_.size()) + " elements; accepted: up to " +
                  std::to_string(most));
  }
  for (std::size_t i = 0; i < value_.size(); ++i) {
    if (Result<void> done = read(JsonField(value_[i], *this, i)); !done) {
      return done;
    }
  }
  return {};
}

template <class Read>
Result<void> JsonField::members(Read read) const {
  if (!value_.is_object()) {
    return wrong_type("an object");
  }
  for (auto member = value_.begin(); member != value_.end(); ++member) {
    if (member->is_null()) {
      continue;
    }
    if (Result<void> done = read(member.key(), JsonField(*member, *this, member.key())); !done) {
      return done;
    }
  }
  return {};
}

/// Reads the members of an object by a table; an unknown one is an error.
template <class Out, std::size_t N>
Result<void> read_object(const JsonField& field, const FieldKey<Out> (&keys)[N], Out& out) {
  return field.members([&](std::string_view name, const JsonField& child) -> Result<void> {
    for (const FieldKey<Out>& key : keys) {
      if (key.name == name) {
        return key.read(child, out);
      }
    }
    std::vector<std::string_view> known;
    std::ranges::transform(keys, std::back_inserter(known), &FieldKey<Out>::name);
    return field.unknown_key(name, known);
  });
}

/// `read` gives a Result; its value goes to `to`.
template <class T, class To>
Result<void> put(Result<T> value, To& to) {
  if (!value) {
    return fail(std::move(value.error()));
  }
  to = std::move(*value);
  return {};
}

/// The choice's index as an enumerator.
template <class Enum, class To>
Result<void> put_choice(const JsonField& field, std::span<const std::string_view> names, To& to) {
  const auto index = field.choice(names);
  if (!index) {
    return fail(index.error());
  }
  to = static_cast<Enum>(*index);
  return {};
}

/// One JSON document; what is wrong with it is named with `what` before it.
Result<nlohmann::json> parse_json(std::string_view text, std::string_view what);

}  // namespace podsense::foresight
