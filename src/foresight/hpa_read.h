#pragma once

/// Reading a HorizontalPodAutoscaler from JSON. Private to this module.

#include "foresight/hpa.h"
#include "foresight/json_field.h"

namespace podsense::foresight {

/// Where the text comes from: the API server checks names that a test vector may leave out, and
/// stores quantities in canonical form.
enum class Origin : std::uint8_t { kVector, kUser, kCluster };

/// @errors kInvalidArgument, naming the field
Result<HpaSpec> read_spec(const JsonField& field, Origin origin);

/// Those of the status that are known here.
Result<Conditions> read_conditions(const JsonField& status);

}  // namespace podsense::foresight
