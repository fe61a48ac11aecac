#pragma once

/// What will go wrong with what is deployed: each finding has the figures that show it and what to
/// change. Nothing here is a guess about load; where a figure needs one, the finding is left out.

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "arrivals/arrivals.h"
#include "foresight/deployed.h"

namespace podsense::plan {

enum class Severity : std::uint8_t {
  kError,    ///< it does not work, or stops working at the figures that are given
  kWarning,  ///< it works worse than it seems to
  kNote,     ///< how it behaves, where people expect something else
};
inline constexpr std::array<std::string_view, 3> kSeverityNames{"error", "warning", "note"};

struct Finding {
  Severity severity = Severity::kNote;
  std::string_view id;  ///< "budget-blocks-drain": stays the same between versions
  std::string object;   ///< "Deployment shop/web"
  std::string what;     ///< one or two sentences
  std::string change;   ///< what to do
  std::vector<std::pair<std::string_view, double>> figures;
};

struct ExpectedTraffic {
  std::shared_ptr<const arrivals::ArrivalShape> shape;
  Duration length{};
};

struct FindingOptions {
  std::string name;  ///< of a workload or its autoscaler; empty: all
  foresight::HpaSettings settings;
  /// Longest request, where the server is not podsense.
  std::optional<Duration> request_timeout;
  /// From a pod's creation until it is ready; else as its pods tell.
  std::optional<Duration> start_up;
  /// How old metrics are when the autoscaler looks.
  Duration metric_age = std::chrono::seconds(15);
  std::optional<ExpectedTraffic> traffic;
};

/// Errors first; else in the order of the files.
/// @errors kInvalidArgument: nothing has the name, or there is no workload and no autoscaler
Result<std::vector<Finding>> find_faults(const foresight::Deployed& all,
                                         const FindingOptions& options);

std::string findings_text(const std::vector<Finding>& findings);
/// {"findings": [{severity, id, object, what, change, figures}], "errors": N, …}
std::string findings_json(const std::vector<Finding>& findings);

}  // namespace podsense::plan
