#pragma once

/// What a model is used for. Each kind of task has one TaskKind, in its own file. It decides which
/// models it fits, converts requests to inputs, runs batches, and converts outputs to answers. A
/// ModelTask does this for one model version. registry.h lists the kinds.

#include <cstddef>
#include <memory>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "batching/scheduler.h"
#include "model/model.h"

namespace podsense::inference {

struct ServedModel;
class ModelTask;

/// The content of a request. Each endpoint and each kind of task takes one form.
enum class Form { kPicture, kRows, kCpuTime, kTensors };

/// @threads immutable
class TaskKind {
 public:
  /// `way`: the path of its endpoint; "{model}" is replaced by the model's name.
  constexpr TaskKind(std::string_view name, Form form, std::string_view way)
      : name_(name), form_(form), way_(way) {}
  TaskKind(const TaskKind&) = delete;
  TaskKind& operator=(const TaskKind&) = delete;
  virtual ~TaskKind() = default;

  /// The name in manifests (`task:`), settings and metrics: "image-classification".
  [[nodiscard]] std::string_view name() const { return name_; }
  [[nodiscard]] Form form() const { return form_; }
  [[nodiscard]] std::string way_of(std::string_view model) const;

  /// Whether a model without a task in its manifest seems to be for this task. May add to
  /// `warnings` what the manifest should say to make it so.
  [[nodiscard]] virtual bool looks_like(const model::Model& /*model*/,
                                        std::vector<std::string>& /*warnings*/) const {
    return false;
  }
  /// Whether it uses `postprocess` of the manifest.
  [[nodiscard]] virtual bool is_classification() const { return false; }
  /// @errors kInvalidArgument: the model or its manifest does not fit this task; one sentence
  [[nodiscard]] virtual Result<std::unique_ptr<ModelTask>> fit(const model::Model& model) const = 0;

 private:
  std::string_view name_;
  Form form_;
  std::string_view way_;
};

/// @threads immutable once made
class ModelTask {
 public:
  explicit ModelTask(const TaskKind& kind) : kind_(kind) {}
  ModelTask(const ModelTask&) = delete;
  ModelTask& operator=(const ModelTask&) = delete;
  virtual ~ModelTask() = default;

  [[nodiscard]] const TaskKind& kind() const { return kind_; }

  /// Runs requests of the kind's form in one run, which `stop` can cancel. False: several requests
  /// shared a run that failed, or whose output cannot be split; the requests left in `batch` are
  /// then unanswered.
  /// @threads executor, or any for an inline model
  [[nodiscard]] virtual bool run(const ServedModel& served, const Clock& clock,
                                 std::span<batching::TaskPtr>& batch,
                                 const std::stop_token& stop) const = 0;

  /// Runs the model once and examines its outputs; `observed` returns the result.
  /// @threads any; blocks for the whole run
  virtual void probe(const model::Model& /*model*/) const {}
  /// A warning from what runs have shown so far; empty: none. @threads any
  [[nodiscard]] virtual std::string observed() const { return {}; }

  /// Whether a short run may execute on the I/O thread of the request. Not for pictures: decoding
  /// them takes too long for an I/O thread.
  [[nodiscard]] bool may_run_inline() const {
    return kind_.form() == Form::kRows || kind_.form() == Form::kTensors;
  }

  std::vector<std::string> labels;  ///< one per class, or empty
  /// columns of a row; 0: takes no rows, or any number of columns
  std::size_t features = 0;
  std::vector<std::string> warnings;  ///< what was guessed or ignored; one sentence each

 private:
  const TaskKind& kind_;
};

}  // namespace podsense::inference
