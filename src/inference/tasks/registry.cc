#include "inference/tasks/registry.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/text.h"
#include "inference/tasks/kinds.h"

namespace podsense::inference {
namespace {

Result<std::shared_ptr<const ModelTask>> fit(const TaskKind& kind, const model::Model& model,
                                             std::vector<std::string> warnings) {
  if (!model.manifest().postprocess.empty() && !kind.is_classification()) {
    return fail(
        ErrorCode::kInvalidArgument,
        "'postprocess' goes with classifiers, not with 'task: " + std::string(kind.name()) + "'");
  }
  auto fitted = kind.fit(model);
  if (!fitted) {
    return fail(std::move(fitted.error()));
  }
  std::ranges::move((*fitted)->warnings, std::back_inserter(warnings));
  (*fitted)->warnings = std::move(warnings);
  return std::move(*fitted);
}

}  // namespace

std::string TaskKind::way_of(std::string_view model) const {
  constexpr std::string_view kPlace = "{model}";
  std::string way(way_);
  if (const auto at = way.find(kPlace); at != std::string::npos) {
    way.replace(at, kPlace.size(), model);
  }
  return way;
}

std::span<const TaskKind* const> task_kinds() {
  static const std::array<const TaskKind*, 6> kKinds{
      &image_classification(), &object_detection(), &tabular_classification(),
      &tabular_regression(),   &cpu_time(),         &plain_tensors()};
  return kKinds;
}

const TaskKind* find_task(std::string_view name) {
  const auto found = std::ranges::find(task_kinds(), name, &TaskKind::name);
  return found == task_kinds().end() ? nullptr : *found;
}

std::string task_names() {
  std::string names;
  for (const TaskKind* kind : task_kinds()) {
    names += (names.empty() ? "" : ", ") + std::string(kind->name());
  }
  return names;
}

std::string task_names(Form form) {
  std::string names;
  for (const TaskKind* kind : task_kinds()) {
    if (kind->form() == form) {
      names += (names.empty() ? "" : " or ") + std::string(kind->name());
    }
  }
  return names;
}

Result<void> check_task_name(std::string_view name) {
  if (name.empty() || find_task(name) != nullptr) {
    return {};
  }
  std::vector<std::string_view> known;
  std::ranges::transform(task_kinds(), std::back_inserter(known), &TaskKind::name);
  const std::string_view nearest = nearest_name(name, known);
  return fail(ErrorCode::kInvalidArgument,
              "model.yaml: 'task' must be one of " + task_names() + ", not '" + std::string(name) +
                  "'" + (nearest.empty() ? "" : "; did you mean '" + std::string(nearest) + "'?"));
}

Result<std::shared_ptr<const ModelTask>> assign_task(const model::Model& model) {
  const model::Manifest& manifest = model.manifest();
  if (!manifest.task.empty()) {
    if (auto known = check_task_name(manifest.task); !known) {
      return fail(std::move(known.error()));
    }
    return fit(*find_task(manifest.task), model, model.signature().warnings);
  }
  std::vector<std::string> warnings = model.signature().warnings;
  for (const TaskKind* kind : task_kinds()) {
    if (!kind->looks_like(model, warnings)) {
      continue;
    }
    auto fitted = fit(*kind, model, warnings);
    if (fitted || manifest.preprocess || !manifest.labels.empty() ||
        !manifest.postprocess.empty()) {
      return fitted;  // explicit settings are not guesses
    }
    warnings.push_back("it looks like a model for " + std::string(kind->name()) +
                       ", but is served as 'tensor': " + fitted.error().message);
    break;
  }
  return fit(plain_tensors(), model, std::move(warnings));
}

}  // namespace podsense::inference
