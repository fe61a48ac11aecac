#pragma once

/// The list of all kinds of tasks; finds the task of a model.

#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "inference/tasks/task.h"

namespace podsense::inference {

/// In the order in which they are tried for models and defaults.
std::span<const TaskKind* const> task_kinds();

/// The kind of that name, or null.
const TaskKind* find_task(std::string_view name);

/// The names of all kinds, or of those that take `form`, separated by ", " and a final " or ".
std::string task_names();
std::string task_names(Form form);

/// @errors kInvalidArgument: unknown task; the message lists the known ones
Result<void> check_task_name(std::string_view name);

/// The task in the model's manifest, or else the one that fits its inputs and outputs. A wrong
/// guess never refuses a model: it then serves plain tensors, with a warning.
/// @errors kInvalidArgument: the model does not fit its manifest; one sentence
Result<std::shared_ptr<const ModelTask>> assign_task(const model::Model& model);

}  // namespace podsense::inference
