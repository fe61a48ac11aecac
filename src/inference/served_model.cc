#include "inference/served_model.h"

#include <algorithm>
#include <array>
#include <map>

#include "base/log.h"
#include "inference/tasks.h"

namespace podsense::inference {
namespace {

template <class Value>
Result<Value> named(std::string_view key, const std::string& name,
                    std::initializer_list<std::pair<std::string_view, Value>> known) {
  std::string accepted;
  for (const auto& [known_name, value] : known) {
    if (known_name == name) {
      return value;
    }
    accepted += (accepted.empty() ? "" : ", ") + std::string(known_name);
  }
  return fail(ErrorCode::kInvalidArgument,
              "preprocess." + std::string(key) + " is '" + name + "'; accepted: " + accepted);
}

/// One row of zeros for each input, as a warm-up request. A dynamic dimension becomes 1.
struct ZeroInputs {
  std::vector<std::vector<std::int64_t>> shapes;
  std::vector<std::vector<std::byte>> data;
  std::vector<model::TensorView> views;

  explicit ZeroInputs(const model::Signature& signature) {
    for (const model::TensorInfo& input : signature.inputs) {
      auto& shape = shapes.emplace_back(input.shape);
      // A text is its length alone: four zeros say that it is empty.
      std::size_t count = input.type == DataType::kBytes ? 4 : element_size(input.type);
      for (std::int64_t& dimension : shape) {
        dimension = std::max<std::int64_t>(dimension, 1);
        count *= static_cast<std::size_t>(dimension);
      }
      data.emplace_back(count);
    }
    for (std::size_t i = 0; i < shapes.size(); ++i) {
      views.push_back({.type = signature.inputs[i].type, .shape = shapes[i], .data = data[i]});
    }
  }
};

/// Runs until the number or the time given is reached; the median of what it saw, without the
/// first run, which pays for allocation.
Result<Duration> warm_up(const model::Model& model, const Clock& clock) {
  const ZeroInputs inputs(model.signature());
  model::Outputs outputs;
  std::vector<Duration> times;
  const Deadline limit = Deadline::after(clock.now(), model.manifest().warmup_limit);
  for (std::uint32_t i = 0; i < model.manifest().warmup_runs; ++i) {
    const TimePoint begin = clock.now();
    if (auto run = model.run(inputs.views, outputs); !run) {
      return fail(ErrorCode::kInvalidArgument, "the warm-up run failed: " + run.error().message,
                  run.error().detail);
    }
    times.push_back(clock.now() - begin);
    if (limit.passed(clock.now())) {
      break;
    }
  }
  if (times.size() > 1) {
    times.erase(times.begin());
  }
  if (times.empty()) {
    return Duration::zero();
  }
  std::ranges::nth_element(times, times.begin() + static_cast<std::ptrdiff_t>(times.size() / 2));
  return times[times.size() / 2];
}

Result<Duration> service_time(const model::Model& model, const Clock& clock) {
  if (model.signature().task == model::Task::kSimulated) {
    return model.manifest().simulated_cpu;
  }
  return warm_up(model, clock);
}

Plan choose_plan(const model::Signature& signature, Duration service) {
  // Pictures are decoded where they run: that alone is too long for an I/O thread.
  const bool small = signature.task == model::Task::kTabularClassification ||
                     signature.task == model::Task::kTensor;
  return small && service <= kInlineLimit ? Plan::kInline : Plan::kExecutor;
}

void open_queue(ServedModel& served, batching::Scheduler& scheduler, metrics::Registry& registry,
                const Clock& clock, const ServeOptions& options) {
  const model::Manifest& manifest = served.model->manifest();
  const batching::Queue::Options queue_options{
      .max_batch = served.model->signature().batchable ? manifest.max_batch.value_or(1) : 1,
      .max_delay = manifest.max_delay,
      .instances = manifest.instances.value_or(options.instances),
      .max_waiting = options.max_waiting,
      .service = served.service};
  const ServedModel* self = &served;
  served.queue =
      scheduler.add_queue(queue_options, [self, &clock](std::vector<batching::TaskPtr> batch) {
        run_batch(*self, clock, std::move(batch));
      });
  const metrics::Registry::Labels labels{{"model", served.name()}, {"version", served.version}};
  const auto gauge = [&](const char* name, const char* help, auto read) {
    served.gauges.push_back(
        registry.gauge(name, help, labels, [self, read] { return read(self->queue->load()); }));
  };
  using Load = batching::Queue::Load;
  gauge("podsense_queue_depth", "Requests that wait for an executor",
        [](const Load& load) { return static_cast<double>(load.waiting); });
  gauge("podsense_in_flight", "Requests inside runs",
        [](const Load& load) { return static_cast<double>(load.running); });
  gauge("podsense_service_seconds", "Estimated executor time per request",
        [](const Load& load) { return to_seconds(load.service); });
}

}  // namespace

std::string_view ServedModel::label(std::size_t class_index) const {
  const auto& labels = model->signature().labels;
  return class_index < labels.size() ? std::string_view(labels[class_index]) : std::string_view();
}

protocol::ModelStatistics ServedModel::statistics() const {
  const metrics::ModelMetrics::Phases seen = metrics->phases();
  const auto phase = [](const metrics::ModelMetrics::Phase& p) {
    return protocol::ModelStatistics::Phase{.count = p.count, .total = p.total};
  };
  return {.name = name(),
          .version = version,
          .last_inference_ms = last_inference_ms.load(std::memory_order_relaxed),
          .inference_count = seen.rows,
          .execution_count = seen.compute.count,
          .success = phase(seen.request),
          .fail = {.count = seen.failed, .total = {}},
          .queue = phase(seen.queue),
          .compute_input = phase(seen.preprocess),
          .compute_infer = phase(seen.compute)};
}

Result<image::TensorSpec> tensor_spec(const model::PreprocessSpec& preprocess) {
  using image::Channels, image::Filter, image::Layout, image::Resize;
  const auto resize = named<Resize>("resize", preprocess.resize,
                                    {{"crop-then-resize", Resize::kCropThenResize},
                                     {"resize-then-crop", Resize::kResizeThenCrop},
                                     {"squash", Resize::kSquash},
                                     {"letterbox", Resize::kLetterbox}});
  const auto filter = named<Filter>("filter", preprocess.filter,
                                    {{"bicubic", Filter::kBicubic},
                                     {"bilinear", Filter::kBilinear},
                                     {"lanczos", Filter::kLanczos},
                                     {"box", Filter::kBox},
                                     {"nearest", Filter::kNearest}});
  const auto channels = named<Channels>(
      "channels", preprocess.channels,
      {{"rgb", Channels::kRgb}, {"bgr", Channels::kBgr}, {"gray", Channels::kGray}});
  const auto layout = named<Layout>("layout", preprocess.layout.value_or("nchw"),
                                    {{"nchw", Layout::kNchw}, {"nhwc", Layout::kNhwc}});
  for (const Error* error :
       {resize ? nullptr : &resize.error(), filter ? nullptr : &filter.error(),
        channels ? nullptr : &channels.error(), layout ? nullptr : &layout.error()}) {
    if (error != nullptr) {
      return fail(*error);
    }
  }
  image::TensorSpec spec{.width = preprocess.width.value_or(0),
                         .height = preprocess.height.value_or(0),
                         .resize = *resize,
                         .crop_fraction = preprocess.crop_fraction,
                         .filter = *filter,
                         .channels = *channels,
                         .layout = *layout,
                         .scale = static_cast<float>(preprocess.scale)};
  for (std::size_t c = 0; c < 3; ++c) {
    const auto at = [c](const std::vector<double>& values, double otherwise) {
      return static_cast<float>(values.empty() ? otherwise
                                               : values[std::min(c, values.size() - 1)]);
    };
    spec.mean[c] = at(preprocess.mean, 0);
    spec.std[c] = at(preprocess.std, 1);
  }
  return spec;
}

Result<std::shared_ptr<const ServedModel>> serve(std::shared_ptr<const model::Model> model,
                                                 batching::Scheduler& scheduler,
                                                 metrics::Registry& registry, const Clock& clock,
                                                 const ServeOptions& options) {
  auto served = std::make_shared<ServedModel>();
  served->model = std::move(model);
  const model::Signature& signature = served->model->signature();
  served->version = std::to_string(served->model->version());
  if (signature.task == model::Task::kImageClassification) {
    if (!signature.preprocess) {
      return fail(ErrorCode::kInternal, "an image model without preprocessing");
    }
    auto spec = tensor_spec(*signature.preprocess);
    if (!spec) {
      return fail(std::move(spec.error()));
    }
    served->spec = *spec;
    served->byte_input = signature.inputs[0].type == DataType::kUint8;
  }
  const auto service = service_time(*served->model, clock);
  if (!service) {
    return fail(service.error());
  }
  served->service = *service;
  served->plan = choose_plan(signature, *service);
  served->metrics = registry.for_model(served->name(), served->version);
  served->gauges.push_back(
      registry.gauge("podsense_model_info", "Model versions that are loaded",
                     {{"model", served->name()},
                      {"version", served->version},
                      {"task", std::string(model::task_name(signature.task))},
                      {"plan", served->plan == Plan::kInline ? "inline" : "executor"}},
                     [] { return 1.0; }));
  open_queue(*served, scheduler, registry, clock, options);
  return served;
}

}  // namespace podsense::inference
