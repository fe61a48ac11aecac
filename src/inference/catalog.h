#pragma once

/// Which model versions serve now. `reload` compares the repository with what is loaded, by
/// fingerprint: new or changed versions are loaded and warmed up beside the old ones and then take
/// over in one step; versions no longer wanted end when their last request does. A version that
/// cannot be loaded is refused with a reason, and what served before goes on serving: a model's old
/// versions stay until at least one of its wanted versions is there.

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/mutex.h"
#include "inference/readiness.h"
#include "inference/saved_profiles.h"
#include "inference/served_model.h"
#include "inference/stacking.h"
#include "inference/tasks/task.h"
#include "inference/trial.h"
#include "model/backend.h"
#include "model/repository.h"
#include "protocol/messages.h"

namespace podsense::inference {

struct CatalogOptions {
  model::RepositoryOptions repository;
  ServeOptions serve;
  std::filesystem::path profile_dir;  ///< where measured profiles are kept; empty: nowhere
  bool polls = false;                 ///< somebody calls `reload` again and again
  bool strict_readiness = false;      ///< ready only while every model serves
  unsigned load_threads = 1;
  Trial trial;                           ///< of files not opened before; empty: there is none
  std::set<std::string> known_models{};  ///< hashes of files that need no trial
  std::string preferred_model;           ///< default of its task, where it is served
  /// Model by task. A task that is not there: preferred_model, or the first by name.
  std::map<std::string, std::string, std::less<>> defaults;
};

struct ModelStatus {
  std::string name;
  std::string version;
  std::string reason;  ///< why it is not served; empty when it is
  bool latest = false;
  std::shared_ptr<const ServedModel> served;  ///< null when refused
};

struct ReloadReport {
  std::vector<std::string> loaded;  ///< "name/version"
  std::vector<std::string> retired;
  std::vector<std::string> refused;  ///< "name/version: reason"
};

class Trials;

/// @threads thread-safe; one reload at a time
class Catalog {
 public:
  Catalog(CatalogOptions options, const model::Backends& backends, batching::Scheduler& scheduler,
          metrics::Registry& registry, const Clock& clock);
  ~Catalog();
  Catalog(const Catalog&) = delete;
  Catalog& operator=(const Catalog&) = delete;

  /// Looks at the repository before anything is loaded: is there a reason not to start? Its table
  /// is readiness.h. @errors kInvalidArgument: a setting is wrong; kUnavailable: there is nothing
  /// to
  ///         serve and nobody polls
  [[nodiscard]] Result<void> check_start() const;

  /// Reloads now; blocks for as long as that takes, of which models that are slow in their trial
  /// have a share of seconds: then the others serve without them, and `when_late` is told once the
  /// next reload can take them in. @errors kNotFound: the repository cannot be read
  Result<ReloadReport> reload();
  /// The last reload could not read it, which was logged.
  [[nodiscard]] bool repository_unreadable() const;

  /// What to do when a trial has ended for which no reload waited. Empty: nothing. Once this
  /// returns, the function of before is called no more.
  void when_late(std::function<void()> tell);
  /// Calls `tell` once: when the first load has ended, on the thread that loads; at once where it
  /// has; or in `stop_trials`. False: too many wait, and `tell` was left as it is. @threads any
  [[nodiscard]] bool when_started(std::move_only_function<void()>& tell);
  /// Ends trials under way; later ones are refused.
  void stop_trials();

  /// Takes a model out of service, whatever the repository holds, until `load` or a restart; its
  /// versions end when their last request does. @errors kNotFound: nothing by this name
  Result<void> unload(const std::string& name);
  /// Undoes `unload`, then reloads.
  /// @errors kNotFound: the repository has no such model; kInvalidArgument: the reason why no
  ///         version of it can be served; those of `reload`
  Result<void> load(const std::string& name);
  /// Names that `unload` holds back.
  [[nodiscard]] std::vector<std::string> unloaded() const;
  /// Destroys retired versions that no request uses any more. True: some are left.
  bool free_retired();

  /// Without a name: the default of the first task of this form whose default somebody chose; else
  /// of the first that has one.
  /// @errors kNotFound: no such model or version (naming those there are); kInvalidArgument: its
  ///         task takes requests of another form; kUnavailable: still starting, or why the model
  ///         cannot be served
  [[nodiscard]] Result<std::shared_ptr<const ServedModel>> find(const protocol::ModelRef& ref,
                                                                Form form) const;

  /// Of any task; `ref.name` must not be empty. @errors kNotFound, kUnavailable as above
  [[nodiscard]] Result<std::shared_ptr<const ServedModel>> find(
      const protocol::ModelRef& ref) const;

  /// Blocks until it is known of every version whether its requests may share runs.
  void wait_for_checks() { checks_.wait(); }

  [[nodiscard]] std::vector<ModelStatus> status() const;
  [[nodiscard]] std::string default_model(const TaskKind& task) const;
  /// A model serves or has served: what is there at start decides whether the server goes on.
  [[nodiscard]] bool served_once() const { return snapshot()->served_once; }
  /// The first load has ended, well or not.
  [[nodiscard]] bool started() const;
  /// Why requests cannot be served as they should; empty when all is well.
  [[nodiscard]] std::vector<std::string> problems() const;
  /// What was guessed or passed over in models that serve: "name/version: what".
  [[nodiscard]] std::vector<std::string> warnings() const;
  /// What readiness.h judges. @threads any
  [[nodiscard]] Situation situation() const;
  [[nodiscard]] bool ready() const { return judge(situation()).ready; }
  /// @threads any
  void set_executors_lost(bool lost) { executors_lost_.store(lost, std::memory_order_relaxed); }

 private:
  struct Version {
    std::uint64_t number = 0;
    std::string fingerprint;
    std::shared_ptr<const ServedModel> served;
  };
  struct Refusal {
    std::string name;
    std::string version;
    std::string reason;
    std::string fingerprint;
    bool pending = false;  ///< nothing is wrong with it so far: it is still being opened
  };
  /// What serves: versions in rising order per model.
  struct Snapshot {
    std::map<std::string, std::vector<Version>, std::less<>> models;
    std::vector<Refusal> refusals;
    std::vector<std::string> remarks;  ///< what was passed over: "name: what"
    bool loaded_once = false;
    bool served_once = false;  ///< there was a model, now or earlier
  };
  struct Loaded;

  std::vector<Loaded> load_all(const std::vector<model::Candidate>& candidates,
                               const Snapshot& before);
  Result<std::shared_ptr<const ServedModel>> load_one(const model::Candidate& candidate);
  Result<std::shared_ptr<const ServedModel>> load_guarded(const model::Candidate& candidate);
  [[nodiscard]] std::vector<std::string> unknown_defaults(const model::Listing& listing) const;
  void load_spares(const model::Listing& listing, const Snapshot& before, Snapshot& after);
  static void take(Loaded loaded, Snapshot& after);
  void serve_early(const Loaded& loaded);
  void log_refusals(const Snapshot& before, const Snapshot& after, ReloadReport& report);
  void warn_of_defaults(const Snapshot& before, const Snapshot& after) const;
  static tl::unexpected<Error> no_default(const Snapshot& now, Form form);
  void note_repository(std::string_view fault) REQUIRES(reload_mutex_);
  ReloadReport publish(const std::shared_ptr<const Snapshot>& before,
                       std::shared_ptr<Snapshot> after);
  [[nodiscard]] std::shared_ptr<const Snapshot> snapshot() const;
  void tell_started();
  static Result<std::shared_ptr<const ServedModel>> find(const Snapshot& now,
                                                         const std::string& name,
                                                         const std::string& version);
  /// The default that somebody chose, by its task's name or as the preferred model.
  [[nodiscard]] std::string chosen_default(const Snapshot& now, const TaskKind& task) const;
  [[nodiscard]] std::string default_model(const Snapshot& now, const TaskKind& task) const;
  [[nodiscard]] std::string default_model(const Snapshot& now, Form form) const;

  const CatalogOptions options_;
  const SavedProfiles profiles_;
  const model::Backends& backends_;
  batching::Scheduler& scheduler_;
  metrics::Registry& registry_;
  const Clock& clock_;

  mutable Mutex mutex_;
  std::shared_ptr<const Snapshot> snapshot_ GUARDED_BY(mutex_);
  std::set<std::string> unloaded_ GUARDED_BY(mutex_);
  std::vector<std::move_only_function<void()>> starting_ GUARDED_BY(mutex_);  ///< who waits
  bool stopped_ GUARDED_BY(mutex_) = false;
  std::vector<std::shared_ptr<const ServedModel>> retired_ GUARDED_BY(mutex_);

  StackingChecks checks_;
  std::unique_ptr<Trials> trials_;
  mutable Mutex reload_mutex_;                        ///< held for a whole reload
  std::string unreadable_ GUARDED_BY(reload_mutex_);  ///< why the repository is; empty: it is not
  std::atomic<bool> executors_lost_{false};
};

}  // namespace podsense::inference
