#include "inference/stacking.h"

#include <sys/resource.h>
#include <unistd.h>

#include <exception>
#include <utility>

#include "base/log.h"
#include "inference/row_check.h"
#include "inference/saved_profiles.h"
#include "inference/served_model.h"
#include "inference/tasks/task.h"

namespace podsense::inference {
namespace {

using State = Stacking::State;

/// The time limit of a check: a model this slow gains little from shared runs.
constexpr Duration kLongestCheck = std::chrono::seconds(30);
constexpr int kLowPriority = 10;

/// Several rows together may need more memory than available, even if one row fits.
Result<void> check_guarded(const model::Model& model, const Clock& clock) try {
  return check_rows(model, clock, Deadline::after(clock.now(), kLongestCheck));
} catch (const std::exception& error) {
  return fail(ErrorCode::kUnavailable, "there was not enough memory to compare rows", error.what());
}

void decide(const ServedModel& served, State state, std::string reason) {
  served.stacking->set(state, std::move(reason));
  if (served.stacking->shared()) {
    served.queue->set_max_batch(served.max_batch);
  }
  const bool rows = served.model->signature().batchable;
  log::write(rows ? log::Level::kInfo : log::Level::kDebug, "requests_share_runs",
             {{"model", served.name()},
              {"version", served.version},
              {"requests", stacking_name(state)},
              {"reason", served.stacking->reason()}});
}

}  // namespace

std::string Stacking::reason() const {
  const MutexLock lock(mutex_);
  return reason_;
}

void Stacking::set(State state, std::string reason) {
  const MutexLock lock(mutex_);
  if (ended_ != 0) {
    return;  // a failure in a real run overrides the check
  }
  reason_ = std::move(reason);
  state_ = state;
}

bool Stacking::end(std::string reason) {
  const MutexLock lock(mutex_);
  if (state_ == State::kAlone) {
    return false;
  }
  reason_ = std::move(reason);
  state_ = State::kAlone;
  ended_ = 1;
  return true;
}

std::string_view stacking_name(Stacking::State state) {
  switch (state) {
    case State::kChecking:
      return "checking";
    case State::kShared:
      return "shared";
    case State::kAlone:
      break;
  }
  return "alone";
}

void begin_stacking(const ServedModel& served) {
  if (const auto verdict = early_verdict(*served.model)) {
    decide(served, *verdict ? State::kShared : State::kAlone,
           *verdict ? "batching.share_runs in model.yaml is true" : verdict->error().message);
  } else if (served.saved_rows) {
    decide(
        served, served.saved_rows->empty() ? State::kShared : State::kAlone,
        served.saved_rows->empty() ? "rows were compared at an earlier start" : *served.saved_rows);
  }
}

void finish_stacking(const ServedModel& served, const SavedProfiles& saved, const Clock& clock) {
  if (served.stacking->state() != State::kChecking) {
    return;
  }
  const auto checked = check_guarded(*served.model, clock);
  decide(served, checked ? State::kShared : State::kAlone,
         checked
             ? "the graph keeps rows apart, and random rows got the same answers alone and together"
             : checked.error().message);
  const bool lasting = checked || (checked.error().code != ErrorCode::kDeadlineExceeded &&
                                   checked.error().code != ErrorCode::kUnavailable);
  if (lasting && served.profile_key) {
    saved.keep(*served.profile_key, {.threads = served.model->threads(),
                                     .profile = served.profile,
                                     .rows = checked ? std::string() : checked.error().message});
  }
}

StackingChecks::StackingChecks(const SavedProfiles& saved, const Clock& clock)
    : saved_(saved), clock_(clock), thread_([this] { run(); }) {}

StackingChecks::~StackingChecks() {
  {
    const MutexLock lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
}

void StackingChecks::add(std::weak_ptr<const ServedModel> served) {
  {
    const MutexLock lock(mutex_);
    waiting_.push_back(std::move(served));
  }
  changed_.notify_all();
}

void StackingChecks::wait() {
  const MutexLock lock(mutex_);
  while (busy_ || !waiting_.empty()) {
    changed_.wait(mutex_);
  }
}

void StackingChecks::run() {
  // Requests have priority. Linux has priorities per thread; if lowering fails, the check runs at
  // normal priority.
  ::setpriority(PRIO_PROCESS, static_cast<id_t>(::gettid()), kLowPriority);
  for (;;) {
    std::weak_ptr<const ServedModel> next;
    {
      const MutexLock lock(mutex_);
      busy_ = false;
      changed_.notify_all();
      while (!stopping_ && waiting_.empty()) {
        changed_.wait(mutex_);
      }
      if (stopping_) {
        return;
      }
      next = std::move(waiting_.front());
      waiting_.erase(waiting_.begin());
      busy_ = true;
    }
    if (const auto served = next.lock()) {
      finish_stacking(*served, saved_, clock_);
      served->task->probe(*served->model);
    }
  }
}

}  // namespace podsense::inference
