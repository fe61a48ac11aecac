#pragma once

/// An engine that opens models, and the list of a server's backends. Only `server`, which creates
/// the list, knows which backends exist.

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "model/model.h"
#include "model/repository.h"

namespace podsense::model {

/// @threads thread-safe
class Backend {
 public:
  virtual ~Backend() = default;
  /// The name in manifests (`backend:`): "onnxruntime".
  [[nodiscard]] virtual std::string_view name() const = 0;
  /// Whether it can open this candidate if the manifest names no backend.
  [[nodiscard]] virtual bool accepts(const Candidate& candidate) const = 0;
  /// Opens and checks a model, without a run. Order of checks: size, sha256, external data inside
  /// the model's folder, then the engine.
  /// @errors kInvalidArgument: a check failed, or the file does not fit its manifest; the reason is
  /// one sentence for users; kUnavailable: not enough memory
  /// @threads thread-safe; takes 10 ms to seconds
  virtual Result<std::shared_ptr<const Model>> load(const Candidate& candidate) = 0;
  /// The engine's version: "1.31.1".
  [[nodiscard]] virtual std::string_view version() const = 0;
  /// A hash of this machine's CPU in hexadecimal: saved profiles are valid only for this and for
  /// `version`. Empty: profiles are not saved.
  [[nodiscard]] virtual std::string_view machine() const { return {}; }
};

/// @threads immutable
class Backends {
 public:
  /// @param backends the first that accepts a candidate opens it
  explicit Backends(std::vector<std::unique_ptr<Backend>> backends)
      : backends_(std::move(backends)) {}

  /// The backend that the manifest names, else the first that accepts the candidate.
  /// @errors kInvalidArgument: no such backend; the message lists the existing ones
  [[nodiscard]] Result<Backend*> find(const Candidate& candidate) const;
  /// Opens the candidate with its backend. @errors those of find and Backend::load
  [[nodiscard]] Result<std::shared_ptr<const Model>> load(const Candidate& candidate) const;
  /// The version of backend `name`; empty: no such backend.
  [[nodiscard]] std::string_view version(std::string_view name) const;

 private:
  std::vector<std::unique_ptr<Backend>> backends_;
};

}  // namespace podsense::model
