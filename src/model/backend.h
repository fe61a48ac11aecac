#pragma once

/// An engine that opens models, and the list of those that a server has. The list is made in
/// `server`; nothing else knows which backends there are.

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
  /// As `backend:` of a manifest has it: "onnxruntime".
  [[nodiscard]] virtual std::string_view name() const = 0;
  /// Whether it opens this candidate where the manifest names no backend.
  [[nodiscard]] virtual bool accepts(const Candidate& candidate) const = 0;
  /// Opens and checks a model; runs nothing. Order of checks: size, sha256, external data inside
  /// the model's folder, then the engine.
  /// @errors kInvalidArgument: any of these, or a file that does not fit its manifest; the reason
  ///         is one sentence fit for a person; kUnavailable: there is not enough memory
  /// @threads thread-safe; takes 10 ms to seconds
  virtual Result<std::shared_ptr<const Model>> load(const Candidate& candidate) = 0;
  /// Of the engine: "1.31.1".
  [[nodiscard]] virtual std::string_view version() const = 0;
  /// What measured times hold for besides the version: a hash of this machine's CPU, as hexadecimal
  /// digits. Empty: they are not kept.
  [[nodiscard]] virtual std::string_view machine() const { return {}; }
};

/// @threads immutable
class Backends {
 public:
  /// @param backends the first that accepts a candidate opens it
  explicit Backends(std::vector<std::unique_ptr<Backend>> backends)
      : backends_(std::move(backends)) {}

  /// The backend that the manifest names, else the first that accepts the candidate.
  /// @errors kInvalidArgument: there is none; the message names those there are
  [[nodiscard]] Result<Backend*> find(const Candidate& candidate) const;
  /// As Backend::load. @errors those of find, too
  [[nodiscard]] Result<std::shared_ptr<const Model>> load(const Candidate& candidate) const;
  /// Empty where there is no such backend.
  [[nodiscard]] std::string_view version(std::string_view name) const;

 private:
  std::vector<std::unique_ptr<Backend>> backends_;
};

}  // namespace podsense::model
