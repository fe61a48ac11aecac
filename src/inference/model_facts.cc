#include "inference/model_facts.h"

#include <algorithm>
#include <iterator>

#include "inference/tasks/registry.h"

namespace podsense::inference {
namespace {

/// Converts tensor infos, copied or borrowed.
template <class Tensor>
std::vector<Tensor> tensors(const std::vector<model::TensorInfo>& infos) {
  std::vector<Tensor> out;
  std::ranges::transform(infos, std::back_inserter(out), [](const model::TensorInfo& info) {
    return Tensor{.name = info.name, .type = info.type, .shape = info.shape};
  });
  return out;
}

ServedVersions version_policy(const model::Manifest& manifest) {
  switch (manifest.version_policy) {
    case model::VersionPolicy::kAll:
      return AllVersions{};
    case model::VersionPolicy::kList:
      return ListedVersions{.versions = manifest.listed_versions};
    case model::VersionPolicy::kLatest:
      break;
  }
  return LatestVersions{.count = manifest.keep_versions};
}

}  // namespace

ModelFacts facts_of(const ServedModel& served) {
  const model::Model& model = *served.model;
  const model::Manifest& manifest = model.manifest();
  const model::Signature& signature = model.signature();
  ModelFacts out{.name = served.name(),
                 .version = served.version,
                 .task = std::string(served.task->kind().name()),
                 .plan = std::string(plan_name(served.plan)),
                 .backend = std::string(model.engine().backend),
                 .platform = std::string(model.engine().platform),
                 .file = std::string(model.engine().file),
                 .file_bytes = model.file_bytes(),
                 .inputs = tensors<TensorFacts>(signature.inputs),
                 .outputs = tensors<TensorFacts>(signature.outputs),
                 .labels = served.task->labels.size(),
                 .features = std::nullopt,
                 .version_policy = version_policy(manifest),
                 .max_batch_size = served.max_batch_size(),
                 .instances = manifest.instances,
                 .max_delay = std::nullopt,
                 .parameters = {}};
  if (served.task->features > 0) {
    out.features = served.task->features;
  }
  if (manifest.max_batch.value_or(1) > 1) {
    out.max_delay = std::chrono::duration_cast<std::chrono::microseconds>(manifest.max_delay);
  }
  out.parameters.emplace_back("task", out.task);
  for (auto& [name, text] : served.plan_facts()) {
    out.parameters.emplace_back(name, std::move(text));
  }
  return out;
}

std::vector<protocol::TensorMetadata> inputs_of(const ServedModel& served) {
  return tensors<protocol::TensorMetadata>(served.model->signature().inputs);
}

std::vector<std::pair<std::string, std::string>> default_models(const Catalog& catalog) {
  std::vector<std::pair<std::string, std::string>> out;
  for (const TaskKind* task : task_kinds()) {
    // Requests with plain tensors always name their model, so they have no default.
    std::string name = task->form() == Form::kTensors ? "" : catalog.default_model(*task);
    if (!name.empty()) {
      out.emplace_back(task->name(), std::move(name));
    }
  }
  return out;
}

}  // namespace podsense::inference
