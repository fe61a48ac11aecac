#pragma once

/// Decides whether rows of different requests may share a run of a model: by manifest and graph
/// (Signature::rows_unproven), and by a test of the engine that runs random rows one by one and
/// together.

#include <cstdint>
#include <optional>

#include "base/clock.h"
#include "base/error.h"
#include "model/model.h"

namespace podsense::inference {

/// Compares answers to rows run alone and together. Tolerance: 1e-5 + 1e-4 of the value for FP32
/// and FP64, 1e-2 for FP16 and BF16. Other types, and the index of the largest float of a row, must
/// be equal.
/// @pre a batchable model
/// @errors kInvalidArgument: answers differ, or the model accepts no random rows;
/// kDeadlineExceeded: `limit` passed before enough rows were compared
/// @threads any; blocks for about twenty runs
Result<void> check_rows(const model::Model& model, const Clock& clock, Deadline limit,
                        std::uint64_t seed = 1);

/// The combined verdict of manifest, graph and check_rows.
/// @errors kInvalidArgument: requests must run alone, with the reason; kDeadlineExceeded as above
/// @threads as check_rows
Result<void> rows_verdict(const model::Model& model, const Clock& clock, Deadline limit);

/// The part of rows_verdict that needs no runs; nothing: random rows must be compared.
std::optional<Result<void>> early_verdict(const model::Model& model);

}  // namespace podsense::inference
