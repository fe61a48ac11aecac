#pragma once

/// The one object of each kind of task. Private to this module's registry and tests.

#include "inference/tasks/task.h"

namespace podsense::inference {

const TaskKind& image_classification();
const TaskKind& object_detection();
const TaskKind& tabular_classification();
const TaskKind& tabular_regression();
const TaskKind& cpu_time();
const TaskKind& plain_tensors();

}  // namespace podsense::inference
