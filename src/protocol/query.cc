#include <simdjson.h>

#include <algorithm>
#include <array>
#include <span>

#include "base/ascii.h"
#include "protocol/form.h"
#include "protocol/json_syntax.h"
#include "protocol/options.h"

namespace podsense::protocol {
namespace {

constexpr std::size_t kMaxParameters = 32;

constexpr std::array<std::string_view, 4> kClassifyNames{"model", "version", "top_k", "thumbnail"};
constexpr std::array<std::string_view, 2> kRowsNames{"model", "version"};
constexpr std::array<std::string_view, 3> kSimulateNames{"model", "version", "cpu_ms"};

/// Whether the parameter is neither an option nor a misspelled one. Names with a leading `_` belong
/// to jQuery and analytics tools.
bool is_for_others(std::string_view name) {
  constexpr std::array<std::string_view, 12> kNames{
      "cachebuster", "cache_buster", "cachebust", "cb",   "dclid", "fbclid",
      "gclid",       "msclkid",      "nocache",   "rand", "rnd",   "ts"};
  return name.starts_with('_') || name.starts_with("utm_") || name == "timestamp" ||
         std::ranges::find(kNames, name) != kNames.end();
}

Result<std::string> decode_percent(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (c == '+') {
      c = ' ';
    } else if (c == '%') {
      const int high = i + 1 < text.size() ? ascii::hex_value(text[i + 1]) : -1;
      const int low = i + 2 < text.size() ? ascii::hex_value(text[i + 2]) : -1;
      if (high < 0 || low < 0) {
        return invalid("the query holds the bad escape " + in_quotes(text.substr(i, 3)) +
                       "; a '%' is written %25");
      }
      c = static_cast<char>(high * 16 + low);
      i += 2;
    }
    if (c == '\0') {
      return invalid("the query holds a NUL character");
    }
    out += c;
  }
  if (!simdjson::validate_utf8(out.data(), out.size())) {
    return invalid("the query is not UTF-8");
  }
  return out;
}

Result<void> apply_model(const QueryParameter& parameter, ModelRef& model) {
  auto name = name_option(parameter.name, parameter.value);
  if (!name) {
    return tl::unexpected(std::move(name.error()));
  }
  (parameter.name == "model" ? model.name : model.version) = std::move(*name);
  return {};
}

Result<void> apply_switch(const QueryParameter& parameter, bool& on) {
  if (parameter.value != "true" && parameter.value != "false") {
    return invalid(parameter.name + " is " + in_quotes(parameter.value) +
                   "; it must be true or false");
  }
  on = parameter.value == "true";
  return {};
}

/// Checks that all names are known and unique, then calls `apply` for each parameter.
template <class Apply>
Result<void> for_each(const std::vector<QueryParameter>& query,
                      std::span<const std::string_view> accepted, Apply apply) {
  for (auto it = query.begin(); it != query.end(); ++it) {
    if (std::ranges::find(accepted, it->name) == accepted.end()) {
      return invalid("unknown query parameter " + in_quotes(it->name) +
                     "; accepted are: " + list_of(accepted));
    }
    if (std::any_of(query.begin(), it, [&](const auto& other) { return other.name == it->name; })) {
      return invalid("query parameter " + in_quotes(it->name) +
                     " is given twice; accepted once each are: " + list_of(accepted));
    }
    if (Result<void> applied = apply(*it); !applied) {
      return applied;
    }
  }
  return {};
}

}  // namespace

std::string decode_segment(std::string_view segment) {
  std::string out;
  for (std::size_t i = 0; i < segment.size(); ++i) {
    const bool escape = segment[i] == '%' && segment.size() - i > 2;
    const int high = escape ? ascii::hex_value(segment[i + 1]) : -1;
    const int low = escape ? ascii::hex_value(segment[i + 2]) : -1;
    if (high < 0 || low < 0) {
      out += segment[i];
      continue;
    }
    out += static_cast<char>(high * 16 + low);
    i += 2;
  }
  return out;
}

Result<std::vector<QueryParameter>> parse_query(std::string_view query) {
  std::vector<QueryParameter> out;
  while (!query.empty()) {
    const std::size_t end = std::min(query.find('&'), query.size());
    const std::string_view pair = query.substr(0, end);
    query.remove_prefix(std::min(end + 1, query.size()));
    if (pair.empty()) {
      continue;
    }
    if (out.size() == kMaxParameters) {
      return invalid("the query has more than " + std::to_string(kMaxParameters) + " parameters");
    }
    const std::size_t equals = std::min(pair.find('='), pair.size());
    auto name = decode_percent(pair.substr(0, equals));
    if (!name) {
      return tl::unexpected(std::move(name.error()));
    }
    if (is_for_others(*name)) {
      continue;
    }
    auto value = decode_percent(pair.substr(std::min(equals + 1, pair.size())));
    if (!value) {
      return tl::unexpected(std::move(value.error()));
    }
    out.push_back({.name = std::move(*name), .value = std::move(*value)});
  }
  return out;
}

Result<void> apply_query(const std::vector<QueryParameter>& query, ClassifyRequest& request) {
  return for_each(query, kClassifyNames, [&](const QueryParameter& parameter) -> Result<void> {
    if (parameter.name == "thumbnail") {
      return apply_switch(parameter, request.thumbnail);
    }
    if (parameter.name != "top_k") {
      return apply_model(parameter, request.model);
    }
    auto top_k = top_k_option(parameter.value);
    if (!top_k) {
      return tl::unexpected(std::move(top_k.error()));
    }
    request.top_k = *top_k;
    return {};
  });
}

Result<void> apply_query(const std::vector<QueryParameter>& query, RowsRequest& request) {
  return for_each(query, kRowsNames, [&](const QueryParameter& parameter) {
    return apply_model(parameter, request.model);
  });
}

Result<void> apply_query(const std::vector<QueryParameter>& query, SimulateRequest& request) {
  return for_each(query, kSimulateNames, [&](const QueryParameter& parameter) -> Result<void> {
    if (parameter.name != "cpu_ms") {
      return apply_model(parameter, request.model);
    }
    auto cpu = cpu_option(parameter.value);
    if (!cpu) {
      return tl::unexpected(std::move(cpu.error()));
    }
    request.cpu = *cpu;
    return {};
  });
}

}  // namespace podsense::protocol
