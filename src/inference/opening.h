#pragma once

/// Opens a model version, measures it or loads its saved profile, and chooses its number of
/// threads. Private to this module.

#include <memory>
#include <optional>
#include <string>

#include "inference/profile.h"
#include "inference/saved_profiles.h"
#include "inference/tasks/task.h"
#include "model/backend.h"
#include "model/model.h"
#include "model/repository.h"

namespace podsense::inference {

struct Opened {
  std::shared_ptr<const model::Model> model;
  Profile profile;
  bool saved = false;  ///< the profile was measured at an earlier start
  ProfileKey key;
  std::optional<std::string> rows = std::nullopt;  ///< as SavedProfile::rows
  std::string warning = {};                        ///< why the warm-up failed; empty: it did not
  bool out_of_memory = false;                      ///< the warm-up failed because memory was short
  std::shared_ptr<const ModelTask> task = nullptr;
};

struct OpeningOptions {
  unsigned cores = 1;  ///< that one run may use
};

class Trials;

/// The threads per run are those of the manifest, or else 1, because concurrent single-threaded
/// runs have more throughput. If the manifest sets a single instance and a run is long enough, all
/// `cores` are tried, too, and used if they save 20 % of the time. If the warm-up fails, the model
/// is still opened, with a warning and a guessed profile.
/// @param trials open and measure the file in another process first, unless it has a saved profile
/// or a known hash; null: no trials
/// @errors those of Backends::load, assign_task and Trials::run
/// @threads any; blocks while opening the model, plus up to the manifest's warm-up limit for each
/// number of threads
Result<Opened> open_measured(const model::Backends& backends, model::Candidate candidate,
                             const SavedProfiles& saved, const OpeningOptions& options,
                             const Clock& clock, Trials* trials);

}  // namespace podsense::inference
