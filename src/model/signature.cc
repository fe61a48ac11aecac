#include "model/signature.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "base/log.h"
#include "model/labels.h"
#include "model/preprocess.h"

namespace podsense::model {
namespace {

constexpr std::int64_t kMaxSide = 16'384;

bool is_float(const TensorInfo& t) {
  return t.type == DataType::kFp32;
}

tl::unexpected<Error> unfit(std::string what) {
  return fail(ErrorCode::kInvalidArgument, std::move(what));
}

std::string shape_text(const TensorInfo& tensor) {
  std::string out = std::string(data_type_name(tensor.type)) + " [";
  for (std::size_t i = 0; i < tensor.shape.size(); ++i) {
    out += i == 0 ? "" : ", ";
    out += tensor.shape[i] < 0 ? "N" : std::to_string(tensor.shape[i]);
  }
  return out + "]";
}

/// The first float output [rows, at least `least` columns or an open number of them].
std::optional<std::size_t> score_output(const std::vector<TensorInfo>& outputs,
                                        std::int64_t least) {
  const auto at = std::ranges::find_if(outputs, [&](const TensorInfo& o) {
    return is_float(o) && o.shape.size() == 2 && (o.shape[1] >= least || o.shape[1] < 0);
  });
  return at == outputs.end() ? std::nullopt
                             : std::optional(static_cast<std::size_t>(at - outputs.begin()));
}

std::optional<std::size_t> class_output(const std::vector<TensorInfo>& outputs, DataType type) {
  const auto at = std::ranges::find_if(outputs, [&](const TensorInfo& o) {
    return o.type == type && (o.shape.size() == 1 || (o.shape.size() == 2 && o.shape[1] == 1));
  });
  return at == outputs.end() ? std::nullopt
                             : std::optional(static_cast<std::size_t>(at - outputs.begin()));
}

struct Picture {
  bool nhwc = false;
  std::int64_t channels = 0;
  std::int64_t height = 0;
  std::int64_t width = 0;
};

/// How a 4-D input is a picture, if it is one: its channel dimension is 1 or 3.
std::optional<Picture> picture(const TensorInfo& input) {
  if (input.shape.size() != 4 || (!is_float(input) && input.type != DataType::kUint8)) {
    return std::nullopt;
  }
  const auto channels = [](std::int64_t n) { return n == 1 || n == 3; };
  if (channels(input.shape[1])) {
    return Picture{false, input.shape[1], input.shape[2], input.shape[3]};
  }
  if (channels(input.shape[3])) {
    return Picture{true, input.shape[3], input.shape[1], input.shape[2]};
  }
  return std::nullopt;
}

class Maker {
 public:
  Maker(FileDescription file, const Manifest& manifest)
      : file_(std::move(file)), manifest_(manifest) {
    out_.inputs = std::move(file_.inputs);
    out_.outputs = std::move(file_.outputs);
  }

  Result<Signature> make() {
    if (out_.outputs.empty()) {
      return unfit("the model has no outputs");
    }
    out_.batchable = takes_rows();
    out_.rows_unproven = std::move(file_.rows_unproven);
    out_.loops = file_.loops;
    read_metadata();
    if (manifest_.task) {
      if (auto done = become(*manifest_.task); !done) {
        return fail(done.error());
      }
      return std::move(out_);
    }
    // A guess refuses no model: where it does not hold, plain tensors do.
    const Signature before = out_;
    if (const Task guess = guessed_task(); guess != Task::kTensor) {
      if (const auto done = become(guess); done) {
        return std::move(out_);
      } else if (manifest_.preprocess || !manifest_.labels.empty()) {
        return fail(done.error());  // what somebody wrote down is no guess
      } else {
        out_ = before;
        warn("it looks like a model for " + std::string(task_name(guess)) +
             ", but is served as 'tensor': " + done.error().message);
      }
    }
    if (auto done = become(Task::kTensor); !done) {
      return fail(done.error());
    }
    return std::move(out_);
  }

 private:
  void warn(std::string what) { out_.warnings.push_back(std::move(what)); }

  /// Fills in what the task needs. @errors kInvalidArgument: the file does not fit it
  Result<void> become(Task task) {
    out_.task = task;
    auto done = Result<void>();
    switch (task) {
      case Task::kImageClassification:
        done = image();
        break;
      case Task::kTabularClassification:
        done = tabular();
        break;
      case Task::kTensor:
        out_.labels = manifest_.labels.empty() ? file_labels_ : manifest_.labels;
        break;
      case Task::kSimulated:
        return unfit("'task: simulated' goes with a model without a model.onnx");
    }
    return done ? label_count() : done;
  }

  static bool open_first(const TensorInfo& t) { return !t.shape.empty() && t.shape[0] < 0; }

  /// A dimension of another name is another number: of boxes found, say, not of rows given.
  [[nodiscard]] bool takes_rows() const {
    std::string_view name;
    const auto fits = [&name](const TensorInfo& t) {
      const std::string_view own = t.dim_names.empty() ? std::string_view() : t.dim_names.front();
      name = name.empty() ? own : name;
      return open_first(t) && (own.empty() || own == name);
    };
    return !out_.inputs.empty() && std::ranges::all_of(out_.inputs, fits) &&
           std::ranges::all_of(out_.outputs, fits);
  }

  /// Other tools keep other things under these names: what cannot be read is left alone.
  void read_metadata() {
    if (!file_.labels.empty()) {
      if (auto labels = parse_label_list(file_.labels)) {
        file_labels_ = std::move(*labels);
      } else {
        log::warning("model_metadata_ignored",
                     {{"key", "labels"}, {"reason", labels.error().message}});
      }
    }
    if (!file_.preprocess.empty()) {
      if (auto spec = parse_preprocess_metadata(file_.preprocess)) {
        file_preprocess_ = std::move(*spec);
      } else {
        log::warning("model_metadata_ignored",
                     {{"key", "preprocess"}, {"reason", spec.error().message}});
      }
    }
  }

  [[nodiscard]] PreprocessSpec preprocess() const {
    return overlay(file_preprocess_, manifest_.preprocess.value_or(PreprocessSpec{}));
  }

  [[nodiscard]] Task guessed_task() {
    if (out_.inputs.size() != 1) {
      return Task::kTensor;
    }
    const TensorInfo& input = out_.inputs[0];
    if (const auto seen = picture(input); seen && score_output(out_.outputs, 2)) {
      const PreprocessSpec spec = preprocess();
      const bool sized = (seen->width > 0 || spec.width) && (seen->height > 0 || spec.height);
      // Pixels scaled or centred another way give wrong classes with a straight face.
      const bool described =
          spec.given != 0 || !file_.preprocess.empty() || input.type == DataType::kUint8;
      if (sized && !described) {
        warn(
            "it looks like an image classifier, but nothing says how pixels become its input; for "
            "pictures write into model.yaml: task: image-classification, and preprocess: {resize: "
            "…, scale: …, mean: […], std: […]}");
      }
      return sized && described ? Task::kImageClassification : Task::kTensor;
    }
    if (is_float(input) && input.shape.size() == 2 && input.shape[1] > 0) {
      const bool labelled = class_output(out_.outputs, DataType::kInt64) ||
                            class_output(out_.outputs, DataType::kBytes);
      const auto scores = score_output(out_.outputs, 2);
      if (scores && (labelled || out_.outputs[*scores].shape[1] > 0)) {
        return Task::kTabularClassification;
      }
      if (labelled) {
        return Task::kTabularClassification;
      }
    }
    return Task::kTensor;
  }

  /// Sets `probabilities_output` and `classes`.
  Result<void> scores(std::string_view task) {
    const auto at = score_output(out_.outputs, 1);
    if (!at) {
      return unfit("'task: " + std::string(task) +
                   "' needs an output of FP32 [N, classes]; the first is " +
                   shape_text(out_.outputs[0]));
    }
    out_.probabilities_output = *at;
    out_.classes = static_cast<std::size_t>(std::max<std::int64_t>(out_.outputs[*at].shape[1], 0));
    return {};
  }

  Result<void> image() {
    const auto seen = out_.inputs.size() == 1 ? picture(out_.inputs[0]) : std::nullopt;
    if (!seen) {
      return unfit(
          "'task: image-classification' needs one input of FP32 or UINT8 [N, 3, H, W] or "
          "[N, H, W, 3]; there " +
          (out_.inputs.size() == 1 ? "is " + shape_text(out_.inputs[0])
                                   : "are " + std::to_string(out_.inputs.size())));
    }
    if (auto done = scores("image-classification"); !done) {
      return done;
    }
    out_.labels = manifest_.labels.empty() ? file_labels_ : manifest_.labels;
    PreprocessSpec spec = preprocess();
    if (auto done = side("width", seen->width, spec.width); !done) {
      return done;
    }
    if (auto done = side("height", seen->height, spec.height); !done) {
      return done;
    }
    if (auto done = channels_and_layout(*seen, spec); !done) {
      return done;
    }
    if (out_.inputs[0].type == DataType::kUint8) {  // the graph normalises by itself
      spec.scale = 1.0;
      spec.mean.assign(3, 0.0);
      spec.std.assign(3, 1.0);
    }
    out_.preprocess = std::move(spec);
    return {};
  }

  static Result<void> side(std::string_view name, std::int64_t file,
                           std::optional<std::uint32_t>& spec) {
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

  static Result<void> channels_and_layout(const Picture& seen, PreprocessSpec& spec) {
    const std::string layout = seen.nhwc ? "nhwc" : "nchw";
    if (spec.layout && *spec.layout != layout) {
      return unfit("'preprocess.layout' is " + *spec.layout + ", but the model's input is " +
                   layout);
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

  Result<void> tabular() {
    if (out_.inputs.size() != 1 || !is_float(out_.inputs[0]) || out_.inputs[0].shape.size() != 2 ||
        out_.inputs[0].shape[1] <= 0) {
      return unfit("'task: tabular-classification' needs one input of FP32 [N, features]; there " +
                   (out_.inputs.size() == 1 ? "is " + shape_text(out_.inputs[0])
                                            : "are " + std::to_string(out_.inputs.size())));
    }
    out_.features = static_cast<std::size_t>(out_.inputs[0].shape[1]);
    out_.label_output = class_output(out_.outputs, DataType::kInt64);
    if (!out_.label_output) {
      out_.label_output = class_output(out_.outputs, DataType::kBytes);
    }
    out_.labels = manifest_.labels.empty() ? file_labels_ : manifest_.labels;
    if (score_output(out_.outputs, 1) || !out_.label_output) {
      if (auto done = scores("tabular-classification"); !done) {
        return done;
      }
      if (out_.classes == 0) {
        out_.classes = out_.labels.size();
      }
      return {};
    }
    out_.probabilities_output = out_.outputs.size();
    return {};
  }

  Result<void> label_count() {
    if (out_.labels.empty() || out_.classes == 0 || out_.labels.size() == out_.classes) {
      return {};
    }
    const std::string counts = "there are " + std::to_string(out_.labels.size()) + " labels for " +
                               std::to_string(out_.classes) + " classes";
    if (!manifest_.labels.empty()) {
      return unfit(counts);
    }
    // Other tools keep other things under this name.
    warn(counts + " in the file's metadata 'labels', which is passed over");
    out_.labels.clear();
    return {};
  }

  FileDescription file_;
  const Manifest& manifest_;
  Signature out_;
  std::vector<std::string> file_labels_;
  PreprocessSpec file_preprocess_;
};

}  // namespace

Result<Signature> make_signature(FileDescription file, const Manifest& manifest) {
  return Maker(std::move(file), manifest).make();
}

}  // namespace podsense::model
