#pragma once

/// All kinds of tasks. Who has a model and asks what it is for, asks here.

#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "inference/tasks/task.h"

namespace podsense::inference {

/// In the order in which they are tried, and in which defaults are looked for.
std::span<const TaskKind* const> task_kinds();

/// The kind of that name, or null.
const TaskKind* find_task(std::string_view name);

/// Names of all kinds, or of those that take `form`, with ", " or " or " before the last.
std::string task_names();
std::string task_names(Form form);

/// @errors kInvalidArgument: no task has this name; the message has those there are
Result<void> check_task_name(std::string_view name);

/// The task that the model's manifest names, else the one that it looks like. A guess refuses no
/// model: where it does not hold, plain tensors do, with a warning.
/// @errors kInvalidArgument: the model does not fit what its manifest says; one sentence
Result<std::shared_ptr<const ModelTask>> assign_task(const model::Model& model);

}  // namespace podsense::inference
