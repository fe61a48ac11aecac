#include "inference/tasks.h"

#include <algorithm>
#include <numeric>
#include <span>
#include <utility>

#include "base/crash.h"
#include "inference/answer_task.h"
#include "inference/tensor_task.h"

namespace podsense::inference {
namespace {

using batching::TaskPtr;

/// What a thread needs to run models; grows to the largest request and stays.
struct WorkBuffers {
  image::Scratch scratch;
  std::vector<float> floats;
  std::vector<std::uint8_t> bytes;
  model::Outputs outputs;
};
WorkBuffers& buffers() {
  thread_local WorkBuffers mine;
  return mine;
}

template <class T>
std::span<const T> elements(const model::TensorView& view) {
  // Backends align outputs for their element type.
  return {static_cast<const T*>(static_cast<const void*>(view.data.data())),
          view.data.size() / sizeof(T)};
}

/// The best `k` of one row of scores, best first, ties by lower index.
std::vector<protocol::ScoredClass> top(const ServedModel& served, std::span<const float> scores,
                                       std::size_t k) {
  std::vector<std::uint32_t> order(scores.size());
  std::iota(order.begin(), order.end(), 0U);
  k = std::min(k, order.size());
  std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(k), order.end(),
                    [&](std::uint32_t a, std::uint32_t b) {
                      return scores[a] != scores[b] ? scores[a] > scores[b] : a < b;
                    });
  std::vector<protocol::ScoredClass> best;
  best.reserve(k);
  for (std::size_t i = 0; i < k; ++i) {
    best.push_back({.index = order[i], .label = served.label(order[i]), .score = scores[order[i]]});
  }
  return best;
}

class ClassifyTask final : public AnswerTask<protocol::ClassifyAnswer> {
 public:
  ClassifyTask(std::shared_ptr<const ServedModel> served, const Context& context,
               protocol::ClassifyRequest wanted, Done<protocol::ClassifyAnswer> done)
      : AnswerTask(std::move(served), context, std::move(done)), request(std::move(wanted)) {}
  protocol::ClassifyRequest request;
  image::Limits limits;
};

class RowsTask final : public AnswerTask<protocol::RowsAnswer> {
 public:
  RowsTask(std::shared_ptr<const ServedModel> served, const Context& context,
           protocol::RowsRequest wanted, Done<protocol::RowsAnswer> done)
      : AnswerTask(std::move(served), context, std::move(done)), request(std::move(wanted)) {
    rows = request.rows;
  }
  protocol::RowsRequest request;
};

class SimulateTask final : public AnswerTask<protocol::SimulateAnswer> {
 public:
  SimulateTask(std::shared_ptr<const ServedModel> served, const Context& context, Duration wanted,
               Done<protocol::SimulateAnswer> done)
      : AnswerTask(std::move(served), context, std::move(done)), cpu(wanted) {
    cost = wanted;
  }
  Duration cpu;
};

std::vector<std::int64_t> batch_shape(const ServedModel& served, std::size_t rows) {
  const image::TensorSpec& spec = served.spec;
  const auto n = static_cast<std::int64_t>(rows);
  const auto c = static_cast<std::int64_t>(image::channel_count(spec.channels));
  const std::int64_t h = spec.height;
  const std::int64_t w = spec.width;
  return spec.layout == image::Layout::kNchw ? std::vector{n, c, h, w} : std::vector{n, h, w, c};
}

/// Decodes each picture straight into its row of the batch. One that fails is answered and its row
/// taken by the next. Returns the rows filled; their tasks come first in `batch` then.
template <class Element>
std::size_t decode_into(const ServedModel& served, const Clock& clock, std::span<TaskPtr> batch,
                        std::vector<Element>& tensor) {
  const std::size_t row = image::element_count(served.spec);
  tensor.resize(std::max(tensor.size(), row * batch.size()));
  std::size_t filled = 0;
  for (TaskPtr& owned : batch) {
    auto& task = static_cast<ClassifyTask&>(*owned);
    const TimePoint begin = clock.now();
    const auto decoded =
        image::to_tensor(std::as_bytes(std::span(task.request.image)), served.spec, task.limits,
                         std::span(tensor).subspan(filled * row, row), buffers().scratch);
    const TimePoint end = clock.now();
    if (!decoded) {
      task.finish(fail(decoded.error()), end);
      continue;
    }
    task.preprocess = end - begin;
    task.preprocessed = end;
    served.metrics->preprocessed(end - begin);
    std::swap(batch[filled++], owned);
  }
  return filled;
}

void answer_classified(const ServedModel& served, std::span<TaskPtr> batch,
                       const model::TensorView& output, Duration compute, TimePoint now) {
  const auto scores = elements<float>(output);
  const std::size_t classes = scores.size() / batch.size();
  for (std::size_t i = 0; i < batch.size(); ++i) {
    auto& task = static_cast<ClassifyTask&>(*batch[i]);
    task.compute = compute;
    protocol::ClassifyAnswer answer;
    answer.predictions = top(served, scores.subspan(i * classes, classes), task.request.top_k);
    task.finish(std::move(answer), now);
  }
}

/// Whether `output` can be divided among `rows` rows; where several requests wait for theirs, their
/// model no longer shares runs if not.
bool divides(const ServedModel& served, const model::TensorView& output, std::size_t rows,
             std::size_t requests) {
  if (requests == 1 ||
      (!output.shape.empty() && output.shape.front() == static_cast<std::int64_t>(rows))) {
    return true;
  }
  served.end_stacking("a run of " + std::to_string(rows) + " rows gave another number of answers");
  return false;
}

/// False where several tasks shared a run that failed or whose answer cannot be divided: none of
/// those left in `batch` is then answered.
bool run_classify(const ServedModel& served, const Clock& clock, std::span<TaskPtr>& batch) {
  WorkBuffers& mine = buffers();
  const std::size_t rows = served.byte_input ? decode_into(served, clock, batch, mine.bytes)
                                             : decode_into(served, clock, batch, mine.floats);
  batch = batch.first(rows);
  if (rows == 0) {
    return true;
  }
  Duration decoding{};
  for (const TaskPtr& task : batch) {
    decoding += static_cast<const ClassifyTask&>(*task).preprocess.value_or(Duration::zero());
  }
  const auto shape = batch_shape(served, rows);
  const std::size_t count = rows * image::element_count(served.spec);
  const model::TensorView input{.type = served.byte_input ? DataType::kUint8 : DataType::kFp32,
                                .shape = shape,
                                .data = served.byte_input
                                            ? std::as_bytes(std::span(mine.bytes).first(count))
                                            : std::as_bytes(std::span(mine.floats).first(count))};
  const TimePoint begin = clock.now();
  const auto run = served.model->run({&input, 1}, mine.outputs);
  const TimePoint end = clock.now();
  if (!run && rows > 1) {
    return false;
  }
  if (!run) {
    fail_all<ClassifyTask>(batch, run.error(), end);
    return true;
  }
  served.metrics->computed(end - begin, rows, decoding);
  const auto scores = mine.outputs[served.model->signature().probabilities_output];
  if (!divides(served, scores, rows, rows)) {
    return false;
  }
  answer_classified(served, batch, scores, end - begin, end);
  return true;
}

/// One row: its label where the model gives labels, else the class of the highest probability.
protocol::RowAnswer row_answer(const ServedModel& served, std::span<const float> probabilities,
                               std::optional<std::int64_t> label,
                               std::optional<std::string> text_label) {
  const auto best =
      static_cast<std::size_t>(std::ranges::max_element(probabilities) - probabilities.begin());
  // Without probabilities a label is all there is: it names itself.
  const std::size_t name =
      probabilities.empty() ? static_cast<std::size_t>(label.value_or(-1)) : best;
  return {.prediction = label.value_or(static_cast<std::int64_t>(best)),
          .label = served.label(name),
          .text_label = std::move(text_label),
          .probabilities = {probabilities.begin(), probabilities.end()}};
}

/// Rows [first, first + count) of the `all` that a run answered.
protocol::RowsAnswer rows_answer(const ServedModel& served, const model::Outputs& outputs,
                                 std::size_t first, std::size_t count, std::size_t all) {
  const model::Signature& signature = served.model->signature();
  std::span<const float> scores;
  if (signature.probabilities_output < signature.outputs.size()) {
    scores = elements<float>(outputs[signature.probabilities_output]);
  }
  std::span<const std::int64_t> labels;
  std::vector<std::string> texts;
  if (signature.label_output) {
    const model::TensorView output = outputs[*signature.label_output];
    if (output.type == DataType::kBytes) {
      for_each_text(output.data, [&](std::string_view text) { texts.emplace_back(text); });
    } else {
      labels = elements<std::int64_t>(output);
    }
  }
  const std::size_t classes = scores.size() / all;
  protocol::RowsAnswer answer;
  answer.rows.reserve(count);
  for (std::size_t i = first; i < first + count; ++i) {
    answer.rows.push_back(
        row_answer(served, scores.subspan(i * classes, classes),
                   i < labels.size() ? std::optional(labels[i]) : std::nullopt,
                   i < texts.size() ? std::optional(std::move(texts[i])) : std::nullopt));
  }
  return answer;
}

Result<void> run_with_texts(const ServedModel& served, const model::TensorView& input,
                            model::Outputs& outputs) {
  return served.model->run({&input, 1}, outputs).and_then([&] { return outputs.read_texts(); });
}

/// Rows of one request, each in a run of its own: of a model whose rows may depend on each other.
void run_rows_apart(const ServedModel& served, const Clock& clock, RowsTask& task) {
  WorkBuffers& mine = buffers();
  const std::array<std::int64_t, 2> shape{1, static_cast<std::int64_t>(task.request.columns)};
  protocol::RowsAnswer answer;
  const TimePoint begin = clock.now();
  for (std::size_t row = 0; row < task.request.rows; ++row) {
    const auto values =
        std::span(task.request.values).subspan(row * task.request.columns, task.request.columns);
    const model::TensorView input{
        .type = DataType::kFp32, .shape = shape, .data = std::as_bytes(values)};
    const TimePoint run_begin = clock.now();
    const auto run = run_with_texts(served, input, mine.outputs);
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
    answer.rows.push_back(std::move(rows_answer(served, mine.outputs, 0, 1, 1).rows.front()));
  }
  const TimePoint end = clock.now();
  task.compute = end - begin;
  task.finish(std::move(answer), end);
}

/// As run_classify.
bool run_rows(const ServedModel& served, const Clock& clock, std::span<TaskPtr>& batch) {
  WorkBuffers& mine = buffers();
  std::size_t rows = 0;
  for (const TaskPtr& task : batch) {
    rows += static_cast<RowsTask&>(*task).request.rows;
  }
  auto& first = static_cast<RowsTask&>(*batch[0]);
  if (batch.size() == 1 && rows > 1 && !served.stacking->shared()) {
    run_rows_apart(served, clock, first);
    return true;
  }
  std::span<const float> values = first.request.values;
  if (batch.size() > 1) {
    mine.floats.clear();
    for (const TaskPtr& task : batch) {
      const auto& more = static_cast<RowsTask&>(*task).request.values;
      mine.floats.insert(mine.floats.end(), more.begin(), more.end());
    }
    values = mine.floats;
  }
  const std::array<std::int64_t, 2> shape{static_cast<std::int64_t>(rows),
                                          static_cast<std::int64_t>(first.request.columns)};
  const model::TensorView input{
      .type = DataType::kFp32, .shape = shape, .data = std::as_bytes(values)};
  const TimePoint begin = clock.now();
  const auto run = run_with_texts(served, input, mine.outputs);
  const TimePoint end = clock.now();
  if (!run && batch.size() > 1) {
    return false;
  }
  if (!run) {
    fail_all<RowsTask>(batch, run.error(), end);
    return true;
  }
  served.metrics->computed(end - begin, rows);
  for (std::size_t i = 0; i < mine.outputs.size(); ++i) {
    if (!divides(served, mine.outputs[i], rows, rows)) {
      return false;
    }
  }
  std::size_t at = 0;
  for (TaskPtr& owned : batch) {
    auto& task = static_cast<RowsTask&>(*owned);
    task.compute = end - begin;
    const std::size_t count = task.request.rows;
    task.finish(rows_answer(served, mine.outputs, at, count, rows), end);
    at += count;
  }
  return true;
}

void run_simulate(const ServedModel& served, const Clock& clock, std::span<TaskPtr> batch) {
  static constexpr std::array<std::int64_t, 1> kOne{1};
  WorkBuffers& mine = buffers();
  for (TaskPtr& owned : batch) {
    auto& task = static_cast<SimulateTask&>(*owned);
    const TimePoint begin = clock.now();
    protocol::SimulateAnswer answer;
    const auto wanted =
        std::chrono::duration_cast<std::chrono::duration<double, std::milli>>(task.cpu).count();
    const model::TensorView input{
        .type = DataType::kFp64, .shape = kOne, .data = std::as_bytes(std::span(&wanted, 1))};
    const auto run = served.model->run({&input, 1}, mine.outputs);
    const TimePoint end = clock.now();
    if (!run) {
      task.finish(fail(run.error()), end);
      continue;
    }
    answer.cpu = std::chrono::round<Duration>(
        std::chrono::duration<double, std::milli>(elements<double>(mine.outputs[0]).front()));
    task.compute = end - begin;
    served.metrics->computed(end - begin, 1);
    task.finish(std::move(answer), end);
  }
}

bool run_task(const ServedModel& served, const Clock& clock, std::span<TaskPtr>& batch) {
  switch (served.model->signature().task) {
    case model::Task::kImageClassification:
      return run_classify(served, clock, batch);
    case model::Task::kTabularClassification:
      return run_rows(served, clock, batch);
    case model::Task::kSimulated:
      run_simulate(served, clock, batch);
      return true;
    case model::Task::kTensor:  // takes tensors only, which are run already
      break;
  }
  return true;
}

/// One run for all where they may share one; where that cannot be, or went wrong, one for each.
void run_tasks(const ServedModel& served, const Clock& clock, std::span<TaskPtr> batch) {
  const bool together = batch.size() == 1 || served.stacking->shared();
  if (together && run_task(served, clock, batch)) {
    return;
  }
  for (TaskPtr& task : batch) {
    std::span<TaskPtr> alone(&task, 1);
    run_task(served, clock, alone);
  }
}

}  // namespace

void RequestTask::fill_head(protocol::AnswerHead& head, TimePoint now) const {
  head.model = served_->name();
  head.version = served_->version;
  head.owner = served_;
  head.timing.fetch = fetch;
  if (started != TimePoint()) {
    head.timing.queue = started - enqueued;
    served_->metrics->queued(started - enqueued);
  }
  head.timing.preprocess = preprocess;
  head.timing.compute = compute;
  head.timing.total = now - context_.received;
}

void RequestTask::trace_parts(TimePoint now) const {
  if (!context_.trace) {
    return;
  }
  context_.trace->set_model(served_->name(), served_->version);
  if (started != TimePoint()) {
    context_.trace->add("queue", enqueued, started);
  }
  if (preprocess) {
    context_.trace->add("decode", preprocessed - *preprocess, preprocessed);
  }
  if (compute) {
    context_.trace->add("compute", now - *compute, now);
  }
}

void run_batch(const ServedModel& served, const Clock& clock, std::span<TaskPtr> batch) {
  const crash::Work work(
      served.name(), static_cast<const RequestTask&>(*batch.front()).context().request_id.data());
  if (served.faults != nullptr) {
    if (const auto error = served.faults->before_run(served.name())) {
      for (TaskPtr& task : batch) {
        task->drop(*error);
      }
      return;
    }
  }
  const auto tensors = std::ranges::partition(batch, [](const TaskPtr& task) {
    return static_cast<const RequestTask&>(*task).kind == RequestTask::Kind::kTask;
  });
  if (!tensors.empty()) {
    run_tensors(served, clock, tensors);
    batch = batch.first(batch.size() - tensors.size());
  }
  if (!batch.empty()) {
    run_tasks(served, clock, batch);
  }
  const auto since_epoch = std::chrono::system_clock::now().time_since_epoch();
  served.last_inference_ms.store(
      static_cast<std::uint64_t>(
          std::chrono::duration_cast<std::chrono::milliseconds>(since_epoch).count()),
      std::memory_order_relaxed);
}

std::unique_ptr<RequestTask> make_task(std::shared_ptr<const ServedModel> served,
                                       const Context& context, protocol::ClassifyRequest request,
                                       const image::Limits& limits, std::optional<Duration> fetched,
                                       Done<protocol::ClassifyAnswer> done) {
  auto task = std::make_unique<ClassifyTask>(std::move(served), context, std::move(request),
                                             std::move(done));
  task->fetch = fetched;
  task->limits = limits;
  return task;
}

std::unique_ptr<RequestTask> make_task(std::shared_ptr<const ServedModel> served,
                                       const Context& context, protocol::RowsRequest request,
                                       Done<protocol::RowsAnswer> done) {
  return std::make_unique<RowsTask>(std::move(served), context, std::move(request),
                                    std::move(done));
}

std::unique_ptr<RequestTask> make_task(std::shared_ptr<const ServedModel> served,
                                       const Context& context, Duration cpu,
                                       Done<protocol::SimulateAnswer> done) {
  return std::make_unique<SimulateTask>(std::move(served), context, cpu, std::move(done));
}

}  // namespace podsense::inference
