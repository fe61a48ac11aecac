#include "inference/tasks/pictures.h"

#include <algorithm>
#include <initializer_list>
#include <utility>

#include "base/log.h"
#include "image/thumbnail.h"
#include "inference/tasks/scores.h"
#include "inference/tasks/signatures.h"

namespace podsense::inference {
namespace {

using batching::TaskPtr;
using model::PreprocessSpec;

constexpr std::int64_t kMaxSide = 16'384;

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

Result<void> side(std::string_view name, std::int64_t file, std::optional<std::uint32_t>& spec) {
  if (file > kMaxSide || file == 0) {
    return unfit("the input's " + std::string(name) + " is " + std::to_string(file) +
                 "; accepted are 1 to 16384");
  }
  if (file < 0) {
    return spec ? Result<void>()
                : unfit("the input's " + std::string(name) + " is open; say 'preprocess: {" +
                        std::string(name) + ": …}' in model.yaml");
  }
  if (spec && *spec != file) {
    return unfit("'preprocess." + std::string(name) + "' is " + std::to_string(*spec) +
                 ", but the model's input has " + std::to_string(file));
  }
  spec = static_cast<std::uint32_t>(file);
  return {};
}

Result<void> channels_and_layout(const PictureInput& seen, PreprocessSpec& spec) {
  const std::string layout = seen.nhwc ? "nhwc" : "nchw";
  if (spec.layout && *spec.layout != layout) {
    return unfit("'preprocess.layout' is " + *spec.layout + ", but the model's input is " + layout);
  }
  spec.layout = layout;
  const bool gray = spec.channels == "gray";
  if ((spec.given & PreprocessSpec::kChannels) == 0) {
    spec.channels = seen.channels == 1 ? "gray" : "rgb";
  } else if (gray != (seen.channels == 1)) {
    return unfit("'preprocess.channels' is " + spec.channels + ", but the model's input has " +
                 std::to_string(seen.channels) + (seen.channels == 1 ? " channel" : " channels"));
  }
  return {};
}

/// Creates the thumbnail in the time that is left after `spent`. Without enough memory or time the
/// answer has no thumbnail.
void take_thumbnail(PictureTask& task, Duration spent, image::Scratch& scratch) {
  image::Limits limits = task.limits;
  limits.max_time -= spent;
  auto made = image::thumbnail(std::as_bytes(std::span(task.request.image)), limits, scratch);
  if (made) {
    task.thumbnail = std::move(*made);
  } else {
    log::debug("no_thumbnail", {{"reason", made.error().message}});
  }
}

}  // namespace

std::optional<PictureInput> picture_input(const model::Signature& signature) {
  if (signature.inputs.size() != 1) {
    return std::nullopt;
  }
  const model::TensorInfo& input = signature.inputs[0];
  if (input.shape.size() != 4 || (!is_float(input) && input.type != DataType::kUint8)) {
    return std::nullopt;
  }
  const auto channels = [](std::int64_t n) { return n == 1 || n == 3; };
  if (channels(input.shape[1])) {
    return PictureInput{false, input.shape[1], input.shape[2], input.shape[3]};
  }
  if (channels(input.shape[3])) {
    return PictureInput{true, input.shape[3], input.shape[1], input.shape[2]};
  }
  return std::nullopt;
}

Result<image::TensorSpec> tensor_spec(const PreprocessSpec& preprocess) {
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
  const auto pad_after =
      named<bool>("place", preprocess.place, {{"center", false}, {"top-left", true}});
  for (const Error* error :
       {resize ? nullptr : &resize.error(), filter ? nullptr : &filter.error(),
        channels ? nullptr : &channels.error(), layout ? nullptr : &layout.error(),
        pad_after ? nullptr : &pad_after.error()}) {
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
                         .scale = static_cast<float>(preprocess.scale),
                         .pad_value = static_cast<std::uint8_t>(preprocess.pad),
                         .pad_after = *pad_after};
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

Result<void> PictureModel::take_pictures(const model::Model& model, PreprocessSpec preprocess) {
  const model::Signature& signature = model.signature();
  const auto seen = picture_input(signature);
  if (!seen) {
    return unfit("'task: " + std::string(kind().name()) +
                 "' needs one input of FP32 or UINT8 [N, 3, H, W] or [N, H, W, 3]; there " +
                 inputs_text(signature));
  }
  if (auto done = side("width", seen->width, preprocess.width); !done) {
    return done;
  }
  if (auto done = side("height", seen->height, preprocess.height); !done) {
    return done;
  }
  if (auto done = channels_and_layout(*seen, preprocess); !done) {
    return done;
  }
  byte_input = signature.inputs[0].type == DataType::kUint8;
  if (byte_input) {  // the graph normalises the pixels itself
    preprocess.scale = 1.0;
    preprocess.mean.assign(3, 0.0);
    preprocess.std.assign(3, 1.0);
  }
  return tensor_spec(preprocess).map([this](const image::TensorSpec& made) { spec = made; });
}

/// A thread's buffers for runs; they grow to the largest request and are kept.
struct PictureModel::Buffers {
  image::Scratch scratch;
  std::vector<float> floats;
  std::vector<std::uint8_t> bytes;
  model::Outputs outputs;
};

std::vector<std::int64_t> PictureModel::batch_shape(std::size_t rows) const {
  const auto n = static_cast<std::int64_t>(rows);
  const auto c = static_cast<std::int64_t>(image::channel_count(spec.channels));
  const std::int64_t h = spec.height;
  const std::int64_t w = spec.width;
  return spec.layout == image::Layout::kNchw ? std::vector{n, c, h, w} : std::vector{n, h, w, c};
}

std::unique_ptr<model::Outputs> PictureModel::probe_run(const model::Model& model) const {
  const std::size_t count = image::element_count(spec);
  const auto shape = batch_shape(1);
  const std::vector<float> values = probe_values(count);
  std::vector<std::uint8_t> bytes(byte_input ? count : 0);
  std::ranges::transform(std::span(values).first(bytes.size()), bytes.begin(), [](float value) {
    return static_cast<std::uint8_t>(std::clamp(128 + 64 * value, 0.0F, 255.0F));
  });
  const model::TensorView input{
      .type = byte_input ? DataType::kUint8 : DataType::kFp32,
      .shape = shape,
      .data = byte_input ? std::as_bytes(std::span(bytes)) : std::as_bytes(std::span(values))};
  auto outputs = std::make_unique<model::Outputs>();
  return model.run({&input, 1}, *outputs) ? std::move(outputs) : nullptr;
}

/// Decodes each picture directly into its row of the batch. A picture that fails is answered with
/// an error, and the next one uses its row. Returns the number of filled rows; their tasks are then
/// first in `batch`.
template <class Element>
std::size_t PictureModel::decode_into(const ServedModel& served, const Clock& clock,
                                      std::span<TaskPtr> batch, std::vector<Element>& tensor,
                                      image::Scratch& scratch, const std::stop_token& stop) const {
  const std::size_t row = image::element_count(spec);
  tensor.resize(std::max(tensor.size(), row * batch.size()));
  std::size_t filled = 0;
  for (TaskPtr& owned : batch) {
    auto& task = static_cast<PictureTask&>(*owned);
    const TimePoint begin = clock.now();
    if (stop.stop_requested()) {
      task.finish(fail(ErrorCode::kCancelled, "the run was cancelled"), begin);
      continue;
    }
    const auto decoded =
        image::to_tensor(std::as_bytes(std::span(task.request.image)), spec, task.limits,
                         std::span(tensor).subspan(filled * row, row), scratch);
    if (!decoded) {
      task.finish(fail(decoded.error()), clock.now());
      continue;
    }
    if (task.request.thumbnail) {
      take_thumbnail(task, clock.now() - begin, scratch);
    }
    const TimePoint end = clock.now();
    task.geometry = *decoded;
    task.preprocess = end - begin;
    task.preprocessed = end;
    served.metrics->preprocessed(end - begin);
    std::swap(batch[filled++], owned);
  }
  return filled;
}

bool PictureModel::run(const ServedModel& served, const Clock& clock, std::span<TaskPtr>& batch,
                       const std::stop_token& stop) const {
  thread_local Buffers mine;
  const std::size_t rows = byte_input
                               ? decode_into(served, clock, batch, mine.bytes, mine.scratch, stop)
                               : decode_into(served, clock, batch, mine.floats, mine.scratch, stop);
  batch = batch.first(rows);
  if (rows == 0) {
    return true;
  }
  Duration decoding{};
  for (const TaskPtr& task : batch) {
    decoding += static_cast<const PictureTask&>(*task).preprocess.value_or(Duration::zero());
  }
  const auto shape = batch_shape(rows);
  const std::size_t count = rows * image::element_count(spec);
  const model::TensorView input{.type = byte_input ? DataType::kUint8 : DataType::kFp32,
                                .shape = shape,
                                .data = byte_input
                                            ? std::as_bytes(std::span(mine.bytes).first(count))
                                            : std::as_bytes(std::span(mine.floats).first(count))};
  const TimePoint begin = clock.now();
  const auto run = served.model->run({&input, 1}, mine.outputs, stop);
  const TimePoint end = clock.now();
  if (!run && rows > 1) {
    return false;
  }
  if (!run) {
    fail_all<PictureTask>(batch, run.error(), end);
    return true;
  }
  served.metrics->computed(end - begin, rows, decoding);
  for (std::size_t i = 0; i < rows; ++i) {
    auto& task = static_cast<PictureTask&>(*batch[i]);
    task.compute = end - begin;
    protocol::ClassifyAnswer answered;
    answered.frames = task.geometry.frames;
    answered.thumbnail = task.thumbnail;
    if (!answer(served, mine.outputs, i, rows, task, answered)) {
      if (rows > 1) {
        batch = batch.subspan(i);
        return false;
      }
      task.finish(
          fail(ErrorCode::kInternal,
               "the model's outputs differ from what its file declares, so they cannot be read"),
          end);
      return true;
    }
    task.finish(std::move(answered), end);
  }
  return true;
}

}  // namespace podsense::inference
