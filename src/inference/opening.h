#pragma once

/// A model version opened, measured or remembered, with the threads that suit it. Private to this
/// module.

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
  bool saved = false;  ///< the profile is an earlier start's
  ProfileKey key;
  std::optional<std::string> rows = std::nullopt;  ///< as SavedProfile::rows
  std::string warning = {};    ///< why the warm-up measured nothing; empty: it did
  bool out_of_memory = false;  ///< that was a lack of memory
  std::shared_ptr<const ModelTask> task = nullptr;
};

struct OpeningOptions {
  unsigned cores = 1;  ///< that one run may use
};

class Trials;

/// Threads of one run are the manifest's, else 1: concurrent runs of one thread give more than runs
/// of many. Only where the manifest asks for a single instance, and a run is long enough to be
/// worth dividing, all `cores` are tried too, and taken where they save a fifth of the time.
/// A model whose warm-up fails is opened all the same, with a warning and a profile of guesses.
/// @param trials try what has neither a saved profile nor a known hash in another process first,
///               and measure it; null: it is opened here at once
/// @errors those of Backends::load, assign_task and Trials::run
/// @threads any; takes the time of opening and up to the manifest's warm-up limit for each number
///          of threads
Result<Opened> open_measured(const model::Backends& backends, model::Candidate candidate,
                             const SavedProfiles& saved, const OpeningOptions& options,
                             const Clock& clock, Trials* trials);

}  // namespace podsense::inference
