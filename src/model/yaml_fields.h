#pragma once

/// Reads YAML with limits; messages name the key and the line. Private to this module.

#include <yaml-cpp/yaml.h>

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "base/text.h"

namespace podsense::model {

inline constexpr std::size_t kMaxYamlBytes = 64U << 10U;
inline constexpr int kMaxYamlDepth = 8;

struct WholeRange {
  std::uint64_t least = 0;
  std::uint64_t most = 0;
};
struct RealRange {
  double least = 0;
  double most = 0;
};

/// One document without anchors, aliases, tags or control characters, at most kMaxYamlDepth deep.
/// An empty document gives a null node.
Result<YAML::Node> load_yaml(std::string_view text);

/// "line 3: " + what. Lines count from 1.
tl::unexpected<Error> fail_at(const YAML::Node& node, std::string what);

Result<std::string> yaml_text(std::string_view key, const YAML::Node& node);
Result<std::uint64_t> yaml_whole(std::string_view key, const YAML::Node& node, WholeRange range);
Result<double> yaml_real(std::string_view key, const YAML::Node& node, RealRange range);
/// Milliseconds, possibly fractional, as a Duration.
Result<Duration> yaml_ms(std::string_view key, const YAML::Node& node, RealRange range);
/// One of `choices`; the error message lists them.
Result<std::string> yaml_choice(std::string_view key, const YAML::Node& node,
                                std::span<const std::string_view> choices);

template <class T>
struct YamlKey {
  std::string_view name;
  Result<void> (*read)(std::string_view key, const YAML::Node& node, T& out);
};

Error unknown_key(const YAML::Node& node, std::string_view section, std::string_view name,
                  std::span<const std::string_view> known);

/// Reads each key of a map with its reader; an unknown or duplicate key is an error.
/// @param section name of the map for messages; "" for the top level
template <class T, std::size_t N>
Result<void> read_map(std::string_view section, const YAML::Node& node,
                      const std::array<YamlKey<T>, N>& keys, T& out) {
  if (!node.IsMap()) {
    return fail_at(node, section.empty() ? "the manifest must be a map of keys to values"
                                         : "'" + std::string(section) + "' must be a map");
  }
  std::array<bool, N> seen{};
  for (const auto& entry : node) {
    const std::string name = entry.first.IsScalar() ? entry.first.Scalar() : "";
    std::size_t at = 0;
    while (at < N && keys[at].name != name) {
      ++at;
    }
    if (at == N) {
      std::array<std::string_view, N> known;
      for (std::size_t i = 0; i < N; ++i) {
        known[i] = keys[i].name;
      }
      return fail(unknown_key(entry.first, section, name, known));
    }
    if (std::exchange(seen[at], true)) {
      return fail_at(entry.first, "'" + name + "' stands twice");
    }
    const std::string key = section.empty() ? name : std::string(section) + "." + name;
    if (auto done = keys[at].read(key, entry.second, out); !done) {
      return done;
    }
  }
  return {};
}

}  // namespace podsense::model
