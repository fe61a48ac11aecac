#include "inference/trials.h"

#include <algorithm>
#include <system_error>
#include <utility>

#include "base/crash.h"
#include "base/log.h"

namespace podsense::inference {
namespace {

using End = TrialReport::End;

constexpr Duration kLongestPause = std::chrono::hours(1);
/// The maximum of trials for which nobody waits. Each may use a core.
constexpr std::ptrdiff_t kMostUnawaited = 8;

tl::unexpected<Error> still_opening(std::string message) {
  Error error{.code = ErrorCode::kUnavailable, .message = std::move(message)};
  error.retry_after = std::chrono::seconds(5);
  return fail(std::move(error));
}

}  // namespace

Trials::Trials(TrialsOptions options, const Clock& clock)
    : options_(std::move(options)), clock_(clock) {}

bool Trials::needed(const model::Candidate& candidate) const {
  return options_.trial && !candidate.file.empty() &&
         !(candidate.content && options_.known.contains(candidate.content->hex()));
}

void Trials::begin_round(const std::vector<model::Candidate>& wanted) {
  std::vector<std::jthread> ended;  // joined after the lock is released
  const MutexLock lock(mutex_);
  round_began_ = clock_.now();
  for (auto attempt = attempts_.begin(); attempt != attempts_.end();) {
    if (std::ranges::find(wanted, attempt->first, &model::Candidate::fingerprint) != wanted.end()) {
      ++attempt;
      continue;
    }
    attempt->second.thread.request_stop();
    ended.push_back(std::move(attempt->second.thread));
    attempt = attempts_.erase(attempt);
  }
}

Result<TrialReport> Trials::run(const model::Candidate& candidate) {
  std::jthread ended;
  const MutexLock lock(mutex_);
  if (stopping_) {
    return still_opening("the server is shutting down");
  }
  Attempt& attempt = attempts_[candidate.fingerprint];
  attempt.model = candidate.name;
  if (attempt.report) {  // from an earlier round
    ended = std::move(attempt.thread);
    return settle(attempt);
  }
  if (attempt.running) {
    return still_opening("it is still being opened, in a process of its own");
  }
  if (attempt.failures > 0 && clock_.now() < attempt.retry_at) {
    return fail(ErrorCode::kUnavailable, attempt.reason);
  }
  const auto unawaited = std::ranges::count_if(
      attempts_, [](const auto& other) { return other.second.running && !other.second.awaited; });
  if (unawaited >= kMostUnawaited) {
    return still_opening("it waits until the trials of other models have ended");
  }
  if (!start(candidate, attempt)) {
    return TrialReport{.end = End::kNotTried, .reason = "there is no thread to wait for it"};
  }
  auto report = wait_for(candidate.fingerprint);
  const auto found = attempts_.find(candidate.fingerprint);
  if (report && found != attempts_.end()) {
    ended = std::move(found->second.thread);
    if (found->second.failures == 0) {
      attempts_.erase(found);
    }
  }
  return report;
}

Result<TrialReport> Trials::wait_for(const std::string& fingerprint) {
  const Deadline patience(
      std::max(round_began_ + options_.patience, clock_.now() + options_.least_patience));
  for (;;) {
    const auto found = attempts_.find(fingerprint);
    if (stopping_ || found == attempts_.end()) {
      return still_opening("the server is shutting down");
    }
    if (found->second.report) {
      return settle(found->second);
    }
    if (patience.passed(clock_.now())) {
      found->second.awaited = false;
      return still_opening("it is still being opened, in a process of its own");
    }
    changed_.wait_for(mutex_, patience.left(clock_.now()));
  }
}

bool Trials::start(const model::Candidate& candidate, Attempt& attempt) {
  try {
    attempt.thread = std::jthread(
        [this, candidate](std::stop_token stop) { try_it(candidate, std::move(stop)); });
  } catch (const std::system_error& error) {
    log::warning("trial_thread_refused", {{"model", candidate.name}, {"reason", error.what()}});
    return false;
  }
  attempt.running = true;
  attempt.awaited = true;
  return true;
}

void Trials::try_it(const model::Candidate& candidate, std::stop_token stop) {
  const crash::Thread me("trial");
  TrialReport report;
  try {
    report = options_.trial(candidate, std::move(stop));
  } catch (const std::exception& error) {
    report = {.end = End::kNotTried, .reason = error.what()};
  }
  {
    const MutexLock lock(mutex_);
    const auto found = attempts_.find(candidate.fingerprint);
    if (found == attempts_.end()) {
      return;  // its candidate is no longer wanted
    }
    found->second.running = false;
    found->second.report = std::move(report);
    if (found->second.awaited) {
      changed_.notify_all();
      return;
    }
  }
  const MutexLock lock(late_mutex_);
  if (late_) {
    late_();
  }
}

TrialReport Trials::settle(Attempt& attempt) {
  TrialReport report = std::move(*attempt.report);
  attempt.report.reset();
  if (report.end == End::kFellOver) {
    const auto doublings = std::min(attempt.failures, 10U);
    attempt.retry_at = clock_.now() + std::min(kLongestPause, options_.pause * (1U << doublings));
    attempt.reason = report.reason;
    ++attempt.failures;
  } else {
    attempt.failures = 0;
  }
  return report;
}

void Trials::forget(const std::string& model) {
  const MutexLock lock(mutex_);
  for (auto& [fingerprint, attempt] : attempts_) {
    if (attempt.model == model) {
      attempt.retry_at = {};
    }
  }
}

void Trials::when_late(std::function<void()> tell) {
  const MutexLock lock(late_mutex_);
  late_ = std::move(tell);
}

void Trials::stop() {
  std::map<std::string, Attempt> all;  // threads are joined after the lock is released
  {
    const MutexLock lock(mutex_);
    stopping_ = true;
    all.swap(attempts_);
  }
  for (auto& [fingerprint, attempt] : all) {
    attempt.thread.request_stop();
  }
  changed_.notify_all();
}

}  // namespace podsense::inference
