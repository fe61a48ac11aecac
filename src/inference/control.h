#pragma once

/// The control plane: one worker thread that loads, unloads and reloads models, whether HTTP, gRPC,
/// SIGHUP or the poll asks. Requests for the same thing that wait share one run. Nobody waits
/// longer than `max_wait`: the answer is then kUnavailable with `retry_after`, and the work goes
/// on.
///
/// The worker survives what a job throws, such as a lack of memory or of threads: the callers get
/// an error, the log a line.

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

/// What became of other files, such as credentials, at a reload.
struct FilesRead {
  enum class Outcome { kUnchanged, kRead, kRefused };
  std::string_view files;  ///< "credentials", "certificates"
  Outcome outcome = Outcome::kUnchanged;
  std::string reason;  ///< of a refusal: what was read before is still in force
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
  std::size_t max_jobs = 64;       ///< different requests that may wait
  std::size_t max_callers = 4096;  ///< that may wait for all of them together
  /// Reads other files that changed, before the models at a reload; may block. Empty: there are
  /// none.
  std::function<std::vector<FilesRead>()> read_files;
};

/// @threads thread-safe
class Control {
 public:
  /// Called exactly once, on the worker, in `expire`, or within `submit`.
  using Done = std::move_only_function<void(Result<ControlOutcome>)>;

  /// `catalog` and `clock` outlive this.
  Control(ControlOptions options, Catalog& catalog, const Clock& clock);
  ~Control() { stop(); }
  Control(const Control&) = delete;
  Control& operator=(const Control&) = delete;

  /// Starts the worker; the first load begins at once.
  /// @errors kUnavailable: the system gives no thread
  Result<void> start();

  /// Waits for the job under way. Callers that still wait, and all that come later, get
  /// kUnavailable.
  void stop();

  /// Never blocks. `done` may be empty.
  /// @errors given to `done`: kUnavailable with retry_after: too many wait, the wait took too long,
  ///         or memory or threads ran out; those of the catalog's functions
  void submit(ControlRequest request, Done done);
  /// Answers those who have waited too long; call it about once a second.
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
  std::string last_fault_;  ///< the worker's

  Mutex mutex_;
  CondVar wake_;
  std::deque<Job> waiting_ GUARDED_BY(mutex_);
  std::vector<Caller> served_ GUARDED_BY(mutex_);  ///< callers of the job under way
  std::size_t callers_ GUARDED_BY(mutex_) = 0;     ///< of all jobs
  TimePoint next_poll_ GUARDED_BY(mutex_);
  bool stopping_ GUARDED_BY(mutex_) = false;
  std::jthread thread_;
};

}  // namespace podsense::inference
