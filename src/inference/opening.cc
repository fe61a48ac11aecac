#include "inference/opening.h"

#include <optional>
#include <string>
#include <utility>

#include "base/log.h"
#include "inference/profile_check.h"
#include "inference/served_model.h"
#include "inference/tasks/registry.h"
#include "inference/trials.h"
#include "model/fast_hash.h"

namespace podsense::inference {
namespace {

using ModelPtr = std::shared_ptr<const model::Model>;

/// The assumed run time if none could be measured.
constexpr Duration kGuess = std::chrono::milliseconds(5);

/// All cores are used only if a run takes at most this share of the time with one core.
constexpr double kPays = 0.8;

Result<ModelPtr> load_with(model::Backend& backend, model::Candidate candidate, unsigned threads) {
  candidate.manifest.threads = threads;
  candidate.manifest.threads_given = true;
  return backend.load(candidate);
}

template <class Number>
std::string text_of(const std::optional<Number>& given) {
  return given ? std::to_string(*given) : "auto";
}

ProfileKey key_of(const model::Backend& backend, const model::Candidate& candidate,
                  unsigned cores) {
  const model::Manifest& manifest = candidate.manifest;
  const std::optional<unsigned> threads =
      manifest.threads_given ? std::optional(manifest.threads) : std::nullopt;
  return {.model = candidate.name + "-" + std::to_string(candidate.version),
          .content = candidate.content ? candidate.content->hex() : std::string(),
          .cpu = std::string(backend.machine()),
          .runtime = std::string(backend.name()) + " " + std::string(backend.version()),
          .plan = "cores " + std::to_string(cores) + ", threads " + text_of(threads) +
                  ", instances " + text_of(manifest.instances) + ", max_batch " +
                  text_of(manifest.max_batch)};
}

/// Opens the model with the threads of the saved profile; nothing: the profile no longer holds.
Result<std::optional<Opened>> reopen(model::Backend& backend, const model::Candidate& candidate,
                                     ModelPtr model, SavedProfile saved, const Clock& clock) {
  if (saved.threads != model->threads()) {
    auto other = load_with(backend, candidate, saved.threads);
    if (!other) {
      return fail(std::move(other.error()));
    }
    model = std::move(*other);
  }
  const auto fits = still_fits(*model, saved.profile, clock);
  if (!fits) {
    return std::nullopt;  // measuring will report the error
  }
  if (!*fits) {
    log::info("profile_refused", {{"model", candidate.name},
                                  {"version", std::to_string(candidate.version)},
                                  {"file", saved.file},
                                  {"reason", "runs take less than half or more than twice as long"},
                                  {"saved_ms", to_ms(saved.profile.front().time)}});
    return std::nullopt;
  }
  return Opened{.model = std::move(model),
                .profile = std::move(saved.profile),
                .saved = true,
                .key = {},
                .rows = std::move(saved.rows)};
}

bool wants_more_threads(const model::Candidate& candidate, const Profile& profile, unsigned cores) {
  const model::Manifest& manifest = candidate.manifest;
  return cores > 1 && manifest.instances == 1 && !manifest.threads_given &&
         !candidate.file.empty() && manifest.warmup_runs > 1 && profile.front().time > kInlineLimit;
}

/// Tries all cores for the single instance and keeps them if that is faster.
Result<void> try_threads(model::Backend& backend, const model::Candidate& candidate, unsigned cores,
                         const Clock& clock, Opened& opened) {
  const auto model = load_with(backend, candidate, cores);
  if (!model) {
    return fail(model.error());
  }
  const Deadline limit = Deadline::after(clock.now(), candidate.manifest.warmup_limit);
  const auto one = measure_one(**model, clock, limit);
  if (!one) {
    return fail(one.error());
  }
  const Duration before = opened.profile.front().time;
  const bool pays = to_seconds(*one) <= kPays * to_seconds(before);
  log::info("threads_tried", {{"model", candidate.name},
                              {"version", std::to_string(candidate.version)},
                              {"one_thread_ms", to_ms(before)},
                              {"threads", cores},
                              {"threads_ms", to_ms(*one)},
                              {"taken", pays ? cores : 1U}});
  if (!pays) {
    return {};
  }
  auto profile = measure(**model, clock);
  if (!profile) {
    return fail(std::move(profile.error()));
  }
  opened = {.model = *model, .profile = std::move(*profile), .key = {}};
  return {};
}

/// The file's hash, if anything is looked up by it.
std::optional<model::Hash128> content_of(const model::Candidate& candidate,
                                         const SavedProfiles& saved, const Trials* trials) {
  std::error_code error;
  if (candidate.file.empty() || !(saved.enabled() || (trials != nullptr && trials->knows_some())) ||
      std::filesystem::file_size(candidate.file, error) > candidate.manifest.max_file_bytes ||
      error) {
    return std::nullopt;
  }
  return model::fast_hash_file(candidate.file);
}

/// The profile measured by a trial; nothing: there was no trial.
Result<std::optional<SavedProfile>> try_first(const model::Candidate& candidate, Trials* trials) {
  if (trials == nullptr || !trials->needed(candidate)) {
    return std::nullopt;
  }
  auto report = trials->run(candidate);
  if (!report) {
    return fail(std::move(report.error()));
  }
  switch (report->end) {
    case TrialReport::End::kOpened:
      break;
    case TrialReport::End::kRefused:
      return fail(ErrorCode::kInvalidArgument, std::move(report->reason));
    case TrialReport::End::kFellOver:
      return fail(ErrorCode::kUnavailable, std::move(report->reason));
    case TrialReport::End::kNotTried:
      log::warning("trial_impossible", {{"model", candidate.name},
                                        {"version", std::to_string(candidate.version)},
                                        {"reason", report->reason},
                                        {"opened", "in the server's own process"}});
  }
  return std::move(report->profile);
}

/// Measures the model in this process.
Result<Opened> measure_here(model::Backend& backend, const model::Candidate& candidate,
                            ModelPtr model, unsigned cores, const Clock& clock) {
  auto profile = measure(*model, clock);
  Opened opened{.model = std::move(model), .profile = {{.rows = 1, .time = kGuess}}, .key = {}};
  if (!profile) {
    // Some models reject zeros. Requests may still have inputs that they accept.
    opened.warning = profile.error().message;
    opened.out_of_memory = profile.error().code == ErrorCode::kUnavailable;
    return opened;
  }
  opened.profile = std::move(*profile);
  if (wants_more_threads(candidate, opened.profile, cores)) {
    if (auto tried = try_threads(backend, candidate, cores, clock, opened); !tried) {
      return fail(std::move(tried.error()));
    }
  }
  return opened;
}

/// Uses the known profile, or measures.
Result<Opened> open_loaded(model::Backend& backend, const model::Candidate& candidate,
                           ModelPtr model, std::optional<SavedProfile> known, unsigned cores,
                           const Clock& clock) {
  // Keep this result even if the profile's times no longer hold.
  std::optional<std::string> rows = known ? known->rows : std::nullopt;
  if (known) {
    auto again = reopen(backend, candidate, model, std::move(*known), clock);
    if (!again) {
      return fail(std::move(again.error()));
    }
    if (*again) {
      return std::move(**again);
    }
  }
  auto measured = measure_here(backend, candidate, std::move(model), cores, clock);
  if (measured) {
    measured->rows = std::move(rows);
  }
  return measured;
}

}  // namespace

std::string unused_profile(const model::Backends& backends, model::Candidate candidate,
                           const std::filesystem::path& folder, unsigned cores) {
  const SavedProfiles saved(folder);
  const auto backend = backends.find(candidate);
  if (!backend) {
    return {};
  }
  candidate.content = content_of(candidate, saved, nullptr);
  const auto found = saved.read(key_of(**backend, candidate, cores));
  return found ? std::string() : "its saved profile would not be used: " + found.error().message;
}

Result<Opened> open_measured(const model::Backends& backends, model::Candidate candidate,
                             const SavedProfiles& saved, const OpeningOptions& options,
                             const Clock& clock, Trials* trials) {
  if (auto known = check_task_name(candidate.manifest.task); !known) {
    return fail(std::move(known.error()));
  }
  const auto found = backends.find(candidate);
  if (!found) {
    return fail(found.error());
  }
  model::Backend& backend = **found;
  candidate.content = content_of(candidate, saved, trials);
  const ProfileKey key = key_of(backend, candidate, options.cores);
  auto earlier = saved.find(key);
  const bool was_saved = earlier.has_value();
  if (!was_saved) {
    auto tried = try_first(candidate, trials);
    if (!tried) {
      return fail(std::move(tried.error()));
    }
    earlier = std::move(*tried);
  }
  auto model = backend.load(candidate);
  if (!model) {
    return fail(std::move(model.error()));
  }
  auto task = assign_task(**model);
  if (!task) {
    return fail(std::move(task.error()));
  }
  auto opened =
      open_loaded(backend, candidate, std::move(*model), std::move(earlier), options.cores, clock);
  if (!opened) {
    return opened;
  }
  opened->saved = opened->saved && was_saved;
  opened->key = key;
  opened->task = std::move(*task);
  if (!opened->saved && opened->warning.empty()) {
    saved.keep(
        key,
        {.threads = opened->model->threads(), .profile = opened->profile, .rows = opened->rows});
  }
  return opened;
}

}  // namespace podsense::inference
