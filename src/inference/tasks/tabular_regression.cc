#include <algorithm>
#include <utility>

#include "inference/tasks/kinds.h"
#include "inference/tasks/rows.h"

namespace podsense::inference {
namespace {

bool is_number(DataType type) {
  return type == DataType::kFp32 || type == DataType::kFp64;
}

/// The answer contains all columns of every floating-point output.
class TabularRegression final : public RowsModel<TabularRegression> {
 public:
  explicit TabularRegression(const TaskKind& kind) : RowsModel(kind) {}

  Result<void> fit(const model::Model& model) {
    if (auto done = take_rows(model); !done) {
      return done;
    }
    const auto& outputs = model.signature().outputs;
    for (std::size_t i = 0; i < outputs.size(); ++i) {
      const auto rank = outputs[i].shape.size();
      if (is_number(outputs[i].type) && (rank == 1 || rank == 2)) {
        outputs_.push_back(i);
        exact_ = exact_ && is_float(outputs[i]);
      }
    }
    if (outputs_.empty()) {
      return unfit("'task: " + std::string(kind().name()) +
                   "' needs an output of FP32 or FP64, [N] or [N, values]; the first is " +
                   shape_text(outputs[0]));
    }
    if (!model.manifest().labels.empty()) {
      return unfit("'labels' goes with classes; 'task: " + std::string(kind().name()) +
                   "' has none");
    }
    return {};
  }

  [[nodiscard]] Result<protocol::RowsAnswer> answer(const model::Outputs& outputs,
                                                    std::size_t first, std::size_t count,
                                                    std::size_t all) const {
    protocol::RowsAnswer answer;
    answer.numbers =
        exact_ ? protocol::RowsAnswer::Numbers::kValues : protocol::RowsAnswer::Numbers::kDoubles;
    answer.rows.resize(count);
    for (const std::size_t index : outputs_) {
      const model::TensorView output = outputs[index];
      if (output.type == DataType::kFp32) {
        append(elements<float>(output), first, all, answer.rows);
      } else {
        append(elements<double>(output), first, all, answer.rows);
      }
    }
    if (count > 0 && answer.rows.front().values.empty()) {
      return fail(ErrorCode::kInternal, "the model gave no value");
    }
    return answer;
  }

 private:
  template <class Number>
  static void append(std::span<const Number> values, std::size_t first, std::size_t all,
                     std::vector<protocol::RowAnswer>& rows) {
    const std::size_t width = values.size() / all;
    for (std::size_t i = 0; i < rows.size(); ++i) {
      const auto mine = values.subspan((first + i) * width, width);
      rows[i].values.insert(rows[i].values.end(), mine.begin(), mine.end());
    }
  }

  std::vector<std::size_t> outputs_;
  bool exact_ = true;  ///< all of them are FP32
};

class Kind final : public TaskKind {
 public:
  using TaskKind::TaskKind;
  [[nodiscard]] Result<std::unique_ptr<ModelTask>> fit(const model::Model& model) const override {
    auto task = std::make_unique<TabularRegression>(*this);
    if (auto done = task->fit(model); !done) {
      return fail(std::move(done.error()));
    }
    return task;
  }
};

}  // namespace

const TaskKind& tabular_regression() {
  static const Kind kKind("tabular-regression", Form::kRows, "/predict-single");
  return kKind;
}

}  // namespace podsense::inference
