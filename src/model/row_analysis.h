#pragma once

/// Proves from a model's graph that the answer to each row depends on that row alone, so that rows
/// of different requests may share a run.
///
/// Every operator is followed from the inputs on, with a note of which dimension of each value
/// holds the rows. An operator that could let one row see another (it reduces, sorts, scans or
/// normalises over that dimension, moves rows, or is not known here) ends the proof. So a proof can
/// be missing where rows are independent all the same, never the other way round.
/// Private to this module.

#include <span>

#include "base/error.h"
#include "model/model.h"
#include "model/onnx_graph.h"

namespace podsense::model {

/// `inputs` and `outputs` as the model declares them; dimension 0 of each must be open.
/// @errors kUnimplemented: no proof; the message names the operator or output in the way
Result<void> prove_rows_apart(const Graph& graph, std::span<const TensorInfo> inputs,
                              std::span<const TensorInfo> outputs);

}  // namespace podsense::model
