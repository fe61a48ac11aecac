#include "inference/catalog.h"

#include <malloc.h>

#include <algorithm>
#include <atomic>
#include <new>
#include <set>
#include <system_error>
#include <thread>
#include <utility>

#include "base/log.h"
#include "inference/model_names.h"
#include "inference/opening.h"
#include "inference/tasks/registry.h"
#include "inference/trials.h"

namespace podsense::inference {
namespace {

/// Maximum of waiting `when_started` callers; a probe arrives about every second, each on a new
/// connection.
constexpr std::size_t kMostWhoWait = 64;

/// Returns freed memory to the system. Loading mixes small long-lived allocations with large
/// temporary ones, on threads with separate heaps; without this call, resident memory doubles
/// within a dozen reloads. Locks each heap for some milliseconds.
void return_free_memory() {
#ifdef __GLIBC__
  malloc_trim(0);
#endif
}

}  // namespace

/// The result for one candidate: a version, or a reason.
struct Catalog::Loaded {
  const model::Candidate* candidate = nullptr;
  std::shared_ptr<const ServedModel> served;
  bool kept = false;  ///< unchanged since the last reload
  std::string reason;
  bool pending = false;  ///< as Refusal::pending
};

Catalog::Catalog(CatalogOptions options, const model::Backends& backends,
                 batching::Scheduler& scheduler, metrics::Registry& registry, const Clock& clock)
    : options_(std::move(options)),
      profiles_(options_.profile_dir),
      backends_(backends),
      scheduler_(scheduler),
      registry_(registry),
      clock_(clock),
      snapshot_(std::make_shared<const Snapshot>()),
      checks_(profiles_, clock_),
      trials_(std::make_unique<Trials>(
          TrialsOptions{.trial = options_.trial, .known = options_.known_models}, clock_)) {}

Catalog::~Catalog() = default;

void Catalog::when_late(std::function<void()> tell) {
  trials_->when_late(std::move(tell));
}

void Catalog::stop_trials() {
  trials_->stop();
  {
    const MutexLock lock(mutex_);
    stopped_ = true;
  }
  tell_started();
}

bool Catalog::when_started(std::move_only_function<void()>& tell) {
  {
    const MutexLock lock(mutex_);
    if (!snapshot_->loaded_once && !stopped_) {
      if (starting_.size() >= kMostWhoWait) {
        return false;
      }
      starting_.push_back(std::move(tell));
      return true;
    }
  }
  tell();
  return true;
}

void Catalog::tell_started() {
  std::vector<std::move_only_function<void()>> waited;
  {
    const MutexLock lock(mutex_);
    waited.swap(starting_);
  }
  for (auto& tell : waited) {
    tell();
  }
}

/// Configured defaults that name no model of the listing.
std::vector<std::string> Catalog::unknown_defaults(const model::Listing& listing) const {
  std::vector<std::string> unknown;
  for (const auto& [task, name] : options_.defaults) {
    const bool known =
        std::ranges::find(listing.candidates, name, &model::Candidate::name) !=
            listing.candidates.end() ||
        std::ranges::find(listing.refused, name, &model::Refused::name) != listing.refused.end();
    if (!known) {
      unknown.push_back(name);
    }
  }
  return unknown;
}

Result<void> Catalog::check_start() const {
  const auto listing = model::scan(options_.repository);
  Situation found{.polls = options_.polls, .strict = options_.strict_readiness};
  std::vector<std::string> unknown;
  std::string reasons;
  if (listing) {
    found.offered = listing->candidates.size();
    if (!listing->candidates.empty() || !listing->refused.empty()) {
      unknown = unknown_defaults(*listing);
    }
    for (const model::Refused& refused : listing->refused) {
      reasons += "; " + full_name(refused.name, refused.version) + ": " + refused.reason;
    }
    for (const model::Remark& remark : listing->remarks) {
      reasons += "; " + remark.name + ": " + remark.text;
    }
  }
  found.unknown_default = !unknown.empty();
  switch (judge(found).start) {
    case Start::kGoesOn:
      return {};
    case Start::kNothingToServe:
      return fail(ErrorCode::kUnavailable,
                  listing ? "no model can be served from " + options_.repository.root.string() +
                                (reasons.empty() ? ": it holds none" : reasons)
                          : listing.error().message);
    case Start::kWrongSetting:
      break;
  }
  std::set<std::string> names;
  for (const model::Candidate& candidate : listing->candidates) {
    names.insert(candidate.name);
  }
  for (const model::Refused& refused : listing->refused) {
    names.insert(refused.name);
  }
  return fail(ErrorCode::kInvalidArgument,
              "the default model '" + unknown.front() + "' is not in " +
                  options_.repository.root.string() +
                  "; there are: " + list_of(names, [](const std::string& name) { return name; }));
}

bool Catalog::free_retired() {
  bool left = false;
  std::vector<std::shared_ptr<const ServedModel>> free;
  {
    const MutexLock lock(mutex_);
    // No new references to a retired version are possible, so a count of 1 means only this list
    // holds it.
    auto idle = std::partition(retired_.begin(), retired_.end(),
                               [](const auto& served) { return served.use_count() > 1; });
    std::move(idle, retired_.end(), std::back_inserter(free));
    retired_.erase(idle, retired_.end());
    left = !retired_.empty();
  }
  for (const auto& served : free) {
    log::info("model_unloaded", {{"model", served->name()}, {"version", served->version}});
  }
  if (!free.empty()) {
    free.clear();
    return_free_memory();
  }
  return left;
}

std::shared_ptr<const Catalog::Snapshot> Catalog::snapshot() const {
  const MutexLock lock(mutex_);
  return snapshot_;
}

Result<std::shared_ptr<const ServedModel>> Catalog::load_one(const model::Candidate& candidate) {
  const TimePoint begin = clock_.now();
  auto opened = open_measured(backends_, candidate, profiles_, {.cores = scheduler_.executors()},
                              clock_, trials_.get());
  if (!opened) {
    return fail(std::move(opened.error()));
  }
  auto served = serve(std::move(*opened), scheduler_, registry_, clock_, options_.serve);
  const BatchChoice choice = choose_batch(served->profile);
  log::info("model_loaded", {{"model", candidate.name},
                             {"version", std::to_string(candidate.version)},
                             {"task", served->task->kind().name()},
                             {"plan", plan_name(served->plan)},
                             {"threads", served->model->threads()},
                             {"service_ms", to_ms(served->service)},
                             {"max_batch", served->max_batch},
                             {"gain", choice.gain},
                             {"spread", choice.noise},
                             {"profile", served->profile_saved ? "saved" : "measured"},
                             {"load_ms", to_ms(clock_.now() - begin)}});
  for (const std::string& warning : served->warnings) {
    log::warning("model_warning", {{"model", candidate.name},
                                   {"version", std::to_string(candidate.version)},
                                   {"message", warning}});
  }
  return served;
}

/// An exception while opening becomes this model's reason; other models are not affected.
Result<std::shared_ptr<const ServedModel>> Catalog::load_guarded(
    const model::Candidate& candidate) try {
  return load_one(candidate);
} catch (const std::bad_alloc&) {
  return fail(ErrorCode::kUnavailable, "there is not enough memory to load it");
} catch (const std::exception& error) {
  return fail(ErrorCode::kInternal, std::string("loading failed: ") + error.what());
}

std::vector<Catalog::Loaded> Catalog::load_all(const std::vector<model::Candidate>& candidates,
                                               const Snapshot& before) {
  std::vector<Loaded> all(candidates.size());
  std::atomic<std::size_t> next{0};
  const auto work = [&] {
    for (std::size_t i = next++; i < candidates.size(); i = next++) {
      Loaded& mine = all[i];
      mine.candidate = &candidates[i];
      if (const auto model = before.models.find(candidates[i].name); model != before.models.end()) {
        for (const Version& version : model->second) {
          if (version.fingerprint == candidates[i].fingerprint) {
            mine.served = version.served;
            mine.kept = true;
          }
        }
      }
      if (mine.kept) {
        continue;
      }
      if (auto served = load_guarded(candidates[i]); served) {
        mine.served = std::move(*served);
        if (!before.loaded_once) {
          serve_early(mine);
        }
      } else {
        mine.reason = served.error().message;
        mine.pending = served.error().retry_after > std::chrono::milliseconds::zero();
        log::debug("model_refused_detail", {{"detail", served.error().detail}});
      }
    }
  };
  std::vector<std::jthread> helpers;
  try {
    for (unsigned t = 1; t < options_.load_threads && t < candidates.size(); ++t) {
      helpers.emplace_back(work);
    }
  } catch (const std::system_error& error) {  // continue with fewer threads
    log::warning("load_thread_refused", {{"reason", error.what()}});
  }
  work();
  return all;
}

void Catalog::take(Loaded loaded, Snapshot& after) {
  const model::Candidate& candidate = *loaded.candidate;
  if (loaded.served) {
    auto& versions = after.models[candidate.name];
    versions.push_back({candidate.version, candidate.fingerprint, std::move(loaded.served)});
    std::ranges::sort(versions, {}, &Version::number);
  } else {
    after.refusals.push_back({candidate.name, std::to_string(candidate.version), loaded.reason,
                              candidate.fingerprint, loaded.pending});
  }
}

/// If a model's newest versions cannot be loaded, loads the newest older one that can. So a new pod
/// serves the same version as a pod that ran before.
void Catalog::load_spares(const model::Listing& listing, const Snapshot& before, Snapshot& after) {
  for (const model::Candidate& spare : listing.spares) {
    const auto found = after.models.find(spare.name);
    if (found != after.models.end() && found->second.size() >= spare.manifest.keep_versions) {
      continue;
    }
    const std::vector<model::Candidate> one{spare};
    std::vector<Loaded> loaded = load_all(one, before);
    take(std::move(loaded.front()), after);
  }
}

/// At start a version replaces nothing, so it serves at once instead of waiting for the others.
void Catalog::serve_early(const Loaded& loaded) {
  const MutexLock lock(mutex_);
  auto now = std::make_shared<Snapshot>(*snapshot_);
  auto& versions = now->models[loaded.candidate->name];
  versions.push_back({loaded.candidate->version, loaded.candidate->fingerprint, loaded.served});
  std::ranges::sort(versions, {}, &Version::number);
  snapshot_ = std::move(now);
}

/// Logs one line when the repository becomes unreadable and one when it is readable again, because
/// a poll may see the fault every second.
void Catalog::note_repository(std::string_view fault) {
  if (fault == unreadable_) {
    return;
  }
  const std::string path = options_.repository.root.string();
  if (fault.empty()) {
    log::info("repository_readable", {{"path", path}});
  } else {
    log::error("repository_unreadable", {{"path", path}, {"reason", fault}});
  }
  unreadable_ = fault;
}

bool Catalog::repository_unreadable() const {
  const MutexLock lock(reload_mutex_);
  return !unreadable_.empty();
}

Result<ReloadReport> Catalog::reload() {
  const MutexLock one_at_a_time(reload_mutex_);
  const auto before = snapshot();
  auto after = std::make_shared<Snapshot>();
  auto listing = model::scan(options_.repository);
  note_repository(listing ? std::string_view() : std::string_view(listing.error().message));
  if (!listing) {
    if (!before->loaded_once) {
      after->loaded_once = true;
      after->refusals.push_back({.reason = listing.error().message});
      publish(before, std::move(after));
    }
    return fail(std::move(listing.error()));
  }
  {
    const MutexLock lock(mutex_);
    const auto held_back = [this](const auto& found)
                               REQUIRES(mutex_) { return unloaded_.contains(found.name); };
    std::erase_if(listing->candidates, held_back);
    std::erase_if(listing->refused, held_back);
  }
  for (model::Refused& refused : listing->refused) {
    after->refusals.push_back({refused.name, refused.version, refused.reason, refused.fingerprint});
  }
  for (const model::Remark& remark : listing->remarks) {
    after->remarks.push_back(remark.name + ": " + remark.text);
  }
  std::vector<model::Candidate> all = listing->candidates;
  all.insert(all.end(), listing->spares.begin(), listing->spares.end());
  trials_->begin_round(all);
  for (Loaded& loaded : load_all(listing->candidates, *before)) {
    take(std::move(loaded), *after);
  }
  load_spares(*listing, *before, *after);
  // The first load has not ended while all candidates are still being opened.
  after->loaded_once = before->loaded_once || !after->models.empty() ||
                       std::ranges::none_of(after->refusals, &Refusal::pending);
  // If no version in the repository can be served, the previous versions of the model continue.
  for (const Refusal& refusal : after->refusals) {
    const auto old = before->models.find(refusal.name);
    if (old != before->models.end() && !after->models.contains(refusal.name)) {
      after->models[refusal.name] = old->second;
    }
  }
  return publish(before, std::move(after));
}

Result<void> Catalog::unload(const std::string& name) {
  const auto now = snapshot();
  const bool known = now->models.contains(name) ||
                     std::ranges::find(now->refusals, name, &Refusal::name) != now->refusals.end();
  {
    const MutexLock lock(mutex_);
    if (!known && !unloaded_.contains(name)) {
      return fail(ErrorCode::kNotFound, "no model '" + name + "' is loaded");
    }
    unloaded_.insert(name);
  }
  log::info("model_unload_requested", {{"model", name}});
  if (auto report = reload(); !report) {
    return fail(std::move(report.error()));
  }
  return {};
}

Result<void> Catalog::load(const std::string& name) {
  {
    const MutexLock lock(mutex_);
    unloaded_.erase(name);
  }
  log::info("model_load_requested", {{"model", name}});
  trials_->forget(name);
  if (auto report = reload(); !report) {
    return fail(std::move(report.error()));
  }
  const auto now = snapshot();
  const auto refusal = std::ranges::find(now->refusals, name, &Refusal::name);
  if (refusal != now->refusals.end()) {
    return fail(
        refusal->pending ? ErrorCode::kUnavailable : ErrorCode::kInvalidArgument,
        "model '" + full_name(name, refusal->version) + "' cannot be served: " + refusal->reason);
  }
  if (!now->models.contains(name)) {
    return fail(ErrorCode::kNotFound, "the repository has no model '" + name + "'");
  }
  return {};
}

std::vector<std::string> Catalog::unloaded() const {
  const MutexLock lock(mutex_);
  return {unloaded_.begin(), unloaded_.end()};
}

ReloadReport Catalog::publish(const std::shared_ptr<const Snapshot>& before,
                              std::shared_ptr<Snapshot> after) {
  ReloadReport report;
  std::set<std::shared_ptr<const ServedModel>> old;
  for (const auto& [name, versions] : before->models) {
    for (const Version& version : versions) {
      old.insert(version.served);
    }
  }
  for (const auto& [name, versions] : after->models) {
    for (const Version& version : versions) {
      if (old.erase(version.served) == 0) {
        report.loaded.push_back(full_name(name, version.served->version));
        checks_.add(version.served);
        registry_.reload(true);
      }
    }
  }
  log_refusals(*before, *after, report);
  for (const std::string& remark : after->remarks) {
    if (std::ranges::find(before->remarks, remark) == before->remarks.end()) {
      log::warning("repository_warning", {{"message", remark}});
    }
  }
  warn_of_defaults(*before, *after);
  after->served_once = before->served_once || !after->models.empty();
  const bool loaded_once = after->loaded_once;
  for (const auto& served : old) {
    report.retired.push_back(full_name(served->name(), served->version));
  }
  {
    const MutexLock lock(mutex_);
    snapshot_ = std::move(after);
    retired_.insert(retired_.end(), old.begin(), old.end());
  }
  if (loaded_once) {
    tell_started();
  }
  return report;
}

/// Logs each refusal once, not at every reload.
void Catalog::log_refusals(const Snapshot& before, const Snapshot& after, ReloadReport& report) {
  const auto known = [&](const Refusal& refusal) {
    return std::ranges::any_of(before.refusals, [&](const Refusal& earlier) {
      return earlier.name == refusal.name && earlier.version == refusal.version &&
             earlier.fingerprint == refusal.fingerprint && earlier.reason == refusal.reason;
    });
  };
  for (const Refusal& refusal : after.refusals) {
    report.refused.push_back(full_name(refusal.name, refusal.version) + ": " + refusal.reason);
    if (known(refusal)) {
      continue;
    }
    if (!refusal.pending) {
      registry_.reload(false);
    }
    if (refusal.name.empty()) {
      continue;  // about the repository itself: note_repository logs it
    }
    log::write(refusal.pending ? log::Level::kWarning : log::Level::kError,
               refusal.pending ? "model_pending" : "model_refused",
               {{"model", refusal.name}, {"version", refusal.version}, {"reason", refusal.reason}});
  }
}

/// Logs defaults that are no longer served, once.
void Catalog::warn_of_defaults(const Snapshot& before, const Snapshot& after) const {
  std::set<std::string_view> names{options_.preferred_model};
  for (const auto& [task, name] : options_.defaults) {
    names.insert(name);
  }
  for (const std::string_view name : names) {
    const bool missing = !name.empty() && !after.models.contains(name);
    if (missing && (!before.loaded_once || before.models.contains(name))) {
      const auto refusal = std::ranges::find(after.refusals, name, &Refusal::name);
      log::warning("default_model_unavailable",
                   {{"model", name},
                    {"reason", refusal == after.refusals.end() ? "the repository has no such model"
                                                               : refusal->reason}});
    }
  }
}

}  // namespace podsense::inference
