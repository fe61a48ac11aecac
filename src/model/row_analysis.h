#pragma once

/// Proves from a model's graph that the answer to each row depends only on that row, so that rows
/// of different requests may share a run.
///
/// The analysis follows every operator from the inputs on and tracks which dimension of each value
/// contains the rows. The proof fails at an operator that could mix rows: one that reduces, sorts,
/// scans or normalises over that dimension, moves rows, or is unknown. So the proof may fail for
/// models with independent rows, but it never succeeds for models with dependent rows. Private to
/// this module.

#include <span>

#include "base/error.h"
#include "model/model.h"
#include "model/onnx_graph.h"

namespace podsense::model {

/// `inputs` and `outputs` as the model declares them; dimension 0 of each must be dynamic.
/// @errors kUnimplemented: no proof; the message names the operator or output that prevents it
Result<void> prove_rows_apart(const Graph& graph, std::span<const TensorInfo> inputs,
                              std::span<const TensorInfo> outputs);

}  // namespace podsense::model
