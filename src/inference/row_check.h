#pragma once

/// Whether rows of different requests may share a run of a model: what manifest and graph say
/// (Signature::rows_unproven), and whether the engine keeps to it, by random rows that are asked
/// one by one and together.

#include <cstdint>
#include <optional>

#include "base/clock.h"
#include "base/error.h"
#include "model/model.h"

namespace podsense::inference {

/// How far a value may be from the one alone: 1e-5 + 1e-4 of it for FP32 and FP64, 1e-2 for FP16
/// and BF16. Everything else, and the place of the largest of a row's floats, must be equal.
/// @pre a batchable model
/// @errors kInvalidArgument: answers differ, or no random rows are accepted; kDeadlineExceeded:
///         `limit` passed before enough was compared
/// @threads any; blocks for some twenty runs
Result<void> check_rows(const model::Model& model, const Clock& clock, Deadline limit,
                        std::uint64_t seed = 1);

/// What manifest, graph and check_rows say together.
/// @errors kInvalidArgument: requests must run alone, with the reason; kDeadlineExceeded as above
/// @threads as check_rows
Result<void> rows_verdict(const model::Model& model, const Clock& clock, Deadline limit);

/// The part of rows_verdict that costs nothing; nothing where random rows must be compared.
std::optional<Result<void>> early_verdict(const model::Model& model);

}  // namespace podsense::inference
