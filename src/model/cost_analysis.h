#pragma once

/// Whether the sizes of a request's tensors say what a run of the graph costs. Private to this
/// module.

#include "model/onnx_graph.h"

namespace podsense::model {

/// True where values may decide how much work a run is: loops, branches, operators whose output is
/// as large as a value of theirs says (unless that value follows from shapes and constants alone),
/// and operators that are not known here. Never false where they do.
bool cost_depends_on_values(const Graph& graph);

}  // namespace podsense::model
