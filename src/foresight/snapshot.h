#pragma once

/// One moment of a real cluster, from what `kubectl … -o json` and `kubectl get --raw` print, as a
/// look of the autoscaler needs it. docs/how-to/why-did-my-hpa.md says which commands.

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "foresight/hpa.h"

namespace podsense::foresight {

struct SnapshotFile {
  std::string name;  ///< for messages
  std::string text;
};

struct SnapshotOptions {
  /// Of the autoscaler, where the files have several.
  std::string hpa;
  /// spec.replicas of the target, where the files do not have it.
  std::optional<std::int32_t> replicas;
  /// RFC 3339; else the newest sample's moment.
  std::string now;
  Gates gates;
};

struct Snapshot {
  std::string name;  ///< namespace/name of the autoscaler
  HpaSpec spec;
  Conditions conditions;
  ClusterView view;
  Duration now{};                              ///< since 1970
  std::optional<std::int32_t> status_desired;  ///< status.desiredReplicas
};

/// Sorts the objects of all files by their kinds: one HorizontalPodAutoscaler, Pods, PodMetrics,
/// values of the custom and external metrics APIs, and the target itself. Pods that are not the
/// target's are left out.
/// @errors kInvalidArgument, naming file and field; also where a metric needs a file that is not
/// there
Result<Snapshot> read_snapshot(std::span<const SnapshotFile> files, const SnapshotOptions& options);

/// The look in words: as a controller takes it that has just started, and as one that has seen
/// nothing else for longer than all windows.
std::vector<std::string> explain_snapshot(const Snapshot& snapshot, const HpaSettings& settings);

/// "2026-11-29T23:04:16Z", with a fraction or an offset; since 1970.
std::optional<Duration> parse_rfc3339(std::string_view text);
/// As Go writes a duration: "1m0s", "15.03s", "500ms".
std::optional<Duration> parse_go_duration(std::string_view text);

}  // namespace podsense::foresight
