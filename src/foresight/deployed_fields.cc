#include "foresight/deployed_fields.h"

#include <array>
#include <charconv>

namespace podsense::foresight {

using nlohmann::json;

const json& member_of(const json& object, std::string_view key) {
  static const json nothing;
  const auto found = object.is_object() ? object.find(key) : object.end();
  return object.is_object() && found != object.end() ? *found : nothing;
}

std::string text_member(const json& object, std::string_view key) {
  const json& value = member_of(object, key);
  return value.is_string() ? value.get<std::string>() : "";
}

Result<void> read_labels(const JsonField& parent, std::string_view key, Labels& out) {
  const json& value = member_of(parent.value(), key);
  if (value.is_null()) {
    return {};
  }
  return JsonField(value, parent, key).members([&](std::string_view name, const JsonField& child) {
    return put(child.text(), out[std::string(name)]);
  });
}

Result<void> read_resources(const JsonField& parent, std::string_view key, Resources& out) {
  const json& value = member_of(parent.value(), key);
  if (value.is_null()) {
    return {};
  }
  return JsonField(value, parent, key).members([&](std::string_view name, const JsonField& child) {
    return put(child.quantity(), out[std::string(name)]);
  });
}

namespace {

constexpr std::array<std::string_view, 4> kOperators{"In", "NotIn", "Exists", "DoesNotExist"};

Result<void> read_expression(const JsonField& field, LabelRule& rule) {
  if (auto done = put(JsonField(member_of(field.value(), "key"), field, "key").text(), rule.key);
      !done) {
    return done;
  }
  const JsonField is(member_of(field.value(), "operator"), field, "operator");
  if (auto done = put_choice<LabelOperator>(is, kOperators, rule.is); !done) {
    return done;
  }
  const json& values = member_of(field.value(), "values");
  return values.is_null()
             ? Result<void>{}
             : JsonField(values, field, "values").each(1000, [&](const JsonField& one) {
                 return put(one.text(), rule.values.emplace_back());
               });
}

}  // namespace

Result<void> read_selector(const JsonField& parent, std::string_view key, LabelSelector& out) {
  const json& value = member_of(parent.value(), key);
  if (value.is_null()) {
    return {};
  }
  const JsonField field(value, parent, key);
  Labels labels;
  if (auto done = read_labels(field, "matchLabels", labels); !done) {
    return done;
  }
  for (auto& [name, is] : labels) {
    out.rules.push_back({.key = name, .is = LabelOperator::kIn, .values = {is}});
  }
  const json& expressions = member_of(value, "matchExpressions");
  return expressions.is_null() ? Result<void>{}
                               : JsonField(expressions, field, "matchExpressions")
                                     .each(1000, [&](const JsonField& one) {
                                       return read_expression(one, out.rules.emplace_back());
                                     });
}

Result<void> read_share(const JsonField& parent, std::string_view key,
                        std::optional<PodsOrPercent>& out) {
  const json& value = member_of(parent.value(), key);
  if (value.is_null()) {
    return {};
  }
  const JsonField field(value, parent, key);
  if (!value.is_string()) {
    return field.int32({.least = 0, .most = INT32_MAX}).map([&](std::int32_t pods) {
      out = PodsOrPercent{.value = pods};
    });
  }
  const std::string& text = value.get_ref<const std::string&>();
  const bool is_percent = text.ends_with('%');
  const char* const end = text.data() + text.size() - (is_percent ? 1 : 0);
  std::int32_t number = 0;
  const auto [rest, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc{} || rest != end || number < 0) {
    return field.wrong_type("a number of pods or a percentage");
  }
  out = PodsOrPercent{.value = number, .is_percent = is_percent};
  return {};
}

Result<void> read_int32(const JsonField& parent, std::string_view key,
                        std::optional<std::int32_t>& out) {
  const json& value = member_of(parent.value(), key);
  return value.is_null() ? Result<void>{} : put(JsonField(value, parent, key).int32(), out);
}

}  // namespace podsense::foresight
