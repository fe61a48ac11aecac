#include "model/warmup_fields.h"

#include <array>
#include <string>
#include <utility>

#include "model/labels.h"

namespace podsense::model {
namespace {

using Key = std::string_view;
using Node = YAML::Node;

constexpr std::size_t kMostDimensions = 12;
constexpr std::uint64_t kLongestDimension = std::uint64_t{1} << 40U;
constexpr std::size_t kMostInputs = 256;

struct Draft {
  Manifest& manifest;
  const std::filesystem::path& folder;
};
struct InputDraft {
  WarmupInput input;
  const std::filesystem::path& folder;
};

Result<void> read_file(Key key, const Node& node, const std::filesystem::path& folder,
                       std::filesystem::path& out) {
  const auto name = yaml_text(key, node);
  if (!name) {
    return fail(name.error());
  }
  auto file = resolve_inside(folder, *name);
  if (!file) {
    return fail_at(node, "'" + std::string(key) + "': " + file.error().message);
  }
  out = std::move(*file);
  return {};
}

Result<void> read_shape(Key key, const Node& node, InputDraft& out) {
  if (!node.IsSequence() || node.size() > kMostDimensions) {
    return fail_at(node, "'" + std::string(key) + "' must be a list of at most " +
                             std::to_string(kMostDimensions) +
                             " dimensions, e.g. [1, 3, 224, 224]");
  }
  out.input.shape.clear();
  for (const auto& item : node) {
    const auto dimension = yaml_whole(key, item, {0, kLongestDimension});
    if (!dimension) {
      return fail(dimension.error());
    }
    out.input.shape.push_back(static_cast<std::int64_t>(*dimension));
  }
  return {};
}

Result<void> read_range(Key key, const Node& node, InputDraft& out) {
  constexpr RealRange kAny{-1e18, 1e18};
  if (!node.IsSequence() || node.size() != 2) {
    return fail_at(node, "'" + std::string(key) + "' must be a list of two numbers, e.g. [0, 255]");
  }
  const auto least = yaml_real(key, node[0], kAny);
  const auto most = yaml_real(key, node[1], kAny);
  if (!least || !most) {
    return fail(least ? most.error() : least.error());
  }
  if (*least > *most) {
    return fail_at(node, "'" + std::string(key) + "' must not end before it begins");
  }
  out.input.range = WarmupInput::Range{.least = *least, .most = *most};
  return {};
}

Result<void> read_input_file(Key key, const Node& node, InputDraft& out) {
  return read_file(key, node, out.folder, out.input.file);
}

constexpr std::array<YamlKey<InputDraft>, 3> kInputKeys{{
    {"shape", read_shape},
    {"range", read_range},
    {"file", read_input_file},
}};

Result<void> read_runs(Key key, const Node& node, Draft& out) {
  return yaml_whole(key, node, {0, 10'000}).map([&](std::uint64_t runs) {
    out.manifest.warmup_runs = static_cast<std::uint32_t>(runs);
  });
}
Result<void> read_limit(Key key, const Node& node, Draft& out) {
  return yaml_ms(key, node, {0.001, 600'000}).map([&](Duration limit) {
    out.manifest.warmup_limit = limit;
  });
}
Result<void> read_request(Key key, const Node& node, Draft& out) {
  return read_file(key, node, out.folder, out.manifest.warmup_request);
}

/// Any input name is accepted here; the model decides which exist.
Result<void> read_inputs(Key key, const Node& node, Draft& out) {
  if (!node.IsMap() || node.size() > kMostInputs) {
    return fail_at(node, "'" + std::string(key) + "' must be a map of inputs' names");
  }
  out.manifest.warmup_inputs.clear();
  for (const auto& entry : node) {
    const auto name = yaml_text(key, entry.first);
    if (!name) {
      return fail(name.error());
    }
    const std::string section = std::string(key) + "." + *name;
    InputDraft draft{.input = {}, .folder = out.folder};
    if (auto done = read_map(section, entry.second, kInputKeys, draft); !done) {
      return done;
    }
    if (draft.input.range && !draft.input.file.empty()) {
      return fail_at(entry.second, "'" + section + "' has a range and a file; give one of them");
    }
    if (!out.manifest.warmup_inputs.emplace(*name, std::move(draft.input)).second) {
      return fail_at(entry.first, "'" + section + "' stands twice");
    }
  }
  return {};
}

constexpr std::array<YamlKey<Draft>, 4> kKeys{{
    {"runs", read_runs},
    {"max_ms", read_limit},
    {"request", read_request},
    {"inputs", read_inputs},
}};

}  // namespace

Result<void> read_warmup_section(std::string_view key, const YAML::Node& node,
                                 const std::filesystem::path& folder, Manifest& out) {
  Draft draft{.manifest = out, .folder = folder};
  return read_map(key, node, kKeys, draft);
}

}  // namespace podsense::model
