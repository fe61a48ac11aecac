#include "model/signature.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "base/log.h"
#include "model/labels.h"
#include "model/preprocess.h"

namespace podsense::model {
namespace {

bool open_first(const TensorInfo& t) {
  return !t.shape.empty() && t.shape[0] < 0;
}

/// A dimension with another name is another quantity, for example the number of boxes instead of
/// rows.
bool takes_rows(const Signature& signature) {
  std::string_view name;
  const auto fits = [&name](const TensorInfo& t) {
    const std::string_view own = t.dim_names.empty() ? std::string_view() : t.dim_names.front();
    name = name.empty() ? own : name;
    return open_first(t) && (own.empty() || own == name);
  };
  return !signature.inputs.empty() && std::ranges::all_of(signature.inputs, fits) &&
         std::ranges::all_of(signature.outputs, fits);
}

/// Other tools use these metadata names for other data, so invalid values are ignored.
void ignored(std::string_view key, const Error& error) {
  log::warning("model_metadata_ignored", {{"key", key}, {"reason", error.message}});
}

}  // namespace

Result<Signature> make_signature(FileDescription file, const Manifest& manifest) {
  Signature out{.inputs = std::move(file.inputs),
                .outputs = std::move(file.outputs),
                .rows_unproven = std::move(file.rows_unproven),
                .loops = file.loops};
  if (out.outputs.empty()) {
    return fail(ErrorCode::kInvalidArgument, "the model has no outputs");
  }
  out.batchable = takes_rows(out);
  if (!file.labels.empty()) {
    if (auto labels = parse_label_json(file.labels)) {
      if (auto wrong = not_utf8(*labels, "the file's metadata"); !wrong.empty()) {
        out.warnings.push_back(std::move(wrong));
      }
      out.file_labels = std::move(*labels);
    } else {
      ignored("labels", labels.error());
    }
  }
  if (!file.preprocess.empty()) {
    if (auto spec = parse_preprocess_metadata(file.preprocess)) {
      out.preprocess = std::move(*spec);
    } else {
      ignored("preprocess", spec.error());
    }
  }
  out.preprocess_given = !file.preprocess.empty() || manifest.preprocess.has_value();
  out.preprocess = overlay(out.preprocess, manifest.preprocess.value_or(PreprocessSpec{}));
  return out;
}

}  // namespace podsense::model
