#include "model/preprocess.h"

#include <algorithm>
#include <array>
#include <cctype>

#include "base/ascii.h"
#include "model/yaml_fields.h"

namespace podsense::model {
namespace {

constexpr std::array<std::string_view, 4> kResizes{"crop-then-resize", "resize-then-crop", "squash",
                                                   "letterbox"};
constexpr std::array<std::string_view, 5> kFilters{"bicubic", "bilinear", "lanczos", "box",
                                                   "nearest"};
constexpr std::array<std::string_view, 3> kChannels{"rgb", "bgr", "gray"};
constexpr std::array<std::string_view, 2> kLayouts{"nchw", "nhwc"};
constexpr std::array<std::string_view, 2> kPlaces{"center", "top-left"};
constexpr WholeRange kSide{1, 16'384};

using Key = std::string_view;
using Node = YAML::Node;

Result<void> read_side(Key key, const Node& node, std::optional<std::uint32_t>& out) {
  return yaml_whole(key, node, kSide).map([&](std::uint64_t value) {
    out = static_cast<std::uint32_t>(value);
  });
}

Result<void> read_width(Key key, const Node& node, PreprocessSpec& spec) {
  spec.given |= PreprocessSpec::kWidth;
  return read_side(key, node, spec.width);
}

Result<void> read_height(Key key, const Node& node, PreprocessSpec& spec) {
  spec.given |= PreprocessSpec::kHeight;
  return read_side(key, node, spec.height);
}

Result<void> read_resize(Key key, const Node& node, PreprocessSpec& spec) {
  spec.given |= PreprocessSpec::kResize;
  return yaml_choice(key, node, kResizes).map([&](std::string v) { spec.resize = std::move(v); });
}

Result<void> read_crop_fraction(Key key, const Node& node, PreprocessSpec& spec) {
  spec.given |= PreprocessSpec::kCropFraction;
  return yaml_real(key, node, {0.01, 1.0}).map([&](double v) { spec.crop_fraction = v; });
}

Result<void> read_filter(Key key, const Node& node, PreprocessSpec& spec) {
  spec.given |= PreprocessSpec::kFilter;
  return yaml_choice(key, node, kFilters).map([&](std::string v) { spec.filter = std::move(v); });
}

Result<void> read_channels(Key key, const Node& node, PreprocessSpec& spec) {
  spec.given |= PreprocessSpec::kChannels;
  return yaml_choice(key, node, kChannels).map([&](std::string v) {
    spec.channels = std::move(v);
  });
}

Result<void> read_layout(Key key, const Node& node, PreprocessSpec& spec) {
  spec.given |= PreprocessSpec::kLayout;
  return yaml_choice(key, node, kLayouts).map([&](std::string v) { spec.layout = std::move(v); });
}

Result<void> read_scale(Key key, const Node& node, PreprocessSpec& spec) {
  spec.given |= PreprocessSpec::kScale;
  return yaml_real(key, node, {1e-9, 1e9}).map([&](double v) { spec.scale = v; });
}

/// One number for all channels, or a list of one or three.
Result<void> read_per_channel(Key key, const Node& node, RealRange range,
                              std::vector<double>& out) {
  if (node.IsScalar()) {
    return yaml_real(key, node, range).map([&](double v) { out.assign(3, v); });
  }
  if (!node.IsSequence() || (node.size() != 1 && node.size() != 3)) {
    return fail_at(node, "'" + std::string(key) + "' must be one number or a list of three");
  }
  std::vector<double> values;
  for (const auto& item : node) {
    auto value = yaml_real(key, item, range);
    if (!value) {
      return fail(value.error());
    }
    values.push_back(*value);
  }
  values.resize(3, values.front());
  out = std::move(values);
  return {};
}

Result<void> read_mean(Key key, const Node& node, PreprocessSpec& spec) {
  spec.given |= PreprocessSpec::kMean;
  return read_per_channel(key, node, {-1e9, 1e9}, spec.mean);
}

Result<void> read_std(Key key, const Node& node, PreprocessSpec& spec) {
  spec.given |= PreprocessSpec::kStd;
  return read_per_channel(key, node, {1e-9, 1e9}, spec.std);
}

Result<void> read_pad(Key key, const Node& node, PreprocessSpec& spec) {
  spec.given |= PreprocessSpec::kPad;
  return yaml_whole(key, node, {0, 255}).map([&](std::uint64_t v) {
    spec.pad = static_cast<std::uint32_t>(v);
  });
}

Result<void> read_place(Key key, const Node& node, PreprocessSpec& spec) {
  spec.given |= PreprocessSpec::kPlace;
  return yaml_choice(key, node, kPlaces).map([&](std::string v) { spec.place = std::move(v); });
}

constexpr std::array<YamlKey<PreprocessSpec>, 12> kKeys{{
    {"width", read_width},
    {"height", read_height},
    {"resize", read_resize},
    {"crop_fraction", read_crop_fraction},
    {"filter", read_filter},
    {"channels", read_channels},
    {"layout", read_layout},
    {"scale", read_scale},
    {"mean", read_mean},
    {"std", read_std},
    {"pad", read_pad},
    {"place", read_place},
}};

/// The first word in lower case: "NCHW f32" → "nchw".
std::string first_word(const Node& node) {
  if (!node.IsScalar()) {
    return {};
  }
  return ascii::lower(node.Scalar().substr(0, node.Scalar().find(' ')));
}

bool is_one_of(const std::string& word, std::span<const std::string_view> choices) {
  return std::ranges::find(choices, word) != choices.end();
}

Result<void> read_metadata_entry(const std::string& key, const Node& node, PreprocessSpec& spec) {
  if (key == "size") {
    auto width = read_width(key, node, spec);
    return width ? read_height(key, node, spec) : width;
  }
  if (key == "crop" && first_word(node) == "center") {
    spec.given |= PreprocessSpec::kResize;
    spec.resize = "crop-then-resize";
    return {};
  }
  if (key == "resize" && is_one_of(first_word(node), kFilters)) {
    return read_filter(key, Node(first_word(node)), spec);
  }
  if (key == "channels" || key == "layout" || key == "filter" || key == "resize") {
    const Node lowered(first_word(node));
    const auto at = std::ranges::find(kKeys, key, &YamlKey<PreprocessSpec>::name);
    return at->read(key, lowered, spec);
  }
  const auto at = std::ranges::find(kKeys, key, &YamlKey<PreprocessSpec>::name);
  return at == kKeys.end() ? Result<void>() : at->read(key, node, spec);
}

}  // namespace

Result<void> read_preprocess(std::string_view key, const YAML::Node& node, PreprocessSpec& spec) {
  return read_map(key, node, kKeys, spec);
}

Result<PreprocessSpec> parse_preprocess_metadata(std::string_view json) {
  auto node = load_yaml(json);
  if (!node) {
    return fail(node.error());
  }
  if (!node->IsMap()) {
    return fail(ErrorCode::kInvalidArgument, "not a JSON object");
  }
  PreprocessSpec spec;
  for (const auto& entry : *node) {
    const std::string key = entry.first.IsScalar() ? entry.first.Scalar() : "";
    if (auto done = read_metadata_entry(key, entry.second, spec); !done) {
      return fail(done.error());
    }
  }
  return spec;
}

PreprocessSpec overlay(const PreprocessSpec& file, const PreprocessSpec& manifest) {
  PreprocessSpec out = file;
  const auto take = [&](PreprocessSpec::Given key, auto member) {
    if ((manifest.given & key) != 0) {
      out.*member = manifest.*member;
    }
  };
  take(PreprocessSpec::kWidth, &PreprocessSpec::width);
  take(PreprocessSpec::kHeight, &PreprocessSpec::height);
  take(PreprocessSpec::kResize, &PreprocessSpec::resize);
  take(PreprocessSpec::kCropFraction, &PreprocessSpec::crop_fraction);
  take(PreprocessSpec::kFilter, &PreprocessSpec::filter);
  take(PreprocessSpec::kChannels, &PreprocessSpec::channels);
  take(PreprocessSpec::kLayout, &PreprocessSpec::layout);
  take(PreprocessSpec::kScale, &PreprocessSpec::scale);
  take(PreprocessSpec::kMean, &PreprocessSpec::mean);
  take(PreprocessSpec::kStd, &PreprocessSpec::std);
  take(PreprocessSpec::kPad, &PreprocessSpec::pad);
  take(PreprocessSpec::kPlace, &PreprocessSpec::place);
  out.given |= manifest.given;
  return out;
}

}  // namespace podsense::model
