#include "model/manifest.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/ascii.h"
#include "model/labels.h"
#include "model/preprocess.h"
#include "model/warmup_fields.h"
#include "model/yaml_fields.h"

namespace podsense::model {
namespace {

using Key = std::string_view;
using Node = YAML::Node;

constexpr std::string_view kWithoutFile = "simulated";
constexpr std::array<std::string_view, 3> kPostprocesses{"softmax", "sigmoid", "none"};
constexpr std::array<std::string_view, 4> kBoxes{"xyxy", "yxyx", "xywh", "cxcywh"};
constexpr std::array<std::string_view, 2> kCoordinates{"pixels", "normalized"};
constexpr std::array<std::string_view, 3> kPolicies{"latest", "all", "list"};
constexpr std::array<std::string_view, 2> kYesNo{"true", "false"};
constexpr double kHourMs = 3'600'000;
constexpr std::size_t kMaxListedVersions = 1000;

struct Draft {
  Manifest manifest;
  const std::filesystem::path* folder = nullptr;
};

/// The raw values of `versions`, before they are checked against each other.
struct Versions {
  std::optional<std::string> policy;
  std::optional<std::uint64_t> keep;
  std::optional<std::vector<std::uint64_t>> list;
};

template <class T>
auto into(T& out) {
  return [&out](auto value) { out = static_cast<T>(std::move(value)); };
}

/// Only the syntax of the name is checked here; inference knows the tasks.
Result<void> read_task(Key key, const Node& node, Draft& out) {
  return yaml_text(key, node).map([&](std::string name) {
    out.manifest.without_file = name == kWithoutFile;
    out.manifest.task = std::move(name);
  });
}

Result<void> read_postprocess(Key key, const Node& node, Draft& out) {
  return yaml_choice(key, node, kPostprocesses).map(into(out.manifest.postprocess));
}

Result<void> read_head(Key key, const Node& node, DetectionSpec& out) {
  return yaml_text(key, node).map(into(out.head));
}
Result<void> read_boxes(Key key, const Node& node, DetectionSpec& out) {
  return yaml_choice(key, node, kBoxes).map(into(out.boxes));
}
Result<void> read_coordinates(Key key, const Node& node, DetectionSpec& out) {
  return yaml_choice(key, node, kCoordinates).map(into(out.coordinates));
}
Result<void> read_first_class(Key key, const Node& node, DetectionSpec& out) {
  return yaml_whole(key, node, {0, 65'536}).map(into(out.first_class));
}
Result<void> read_score_threshold(Key key, const Node& node, DetectionSpec& out) {
  return yaml_real(key, node, {0, 1}).map([&](double v) { out.score_threshold = v; });
}
Result<void> read_iou_threshold(Key key, const Node& node, DetectionSpec& out) {
  return yaml_real(key, node, {0, 1}).map([&](double v) { out.iou_threshold = v; });
}
Result<void> read_max_boxes(Key key, const Node& node, DetectionSpec& out) {
  return yaml_whole(key, node, {1, 1000}).map([&](std::uint64_t v) {
    out.max_boxes = static_cast<std::uint32_t>(v);
  });
}

constexpr std::array<YamlKey<DetectionSpec>, 7> kDetectionKeys{{
    {"head", read_head},
    {"boxes", read_boxes},
    {"coordinates", read_coordinates},
    {"first_class", read_first_class},
    {"score_threshold", read_score_threshold},
    {"iou_threshold", read_iou_threshold},
    {"max_boxes", read_max_boxes},
}};

Result<void> read_detection(Key key, const Node& node, Draft& out) {
  return read_map(key, node, kDetectionKeys, out.manifest.detection);
}

Result<void> read_backend(Key key, const Node& node, Draft& out) {
  return yaml_text(key, node).map(into(out.manifest.backend));
}

Result<void> read_labels(Key key, const Node& node, Draft& out) {
  if (node.IsScalar()) {
    auto labels = read_label_file(*out.folder, node.Scalar());
    if (!labels) {
      return fail_at(node, "'" + std::string(key) + "': " + labels.error().message);
    }
    if (auto wrong = not_utf8(*labels, "'" + node.Scalar() + "'"); !wrong.empty()) {
      out.manifest.remarks.push_back(std::move(wrong));
    }
    out.manifest.labels = std::move(*labels);
    return {};
  }
  if (!node.IsSequence() || node.size() == 0) {
    return fail_at(node, "'" + std::string(key) + "' must be a file's name or a list of texts");
  }
  std::vector<std::string> labels;
  for (const auto& item : node) {
    auto label = yaml_text(key, item);
    if (!label) {
      return fail(label.error());
    }
    labels.push_back(std::move(*label));
  }
  out.manifest.labels = std::move(labels);
  return {};
}

Result<void> read_preprocess_section(Key key, const Node& node, Draft& out) {
  PreprocessSpec spec = out.manifest.preprocess.value_or(PreprocessSpec{});
  return read_preprocess(key, node, spec).map([&] { out.manifest.preprocess = std::move(spec); });
}

Result<std::vector<std::uint64_t>> version_list(Key key, const Node& node) {
  if (!node.IsSequence() || node.size() == 0 || node.size() > kMaxListedVersions) {
    return fail_at(node, "'" + std::string(key) + "' must be a list of 1 to " +
                             std::to_string(kMaxListedVersions) + " versions");
  }
  std::vector<std::uint64_t> versions;
  for (const auto& item : node) {
    const auto version = yaml_whole(key, item, {1, std::uint64_t{1} << 53U});
    if (!version) {
      return fail(version.error());
    }
    versions.push_back(*version);
  }
  std::ranges::sort(versions);
  versions.erase(std::ranges::unique(versions).begin(), versions.end());
  return versions;
}

Result<void> read_policy(Key key, const Node& node, Versions& out) {
  return yaml_choice(key, node, kPolicies).map([&](std::string v) { out.policy = std::move(v); });
}
Result<void> read_keep(Key key, const Node& node, Versions& out) {
  return yaml_whole(key, node, {1, 100}).map([&](std::uint64_t v) { out.keep = v; });
}
Result<void> read_list(Key key, const Node& node, Versions& out) {
  return version_list(key, node).map([&](auto v) { out.list = std::move(v); });
}

constexpr std::array<YamlKey<Versions>, 3> kVersionKeys{{
    {"policy", read_policy},
    {"keep", read_keep},
    {"list", read_list},
}};

Result<void> read_versions(Key key, const Node& node, Draft& out) {
  Versions said;
  if (auto done = read_map(key, node, kVersionKeys, said); !done) {
    return done;
  }
  const std::string policy = said.policy.value_or(said.list ? "list" : "latest");
  if (said.list.has_value() != (policy == "list")) {
    return fail_at(node, said.list ? "'versions.list' goes with 'policy: list' only"
                                   : "'versions.policy: list' needs 'list', e.g. [1, 3]");
  }
  if (said.keep && policy != "latest") {
    return fail_at(node, "'versions.keep' goes with 'policy: latest' only");
  }
  Manifest& manifest = out.manifest;
  manifest.version_policy = policy == "all"    ? VersionPolicy::kAll
                            : policy == "list" ? VersionPolicy::kList
                                               : VersionPolicy::kLatest;
  manifest.keep_versions = static_cast<std::uint32_t>(said.keep.value_or(1));
  manifest.listed_versions = std::move(said.list).value_or(std::vector<std::uint64_t>{});
  return {};
}

Result<void> read_max_batch(Key key, const Node& node, Manifest& out) {
  return yaml_whole(key, node, {1, 65'536}).map([&](std::uint64_t v) {
    out.max_batch = static_cast<std::uint32_t>(v);
  });
}
Result<void> read_max_delay(Key key, const Node& node, Manifest& out) {
  return yaml_ms(key, node, {0, 10'000}).map(into(out.max_delay));
}
Result<void> read_max_bytes(Key key, const Node& node, Manifest& out) {
  return yaml_whole(key, node, {1, std::uint64_t{1} << 40U}).map(into(out.max_file_bytes));
}
Result<void> read_open_bytes(Key key, const Node& node, Manifest& out) {
  return yaml_whole(key, node, {1, std::uint64_t{1} << 44U}).map([&](std::uint64_t v) {
    out.open_bytes = v;
  });
}
Result<void> read_cpu_ms(Key key, const Node& node, Manifest& out) {
  return yaml_ms(key, node, {0.001, 60'000}).map(into(out.simulated_cpu));
}

Result<void> read_share_runs(Key key, const Node& node, Manifest& out) {
  return yaml_choice(key, node, kYesNo).map([&](const std::string& v) {
    out.share_runs = v == "true";
  });
}

constexpr std::array<YamlKey<Manifest>, 3> kBatchingKeys{{
    {"max_batch", read_max_batch},
    {"max_delay_ms", read_max_delay},
    {"share_runs", read_share_runs},
}};
constexpr std::array<YamlKey<Manifest>, 2> kLimitKeys{{
    {"max_bytes", read_max_bytes},
    {"open_bytes", read_open_bytes},
}};
constexpr std::array<YamlKey<Manifest>, 1> kSimulatedKeys{{{"cpu_ms", read_cpu_ms}}};

Result<void> read_batching(Key key, const Node& node, Draft& out) {
  return read_map(key, node, kBatchingKeys, out.manifest);
}
Result<void> read_warmup(Key key, const Node& node, Draft& out) {
  return read_warmup_section(key, node, *out.folder, out.manifest);
}
Result<void> read_limits(Key key, const Node& node, Draft& out) {
  return read_map(key, node, kLimitKeys, out.manifest);
}
Result<void> read_simulated(Key key, const Node& node, Draft& out) {
  return read_map(key, node, kSimulatedKeys, out.manifest);
}

Result<void> read_instances(Key key, const Node& node, Draft& out) {
  return yaml_whole(key, node, {1, 1024}).map([&](std::uint64_t v) {
    out.manifest.instances = static_cast<std::uint32_t>(v);
  });
}
Result<void> read_threads(Key key, const Node& node, Draft& out) {
  out.manifest.threads_given = true;
  return yaml_whole(key, node, {1, 256}).map(into(out.manifest.threads));
}
Result<void> read_weight(Key key, const Node& node, Draft& out) {
  return yaml_real(key, node, {0.01, 1000}).map(into(out.manifest.weight));
}
Result<void> read_timeout(Key key, const Node& node, Draft& out) {
  return yaml_ms(key, node, {1, kHourMs}).map([&](Duration v) { out.manifest.timeout = v; });
}

Result<void> read_file(Key key, const Node& node, Draft& out) {
  return yaml_text(key, node).and_then([&](std::string name) -> Result<void> {
    if (name.empty() || name.front() == '.' || name.contains('/') || name.contains('\0')) {
      return fail_at(node, "'" + std::string(key) +
                               "' must be the name of a file in the version's folder, e.g. "
                               "net.onnx");
    }
    out.manifest.file = std::move(name);
    return {};
  });
}

Result<void> read_sha256(Key key, const Node& node, Draft& out) {
  auto text = yaml_text(key, node);
  if (!text) {
    return fail(text.error());
  }
  *text = ascii::lower(*text);
  constexpr std::size_t kHexDigits = 64;
  if (text->size() != kHexDigits ||
      text->find_first_not_of("0123456789abcdef") != std::string::npos) {
    return fail_at(node, "'" + std::string(key) + "' must be 64 hexadecimal digits");
  }
  out.manifest.sha256 = std::move(*text);
  return {};
}

constexpr std::array<YamlKey<Draft>, 17> kTopKeys{{
    {"backend", read_backend},
    {"task", read_task},
    {"labels", read_labels},
    {"preprocess", read_preprocess_section},
    {"postprocess", read_postprocess},
    {"detection", read_detection},
    {"versions", read_versions},
    {"batching", read_batching},
    {"instances", read_instances},
    {"threads", read_threads},
    {"weight", read_weight},
    {"warmup", read_warmup},
    {"timeout_ms", read_timeout},
    {"limits", read_limits},
    {"file", read_file},
    {"sha256", read_sha256},
    {"simulated", read_simulated},
}};

}  // namespace

Result<Manifest> parse_manifest(std::string_view yaml, const std::filesystem::path& folder,
                                const Manifest& base) {
  auto node = load_yaml(yaml);
  if (!node) {
    return fail(node.error());
  }
  Draft draft{base, &folder};
  if (node->IsNull()) {
    return std::move(draft.manifest);
  }
  // Conversions throw only if the checks above have a bug.
  try {
    if (auto done = read_map("", *node, kTopKeys, draft); !done) {
      return fail(done.error());
    }
  } catch (const YAML::Exception& e) {
    return fail(ErrorCode::kInvalidArgument, "not valid YAML: " + e.msg);
  }
  return std::move(draft.manifest);
}

}  // namespace podsense::model
