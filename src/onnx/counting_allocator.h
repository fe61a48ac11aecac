#pragma once

/// ONNX Runtime's allocator: counts the memory of runs in the process's budget before it is
/// allocated. A graph can allocate any amount of memory for a few bytes of input; over the budget
/// only that run and its request fail. Weights are not counted. Large blocks are kept for the next
/// run of the same thread, because runs of a model need the same sizes again. Private to this
/// module. @threads thread-safe

#include <cstdint>
#include <optional>

#include "base/error.h"
#include "base/memory_budget.h"
#include "onnx/ort.h"

namespace podsense::onnx {

/// From now on all sessions of `env` with the option to use the environment's allocators use it.
/// `keep_blocks`: keep large blocks for the next run.
/// @errors ONNX Runtime's, as an Ort::Exception
void register_allocator(Ort::Env& env, bool keep_blocks);

/// Sets the budget for counting; null: none. One per process; it must outlive all runs.
void count_in(MemoryBudget* budget);

/// Records why memory was refused to a run on this thread, from construction on.
class MemoryWatch {
 public:
  MemoryWatch();
  [[nodiscard]] const std::optional<Error>& refused() const;
};

}  // namespace podsense::onnx
