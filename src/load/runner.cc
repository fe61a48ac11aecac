#include "load/runner.h"

#include <ctime>

namespace podsense::load {
namespace {

constexpr Duration kRetry = std::chrono::milliseconds(200);

}  // namespace

Signals::Signals() {
  sigemptyset(&set_);
  sigaddset(&set_, SIGINT);
  sigaddset(&set_, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &set_, nullptr);
}

bool Signals::wait(Duration at_most) {
  if (came_) {
    return true;
  }
  const timespec limit{.tv_sec = at_most.count() / 1'000'000'000,
                       .tv_nsec = at_most.count() % 1'000'000'000};
  if (sigtimedwait(&set_, nullptr, &limit) > 0) {
    came_ = true;
    pthread_sigmask(SIG_UNBLOCK, &set_, nullptr);  // the next one ends the process
  }
  return came_;
}

Result<std::unique_ptr<LoadEngine>> open_engine(const LoadOptions& options, const Job& job,
                                                Signals& signals) {
  const TimePoint limit = std::chrono::steady_clock::now() + options.wait_for_target;
  while (true) {
    auto engine = LoadEngine::create(job.plan, job.make);
    if (!engine) {
      return engine;
    }
    auto opened = (*engine)->open();
    if (opened) {
      return engine;
    }
    if (std::chrono::steady_clock::now() >= limit || signals.wait(kRetry)) {
      return fail(opened.error().code,
                  "cannot connect to " + job.circumstances.url + ": " + opened.error().message);
    }
  }
}

}  // namespace podsense::load
