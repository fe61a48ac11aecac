#pragma once

/// The types of settings: parsing, error messages and formatting. Internal to this module;
/// settings.h uses them for its rows.

#include <algorithm>
#include <chrono>
#include <concepts>
#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/ascii.h"
#include "base/clock.h"
#include "base/error.h"
#include "server/config.h"

namespace podsense::server {

/// A value, or the rule that was violated ("must be true or false"); the caller adds the text.
template <class T>
using Parsed = tl::expected<T, std::string>;

struct IntegerRange {
  std::uint64_t min = 0;
  std::uint64_t max = std::numeric_limits<std::uint64_t>::max();
};
struct SizeRange {
  std::uint64_t min = 0;
  std::uint64_t max = std::numeric_limits<std::uint64_t>::max();
};
struct DurationRange {
  Duration min{};
  Duration max = std::chrono::hours(24);
};
struct NumberRange {
  double min = 0;
  double max = 0;
};

Parsed<std::uint64_t> parse_integer(std::string_view text, const IntegerRange& range);
Parsed<double> parse_number(std::string_view text, const NumberRange& range);
/// "10485760", "10MB" (10^6), "10M", "10MiB" (2^20), "10Mi"; any case.
Parsed<std::uint64_t> parse_size(std::string_view text, const SizeRange& range);
/// "30" and "0.5" are seconds; "500ms", "1.5h", "1m30s"; units h m s ms us ns.
Parsed<Duration> parse_duration(std::string_view text, const DurationRange& range);
/// "NAME=VALUE": removes blanks around both, decodes %XX in the value; no control characters.
Parsed<std::pair<std::string, std::string>> parse_encoded_pair(std::string_view text);
/// The inverse of parse_encoded_pair's decoding: encodes '%', ',', ';', blanks and non-ASCII bytes.
std::string percent_encoded(std::string_view text);
Parsed<bool> parse_boolean(std::string_view text);
Parsed<std::string> parse_string(std::string_view text);

/// The shortest exact form, which the parser reads back to the same value.
std::string format_size(std::uint64_t bytes);
std::string format_duration(Duration duration);
std::string format_number(double value);

/// Quotes a text for a message: shortens it, masks secrets in URLs, and replaces control characters
/// so that the message stays one line.
std::string in_quotes(std::string_view text);

/// A comma-separated list; blanks around items and empty items are dropped.
std::vector<std::string> split_list(std::string_view text);

/// An additional check of a string: nullopt, or the rule that was violated.
using StringCheck = std::optional<std::string> (*)(std::string_view text);
std::optional<std::string> any_string(std::string_view text);
std::optional<std::string> model_name(std::string_view text);
std::optional<std::string> model_name_or_empty(std::string_view text);
std::optional<std::string> cors_origin(std::string_view text);
std::optional<std::string> listen_address(std::string_view text);

/// Reads and writes one setting, with type erasure.
struct Accessor {
  /// kMap: a list whose words are KEY=VALUE; a mapping in YAML.
  enum class Shape { kScalar, kBoolean, kList, kMap };
  Shape shape = Shape::kScalar;
  [[nodiscard]] bool is_list() const { return shape == Shape::kList || shape == Shape::kMap; }
  /// Quoted in YAML.
  bool is_text = false;
  bool is_secret = false;  ///< never printed; for a map, its values
  std::string form;        ///< the placeholder of the value in the help: NUMBER, SIZE, json|text
  /// Sets the value. Returns nullopt, or what is wrong; then `config` is unchanged. A scalar gets
  /// exactly one word.
  std::function<std::optional<std::string>(Config& config, std::span<const std::string> words)> set;
  /// The words from which `set` restores the same value; empty for an unset optional or an empty
  /// list.
  std::function<std::vector<std::string>(const Config& config)> get;
};

/// Makes an accessor of a parser and a formatter of one word.
template <class Group, class T, class Parse, class Format>
Accessor scalar(Group Config::* group, T Group::* member, const Parse& parse,
                const Format& format) {
  Accessor accessor;
  accessor.set = [=](Config& config, std::span<const std::string> words) {
    auto parsed = parse(words.front());
    if (!parsed) {
      return std::optional<std::string>(parsed.error() + ", not " + in_quotes(words.front()));
    }
    config.*group.*member = static_cast<T>(*std::move(parsed));
    return std::optional<std::string>();
  };
  accessor.get = [=](const Config& config) {
    return std::vector<std::string>{format(config.*group.*member)};
  };
  return accessor;
}

template <class Group, class T, class Parse, class Format>
Accessor list(Group Config::* group, std::vector<T> Group::* member, const Parse& parse,
              const Format& format) {
  Accessor accessor;
  accessor.shape = Accessor::Shape::kList;
  accessor.set = [=](Config& config, std::span<const std::string> words) {
    std::vector<T> values;
    for (const std::string& word : words) {
      auto parsed = parse(word);
      if (!parsed) {
        return std::optional<std::string>(parsed.error() + ", not " + in_quotes(word));
      }
      values.push_back(static_cast<T>(*std::move(parsed)));
    }
    config.*group.*member = std::move(values);
    return std::optional<std::string>();
  };
  accessor.get = [=](const Config& config) {
    std::vector<std::string> words;
    for (const T& value : config.*group.*member) {
      words.push_back(format(value));
    }
    return words;
  };
  return accessor;
}

template <class Group, std::unsigned_integral T>
Accessor integer(Group Config::* group, T Group::* member, IntegerRange range) {
  range.max = std::min<std::uint64_t>(range.max, std::numeric_limits<T>::max());
  Accessor accessor = scalar(
      group, member, [range](std::string_view text) { return parse_integer(text, range); },
      [](T value) { return std::to_string(value); });
  accessor.form = "NUMBER";
  return accessor;
}

template <class Group>
Accessor size(Group Config::* group, std::uint64_t Group::* member, SizeRange range) {
  Accessor accessor = scalar(
      group, member, [range](std::string_view text) { return parse_size(text, range); },
      format_size);
  accessor.form = "SIZE";
  return accessor;
}

template <class Group>
Accessor duration(Group Config::* group, Duration Group::* member, DurationRange range) {
  Accessor accessor = scalar(
      group, member, [range](std::string_view text) { return parse_duration(text, range); },
      format_duration);
  accessor.form = "DURATION";
  return accessor;
}

template <class Group>
Accessor boolean(Group Config::* group, bool Group::* member) {
  Accessor accessor = scalar(group, member, parse_boolean,
                             [](bool value) { return std::string(value ? "true" : "false"); });
  accessor.shape = Accessor::Shape::kBoolean;
  return accessor;
}

inline auto checked_string(StringCheck check) {
  return [check](std::string_view text) -> Parsed<std::string> {
    auto parsed = parse_string(text);
    if (parsed) {
      if (auto fault = check(*parsed)) {
        return tl::unexpected(*std::move(fault));
      }
    }
    return parsed;
  };
}

template <class Group>
Accessor text(Group Config::* group, std::string Group::* member, std::string form,
              StringCheck check = any_string) {
  Accessor accessor = scalar(group, member, checked_string(check), std::identity());
  accessor.is_text = true;
  accessor.form = std::move(form);
  return accessor;
}

template <class Group>
Accessor text_list(Group Config::* group, std::vector<std::string> Group::* member,
                   std::string form, StringCheck check = any_string) {
  Accessor accessor = list(group, member, checked_string(check), std::identity());
  accessor.is_text = true;
  accessor.form = std::move(form);
  return accessor;
}

/// Texts by key in OpenTelemetry's format: values are percent-encoded in every source, and not
/// checked further. `secret`: values are never printed.
template <class Group>
Accessor encoded_map(Group Config::* group, std::map<std::string, std::string> Group::* member,
                     bool secret) {
  Accessor accessor;
  accessor.shape = Accessor::Shape::kMap;
  accessor.is_text = true;
  accessor.is_secret = secret;
  accessor.form = "NAME=VALUE";
  accessor.set = [=](Config& config, std::span<const std::string> words) {
    std::map<std::string, std::string> values;
    for (const std::string& word : words) {
      auto pair = parse_encoded_pair(word);
      if (!pair) {
        return std::optional<std::string>(pair.error() +
                                          (secret ? "" : ", not " + in_quotes(word)));
      }
      values.insert_or_assign(std::move(pair->first), std::move(pair->second));
    }
    config.*group.*member = std::move(values);
    return std::optional<std::string>();
  };
  accessor.get = [=](const Config& config) {
    std::vector<std::string> words;
    for (const auto& [key, value] : config.*group.*member) {
      words.push_back(key + "=" + percent_encoded(value));
    }
    return words;
  };
  return accessor;
}

/// Texts by key. `known`: returns the error for an unknown key.
template <class Group>
Accessor text_map(Group Config::* group, std::map<std::string, std::string> Group::* member,
                  std::string form, StringCheck known, StringCheck check) {
  Accessor accessor;
  accessor.shape = Accessor::Shape::kMap;
  accessor.is_text = true;
  accessor.form = std::move(form);
  accessor.set = [=, form = accessor.form](Config& config, std::span<const std::string> words) {
    std::map<std::string, std::string> values;
    for (const std::string& word : words) {
      const auto equals = word.find('=');
      const std::string key = word.substr(0, equals);
      const std::string value = equals == std::string::npos ? "" : word.substr(equals + 1);
      std::optional<std::string> fault;
      if (equals == std::string::npos) {
        fault = "must be " + form + ", not " + in_quotes(word);
      } else if (auto unknown = known(key)) {
        fault = *unknown + ", not " + in_quotes(key);
      } else if (auto wrong = check(value)) {
        fault = key + " " + *wrong + ", not " + in_quotes(value);
      } else if (!values.emplace(key, value).second) {
        fault = key + " is given twice";
      }
      if (fault) {
        return fault;
      }
    }
    config.*group.*member = std::move(values);
    return std::optional<std::string>();
  };
  accessor.get = [=](const Config& config) {
    std::vector<std::string> words;
    for (const auto& [key, value] : config.*group.*member) {
      words.emplace_back(key).append("=").append(value);
    }
    return words;
  };
  return accessor;
}

template <class Group>
Accessor port_list(Group Config::* group, std::vector<std::uint16_t> Group::* member) {
  Accessor accessor = list(
      group, member,
      [](std::string_view text) { return parse_integer(text, {.min = 1, .max = 65535}); },
      [](std::uint16_t port) { return std::to_string(port); });
  accessor.form = "PORTS";
  return accessor;
}

template <class Group>
Accessor number(Group Config::* group, double Group::* member, NumberRange range) {
  Accessor accessor = scalar(
      group, member, [range](std::string_view text) { return parse_number(text, range); },
      format_number);
  accessor.form = "NUMBER";
  return accessor;
}

/// A number that an empty word unsets.
template <class Group>
Accessor optional_number(Group Config::* group, std::optional<double> Group::* member,
                         NumberRange range) {
  Accessor accessor = scalar(
      group, member,
      [range](std::string_view text) -> Parsed<std::optional<double>> {
        if (text.empty()) {
          return std::optional<double>();
        }
        return parse_number(text, range).map([](double v) { return std::optional<double>(v); });
      },
      [](std::optional<double> value) { return value ? format_number(*value) : std::string(); });
  accessor.get = [get = std::move(accessor.get)](const Config& config) {
    auto words = get(config);
    std::erase(words, std::string());
    return words;
  };
  accessor.form = "NUMBER";
  return accessor;
}

/// The first name of a value is used for output; later ones are synonyms. Case-insensitive.
template <class E>
using Names = std::vector<std::pair<std::string_view, E>>;

template <class Group, class E>
Accessor choice(Group Config::* group, E Group::* member, Names<E> all_names,
                std::size_t documented) {
  std::string listed;
  std::string form;
  for (const auto& [name, value] : std::span(all_names).first(documented)) {
    listed.append(listed.empty() ? "" : ", ").append(name);
    form.append(form.empty() ? "" : "|").append(name);
  }
  Accessor accessor = scalar(
      group, member,
      [all_names, listed](std::string_view word) -> Parsed<E> {
        const std::string lower = ascii::lower(word);
        for (const auto& [name, value] : all_names) {
          if (name == lower) {
            return value;
          }
        }
        return tl::unexpected("must be one of " + listed);
      },
      [all_names](E value) {
        for (const auto& [name, candidate] : all_names) {
          if (candidate == value) {
            return std::string(name);
          }
        }
        return std::string();
      });
  accessor.form = std::move(form);
  return accessor;
}

}  // namespace podsense::server
