#include "onnx/onnx_backend.h"

#include <sys/stat.h>

#include <cstdlib>
#include <system_error>
#include <utility>

#include "base/log.h"
#include "model/file_checks.h"
#include "onnx/counting_allocator.h"
#include "onnx/custom_ops.h"
#include "onnx/division_trap.h"
#include "onnx/locales.h"
#include "onnx/onnx_session.h"
#include "onnx/private_weights.h"

namespace podsense::onnx {
namespace {

namespace fs = std::filesystem;

/// Saved copies have 32-bit offsets; this leaves a margin, as optimised models can be larger.
constexpr std::uint64_t kMaxCachedBytes = std::uint64_t{1} << 30U;

/// The library reads the telemetry setting from the environment at its first call, so this must run
/// before that. Only once, because the environment must not change while threads run.
bool start_library() {
  static const bool started = [] {
    // NOLINTNEXTLINE(concurrency-mt-unsafe): before any thread of the library
    ::setenv("ORT_DISABLE_TELEMETRY", "1", 1);
    find_locale(locale_folders());
    const OrtApiBase* base = OrtGetApiBase();
    const OrtApi* api = base == nullptr ? nullptr : base->GetApi(ORT_API_VERSION);
    if (api != nullptr) {
      Ort::InitApi(api);
    }
    return api != nullptr;
  }();
  return started;
}

void ORT_API_CALL write_log(void* /*param*/, OrtLoggingLevel severity, const char* /*category*/,
                            const char* logger, const char* where, const char* message) {
  const std::string_view text(message);
  // A warning for every optimised copy, which is tied to the CPU. It is expected, as cache keys
  // include the CPU.
  if (text.starts_with("Serializing optimized model")) {
    return;
  }
  const auto level =
      severity >= ORT_LOGGING_LEVEL_ERROR ? log::Level::kError : log::Level::kWarning;
  log::write(level, "onnxruntime", {{"message", text}, {"at", where}, {"logger", logger}});
}

Error refused(std::string what, std::string detail = {}) {
  return {ErrorCode::kInvalidArgument, std::move(what), std::move(detail)};
}

std::string file_name(const Candidate& candidate) {
  return candidate.file.filename().string();
}

/// ONNX Runtime's own format, already optimised.
bool is_ort(const Candidate& candidate) {
  return candidate.file.extension() == ".ort";
}

Error cannot_open(const Candidate& candidate, const std::exception& e) {
  if (says_out_of_memory(e.what())) {
    return {ErrorCode::kUnavailable, "there is not enough memory to open " + file_name(candidate),
            e.what()};
  }
  std::string reason = short_reason(e.what());
  if (reason.contains("construct locale")) {
    reason = "it needs the locale en_US.UTF-8, which this system has not (" + reason + ")";
  }
  return refused("ONNX Runtime cannot open " + file_name(candidate) + ": " + reason, e.what());
}

class OnnxBackend final : public model::Backend {
 public:
  OnnxBackend(Options options, CustomOps custom_ops, std::shared_ptr<const OrtContext> context)
      : options_(std::move(options)),
        custom_ops_(std::move(custom_ops)),
        context_(std::move(context)),
        version_(OrtGetApiBase()->GetVersionString()),
        cpu_(options_.cache_dir.empty() ? "" : fast_hash(cpu_description()).hex()),
        cache_(options_.cache_dir, version_) {}
  /// Threads that end later still free their kept blocks, when the budget may be destroyed.
  ~OnnxBackend() override {
    if (options_.budget != nullptr) {
      count_in(nullptr);
    }
  }
  OnnxBackend(const OnnxBackend&) = delete;
  OnnxBackend& operator=(const OnnxBackend&) = delete;

  [[nodiscard]] std::string_view version() const override { return version_; }
  [[nodiscard]] std::string_view machine() const override { return cpu_; }
  [[nodiscard]] std::string_view name() const override { return kBackendName; }
  [[nodiscard]] bool accepts(const Candidate& candidate) const override {
    return !candidate.file.empty();
  }

  Result<std::shared_ptr<const Model>> load(const Candidate& candidate) override {
    if (candidate.file.empty()) {
      return fail(refused("there is no model.onnx"));
    }
    const auto bytes = model::check_file(candidate);
    if (!bytes) {
      return fail(bytes.error());
    }
    std::optional<Hash128> content = candidate.content;
    if (cache_.enabled() && !content) {
      content = model::fast_hash_file(candidate.file);
    }
    auto session = open(candidate, *bytes, content);
    if (!session) {
      return fail(session.error());
    }
    session->file_bytes = *bytes;
    session->threads = threads_of(candidate.manifest);
    return make_onnx_model(std::move(*session), candidate);
  }

 private:
  [[nodiscard]] unsigned threads_of(const Manifest& manifest) const {
    return manifest.threads_given ? manifest.threads : options_.threads;
  }

  [[nodiscard]] Ort::SessionOptions session_options(const Manifest& manifest) const {
    Ort::SessionOptions out;
    out.SetIntraOpNumThreads(static_cast<int>(threads_of(manifest)));
    out.SetInterOpNumThreads(1);
    out.SetExecutionMode(ORT_SEQUENTIAL);
    out.SetGraphOptimizationLevel(ORT_ENABLE_ALL);
    out.AddConfigEntry(kOrtSessionOptionsConfigAllowIntraOpSpinning, options_.spinning ? "1" : "0");
    out.AddConfigEntry(kOrtSessionOptionsConfigAllowInterOpSpinning, "0");
    // Memory patterns are stored for every input shape, so clients could make them grow without
    // limit. Without them runs of one image take the same time and 2 to 8 MB less.
    out.DisableMemPattern();
    out.DisableCpuMemArena();
    out.AddConfigEntry(kOrtSessionOptionsConfigUseEnvAllocators, "1");
    custom_ops_.give_to(out);
    return out;
  }

  Result<OpenSession> open(const Candidate& candidate, std::uint64_t bytes,
                           const std::optional<Hash128>& content) {
    std::string key;
    if (cache_.enabled() && content && bytes <= kMaxCachedBytes && !is_ort(candidate)) {
      key = cache_.key(*content);
      // Only models without external data are cached, so a hit needs no check of it.
      if (auto hit = open_cached(candidate, key)) {
        return std::move(*hit);
      }
    }
    const auto external = is_ort(candidate)
                              ? Result<model::ExternalFiles>()  // contains its weights
                              : model::check_external_data(candidate, bytes);
    if (!external) {
      return fail(external.error());
    }
    if (!key.empty() && external->files.empty()) {
      std::string why;
      if (auto made = open_and_keep(candidate, key, why)) {
        return std::move(*made);
      }
      auto opened = open_plainly(candidate, *external);
      if (opened && !why.empty()) {
        log::warning(
            "model_not_cached",
            {{"model", candidate.name}, {"path", options_.cache_dir.string()}, {"reason", why}});
      }
      return opened;
    }
    return open_plainly(candidate, *external);
  }

  Result<OpenSession> open_plainly(const Candidate& candidate,
                                   const model::ExternalFiles& external) {
    PrivateWeights weights;
    if (!options_.map_weights) {
      auto read = PrivateWeights::read(external.locations, external.files);
      if (!read) {
        return fail(std::move(read.error()));
      }
      weights = std::move(*read);
    }
    try {
      Ort::SessionOptions options = session_options(candidate.manifest);
      weights.give_to(options);
      OpenSession out{.context = context_};
      if (external.elsewhere && !options_.map_weights) {
        // ONNX Runtime uses preloaded data only for the main graph.
        out.warning =
            "external data of a nested graph is mapped from its file: leave the file as it is "
            "while "
            "the model is served, or store these tensors in the model";
      }
      out.session = Ort::Session(context_->env, candidate.file.c_str(), options);
      return out;
    } catch (const std::exception& e) {
      return fail(cannot_open(candidate, e));
    }
  }

  /// Opens the cached copy. Clears `key` if no new copy should be created.
  std::optional<OpenSession> open_cached(const Candidate& candidate, std::string& key) {
    auto entry = cache_.find(key);
    if (!entry) {
      return std::nullopt;
    }
    if (entry->barred()) {
      key.clear();
      return std::nullopt;
    }
    try {
      Ort::SessionOptions options = session_options(candidate.manifest);
      options.AddConfigEntry(kOrtSessionOptionsConfigLoadModelFormat, "ORT");
      options.AddConfigEntry(kOrtSessionOptionsConfigUseORTModelBytesDirectly, "1");
      options.AddConfigEntry(kOrtSessionOptionsConfigUseORTModelBytesForInitializers, "1");
      OpenSession out{.context = context_};
      out.session = Ort::Session(context_->env, entry->model.data(), entry->model.size(), options);
      entry->file.forget_pages();
      out.bytes = std::move(entry->file);
      return out;
    } catch (const std::exception& e) {
      log::warning("model_cache_barred",
                   {{"model", candidate.name}, {"reason", short_reason(e.what())}});
      cache_.bar(key);
      key.clear();
      return std::nullopt;
    }
  }

  /// Opens the model and lets ONNX Runtime write its optimised copy. Nothing: it failed; `why` has
  /// the reason unless it was already logged. The caller then opens the model without a copy, which
  /// shows whether the model is the cause.
  std::optional<OpenSession> open_and_keep(const Candidate& candidate, const std::string& key,
                                           std::string& why) {
    const fs::path scratch = cache_.scratch(key);
    if (scratch.empty()) {
      return std::nullopt;
    }
    std::error_code ignored;
    try {
      Ort::SessionOptions options = session_options(candidate.manifest);
      options.SetOptimizedModelFilePath(scratch.c_str());
      options.AddConfigEntry(kOrtSessionOptionsConfigSaveModelFormat, "ORT");
      OpenSession out{.context = context_};
      out.session = Ort::Session(context_->env, candidate.file.c_str(), options);
      cache_.keep(scratch, key);
      return out;
    } catch (const std::exception& e) {
      why = short_reason(e.what());
      fs::remove(scratch, ignored);
      return std::nullopt;
    }
  }

  Options options_;
  CustomOps custom_ops_;
  std::shared_ptr<const OrtContext> context_;
  std::string version_;
  std::string cpu_;
  ModelCache cache_;
};

}  // namespace

Result<std::unique_ptr<model::Backend>> make_backend(const Options& options) {
  if (!start_library()) {
    return fail(ErrorCode::kInternal, "ONNX Runtime is too old: its API " +
                                          std::to_string(ORT_API_VERSION) + " is needed");
  }
  install_division_trap();
  auto custom_ops = CustomOps::open(options.custom_ops);
  if (!custom_ops) {
    return fail(std::move(custom_ops.error()));
  }
  try {
    auto context = std::make_shared<OrtContext>(
        Ort::Env(ORT_LOGGING_LEVEL_WARNING, "podsense", write_log, nullptr),
        Ort::MemoryInfo::CreateCpu(OrtArenaAllocator, OrtMemTypeDefault));
    context->env.DisableTelemetryEvents();
    register_allocator(context->env, options.memory_arena);
    count_in(options.budget);
    return std::make_unique<OnnxBackend>(options, std::move(*custom_ops), std::move(context));
  } catch (const std::exception& e) {
    return fail(ErrorCode::kInternal, "ONNX Runtime cannot start", e.what());
  }
}

}  // namespace podsense::onnx
