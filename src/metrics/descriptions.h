#pragma once

/// Every metric that this process can show: one table for help texts, types, labels and the
/// reference page. A metric that is not in it cannot be registered.

#include <span>
#include <string>
#include <string_view>

namespace podsense::metrics {

enum class Kind { kCounter, kGauge, kHistogram };

struct Description {
  std::string_view name;
  Kind kind;
  std::string_view labels;  ///< names, separated by blanks
  std::string_view help;    ///< one line, with the unit where the name does not say it
};

/// In the order of the reference page.
std::span<const Description> descriptions();
/// @requires the name is in the table
const Description& description(std::string_view name);

/// docs/reference/metrics.md
std::string reference_markdown();

}  // namespace podsense::metrics
