#pragma once

/// Requests for CPU time. Private to this module.

#include "inference/answer_task.h"

namespace podsense::inference {

class CpuTimeTask final : public AnswerTask<protocol::SimulateAnswer> {
 public:
  CpuTimeTask(std::shared_ptr<const ServedModel> served, const Context& context, Duration wanted,
              Done<protocol::SimulateAnswer> done)
      : AnswerTask(std::move(served), context, std::move(done)), cpu(wanted) {
    cost = wanted;
  }
  Duration cpu;
};

}  // namespace podsense::inference
