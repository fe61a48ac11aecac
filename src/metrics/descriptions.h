#pragma once

/// All metrics of this process: one table with help texts, types and labels, also for the reference
/// page. A metric must be in it to be registered.

#include <span>
#include <string>
#include <string_view>

namespace podsense::metrics {

enum class Kind { kCounter, kGauge, kHistogram };

struct Description {
  std::string_view name;
  Kind kind;
  std::string_view labels;  ///< names, separated by blanks
  std::string_view help;    ///< one line; includes the unit if the name does not
};

/// In the order of the reference page.
std::span<const Description> descriptions();
/// @requires the name is in the table
const Description& description(std::string_view name);

/// docs/reference/metrics.md
std::string reference_markdown();

}  // namespace podsense::metrics
