#include "inference/faults.h"

#include <thread>
#include <utility>

namespace podsense::inference {

void Faults::set(State state) {
  {
    const MutexLock lock(mutex_);
    state_ = std::move(state);
  }
  changed_.notify_all();
}

Faults::State Faults::state() const {
  const MutexLock lock(mutex_);
  return state_;
}

bool Faults::unready() const {
  const MutexLock lock(mutex_);
  return state_.unready;
}

bool Faults::hits(const std::string& model) const {
  const MutexLock lock(mutex_);
  return of(model) != Fault();
}

std::optional<Error> Faults::before_run(const std::string& model) {
  Fault fault;
  {
    const MutexLock lock(mutex_);
    while (of(model).stuck) {
      changed_.wait(mutex_);
    }
    fault = of(model);
  }
  std::this_thread::sleep_for(fault.slow);
  if (!fault.fail) {
    return std::nullopt;
  }
  return Error{.code = ErrorCode::kInternal,
               .message = "the model fails on purpose: a fault was set by the admin API"};
}

Fault Faults::of(const std::string& model) const {
  auto found = state_.models.find(model);
  if (found == state_.models.end()) {
    found = state_.models.find("");
  }
  return found == state_.models.end() ? Fault() : found->second;
}

}  // namespace podsense::inference
