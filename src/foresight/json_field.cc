#include "foresight/json_field.h"

#include <cmath>

#include "base/text.h"

namespace podsense::foresight {
namespace {

constexpr int kMaxDepth = 64;

std::string number_text(double value) {
  std::string out;
  append_json_number(out, value);
  return out;
}

/// What a person may be shown of a value they wrote.
std::string shown(const nlohmann::json& value) {
  constexpr std::size_t kShown = 40;
  if (value.is_object()) {
    return "an object";
  }
  if (value.is_array()) {
    return "a list";
  }
  std::string out;
  if (value.is_string()) {
    append_json_string(out,
                       std::string_view(value.get_ref<const std::string&>()).substr(0, kShown));
    return out;
  }
  return value.dump();
}

std::string list(std::span<const std::string_view> names) {
  std::string out;
  for (const std::string_view name : names) {
    out += (out.empty() ? "" : ", ") + std::string(name);
  }
  return out;
}

}  // namespace

std::string JsonField::path() const {
  if (parent_ == nullptr) {
    return std::string(key_);
  }
  const std::string before = parent_->path();
  if (key_.empty()) {
    return before + "[" + std::to_string(index_) + "]";
  }
  return before + (before.empty() || before.back() == ' ' ? "" : ".") + std::string(key_);
}

tl::unexpected<Error> JsonField::refuse(const std::string& what) const {
  const std::string at = path();
  const bool is_root = at.empty() || at.back() == ' ';
  return fail(ErrorCode::kInvalidArgument, at + (is_root ? "" : ": ") + what);
}

tl::unexpected<Error> JsonField::wrong_type(std::string_view wanted) const {
  return refuse("must be " + std::string(wanted) + ", not " + shown(value_));
}

tl::unexpected<Error> JsonField::unknown_key(std::string_view key,
                                             std::span<const std::string_view> known) const {
  std::string quoted;
  append_json_string(quoted, key.substr(0, 60));
  const std::string_view near = nearest_name(key, known);
  return refuse(
      "unknown field " + quoted +
      (near.empty() ? "; accepted: " + list(known) : "; did you mean " + std::string(near) + "?"));
}

Result<std::int64_t> JsonField::whole(JsonWholeRange range) const {
  if (!value_.is_number_integer()) {
    return wrong_type("a whole number");
  }
  const bool is_huge = value_.is_number_unsigned() && value_.get<std::uint64_t>() > INT64_MAX;
  const std::int64_t value = is_huge ? INT64_MAX : value_.get<std::int64_t>();
  if (is_huge || value < range.least || value > range.most) {
    return refuse(shown(value_) + " is out of range; accepted: " + std::to_string(range.least) +
                  " to " + std::to_string(range.most));
  }
  return value;
}

Result<std::int32_t> JsonField::int32(JsonWholeRange range) const {
  return whole(range).map([](std::int64_t value) { return static_cast<std::int32_t>(value); });
}

Result<double> JsonField::real(JsonRealRange range) const {
  if (!value_.is_number()) {
    return wrong_type("a number");
  }
  const double value = value_.get<double>();
  if (!(value >= range.least && value <= range.most)) {
    return refuse(shown(value_) + " is out of range; accepted: " + number_text(range.least) +
                  " to " + number_text(range.most));
  }
  return value;
}

Result<Duration> JsonField::seconds(JsonRealRange range) const {
  return real(range).map(
      [](double value) { return Duration(static_cast<std::int64_t>(value * 1e9)); });
}

Result<bool> JsonField::boolean() const {
  return value_.is_boolean() ? Result<bool>(value_.get<bool>()) : wrong_type("true or false");
}

Result<std::string> JsonField::text() const {
  return value_.is_string() ? Result<std::string>(value_.get<std::string>())
                            : wrong_type("a string");
}

Result<std::size_t> JsonField::choice(std::span<const std::string_view> names) const {
  if (value_.is_string()) {
    const auto found = std::ranges::find(names, value_.get_ref<const std::string&>());
    if (found != names.end()) {
      return static_cast<std::size_t>(found - names.begin());
    }
  }
  return refuse(shown(value_) + " is not accepted; accepted: " + list(names));
}

Result<Quantity> JsonField::quantity() const {
  if (!value_.is_string() && !value_.is_number()) {
    return wrong_type("a quantity, such as \"250m\"");
  }
  const std::string text =
      value_.is_string()
          ? value_.get<std::string>()
          : (value_.is_number_float() ? number_text(value_.get<double>()) : value_.dump());
  auto parsed = Quantity::parse(text);
  return parsed ? parsed : refuse(parsed.error().message);
}

Result<nlohmann::json> parse_json(std::string_view text, std::string_view what) {
  bool is_deep = false;
  const auto guard = [&](int depth, nlohmann::json::parse_event_t /*event*/,
                         nlohmann::json& /*parsed*/) {
    is_deep = is_deep || depth > kMaxDepth;
    return !is_deep;
  };
  try {
    nlohmann::json document = nlohmann::json::parse(text, guard);
    if (is_deep) {
      return fail(ErrorCode::kInvalidArgument,
                  std::string(what) +
                      "is nested too deeply; accepted: " + std::to_string(kMaxDepth) + " levels");
    }
    return document;
  } catch (const nlohmann::json::exception& error) {
    const std::string_view message = error.what();
    const std::size_t start = message.find("] ");
    return fail(
        ErrorCode::kInvalidArgument,
        std::string(what) + "is not JSON: " +
            std::string(start == std::string_view::npos ? message : message.substr(start + 2)));
  }
}

}  // namespace podsense::foresight
