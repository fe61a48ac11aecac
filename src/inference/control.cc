#include "inference/control.h"

#include <algorithm>
#include <exception>
#include <iterator>
#include <new>
#include <system_error>
#include <utility>

#include "base/crash.h"
#include "base/log.h"
#include "base/thread_limit.h"

namespace podsense::inference {
namespace {

using Action = ControlRequest::Action;

/// The interval at which the worker checks whether retired versions have no requests left.
constexpr Duration kRetireCheck = std::chrono::milliseconds(20);

tl::unexpected<Error> busy(std::string message) {
  Error error{.code = ErrorCode::kUnavailable, .message = std::move(message)};
  error.retry_after = std::chrono::seconds(5);
  return fail(std::move(error));
}

std::string_view action_name(Action action) {
  switch (action) {
    case Action::kLoad:
      return "load";
    case Action::kUnload:
      return "unload";
    case Action::kReload:
      break;
  }
  return "reload";
}

template <class Callers>
void answer(Callers& callers, const Result<ControlOutcome>& outcome) {
  for (auto& caller : callers) {
    try {
      if (caller.done) {
        caller.done(outcome);
      }
    } catch (const std::exception& thrown) {  // no memory for the answer: the connection times out
      log::error("control_answer_failed", {{"reason", thrown.what()}});
    }
  }
}

}  // namespace

Control::Control(ControlOptions options, Catalog& catalog, const Clock& clock)
    : options_(std::move(options)), catalog_(catalog), clock_(clock) {}

void Control::stop() {
  std::deque<Job> left;
  {
    const MutexLock lock(mutex_);
    stopping_ = true;
    left.swap(waiting_);
  }
  wake_.notify_all();
  catalog_.when_late(nullptr);
  catalog_.stop_trials();
  for (Job& job : left) {
    answer(job.callers, busy("the server is shutting down"));
  }
  if (thread_.joinable()) {
    thread_.join();
  }
}

Result<void> Control::start() {
  Done nobody;
  if (auto first = enqueue({}, nobody, false); !first) {
    return first;
  }
  {
    const MutexLock lock(mutex_);
    next_poll_ = clock_.now() + options_.poll_interval;
  }
  try {
    catalog_.when_late([this] { submit({}, nullptr); });
    thread_ = std::jthread([this] { run(); });
  } catch (const std::system_error& error) {
    return fail(ErrorCode::kUnavailable, "no thread for loading models: " + thread_refusal(error));
  }
  return {};
}

void Control::submit(ControlRequest request, Done done) {
  auto taken = enqueue(request, done, true);
  if (taken) {
    return;
  }
  log::warning("control_refused", {{"action", action_name(request.action)},
                                   {"model", request.model},
                                   {"reason", taken.error().message}});
  if (done) {
    done(fail(std::move(taken.error())));
  }
}

/// The waiting job with the same action, or null. A load after an unload of the same model must not
/// join a load before it; reloads commute with both.
Control::Job* Control::join(const ControlRequest& request, bool with_files) {
  for (auto job = waiting_.rbegin(); job != waiting_.rend(); ++job) {
    if (job->request == request) {
      job->with_files = job->with_files || with_files;
      return &*job;
    }
    if (request.action != Action::kReload && job->request.model == request.model) {
      return nullptr;
    }
  }
  return nullptr;
}

/// On an error `done` is unchanged.
Result<void> Control::enqueue(const ControlRequest& request, Done& done, bool with_files) try {
  {
    const MutexLock lock(mutex_);
    if (stopping_) {
      return busy("the server is shutting down");
    }
    if (done && callers_ >= options_.max_callers) {
      return busy("too many requests wait for models to be loaded; ask again shortly");
    }
    Job* job = join(request, with_files);
    if (job == nullptr) {
      if (waiting_.size() >= options_.max_jobs) {
        return busy("too many models wait to be loaded or unloaded; ask again shortly");
      }
      waiting_.push_back({.request = request, .with_files = with_files, .callers = {}});
      job = &waiting_.back();
    }
    if (done) {
      // Allocate the caller's entry first: if that throws, `done` is unchanged.
      Caller& caller = job->callers.emplace_back(clock_.now() + options_.max_wait, Done());
      caller.done = std::move(done);
      ++callers_;
    }
  }
  wake_.notify_all();
  return {};
} catch (const std::bad_alloc&) {
  return busy("memory is short; ask again shortly");
}

void Control::expire() {
  std::vector<Caller> late;
  {
    const MutexLock lock(mutex_);
    const TimePoint now = clock_.now();
    const auto take = [&](std::vector<Caller>& callers) REQUIRES(mutex_) {
      const auto rest = std::partition(callers.begin(), callers.end(),
                                       [now](const Caller& caller) { return now < caller.until; });
      callers_ -= static_cast<std::size_t>(callers.end() - rest);
      std::move(rest, callers.end(), std::back_inserter(late));
      callers.erase(rest, callers.end());
    };
    for (Job& job : waiting_) {
      take(job.callers);
    }
    take(served_);
  }
  if (!late.empty()) {
    answer(
        late,
        busy("this takes longer than " +
             std::to_string(std::chrono::floor<std::chrono::seconds>(options_.max_wait).count()) +
             " s and goes on; ask again, or look at /health"));
  }
}

Control::Wake Control::wait(Job& job, bool retired_left) {
  const MutexLock lock(mutex_);
  const bool polls = options_.poll_interval > Duration::zero();
  const TimePoint began = clock_.now();
  for (;;) {
    const TimePoint now = clock_.now();
    if (stopping_) {
      return Wake::kStop;
    }
    if (!waiting_.empty()) {
      job = std::move(waiting_.front());
      waiting_.pop_front();
      served_ = std::move(job.callers);
      next_poll_ = now + options_.poll_interval;
      return Wake::kJob;
    }
    if (polls && now >= next_poll_) {
      job = Job{.request = {}, .with_files = false, .callers = {}};
      next_poll_ = now + options_.poll_interval;
      return Wake::kJob;
    }
    if (retired_left && now - began >= kRetireCheck) {
      return Wake::kRetired;
    }
    if (polls || retired_left) {
      const Duration poll = polls ? next_poll_ - now : Duration::max();
      wake_.wait_for(mutex_, std::min(poll, retired_left ? kRetireCheck : Duration::max()));
    } else {
      wake_.wait(mutex_);
    }
  }
}

/// Runs until the object is destroyed, even if a job throws.
void Control::run() {
  const crash::Thread me("control");
  bool retired_left = false;
  for (;;) {
    try {
      Job job;
      const Wake wake = wait(job, retired_left);
      if (wake == Wake::kStop) {
        return;
      }
      if (wake == Wake::kJob) {
        finish(perform_guarded(job), job);
      }
      retired_left = catalog_.free_retired();
    } catch (const std::exception& thrown) {
      log::error("control_worker_failed", {{"reason", thrown.what()}});
    }
  }
}

void Control::finish(const Result<ControlOutcome>& outcome, const Job& job) {
  note(job, outcome);
  std::vector<Caller> served;
  {
    const MutexLock lock(mutex_);
    served = std::exchange(served_, {});
    callers_ -= served.size();
  }
  answer(served, outcome);
}

Result<ControlOutcome> Control::perform_guarded(const Job& job) try {
  return perform(job);
} catch (const std::bad_alloc&) {
  return busy("memory ran out while models were loaded; the previous ones stay in service");
} catch (const std::system_error& error) {
  return busy(std::string("the system refused a resource for loading: ") + error.what());
} catch (const std::exception& error) {
  return fail(ErrorCode::kInternal, "models could not be loaded", error.what());
}

Result<ControlOutcome> Control::perform(const Job& job) {
  ControlOutcome outcome;
  if (job.request.action == Action::kReload) {
    if (job.with_files && options_.read_files) {
      outcome.files = options_.read_files();
    }
    auto report = catalog_.reload();
    if (!report) {
      return fail(std::move(report.error()));
    }
    outcome.models = std::move(*report);
    return outcome;
  }
  auto done = job.request.action == Action::kLoad ? catalog_.load(job.request.model)
                                                  : catalog_.unload(job.request.model);
  if (!done) {
    return fail(std::move(done.error()));
  }
  return outcome;
}

/// Logs the same fault only once, not at every poll.
void Control::note(const Job& job, const Result<ControlOutcome>& outcome) {
  const std::string fault = outcome ? std::string() : outcome.error().message;
  // The catalog itself logs an unreadable repository.
  const bool told = job.request.action == Action::kReload && catalog_.repository_unreadable();
  if (!fault.empty() && fault != last_fault_ && !told) {
    log::error("control_failed", {{"action", action_name(job.request.action)},
                                  {"model", job.request.model},
                                  {"reason", fault},
                                  {"detail", outcome.error().detail}});
  }
  last_fault_ = fault;
}

}  // namespace podsense::inference
