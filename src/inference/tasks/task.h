#pragma once

/// What a model is used for. One TaskKind for each kind of task, in a file of its own: which models
/// it fits, how a request becomes the model's inputs, how a batch runs, how outputs become the
/// answer. A ModelTask is that for one model version. registry.h has the list of kinds.

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

/// What a request brings. An endpoint takes one form, and so does a kind of task.
enum class Form { kPicture, kRows, kCpuTime, kTensors };

/// @threads immutable
class TaskKind {
 public:
  /// `way`: the path that people ask; "{model}" stands for the model's name.
  constexpr TaskKind(std::string_view name, Form form, std::string_view way)
      : name_(name), form_(form), way_(way) {}
  TaskKind(const TaskKind&) = delete;
  TaskKind& operator=(const TaskKind&) = delete;
  virtual ~TaskKind() = default;

  /// As `task:` of a manifest, settings and metrics have it: "image-classification".
  [[nodiscard]] std::string_view name() const { return name_; }
  [[nodiscard]] Form form() const { return form_; }
  [[nodiscard]] std::string way_of(std::string_view model) const;

  /// Whether a model whose manifest names no task looks like one for this. May add to `warnings`
  /// what people could write down to have it so.
  [[nodiscard]] virtual bool looks_like(const model::Model& /*model*/,
                                        std::vector<std::string>& /*warnings*/) const {
    return false;
  }
  /// Whether it reads `postprocess` of the manifest.
  [[nodiscard]] virtual bool is_classification() const { return false; }
  /// @errors kInvalidArgument: the model, or what its manifest says, does not fit; one sentence
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

  /// Runs requests of the kind's form, in one run, which `stop` cuts short. False where several
  /// shared a run that failed or whose answer cannot be divided: none of those left in `batch` is
  /// then answered.
  /// @threads executor, or any for an inline model
  [[nodiscard]] virtual bool run(const ServedModel& served, const Clock& clock,
                                 std::span<batching::TaskPtr>& batch,
                                 const std::stop_token& stop) const = 0;

  /// Runs the model once to look at what it gives; `observed` tells.
  /// @threads any; blocks for the whole run
  virtual void probe(const model::Model& /*model*/) const {}
  /// What runs have shown since it was made, as `warnings`. @threads any
  [[nodiscard]] virtual std::string observed() const { return {}; }

  /// Whether a short run may stay on the thread that brought the request. Pictures are decoded
  /// where they run: that alone is too long for an I/O thread.
  [[nodiscard]] bool may_run_inline() const {
    return kind_.form() == Form::kRows || kind_.form() == Form::kTensors;
  }

  std::vector<std::string> labels;    ///< one per class, or empty
  std::size_t features = 0;           ///< columns of a row; 0: takes no rows, or any
  std::vector<std::string> warnings;  ///< what was guessed or passed over; one sentence each

 private:
  const TaskKind& kind_;
};

}  // namespace podsense::inference
