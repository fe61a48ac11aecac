#pragma once

/// Decides whether the cost of a run depends only on the sizes of its tensors. Private to this
/// module.

#include "model/onnx_graph.h"

namespace podsense::model {

/// True if values may affect the cost of a run: loops, branches, operators whose output size
/// depends on input values (unless these derive only from shapes and constants), and unknown
/// operators. False only if values certainly do not affect it.
bool cost_depends_on_values(const Graph& graph);

}  // namespace podsense::model
