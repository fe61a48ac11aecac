#include "model/triton_config.h"

#include <google/protobuf/io/tokenizer.h>
#include <google/protobuf/text_format.h>
#include <inference/model_config.pb.h>

#include <algorithm>
#include <charconv>
#include <set>
#include <utility>

#include "model/labels.h"

namespace podsense::model {
namespace {

namespace pb = google::protobuf;
namespace wire = ::inference;

/// Warnings are about unknown fields; only their names are kept.
class Findings final : public pb::io::ErrorCollector {
 public:
  void AddError(int line, int /*column*/, const std::string& message) override {
    if (error.empty()) {
      error = "line " + std::to_string(line + 1) + ": " + message;
    }
  }
  void AddWarning(int /*line*/, int /*column*/, const std::string& message) override {
    const auto end = message.rfind('"');
    const auto begin = end == std::string::npos || end == 0 ? end : message.rfind('"', end - 1);
    if (begin != std::string::npos && begin < end) {
      unknown.insert(message.substr(begin + 1, end - begin - 1));
    }
  }

  std::string error;
  std::set<std::string> unknown;
};

class Reader {
 public:
  Reader(const wire::ModelConfig& config, const std::filesystem::path& folder,
         std::set<std::string> unknown)
      : config_(config), folder_(folder), passed_over_(std::move(unknown)) {}

  Result<Manifest> read() {
    for (const auto& step : {&Reader::batching, &Reader::instances, &Reader::versions,
                             &Reader::file, &Reader::labels, &Reader::warmup}) {
      if (auto done = (this->*step)(); !done) {
        return fail(ErrorCode::kInvalidArgument, done.error().message);
      }
    }
    parameters();
    engine();
    if (!passed_over_.empty()) {
      std::string list;
      for (const std::string& name : passed_over_) {
        list += (list.empty() ? "" : ", ") + name;
      }
      out_.remarks.push_back("these settings of config.pbtxt are ignored: " + list);
    }
    return std::move(out_);
  }

 private:
  static tl::unexpected<Error> wrong(std::string what) {
    return fail(ErrorCode::kInvalidArgument, std::move(what));
  }

  Result<void> batching() {
    constexpr int kMostRows = 65'536;
    constexpr std::uint64_t kLongestDelayUs = 10'000'000;
    const int rows = config_.max_batch_size();
    if (rows < 0 || rows > kMostRows) {
      return wrong("max_batch_size must be from 0 to 65536");
    }
    if (rows > 0) {
      out_.max_batch = static_cast<std::uint32_t>(rows);
    } else {
      out_.share_runs = false;  // Triton never batches requests of such a model
    }
    const std::uint64_t delay = config_.dynamic_batching().max_queue_delay_microseconds();
    if (delay > kLongestDelayUs) {
      return wrong("max_queue_delay_microseconds must be at most 10000000");
    }
    out_.max_delay = std::chrono::microseconds(delay);
    if (!config_.dynamic_batching().preferred_batch_size().empty()) {
      passed_over_.insert("preferred_batch_size");
    }
    return {};
  }

  Result<void> instances() {
    constexpr std::int64_t kMost = 1024;
    std::int64_t count = 0;
    for (const wire::ModelInstanceGroup& group : config_.instance_group()) {
      if (group.kind() == wire::ModelInstanceGroup::KIND_GPU) {
        passed_over_.insert("instance_group on GPUs");
      } else {
        count += std::max(group.count(), 1);
      }
    }
    if (count > kMost) {
      return wrong("more than 1024 instances");
    }
    if (count > 0) {
      out_.instances = static_cast<std::uint32_t>(count);
    }
    return {};
  }

  Result<void> versions() {
    const wire::ModelVersionPolicy& policy = config_.version_policy();
    if (policy.has_all()) {
      out_.version_policy = VersionPolicy::kAll;
    } else if (policy.has_specific()) {
      out_.version_policy = VersionPolicy::kList;
      for (const std::int64_t version : policy.specific().versions()) {
        if (version <= 0) {
          return wrong("version_policy names a version that is no positive number");
        }
        out_.listed_versions.push_back(static_cast<std::uint64_t>(version));
      }
      std::ranges::sort(out_.listed_versions);
    } else if (policy.has_latest()) {
      out_.keep_versions = std::clamp(policy.latest().num_versions(), 1U, 100U);
    }
    return {};
  }

  Result<void> file() {
    const std::string& name = config_.default_model_filename();
    if (name.contains('/') || name.starts_with('.') || name.contains('\0')) {
      return wrong("default_model_filename must be the name of a file in the version's folder");
    }
    out_.file = name == "model.onnx" ? "" : name;
    return {};
  }

  Result<void> labels() {
    for (const wire::ModelOutput& output : config_.output()) {
      if (!output.label_filename().empty()) {
        auto labels = read_label_file(folder_, output.label_filename());
        if (!labels) {
          return wrong("label_filename: " + labels.error().message);
        }
        if (auto wrong = not_utf8(*labels, "'" + output.label_filename() + "'"); !wrong.empty()) {
          out_.remarks.push_back(std::move(wrong));
        }
        out_.labels = std::move(*labels);
        return {};
      }
    }
    return {};
  }

  Result<void> warmup() {
    if (config_.model_warmup().empty()) {
      return {};
    }
    if (config_.model_warmup_size() > 1) {
      passed_over_.insert("model_warmup but the first");
    }
    constexpr unsigned kMostRuns = 10'000;
    constexpr int kMostDimensions = 12;
    const wire::ModelWarmup& warmup = config_.model_warmup(0);
    if (warmup.count() > 0) {
      out_.warmup_runs = std::min(warmup.count(), kMostRuns);
    }
    for (const auto& [name, input] : warmup.inputs()) {
      WarmupInput& mine = out_.warmup_inputs[name];
      if (config_.max_batch_size() > 0) {
        mine.shape.push_back(std::max<std::int64_t>(warmup.batch_size(), 1));
      }
      for (const std::int64_t dimension : input.dims()) {
        if (dimension < 0 || input.dims_size() > kMostDimensions) {
          return wrong("model_warmup: the shape of '" + name +
                       "' has a negative or too many "
                       "dimensions");
        }
        mine.shape.push_back(dimension);
      }
      if (input.random_data()) {
        mine.range = WarmupInput::Range{.least = 0, .most = 1};
      } else if (!input.input_data_file().empty()) {
        auto file = resolve_inside(folder_, "warmup/" + input.input_data_file());
        if (!file) {
          return wrong("model_warmup: " + file.error().message);
        }
        mine.file = std::move(*file);
      }
    }
    return {};
  }

  void parameters() {
    for (const auto& [name, value] : config_.parameters()) {
      const std::string& text = value.string_value();
      unsigned threads = 0;
      const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), threads);
      constexpr unsigned kMostThreads = 256;
      const bool number = error == std::errc() && end == text.data() + text.size();
      if (name == "intra_op_thread_count" && number && threads <= kMostThreads) {
        // 0 means the engine's default, as in Triton.
        out_.threads_given = threads > 0;
        out_.threads = std::max(threads, 1U);
      } else {
        passed_over_.insert("parameters '" + name + "'");
      }
    }
  }

  void engine() {
    if (!config_.backend().empty() && config_.backend() != "onnxruntime") {
      passed_over_.insert("backend '" + config_.backend() + "'");
    }
    if (!config_.platform().empty() && config_.platform() != "onnxruntime_onnx") {
      passed_over_.insert("platform '" + config_.platform() + "'");
    }
  }

  const wire::ModelConfig& config_;
  const std::filesystem::path& folder_;
  std::set<std::string> passed_over_;
  Manifest out_;
};

}  // namespace

Result<Manifest> read_triton_config(std::string_view text, const std::filesystem::path& folder) {
  if (text.size() > kMaxTritonConfigBytes) {
    return fail(ErrorCode::kInvalidArgument, "larger than 256 KiB");
  }
  constexpr int kDepth = 16;
  wire::ModelConfig config;
  Findings findings;
  pb::TextFormat::Parser parser;
  parser.AllowUnknownField(true);
  parser.SetRecursionLimit(kDepth);
  parser.RecordErrorsTo(&findings);
  if (!parser.ParseFromString(std::string(text), &config)) {
    return fail(ErrorCode::kInvalidArgument, findings.error);
  }
  return Reader(config, folder, std::move(findings.unknown)).read();
}

}  // namespace podsense::model
