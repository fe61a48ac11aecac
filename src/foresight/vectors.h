#pragma once

/// Test vectors of the autoscaler: one JSON case a line, one JSON answer a look. The form is that
/// of tests/foresight/oracle, which asks the real controllers; docs/reference/hpa-vectors.md
/// describes it.

#include <cstddef>
#include <iosfwd>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "foresight/hpa.h"

namespace podsense::foresight {

/// loop: looks come from the controller's queue; direct: at the moments that the case names.
enum class VectorMode : std::uint8_t { kLoop, kDirect };

/// What is so from one look on.
struct VectorTick {
  Duration at{};  ///< of the look, since the case began
  std::optional<std::int32_t> spec_replicas;
  std::optional<HpaSpec> edit;
  ClusterView view;
};

struct VectorCase {
  std::string name;
  VectorMode mode = VectorMode::kLoop;
  HpaSettings settings;
  HpaSpec spec;
  Conditions conditions;
  std::int32_t replicas = 0;  ///< of the target at the start
  std::vector<VectorTick> ticks;
};

struct VectorOptions {
  /// For cases that name none.
  KubernetesVersion version = kNewestVersion;
  bool explain = false;
};

/// @errors kInvalidArgument, naming the field and what it accepts
Result<VectorCase> parse_case(std::string_view line, const VectorOptions& options);

/// Appends a line of JSON for each look.
void replay(const VectorCase& one, const VectorOptions& options, std::string& out);

/// Answers case after case; empty lines are passed over.
/// @errors kInvalidArgument, beginning with "`name` line N: "; the answers before it are written
Result<void> replay_lines(std::istream& in, std::string_view name, const VectorOptions& options,
                          std::ostream& out);

}  // namespace podsense::foresight
