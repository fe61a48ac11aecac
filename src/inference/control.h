#pragma once

/// The control plane: one worker thread that loads, unloads and reloads models, for HTTP, gRPC,
/// SIGHUP and polling. Waiting requests for the same action share one job. Nobody waits longer than
/// `max_wait`: then the answer is kUnavailable with `retry_after`, and the job continues.
///
/// The worker survives exceptions of a job, such as a lack of memory or threads: the callers get an
/// error, and it is logged.

#include <cstddef>
#include <deque>
#include <functional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "base/mutex.h"
#include "inference/catalog.h"

namespace podsense::inference {

/// The result of reloading other files, such as credentials.
struct FilesRead {
  enum class Outcome { kUnchanged, kRead, kRefused };
  std::string_view files;  ///< "credentials", "certificates"
  Outcome outcome = Outcome::kUnchanged;
  std::string reason;  ///< of kRefused: the previous contents stay in force
};

struct ControlRequest {
  enum class Action { kReload, kLoad, kUnload };
  Action action = Action::kReload;
  std::string model;  ///< empty for kReload
  friend bool operator==(const ControlRequest&, const ControlRequest&) = default;
};

struct ControlOutcome {
  ReloadReport models;           ///< of kReload
  std::vector<FilesRead> files;  ///< of kReload
};

struct ControlOptions {
  Duration poll_interval{};  ///< zero: reload only on request
  Duration max_wait = std::chrono::seconds(30);
  std::size_t max_jobs = 64;       ///< maximum of waiting jobs
  std::size_t max_callers = 4096;  ///< maximum of waiting callers of all jobs
  /// Reads other changed files at a reload, before the models; may block. Empty: none.
  std::function<std::vector<FilesRead>()> read_files;
};

/// @threads thread-safe
class Control {
 public:
  /// Called exactly once: on the worker thread, in `expire` or inside `submit`.
  using Done = std::move_only_function<void(Result<ControlOutcome>)>;

  /// `catalog` and `clock` must outlive this.
  Control(ControlOptions options, Catalog& catalog, const Clock& clock);
  ~Control() { stop(); }
  Control(const Control&) = delete;
  Control& operator=(const Control&) = delete;

  /// Starts the worker; the first load begins at once.
  /// @errors kUnavailable: the system cannot start a thread
  Result<void> start();

  /// Waits for the current job. Waiting callers and all later ones get kUnavailable.
  void stop();

  /// Never blocks. `done` may be empty.
  /// @errors passed to `done`: kUnavailable with retry_after: too many callers, the wait took too
  /// long, or memory or threads ran out; those of the catalog's functions
  void submit(ControlRequest request, Done done);
  /// Answers callers that have waited too long; call it about once per second.
  void expire();

 private:
  struct Caller {
    TimePoint until;
    Done done;
  };
  struct Job {
    ControlRequest request;
    bool with_files = true;
    std::vector<Caller> callers;
  };

  Result<void> enqueue(const ControlRequest& request, Done& done, bool with_files);
  Job* join(const ControlRequest& request, bool with_files) REQUIRES(mutex_);
  enum class Wake { kStop, kJob, kRetired };
  void run();
  Wake wait(Job& job, bool retired_left);
  void finish(const Result<ControlOutcome>& outcome, const Job& job);
  Result<ControlOutcome> perform(const Job& job);
  Result<ControlOutcome> perform_guarded(const Job& job);
  void note(const Job& job, const Result<ControlOutcome>& outcome);

  const ControlOptions options_;
  Catalog& catalog_;
  const Clock& clock_;
  std::string last_fault_;  ///< used by the worker only

  Mutex mutex_;
  CondVar wake_;
  std::deque<Job> waiting_ GUARDED_BY(mutex_);
  std::vector<Caller> served_ GUARDED_BY(mutex_);  ///< callers of the current job
  std::size_t callers_ GUARDED_BY(mutex_) = 0;     ///< of all jobs
  TimePoint next_poll_ GUARDED_BY(mutex_);
  bool stopping_ GUARDED_BY(mutex_) = false;
  std::jthread thread_;
};

}  // namespace podsense::inference
