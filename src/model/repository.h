#pragma once

/// The model repository: a folder `NAME/VERSION/model.onnx` (VERSION a positive whole number), or,
/// as KServe mounts it, a folder with one `model.onnx` and no more: then the model takes `name`
/// and has version 1. A model without an ONNX file is `task: simulated`.
/// `scan` only looks; nothing is opened but manifests. What cannot be served is listed with a
/// reason.

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "base/error.h"
#include "model/manifest.h"

namespace podsense::model {

/// One version that should be served.
struct Candidate {
  std::string name;
  std::uint64_t version = 0;
  std::filesystem::path folder;  ///< the version's folder
  std::filesystem::path file;    ///< model.onnx; empty for simulated models
  Manifest manifest;
  /// Changes when the file or a manifest changes (path, size, mtime, inode, manifest text).
  std::string fingerprint;
};

struct Refused {
  std::string name;
  std::string version;  ///< empty when the whole model is refused
  std::string reason;
  std::string fingerprint;  ///< so that a reload reports it once
};

struct Listing {
  std::vector<Candidate> candidates;  ///< by name, then version; after the version policy
  std::vector<Refused> refused;
};

struct RepositoryOptions {
  std::filesystem::path root;
  std::string single_model_name = "model";  ///< for the KServe form
};

/// Names are 1–64 of [A-Za-z0-9._-], not starting with '.'. Symbolic links are followed only
/// inside `root` (Kubernetes mounts ConfigMaps through `..data`).
/// @errors kNotFound: `root` is not a readable folder
Result<Listing> scan(const RepositoryOptions& options);

}  // namespace podsense::model
