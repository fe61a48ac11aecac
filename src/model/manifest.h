#pragma once

/// The manifest, `model.yaml`: settings that the ONNX file does not contain. Every key is optional;
/// missing values come from the file's inputs, outputs and metadata (`labels`, `preprocess`). The
/// error for an unknown key suggests the closest known one. The manifest is in the model's folder
/// (`NAME/model.yaml`); a version can have its own in addition (`NAME/VERSION/model.yaml`), whose
/// keys have priority.
///
///   task: image-classification        # object-detection, tabular-classification,
///                                     # tabular-regression, tensor, simulated
///   backend: onnxruntime              # or podsense_simulated; default: by the file
///   labels: labels.txt                # or a list; one a line; relative, inside the model's folder
///   preprocess: {width: 224, height: 224, resize: crop-then-resize, crop_fraction: 0.875,
///                filter: bicubic, channels: rgb, layout: nchw, scale: 1, mean: [127, 127, 127],
///                std: [128, 128, 128], pad: 114, place: center}
///   postprocess: softmax                       # for a classifier's scores; or sigmoid, none
///   detection: {head: yolov8, boxes: cxcywh, coordinates: pixels, first_class: 0,
///               score_threshold: 0.25, iou_threshold: 0.45, max_boxes: 100}
///   versions: {policy: latest, keep: 1}        # newest `keep`; or all; or
///                                              # {policy: list, list: [1, 3]}
///   batching: {max_batch: 32, max_delay_ms: 0, # rows in one run
///              share_runs: true}               # whether requests may share runs; default: only
///                                              # if that is proved to change no answer
///   instances: 2                               # concurrent runs; default: the quota's cores
///   threads: 1                                 # per run
///   weight: 1                                  # in the share of executor time
///   warmup: {runs: 8, max_ms: 2000, request: request.json,  # a body of POST /v2/models/NAME/infer
///            inputs: {x: {shape: [1, 3, 640, 640], range: [0, 255]},  # random numbers in a range
///                     ids: {shape: [1, 8], file: ids.bin}}}  # or raw values, little-endian
///   timeout_ms: 10000                          # from a request's first byte
///   limits: {max_bytes: 2147483648,            # of the files
///            open_bytes: 4294967296}           # of memory for opening them
///   file: net.onnx                             # instead of model.onnx
///   sha256: "…"                                # of model.onnx; refused if it differs
///   simulated: {cpu_ms: 25}

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/error.h"

namespace podsense::model {

enum class VersionPolicy { kLatest, kAll, kList };

/// Values as names. They correspond to image::TensorSpec; inference maps them, so that this module
/// does not depend on the image module.
struct PreprocessSpec {
  std::optional<std::uint32_t> width, height;  ///< unset: the model's input shape
  std::string resize = "crop-then-resize";     ///< resize-then-crop, squash, letterbox
  std::uint32_t pad = 0;                       ///< letterbox: byte value of the border
  std::string place = "center";                ///< letterbox: position; top-left
  double crop_fraction = 0.875;
  std::string filter = "bicubic";     ///< bilinear, lanczos, box, nearest
  std::string channels = "rgb";       ///< bgr, gray
  std::optional<std::string> layout;  ///< nchw, nhwc; unset: the model's input shape
  double scale = 1.0;
  std::vector<double> mean{127, 127, 127};
  std::vector<double> std{128, 128, 128};  ///< as `mean`: one for each channel

  enum Given : std::uint32_t {
    kWidth = 1U << 0U,
    kHeight = 1U << 1U,
    kResize = 1U << 2U,
    kCropFraction = 1U << 3U,
    kFilter = 1U << 4U,
    kChannels = 1U << 5U,
    kLayout = 1U << 6U,
    kScale = 1U << 7U,
    kMean = 1U << 8U,
    kStd = 1U << 9U,
    kPad = 1U << 10U,
    kPlace = 1U << 11U,
  };
  std::uint32_t given = 0;  ///< bit set of the keys that are set; others come from the ONNX file
};

/// The data of one input in the warm-up. By default zeros in the model's shape.
struct WarmupInput {
  std::vector<std::int64_t> shape;  ///< of one request, including rows; empty: the model's shape
  struct Range {
    double least = 0;
    double most = 0;
  };
  std::optional<Range> range;
  /// the values' bytes, in the Open Inference Protocol's binary format
  std::filesystem::path file;
};

/// How to read an object detector's outputs. Values as names, as in PreprocessSpec; empty or unset:
/// the head's default.
struct DetectionSpec {
  std::string head;                       ///< empty: found from the outputs
  std::string boxes;                      ///< xyxy, yxyx, xywh, cxcywh
  std::string coordinates;                ///< pixels (of the model's input), normalized (0 to 1)
  std::uint32_t first_class = 0;          ///< the class number of the first label
  std::optional<double> score_threshold;  ///< 0 to 1
  std::optional<double> iou_threshold;    ///< of boxes of one class that overlap more, one remains
  std::optional<std::uint32_t> max_boxes;
};

struct Manifest {
  std::string backend;  ///< empty: chosen by the file
  std::string task;     ///< empty: found from the ONNX inputs and outputs
  /// The task needs no model file, so none is searched.
  bool without_file = false;
  std::vector<std::string> labels;
  std::optional<PreprocessSpec> preprocess;
  std::string postprocess;  ///< softmax, sigmoid, none; empty: scores are used unchanged
  DetectionSpec detection;
  VersionPolicy version_policy = VersionPolicy::kLatest;
  std::uint32_t keep_versions = 1;
  std::vector<std::uint64_t> listed_versions;
  std::optional<std::uint32_t> max_batch;  ///< unset: the profile decides
  Duration max_delay{};
  std::optional<bool> share_runs;  ///< unset: if the graph and random rows prove it safe
  std::optional<std::uint32_t> instances;
  double weight = 1;
  std::uint32_t threads = 1;
  bool threads_given = false;  ///< false: the engine's default applies
  std::uint32_t warmup_runs = 8;
  Duration warmup_limit = std::chrono::seconds(2);
  std::map<std::string, WarmupInput> warmup_inputs;  ///< by the input's name
  std::filesystem::path warmup_request;  ///< a request's JSON body; has priority over warmup_inputs
  std::optional<Duration> timeout;
  std::uint64_t max_file_bytes = 2ULL << 30U;
  /// memory for opening it; unset: derived from the files' size
  std::optional<std::uint64_t> open_bytes;
  /// the model's file name in its folder; empty: searched
  std::string file;
  std::string sha256;
  std::vector<std::string> remarks;  ///< what is ignored or suspicious
  Duration simulated_cpu = std::chrono::milliseconds(25);
};

/// Parses YAML text; its keys replace those of `base` (for a version's manifest, that of the
/// model). `folder`: where label files must be.
/// @errors kInvalidArgument: syntax, unknown key (with the nearest known), wrong type or range;
///         the message names the key and the line
Result<Manifest> parse_manifest(std::string_view yaml, const std::filesystem::path& folder,
                                const Manifest& base = {});

}  // namespace podsense::model
