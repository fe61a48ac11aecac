#pragma once

/// The base of tasks for rows of numbers: converts rows to the model's inputs and runs batches.
/// Private to this module.

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "inference/answer_task.h"
#include "inference/tasks/row_inputs.h"
#include "inference/tasks/signatures.h"
#include "inference/tasks/task.h"
#include "protocol/messages.h"

namespace podsense::inference {

class RowsTask final : public AnswerTask<protocol::RowsAnswer> {
 public:
  RowsTask(std::shared_ptr<const ServedModel> served, const Context& context,
           protocol::RowsRequest wanted, Done<protocol::RowsAnswer> done)
      : AnswerTask(std::move(served), context, std::move(done)), request(std::move(wanted)) {
    rows = request.rows;
  }
  /// Notes the size of its rows, if sizes vary.
  void note_size() {
    if (!served_->sizes_vary) {
      return;
    }
    size = inputs.empty() ? request.columns * sizeof(float) : 0;
    shape = inputs.empty() ? request.columns : 0;  // only rows of equal length share a run
    for (const PackedInput& input : inputs) {
      size += input.data.size() / std::max<std::size_t>(1, rows);
    }
  }
  protocol::RowsRequest request;
  std::vector<PackedInput> inputs;  ///< packed by RowInputs::pack
};

/// The part that does not depend on the type of answer.
class RowsModelBase : public ModelTask {
 public:
  using ModelTask::ModelTask;
  [[nodiscard]] const RowInputs& inputs() const { return inputs_; }

 protected:
  /// Sets how rows are converted to inputs. @errors kInvalidArgument: the inputs do not take rows
  Result<void> take_rows(const model::Model& model);

 private:
  RowInputs inputs_;
};

/// The concatenated values of a batch's requests; not copied for a single request.
std::span<const float> joined_rows(std::span<batching::TaskPtr> batch);

/// Runs all rows of a batch with packed inputs, or row `only` of its single request.
Result<void> run_packed(const ServedModel& served, const RowInputs& inputs,
                        std::span<batching::TaskPtr> batch, std::optional<std::size_t> only,
                        std::size_t rows, model::Outputs& outputs, const std::stop_token& stop);

/// The calling thread's outputs, kept between runs.
model::Outputs& row_outputs();

/// Runs `rows` rows of values once.
Result<void> run_once(const ServedModel& served, std::span<const float> values, std::size_t rows,
                      model::Outputs& outputs, const std::stop_token& stop);

/// Runs rows. `Task` has `answer(outputs, first, count, all)` for the rows [first, first + count)
/// of `all` rows of the run. It is a template parameter to avoid a virtual call per row.
template <class Task>
class RowsModel : public RowsModelBase {
 public:
  [[nodiscard]] bool run(const ServedModel& served, const Clock& clock,
                         std::span<batching::TaskPtr>& batch,
                         const std::stop_token& stop) const final {
    std::size_t rows = 0;
    for (const batching::TaskPtr& task : batch) {
      rows += static_cast<RowsTask&>(*task).request.rows;
    }
    if (batch.size() == 1 && rows > 1 && !served.stacking->shared()) {
      run_apart(served, clock, batch, stop);
      return true;
    }
    model::Outputs& outputs = row_outputs();
    const TimePoint begin = clock.now();
    const auto run = inputs().kind() == RowInputs::Kind::kFloats
                         ? run_once(served, joined_rows(batch), rows, outputs, stop)
                         : run_packed(served, inputs(), batch, std::nullopt, rows, outputs, stop);
    const TimePoint end = clock.now();
    if (!run && batch.size() > 1) {
      return false;
    }
    if (!run) {
      fail_all<RowsTask>(batch, run.error(), end);
      return true;
    }
    served.metrics->computed(end - begin, rows);
    for (std::size_t i = 0; i < outputs.size(); ++i) {
      if (!divides(served, outputs[i], rows, rows)) {
        return false;
      }
    }
    std::size_t at = 0;
    for (batching::TaskPtr& owned : batch) {
      auto& task = static_cast<RowsTask&>(*owned);
      task.compute = end - begin;
      const std::size_t count = task.request.rows;
      task.finish(self().answer(outputs, at, count, rows), end);
      at += count;
    }
    return true;
  }

 private:
  friend Task;
  explicit RowsModel(const TaskKind& kind) : RowsModelBase(kind) {}

  [[nodiscard]] const Task& self() const { return static_cast<const Task&>(*this); }

  /// Runs each row of a request separately, for models whose rows may depend on each other.
  void run_apart(const ServedModel& served, const Clock& clock, std::span<batching::TaskPtr> batch,
                 const std::stop_token& stop) const {
    auto& task = static_cast<RowsTask&>(*batch[0]);
    model::Outputs& outputs = row_outputs();
    protocol::RowsAnswer answer;
    const TimePoint begin = clock.now();
    for (std::size_t row = 0; row < task.request.rows; ++row) {
      const std::size_t columns = task.request.columns;
      const TimePoint run_begin = clock.now();
      const auto run =
          inputs().kind() == RowInputs::Kind::kFloats
              ? run_once(served, std::span(task.request.values).subspan(row * columns, columns), 1,
                         outputs, stop)
              : run_packed(served, inputs(), batch, row, 1, outputs, stop);
      const TimePoint now = clock.now();
      if (!run) {
        return task.finish(fail(run.error()), now);
      }
      if (task.deadline.passed(now)) {
        return task.finish(fail(ErrorCode::kDeadlineExceeded,
                                "the deadline passed after " + std::to_string(row + 1) + " of " +
                                    std::to_string(task.request.rows) + " rows"),
                           now);
      }
      served.metrics->computed(now - run_begin, 1);
      auto one = self().answer(outputs, 0, 1, 1);
      if (!one) {
        return task.finish(fail(std::move(one.error())), now);
      }
      answer.numbers = one->numbers;
      answer.rows.push_back(std::move(one->rows.front()));
    }
    const TimePoint end = clock.now();
    task.compute = end - begin;
    task.finish(std::move(answer), end);
  }
};

}  // namespace podsense::inference
