#pragma once

/// Reading parts of Kubernetes objects that are deployed. Private to this module.

#include "foresight/deployed.h"
#include "foresight/json_field.h"

namespace podsense::foresight {

inline constexpr std::size_t kMaxObjects = 200000;

/// A member, or JSON's null.
const nlohmann::json& member_of(const nlohmann::json& object, std::string_view key);
/// A member that is a text, or "".
std::string text_member(const nlohmann::json& object, std::string_view key);

Result<void> read_labels(const JsonField& parent, std::string_view key, Labels& out);
Result<void> read_resources(const JsonField& parent, std::string_view key, Resources& out);
Result<void> read_selector(const JsonField& parent, std::string_view key, LabelSelector& out);
/// Leaves `out` alone where there is none.
Result<void> read_share(const JsonField& parent, std::string_view key,
                        std::optional<PodsOrPercent>& out);
Result<void> read_int32(const JsonField& parent, std::string_view key,
                        std::optional<std::int32_t>& out);

/// ConfigMaps by "namespace/name": key → value.
using ConfigMaps = std::map<std::string, Labels, std::less<>>;

/// @param template_field  an object with metadata and spec: a pod's template, or a pod
Result<PodTemplate> read_template(const JsonField& template_field, const std::string& space,
                                  const ConfigMaps& maps);
Result<DeployedPod> read_deployed_pod(const JsonField& field);

}  // namespace podsense::foresight
