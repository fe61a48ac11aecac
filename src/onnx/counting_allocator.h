#pragma once

/// What ONNX Runtime allocates with: counts what runs take in the process's memory budget, before
/// it is allocated. A graph may make any amount of memory of a few bytes of input: over the budget
/// the run fails, and its request alone. Weights are no part of it. Large blocks stay for the next
/// run of their thread, since runs of a model ask for the same again and again.
/// Private to this module. @threads thread-safe

#include <cstdint>
#include <optional>

#include "base/error.h"
#include "base/memory_budget.h"
#include "onnx/ort.h"

namespace podsense::onnx {

/// From now on all sessions of `env` that ask for the environment's allocators use it.
/// `keep_blocks`: for the next run.
/// @errors ONNX Runtime's, as an Ort::Exception
void register_allocator(Ort::Env& env, bool keep_blocks);

/// Where is counted from now on; null: nowhere. One for the process, which outlives all runs.
void count_in(MemoryBudget* budget);

/// Of a run on this thread, from its making on: why memory was refused to it.
class MemoryWatch {
 public:
  MemoryWatch();
  [[nodiscard]] const std::optional<Error>& refused() const;
};

}  // namespace podsense::onnx
