#pragma once

/// The model repository: a folder `NAME/VERSION/model.onnx`. VERSION is a positive whole number,
/// also as `v2` or `0002`. Also accepted: a single model as mounted by KServe (`model.onnx` or
/// `VERSION/model.onnx`, named `single_model_name`), and a model without versions
/// (`NAME/model.onnx`, version 1). Instead of model.onnx the file may be, in this order: the
/// manifest's `file`, `model.ort`, Hugging Face's `onnx/model.onnx`, a single other `*.onnx` or
/// `*.ort`. A model without a file must have `task: simulated`. `scan` opens only manifests. It
/// lists models that cannot be served with a reason, and other folders with a warning.

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
  std::filesystem::path folder;  ///< folder of the file and of its external data
  std::filesystem::path file;    ///< empty for simulated models
  Manifest manifest;
  /// Changes when the file or a manifest changes (path, size, mtime, inode, manifest text).
  std::string fingerprint;
  /// Hash of the file's bytes, without external data; nothing: not computed.
  std::optional<Hash128> content = std::nullopt;
};

struct Refused {
  std::string name;
  std::string version;  ///< empty: the whole model is refused
  std::string reason;
  std::string fingerprint;  ///< so that reloads report it only once
};

/// An ignored folder or link.
struct Remark {
  std::string name;  ///< the model or folder
  std::string text;  ///< one sentence
};

struct Listing {
  std::vector<Candidate> candidates;  ///< by name, then version; after the version policy
  /// Older versions of models with the policy "latest", newest first. They serve if none of the
  /// newest versions can be loaded.
  std::vector<Candidate> spares;
  std::vector<Refused> refused;
  std::vector<Remark> remarks;
};

struct RepositoryOptions {
  std::filesystem::path root;
  std::string single_model_name = "model";  ///< for the KServe form
  std::vector<std::string> only{};          ///< names to scan; empty: all
};

/// Names are 1–64 of [A-Za-z0-9._-], not starting with '.'. Symbolic links are followed only
/// inside `root` (Kubernetes mounts ConfigMaps through `..data`).
/// @errors kNotFound: `root` is not a readable folder
Result<Listing> scan(const RepositoryOptions& options);

}  // namespace podsense::model
