#pragma once

/// The model repository: a folder `NAME/VERSION/model.onnx`. VERSION is a positive whole number,
/// also as `v2` or `0002`. Understood, too: one model alone, as KServe mounts it (`model.onnx`, or
/// `VERSION/model.onnx`, which take `single_model_name`), a model without versions
/// (`NAME/model.onnx`, version 1), and in place of model.onnx, in this order: the manifest's
/// `file`, `model.ort`, Hugging Face's `onnx/model.onnx`, a single other `*.onnx` or `*.ort`. A
/// model without a file is `task: simulated`. `scan` only looks; nothing is opened but manifests.
/// What cannot be served is listed with a reason, what is no model with a warning.

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "model/fast_hash.h"
#include "model/manifest.h"

namespace podsense::model {

/// One version that should be served.
struct Candidate {
  std::string name;
  std::uint64_t version = 0;
  std::filesystem::path folder;  ///< that the file lies in; external data is looked for here
  std::filesystem::path file;    ///< empty for simulated models
  Manifest manifest;
  /// Changes when the file or a manifest changes (path, size, mtime, inode, manifest text).
  std::string fingerprint;
  /// Of the file's bytes, where somebody has read them; external data is no part of it.
  std::optional<Hash128> content = std::nullopt;
};

struct Refused {
  std::string name;
  std::string version;  ///< empty when the whole model is refused
  std::string reason;
  std::string fingerprint;  ///< so that a reload reports it once
};

/// Passed over: no model, or not followed.
struct Remark {
  std::string name;  ///< of the model or folder
  std::string text;  ///< one sentence
};

struct Listing {
  std::vector<Candidate> candidates;  ///< by name, then version; after the version policy
  /// Older versions of models that serve their latest, newest first: what serves where none of
  /// those can.
  std::vector<Candidate> spares;
  std::vector<Refused> refused;
  std::vector<Remark> remarks;
};

struct RepositoryOptions {
  std::filesystem::path root;
  std::string single_model_name = "model";  ///< for the KServe form
  std::vector<std::string> only{};          ///< names to look at; empty: all
};

/// Names are 1–64 of [A-Za-z0-9._-], not starting with '.'. Symbolic links are followed only
/// inside `root` (Kubernetes mounts ConfigMaps through `..data`).
/// @errors kNotFound: `root` is not a readable folder
Result<Listing> scan(const RepositoryOptions& options);

}  // namespace podsense::model
