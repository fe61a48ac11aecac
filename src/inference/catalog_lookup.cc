// Lookups in a catalog's snapshot: which version answers a request, and why others cannot.
#include <algorithm>
#include <set>
#include <utility>

#include "inference/catalog.h"
#include "inference/model_names.h"
#include "inference/tasks/registry.h"

namespace podsense::inference {
namespace {

template <class Versions>
bool is_for(const Versions& versions, const TaskKind& task) {
  return &versions.back().served->task->kind() == &task;
}

}  // namespace

std::string Catalog::default_model(const TaskKind& task) const {
  return default_model(*snapshot(), task);
}

std::string Catalog::chosen_default(const Snapshot& now, const TaskKind& task) const {
  if (const auto chosen = options_.defaults.find(task.name()); chosen != options_.defaults.end()) {
    return chosen->second;
  }
  const auto preferred = now.models.find(options_.preferred_model);
  return preferred != now.models.end() && is_for(preferred->second, task) ? preferred->first
                                                                          : std::string();
}

std::string Catalog::default_model(const Snapshot& now, const TaskKind& task) const {
  if (std::string chosen = chosen_default(now, task); !chosen.empty()) {
    return chosen;
  }
  for (const auto& [name, versions] : now.models) {
    if (is_for(versions, task)) {
      return name;
    }
  }
  return {};
}

std::string Catalog::default_model(const Snapshot& now, Form form) const {
  for (const bool chosen : {true, false}) {
    for (const TaskKind* task : task_kinds()) {
      if (task->form() != form) {
        continue;
      }
      std::string name = chosen ? chosen_default(now, *task) : default_model(now, *task);
      if (!name.empty()) {
        return name;
      }
    }
  }
  return {};
}

Result<std::shared_ptr<const ServedModel>> Catalog::find(const Snapshot& now,
                                                         const std::string& name,
                                                         const std::string& version) {
  const auto model = now.models.find(name);
  if (model == now.models.end()) {
    if (!now.loaded_once) {
      return fail(ErrorCode::kUnavailable, "models are still being loaded; ask again shortly");
    }
    if (const auto refusal = std::ranges::find(now.refusals, name, &Refusal::name);
        refusal != now.refusals.end()) {
      return fail(ErrorCode::kUnavailable, "model '" + full_name(name, refusal->version) +
                                               "' cannot be served: " + refusal->reason);
    }
    return fail(ErrorCode::kNotFound,
                "no model '" + name + "' is served; there are: " +
                    list_of(now.models, [](const auto& m) { return m.first; }));
  }
  const auto& versions = model->second;
  auto found = versions.end() - 1;
  if (!version.empty()) {
    found = std::ranges::find_if(versions,
                                 [&](const Version& v) { return v.served->version == version; });
  }
  if (found == versions.end()) {
    return fail(ErrorCode::kNotFound,
                "model '" + name + "' has no version '" + version +
                    "' that is served; there are: " +
                    list_of(versions, [](const Version& v) { return v.served->version; }));
  }
  return found->served;
}

/// The error if no model serves requests of this form. It mentions failed models, as one of them
/// may be for this form.
tl::unexpected<Error> Catalog::no_default(const Snapshot& now, Form form) {
  std::string message = "no model for " + task_names(form) + " is served";
  const auto broken = std::ranges::find_if(now.refusals, [&](const Refusal& refusal) {
    return !refusal.name.empty() && !now.models.contains(refusal.name);
  });
  if (broken != now.refusals.end()) {
    return fail(ErrorCode::kUnavailable, message + "; '" +
                                             full_name(broken->name, broken->version) +
                                             "' cannot be: " + broken->reason);
  }
  return fail(ErrorCode::kNotFound,
              message + "; there are: " + list_of(now.models, [](const auto& model) {
                return model.first;
              }));
}

Result<std::shared_ptr<const ServedModel>> Catalog::find(const protocol::ModelRef& ref) const {
  return find(*snapshot(), ref.name, ref.version);
}

Result<std::shared_ptr<const ServedModel>> Catalog::find(const protocol::ModelRef& ref,
                                                         Form form) const {
  const auto now = snapshot();
  const std::string name = ref.name.empty() ? default_model(*now, form) : ref.name;
  if (name.empty() && now->loaded_once) {
    return no_default(*now, form);
  }
  auto found = find(*now, name, ref.version);
  if (!found) {
    return found;
  }
  if (const TaskKind& task = (*found)->task->kind(); task.form() != form) {
    return fail(ErrorCode::kInvalidArgument, "model '" + name + "' is for " +
                                                 std::string(task.name()) +
                                                 ", this request is for " + task_names(form) +
                                                 "; ask it at " + task.way_of(name));
  }
  return found;
}

std::vector<ModelStatus> Catalog::status() const {
  const auto now = snapshot();
  std::vector<ModelStatus> all;
  for (const auto& [name, versions] : now->models) {
    for (const Version& version : versions) {
      all.push_back({.name = name,
                     .version = version.served->version,
                     .reason = {},
                     .latest = &version == &versions.back(),
                     .served = version.served});
    }
  }
  for (const Refusal& refusal : now->refusals) {
    all.push_back({.name = refusal.name,
                   .version = refusal.version,
                   .reason = refusal.reason,
                   .served = nullptr});
  }
  return all;
}

bool Catalog::started() const {
  return snapshot()->loaded_once;
}

std::vector<std::string> Catalog::problems() const {
  const auto now = snapshot();
  std::vector<std::string> problems;
  if (!now->loaded_once) {
    problems.emplace_back("models are still being loaded");
  }
  for (const Refusal& refusal : now->refusals) {
    problems.push_back(full_name(refusal.name, refusal.version) +
                       (refusal.name.empty() ? "" : ": ") + refusal.reason);
  }
  if (now->loaded_once && now->models.empty()) {
    problems.emplace_back("no model is served");
  }
  return problems;
}

std::vector<std::string> Catalog::warnings() const {
  const auto now = snapshot();
  std::vector<std::string> warnings = now->remarks;
  for (const auto& [name, versions] : now->models) {
    for (const Version& version : versions) {
      for (const std::string& warning : version.served->warnings) {
        warnings.push_back(full_name(name, version.served->version) + ": " + warning);
      }
      if (const std::string seen = version.served->task->observed(); !seen.empty()) {
        warnings.push_back(full_name(name, version.served->version) + ": " + seen);
      }
    }
  }
  return warnings;
}

Situation Catalog::situation() const {
  const auto now = snapshot();
  std::set<std::string_view> failed;
  for (const Refusal& refusal : now->refusals) {
    if (!now->models.contains(refusal.name)) {
      failed.insert(refusal.name);
    }
  }
  return {.loaded = now->loaded_once,
          .polls = options_.polls,
          .strict = options_.strict_readiness,
          .offered = now->models.size(),
          .failed = failed.size(),
          .executors_lost = executors_lost_.load(std::memory_order_relaxed)};
}

}  // namespace podsense::inference
