#include "inference/served_model.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <ranges>
#include <span>

#include "base/log.h"
#include "inference/opening.h"
#include "inference/request_task.h"
#include "inference/tasks/task.h"

namespace podsense::inference {
namespace {

/// Whether the size of a request determines the cost of its run, so that one measured row is
/// representative.
bool cost_is_known(const model::Signature& signature) {
  return !signature.loops && std::ranges::all_of(signature.inputs, [](const auto& input) {
    return !input.shape.empty() && !input.any_rank &&
           std::ranges::none_of(input.shape.begin() + 1, input.shape.end(),
                                [](std::int64_t dimension) { return dimension < 0; });
  });
}

/// Requests choose the size of texts and of dynamic dimensions other than the first.
bool sizes_vary(const model::Signature& signature) {
  return std::ranges::any_of(signature.inputs, [](const auto& input) {
    return input.any_rank || input.type == DataType::kBytes ||
           std::ranges::any_of(input.shape | std::views::drop(1),
                               [](std::int64_t dimension) { return dimension < 0; });
  });
}

Plan choose_plan(const ServedModel& served) {
  return served.task->may_run_inline() && served.service <= kInlineLimit &&
                 cost_is_known(served.model->signature())
             ? Plan::kInline
             : Plan::kExecutor;
}

void watch_queue(ServedModel& served, metrics::Registry& registry) {
  using Load = batching::Queue::Load;
  const ServedModel* self = &served;
  const metrics::Registry::Labels labels{{"model", served.name()}, {"version", served.version}};
  const auto watch = [&](const char* name, auto read, const char* reason = nullptr) {
    auto all = labels;
    if (reason != nullptr) {
      all.emplace_back("reason", reason);
    }
    served.gauges.push_back(registry.watch(name, std::move(all), [self, read] {
      return static_cast<double>(read(self->queue->load()));
    }));
  };
  watch("podsense_queue_depth", [](const Load& load) { return load.waiting; });
  watch("podsense_in_flight", [](const Load& load) { return load.running; });
  watch("podsense_service_seconds", [](const Load& load) { return to_seconds(load.service); });
  watch("podsense_wait_bound_seconds",
        [](const Load& load) { return to_seconds(load.wait_bound); });
  watch("podsense_unreceived_answers_total", [](const Load& load) { return load.unreceived; });
  watch("podsense_cancelled_runs_total", [](const Load& load) { return load.cancelled; });
  using Unserved = batching::Queue::Unserved;
  const auto watch_unserved = [&](const char* name, const char* reason,
                                  std::uint64_t Unserved::* count) {
    watch(name, [count](const Load& load) { return load.unserved.*count; }, reason);
  };
  watch_unserved("podsense_refused_total", "queue_time", &Unserved::queue_time);
  watch_unserved("podsense_refused_total", "queue_length", &Unserved::queue_length);
  watch_unserved("podsense_refused_total", "wait_bound", &Unserved::wait_bound);
  watch_unserved("podsense_refused_total", "deadline", &Unserved::deadline);
  watch_unserved("podsense_refused_total", "cost", &Unserved::cost);
  watch_unserved("podsense_dropped_total", "deadline", &Unserved::late);
  watch_unserved("podsense_dropped_total", "wait_bound", &Unserved::waited_too_long);
  watch_unserved("podsense_dropped_total", "client_gone", &Unserved::client_disconnected);
}

void open_queue(ServedModel& served, batching::Scheduler& scheduler, metrics::Registry& registry,
                const Clock& clock, const ServeOptions& options) {
  const model::Manifest& manifest = served.model->manifest();
  const batching::Queue::Options queue_options{
      .max_batch = 1,  // until requests may share a run
      .max_delay = manifest.max_delay,
      .weight = manifest.weight,
      .instances = manifest.instances.value_or(options.instances),
      .max_waiting = options.max_waiting,
      .max_wait = options.max_wait,
      .service = served.service};
  const ServedModel* self = &served;
  served.queue = scheduler.add_queue(
      queue_options,
      [self, &clock](std::span<batching::TaskPtr> batch, const std::stop_token& stop) {
        run_batch(*self, clock, batch, stop);
      });
  watch_queue(served, registry);
}

void export_plan(ServedModel& served, metrics::Registry& registry) {
  const auto task = std::string(served.task->kind().name());
  served.gauges.push_back(registry.watch("podsense_model_info",
                                         {{"model", served.name()},
                                          {"version", served.version},
                                          {"task", task},
                                          {"plan", std::string(plan_name(served.plan))}},
                                         [] { return 1.0; }));
  served.gauges.push_back(registry.watch(
      "podsense_requests_share_runs", {{"model", served.name()}, {"version", served.version}},
      [stacking = served.stacking.get()] { return stacking->shared() ? 1.0 : 0.0; }));
  served.gauges.push_back(registry.watch(
      "podsense_stacking_ended_total", {{"model", served.name()}, {"version", served.version}},
      [stacking = served.stacking.get()] { return static_cast<double>(stacking->ended()); }));
  for (const ProfilePoint& point : served.profile) {
    served.gauges.push_back(
        registry.watch("podsense_profile_seconds",
                       {{"model", served.name()},
                        {"version", served.version},
                        {"rows", std::to_string(point.rows)},
                        {"threads", std::to_string(served.model->threads())},
                        {"profile", served.profile_saved ? "saved" : "measured"}},
                       [time = to_seconds(point.time)] { return time; }));
  }
}

/// Three decimals.
std::string share_text(double number) {
  std::array<char, 32> text;
  const auto end =
      std::to_chars(text.data(), text.data() + text.size(), number, std::chars_format::fixed, 3)
          .ptr;
  return {text.data(), end};
}

/// With microsecond precision.
std::string milliseconds_text(Duration time) {
  return share_text(to_ms(time));
}

}  // namespace

std::string_view ServedModel::label(std::size_t class_index) const {
  const auto& labels = task->labels;
  return class_index < labels.size() ? std::string_view(labels[class_index]) : std::string_view();
}

std::uint32_t ServedModel::max_batch_size() const {
  // If the manifest sets no batch size, only the body limits the rows.
  constexpr std::uint32_t kAnyBatch = 4096;
  const bool rows = model->signature().batchable && stacking->state() != Stacking::State::kAlone;
  return rows ? model->manifest().max_batch.value_or(kAnyBatch) : 0;
}

void ServedModel::end_stacking(std::string_view reason) const {
  if (!stacking->end(std::string(reason))) {
    return;
  }
  queue->set_max_batch(1);
  log::warning(
      "requests_share_runs",
      {{"model", name()}, {"version", version}, {"requests", "alone"}, {"reason", reason}});
}

protocol::ModelStatistics ServedModel::statistics() const {
  const metrics::ModelMetrics::Phases seen = metrics->phases();
  // As in Triton, each successful request counts once in every phase, even in the queue phase of an
  // inline model. Clients divide by these counts and treat a model with zero counts as idle.
  const auto phase = [&seen](const metrics::ModelMetrics::Phase& p) {
    return protocol::ModelStatistics::Phase{.count = seen.request.count, .total = p.total};
  };
  std::vector<protocol::ModelStatistics::Batch> batches;
  for (const metrics::ModelMetrics::Batch& batch : metrics->batches()) {
    batches.push_back({.size = batch.size,
                       .runs = batch.runs,
                       .compute_input = batch.input,
                       .compute_infer = batch.compute});
  }
  return {.name = name(),
          .version = version,
          .last_inference_ms = last_inference_ms.load(std::memory_order_relaxed),
          .inference_count = seen.rows,
          .execution_count = seen.compute.count,
          .success = phase(seen.request),
          .fail = {.count = seen.failed, .total = {}},
          .queue = phase(seen.queue),
          .compute_input = phase(seen.preprocess),
          .compute_infer = phase(seen.compute),
          .batches = std::move(batches)};
}

std::string_view plan_name(Plan plan) {
  return plan == Plan::kInline ? "inline" : "executor";
}

std::vector<std::pair<std::string_view, std::string>> ServedModel::plan_facts() const {
  std::string points;
  for (const ProfilePoint& point : profile) {
    points += (points.empty() ? "" : ",") + std::to_string(point.rows) + ":" +
              milliseconds_text(point.time);
  }
  const BatchChoice choice = choose_batch(profile);
  return {{"plan", std::string(plan_name(plan))},
          {"threads", std::to_string(model->threads())},
          {"max_batch", std::to_string(max_batch)},
          {"requests", std::string(stacking_name(stacking->state()))},
          {"requests_reason", stacking->reason()},
          {"batch_gain", share_text(choice.gain)},
          {"batch_gain_noise", share_text(choice.noise)},
          {"service_ms", milliseconds_text(service)},
          {"profile_ms", std::move(points)},
          {"profile", profile_saved ? "saved" : "measured"}};
}

std::shared_ptr<const ServedModel> serve(Opened opened, batching::Scheduler& scheduler,
                                         metrics::Registry& registry, const Clock& clock,
                                         const ServeOptions& options) {
  auto served = std::make_shared<ServedModel>();
  served->model = std::move(opened.model);
  const model::Signature& signature = served->model->signature();
  served->version = std::to_string(served->model->version());
  served->faults = options.faults;
  served->clock = &clock;
  served->task = std::move(opened.task);
  served->profile = std::move(opened.profile);
  served->profile_saved = opened.saved;
  served->service = served->profile.front().time;
  served->plan = choose_plan(*served);
  served->sizes_vary = sizes_vary(signature);
  served->max_batch =
      signature.batchable
          ? served->model->manifest().max_batch.value_or(best_batch(served->profile))
          : 1;
  served->metrics = registry.for_model(served->name(), served->version);
  served->profile_key = std::move(opened.key);
  served->warnings = served->task->warnings;
  if (!opened.warning.empty()) {
    served->warnings.push_back(std::move(opened.warning));
  }
  served->saved_rows = std::move(opened.rows);
  export_plan(*served, registry);
  open_queue(*served, scheduler, registry, clock, options);
  begin_stacking(*served);
  return served;
}

}  // namespace podsense::inference
