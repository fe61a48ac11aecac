#pragma once

/// A look's arithmetic in words, for people who ask why the autoscaler did what it did.

#include <string>
#include <vector>

#include "foresight/hpa.h"

namespace podsense::foresight {

/// One sentence or two each, in the order in which the controller decides.
/// @param hpa as it was at that look
std::vector<std::string> explain(const Look& look, const Hpa& hpa);

/// Which metrics failed and why; "" where none did.
std::string metrics_error(const Look& look, const HpaSpec& spec);

}  // namespace podsense::foresight
