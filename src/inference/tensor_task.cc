#include "inference/tensor_task.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <numeric>
#include <optional>
#include <string>

#include "inference/top_k.h"

namespace podsense::inference {
namespace {

using batching::TaskPtr;
using protocol::InferAnswer;
using protocol::InferRequest;
using protocol::InputTensor;
using protocol::OutputTensor;

template <class Infos>
std::string names_of(const Infos& infos) {
  std::string names;
  for (const auto& info : infos) {
    names += (names.empty() ? "" : ", ") + info.name;
  }
  return names;
}

TensorTask& tensor_task(const TaskPtr& task) {
  return static_cast<TensorTask&>(*task);
}

/// Finds the signature's index of each input by name; each must occur once.
Result<std::vector<std::size_t>> order_inputs(const ServedModel& served,
                                              std::span<const InputTensor> inputs) {
  const auto& wanted = served.model->signature().inputs;
  std::vector<std::size_t> at(wanted.size(), inputs.size());
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const auto found = std::ranges::find(wanted, inputs[i].name, &model::TensorInfo::name);
    if (found == wanted.end()) {
      return fail(ErrorCode::kInvalidArgument, "model '" + served.name() + "' has no input '" +
                                                   inputs[i].name +
                                                   "'; inputs: " + names_of(wanted));
    }
    std::size_t& place = at[static_cast<std::size_t>(found - wanted.begin())];
    if (place != inputs.size()) {
      return fail(ErrorCode::kInvalidArgument, "input '" + inputs[i].name + "' is given twice");
    }
    place = i;
  }
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    if (at[i] == inputs.size()) {
      return fail(ErrorCode::kInvalidArgument, "input '" + wanted[i].name +
                                                   "' is missing; model '" + served.name() +
                                                   "' takes: " + names_of(wanted));
    }
    const InputTensor& input = inputs[at[i]];
    if (auto fine = model::check_shape(wanted[i], input.type, input.shape); !fine) {
      return fail(std::move(fine.error()));
    }
  }
  return at;
}

Result<std::vector<std::size_t>> find_outputs(const ServedModel& served,
                                              const InferRequest& request) {
  const auto& offered = served.model->signature().outputs;
  std::vector<std::size_t> found;
  if (request.outputs.empty()) {
    found.resize(offered.size());
    std::iota(found.begin(), found.end(), std::size_t{0});
    return found;
  }
  for (const protocol::RequestedOutput& output : request.outputs) {
    const auto at = std::ranges::find(offered, output.name, &model::TensorInfo::name);
    if (at == offered.end()) {
      return fail(ErrorCode::kInvalidArgument, "model '" + served.name() + "' has no output '" +
                                                   output.name +
                                                   "'; outputs: " + names_of(offered));
    }
    const auto index = static_cast<std::size_t>(at - offered.begin());
    if (std::ranges::find(found, index) != found.end()) {
      return fail(ErrorCode::kInvalidArgument, "output '" + output.name + "' is asked for twice");
    }
    if (output.classification > 0 && at->type != DataType::kFp32 && at->type != DataType::kFp64) {
      return fail(ErrorCode::kInvalidArgument, "output '" + output.name + "' is " +
                                                   std::string(data_type_name(at->type)) +
                                                   "; classification takes FP32 and FP64");
    }
    found.push_back(index);
  }
  return found;
}

/// The number of rows of all inputs; nothing: they differ, or there are no rows.
std::optional<std::size_t> common_rows(const InferRequest& request) {
  const auto& shape = request.inputs.front().shape;
  const auto rows = shape.empty() ? 0 : shape.front();
  const bool same = rows > 0 && std::ranges::all_of(request.inputs, [&](const InputTensor& input) {
                      return !input.shape.empty() && input.shape.front() == rows;
                    });
  return same ? std::optional(static_cast<std::size_t>(rows)) : std::nullopt;
}

/// Whether the inputs can be stacked: they differ only in the first dimension.
bool stackable(const TensorTask& a, const TensorTask& b) {
  const auto alike = [](const InputTensor& x, const InputTensor& y) {
    return std::ranges::equal(std::span(x.shape).subspan(1), std::span(y.shape).subspan(1));
  };
  return a.has_rows && b.has_rows && std::ranges::equal(a.request.inputs, b.request.inputs, alike);
}

/// Notes size and shape, which determine the cost and with which tasks it can share a run.
void note_size(TensorTask& task) {
  for (const InputTensor& input : task.request.inputs) {
    task.size += input.data.size() / task.rows;
    for (std::size_t i = 1; i < input.shape.size(); ++i) {
      constexpr std::uint64_t kPrime = 0x100000001b3;  // as FNV-1a
      task.shape = (task.shape ^ static_cast<std::uint64_t>(input.shape[i])) * kPrime;
    }
  }
}

/// The inputs of a run: those of the single task, or the rows of all tasks concatenated.
struct Stacked {
  std::vector<std::vector<std::int64_t>> shapes;
  std::vector<std::vector<std::byte>> joined;
  std::vector<model::TensorView> views;

  explicit Stacked(std::span<const TaskPtr> tasks, std::size_t rows) {
    const auto& first = tensor_task(tasks.front()).request.inputs;
    views.reserve(first.size());
    if (tasks.size() == 1) {
      for (const InputTensor& input : first) {
        views.push_back({.type = input.type, .shape = input.shape, .data = input.data});
      }
      return;
    }
    shapes.reserve(first.size());
    joined.reserve(first.size());
    for (std::size_t i = 0; i < first.size(); ++i) {
      auto& data = joined.emplace_back();
      for (const TaskPtr& task : tasks) {
        const auto more = tensor_task(task).request.inputs[i].data;
        data.insert(data.end(), more.begin(), more.end());
      }
      shapes.push_back(first[i].shape);
      shapes.back().front() = static_cast<std::int64_t>(rows);
      views.push_back({.type = first[i].type, .shape = shapes.back(), .data = data});
    }
  }
};

/// The size of the first `rows` rows of `data` in bytes.
std::size_t bytes_of_rows(const model::TensorView& all, std::span<const std::byte> data,
                          std::size_t rows) {
  const auto total = static_cast<std::size_t>(all.shape.front());
  if (all.type != DataType::kBytes) {
    return total == 0 ? 0 : all.data.size() / total * rows;
  }
  std::size_t texts = rows;
  for (const std::int64_t dimension : all.shape.subspan(1)) {
    texts *= static_cast<std::size_t>(dimension);
  }
  std::size_t bytes = 0;
  for_each_text(data, [&](std::string_view text) {
    bytes += texts > 0 ? 4 + text.size() : 0;
    texts -= texts > 0 ? 1 : 0;
  });
  return bytes;
}

void append_text(std::vector<std::byte>& out, std::string_view text) {
  const auto length = static_cast<std::uint32_t>(text.size());
  for (std::size_t i = 0; i < 4; ++i) {
    out.push_back(static_cast<std::byte>(length >> (8 * i) & 0xFFU));
  }
  const auto bytes = std::as_bytes(std::span(text));
  out.insert(out.end(), bytes.begin(), bytes.end());
}

/// Appends the best `k` of `scores` as "score:index" or "score:index:label".
template <class Score>
void append_best(const ServedModel& served, std::span<const Score> scores, std::size_t k,
                 std::vector<std::byte>& out) {
  for (const std::uint32_t index : top_k(scores, k)) {
    std::array<char, 64> digits{};
    const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), scores[index],
                                   std::chars_format::fixed, 6);
    std::string text(digits.data(), end.ec == std::errc() ? end.ptr : digits.data());
    text += ":" + std::to_string(index);
    if (const auto label = served.label(index); !label.empty()) {
      text += ":" + std::string(label);
    }
    append_text(out, text);
  }
}

/// @shape [rows, k] for batchable models, [k] for others
template <class Score>
OutputTensor classify(const ServedModel& served, const OutputTensor& tensor, std::size_t k,
                      std::vector<std::byte>& storage) {
  const std::span<const Score> scores(
      static_cast<const Score*>(static_cast<const void*>(tensor.data.data())),
      tensor.data.size() / sizeof(Score));
  const bool batched = served.model->signature().batchable && !tensor.shape.empty();
  const std::size_t rows = batched ? static_cast<std::size_t>(tensor.shape.front()) : 1;
  const std::size_t width = rows == 0 ? 0 : scores.size() / rows;
  k = std::min(k, width);
  for (std::size_t row = 0; row < rows; ++row) {
    append_best(served, scores.subspan(row * width, width), k, storage);
  }
  OutputTensor out{.name = tensor.name,
                   .type = DataType::kBytes,
                   .shape = {},
                   .data = storage,
                   .binary_data = tensor.binary_data};
  if (batched) {
    out.shape.push_back(static_cast<std::int64_t>(rows));
  }
  out.shape.push_back(static_cast<std::int64_t>(k));
  return out;
}

/// The memory that an answer's tensors borrow from.
struct AnswerStorage {
  std::shared_ptr<const model::Outputs> outputs;
  std::vector<std::vector<std::byte>> texts;  ///< classification results
};

/// A run's outputs, split by row among its tasks.
class Answers {
 public:
  Answers(const ServedModel& served, std::shared_ptr<model::Outputs> outputs, bool split)
      : served_(served), outputs_(std::move(outputs)), split_(split) {
    for (std::size_t i = 0; i < outputs_->size(); ++i) {
      rest_.push_back((*outputs_)[i].data);
    }
  }

  InferAnswer next(const TensorTask& task) {
    cut_rows(task.rows);
    auto storage = std::make_shared<AnswerStorage>();
    storage->outputs = outputs_;
    storage->texts.reserve(task.outputs.size());
    InferAnswer answer;
    answer.id = task.request.id;
    answer.binary_data_output = task.request.binary_data_output;
    answer.outputs.reserve(task.outputs.size());
    for (std::size_t i = 0; i < task.outputs.size(); ++i) {
      const std::size_t index = task.outputs[i];
      const model::TensorView whole = (*outputs_)[index];
      OutputTensor tensor{.name = served_.model->signature().outputs[index].name,
                          .type = whole.type,
                          .shape = {whole.shape.begin(), whole.shape.end()},
                          .data = mine_[index]};
      if (split_) {
        tensor.shape.front() = static_cast<std::int64_t>(task.rows);
      }
      const auto& asked = task.request.outputs;
      tensor.binary_data = asked.empty() ? std::nullopt : asked[i].binary_data;
      if (!asked.empty() && asked[i].classification > 0) {
        auto& texts = storage->texts.emplace_back();
        tensor = whole.type == DataType::kFp32
                     ? classify<float>(served_, tensor, asked[i].classification, texts)
                     : classify<double>(served_, tensor, asked[i].classification, texts);
      }
      answer.outputs.push_back(std::move(tensor));
    }
    answer.storage = std::move(storage);
    return answer;
  }

 private:
  void cut_rows(std::size_t rows) {
    mine_ = rest_;
    for (std::size_t i = 0; split_ && i < rest_.size(); ++i) {
      const std::size_t bytes = bytes_of_rows((*outputs_)[i], rest_[i], rows);
      mine_[i] = rest_[i].first(bytes);
      rest_[i] = rest_[i].subspan(bytes);
    }
  }

  const ServedModel& served_;
  const std::shared_ptr<model::Outputs> outputs_;
  const bool split_;  ///< several tasks share this run
  std::vector<std::span<const std::byte>> rest_;
  std::vector<std::span<const std::byte>> mine_;
};

/// Whether every output has one entry for each of the rows.
bool divides(const model::Outputs& outputs, std::size_t rows) {
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    const auto shape = outputs[i].shape;
    if (shape.empty() || shape.front() != static_cast<std::int64_t>(rows)) {
      return false;
    }
  }
  return true;
}

// NOLINTNEXTLINE(misc-no-recursion): once, for single tasks
void run_stacked(const ServedModel& served, const Clock& clock, std::span<TaskPtr> batch,
                 const std::stop_token& stop) {
  std::size_t rows = 0;
  for (const TaskPtr& task : batch) {
    rows += tensor_task(task).rows;
  }
  const Stacked inputs(batch, rows);
  auto outputs = std::make_shared<model::Outputs>();
  const TimePoint begin = clock.now();
  auto run = served.model->run(inputs.views, *outputs, stop);
  if (run) {
    run = outputs->read_texts();
  }
  const TimePoint end = clock.now();
  const bool shared = batch.size() > 1;
  if (shared && run && !divides(*outputs, rows)) {
    served.end_stacking("a run of " + std::to_string(rows) +
                        " rows gave another number of answers");
  }
  if (shared && (!run || !divides(*outputs, rows))) {
    // One request's values may have caused the failure, so each runs again alone.
    for (TaskPtr& task : batch) {
      run_stacked(served, clock, {&task, 1}, stop);
    }
    return;
  }
  if (!run) {
    return fail_all<TensorTask>(batch, run.error(), end);
  }
  served.metrics->computed(end - begin, rows);
  Answers answers(served, std::move(outputs), shared);
  for (TaskPtr& owned : batch) {
    TensorTask& task = tensor_task(owned);
    task.compute = end - begin;
    task.finish(answers.next(task), end);
  }
}

}  // namespace

Result<std::vector<std::size_t>> fit_to_signature(const ServedModel& served,
                                                  InferRequest& request) {
  const auto order = order_inputs(served, request.inputs);
  if (!order) {
    return fail(order.error());
  }
  auto outputs = find_outputs(served, request);
  if (!outputs) {
    return outputs;
  }
  std::vector<InputTensor> sorted;
  sorted.reserve(order->size());
  for (const std::size_t index : *order) {
    sorted.push_back(std::move(request.inputs[index]));
  }
  request.inputs = std::move(sorted);
  return outputs;
}

void run_tensors(const ServedModel& served, const Clock& clock, std::span<TaskPtr> batch,
                 const std::stop_token& stop) {
  while (!batch.empty()) {
    const bool shared = served.stacking->shared();
    std::size_t together = 1;
    while (shared && together < batch.size() &&
           stackable(tensor_task(batch[0]), tensor_task(batch[together]))) {
      ++together;
    }
    run_stacked(served, clock, batch.first(together), stop);
    batch = batch.subspan(together);
  }
}

Result<std::unique_ptr<RequestTask>> make_task(std::shared_ptr<const ServedModel> served,
                                               const Context& context, InferRequest request,
                                               Done<InferAnswer>& done) {
  auto outputs = fit_to_signature(*served, request);
  if (!outputs) {
    return fail(std::move(outputs.error()));
  }
  const auto rows = served->model->signature().batchable ? common_rows(request) : std::nullopt;
  auto task =
      std::make_unique<TensorTask>(std::move(served), context, std::move(request), std::move(done));
  task->outputs = std::move(*outputs);
  task->rows = rows.value_or(1);
  task->has_rows = rows.has_value();
  if (task->served()->sizes_vary) {
    note_size(*task);
  }
  return task;
}

}  // namespace podsense::inference
