#pragma once

/// The model versions that serve now. `reload` compares the repository with the loaded versions, by
/// fingerprint. New or changed versions are loaded and warmed up while the old ones serve, and then
/// replace them in one step. Removed versions end with their last request. A version that cannot be
/// loaded is refused with a reason, and the model's old versions continue to serve until at least
/// one new version is loaded.

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
  std::filesystem::path profile_dir;  ///< where measured profiles are saved; empty: not saved
  bool polls = false;                 ///< `reload` is called regularly
  bool strict_readiness = false;      ///< ready only while all models serve
  unsigned load_threads = 1;
  Trial trial;                           ///< for files not opened before; empty: no trials
  std::set<std::string> known_models{};  ///< hashes of files that need no trial
  std::string preferred_model;           ///< default of its task, if it is served
  /// The default model by task. For other tasks: preferred_model, or the first by name.
  std::map<std::string, std::string, std::less<>> defaults;
};

struct ModelStatus {
  std::string name;
  std::string version;
  std::string reason;  ///< why it is not served; empty: it is
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

  /// Checks the repository before anything is loaded: is there a reason not to start? readiness.h
  /// has the rules.
  /// @errors kInvalidArgument: a setting is wrong; kUnavailable: there is nothing to serve, and the
  /// repository is not polled
  [[nodiscard]] Result<void> check_start() const;

  /// Reloads now; blocks until done. It waits only some seconds for slow trials
  /// (TrialsOptions::patience); then the other models serve without those, and `when_late` is
  /// called once the next reload can add them.
  /// @errors kNotFound: the repository cannot be read
  Result<ReloadReport> reload();
  /// Whether the last reload could not read the repository, which was logged.
  [[nodiscard]] bool repository_unreadable() const;

  /// Sets the function to call when a trial ends for which no reload waited; empty: none. After
  /// this returns, the previous function is not called any more.
  void when_late(std::function<void()> tell);
  /// Calls `tell` once: when the first load ends, on the loading thread; at once if it has ended;
  /// or in `stop_trials`. False: too many are waiting, and `tell` is unchanged. @threads any
  [[nodiscard]] bool when_started(std::move_only_function<void()>& tell);
  /// Ends current trials and refuses later ones.
  void stop_trials();

  /// Takes a model out of service until `load` or a restart, even if the repository contains it.
  /// Its versions end with their last request. @errors kNotFound: no model with this name
  Result<void> unload(const std::string& name);
  /// Undoes `unload`, then reloads.
  /// @errors kNotFound: the repository has no such model; kInvalidArgument: the reason why no
  ///         version of it can be served; those of `reload`
  Result<void> load(const std::string& name);
  /// The models taken out of service by `unload`.
  [[nodiscard]] std::vector<std::string> unloaded() const;
  /// Destroys retired versions that no request uses any more. True: some retired versions are left.
  bool free_retired();

  /// Without a name: the default model of the first task of this form with a configured default, or
  /// else of the first task with any default.
  /// @errors kNotFound: no such model or version (the message lists the existing ones);
  /// kInvalidArgument: its task takes requests of another form; kUnavailable: still starting, or
  /// why the model cannot be served
  [[nodiscard]] Result<std::shared_ptr<const ServedModel>> find(const protocol::ModelRef& ref,
                                                                Form form) const;

  /// Finds a model of any task; `ref.name` must not be empty. @errors kNotFound, kUnavailable as
  /// above
  [[nodiscard]] Result<std::shared_ptr<const ServedModel>> find(
      const protocol::ModelRef& ref) const;

  /// Blocks until it is decided for every version whether its requests may share runs.
  void wait_for_checks() { checks_.wait(); }

  [[nodiscard]] std::vector<ModelStatus> status() const;
  [[nodiscard]] std::string default_model(const TaskKind& task) const;
  /// Whether any model serves or has served. Decides whether the server continues after its start.
  [[nodiscard]] bool served_once() const { return snapshot()->served_once; }
  /// Whether the first load has ended, successfully or not.
  [[nodiscard]] bool started() const;
  /// Why some requests cannot be served; empty: no problems.
  [[nodiscard]] std::vector<std::string> problems() const;
  /// What was guessed or ignored in serving models: "name/version: what".
  [[nodiscard]] std::vector<std::string> warnings() const;
  /// The input of readiness.h. @threads any
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
    bool pending = false;  ///< not an error: it is still being opened
  };
  /// The serving versions of each model, in rising order.
  struct Snapshot {
    std::map<std::string, std::vector<Version>, std::less<>> models;
    std::vector<Refusal> refusals;
    std::vector<std::string> remarks;  ///< what was ignored: "name: what"
    bool loaded_once = false;
    bool served_once = false;  ///< a model serves or has served
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
  /// The configured default: by task, or as the preferred model.
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
  /// callers of `when_started`
  std::vector<std::move_only_function<void()>> starting_ GUARDED_BY(mutex_);
  bool stopped_ GUARDED_BY(mutex_) = false;
  std::vector<std::shared_ptr<const ServedModel>> retired_ GUARDED_BY(mutex_);

  StackingChecks checks_;
  std::unique_ptr<Trials> trials_;
  mutable Mutex reload_mutex_;  ///< held for a whole reload
  /// why the repository is unreadable; empty: it is not
  std::string unreadable_ GUARDED_BY(reload_mutex_);
  std::atomic<bool> executors_lost_{false};
};

}  // namespace podsense::inference
