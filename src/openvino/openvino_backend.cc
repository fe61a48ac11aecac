#include "openvino/openvino_backend.h"

#include <dlfcn.h>

#include <string>
#include <system_error>
#include <utility>

#include "base/mutex.h"
#include "model/cpu.h"
#include "model/fast_hash.h"
#include "model/file_checks.h"
#include "openvino/engine.h"
#include "openvino/openvino_model.h"

namespace podsense::openvino {
namespace {

namespace fs = std::filesystem;
using model::Candidate;
using model::Model;

constexpr const char* kLibrary = "libpodsense_openvino.so";

Error cannot_open(const Candidate& candidate, const Error& error) {
  const std::string file = candidate.file.filename().string();
  if (error.code == ErrorCode::kUnavailable) {
    return {error.code, "there is not enough memory to open " + file, error.detail};
  }
  return {error.code, "OpenVINO cannot open " + file + ": " + error.message, error.detail};
}

class OpenVinoBackend final : public model::Backend {
 public:
  explicit OpenVinoBackend(Options options)
      : options_(std::move(options)),
        cpu_(options_.keep_profiles ? model::fast_hash(model::cpu_description()).hex() : "") {}

  [[nodiscard]] std::string_view name() const override { return kBackendName; }
  [[nodiscard]] std::string_view version() const override { return PODSENSE_OPENVINO_VERSION; }
  [[nodiscard]] std::string_view machine() const override { return cpu_; }
  [[nodiscard]] bool accepts(const Candidate& candidate) const override {
    return !candidate.file.empty() && candidate.file.extension() != ".ort";
  }

  Result<std::shared_ptr<const Model>> load(const Candidate& candidate) override {
    if (candidate.file.empty()) {
      return fail(ErrorCode::kInvalidArgument, "there is no model.onnx");
    }
    if (!accepts(candidate)) {
      return fail(ErrorCode::kInvalidArgument,
                  candidate.file.filename().string() +
                      " is of ONNX Runtime's own format; OpenVINO opens .onnx");
    }
    const auto bytes = model::check_file(candidate);
    if (!bytes) {
      return fail(bytes.error());
    }
    if (const auto external = model::check_external_data(candidate, *bytes); !external) {
      return fail(external.error());
    }
    auto signature = describe(candidate);
    if (!signature) {
      return fail(std::move(signature.error()));
    }
    const auto engine = this->engine();
    if (!engine) {
      return fail(engine.error());
    }
    const model::Manifest& manifest = candidate.manifest;
    const unsigned threads = manifest.threads_given ? manifest.threads : options_.threads;
    auto network = (*engine)->open(
        candidate.file, {.threads = threads, .runs = manifest.instances.value_or(options_.runs)});
    if (!network) {
      return fail(cannot_open(candidate, network.error()));
    }
    return make_openvino_model(
        {.network = std::move(*network), .file_bytes = *bytes, .threads = threads}, candidate,
        std::move(*signature));
  }

 private:
  Result<Engine*> engine() {
    const MutexLock lock(mutex_);
    if (engine_ == nullptr) {
      auto loaded = load_engine(options_.library);
      if (!loaded) {
        return loaded;
      }
      engine_ = *loaded;
    }
    return engine_;
  }

  /// The library stays until the process ends.
  static Result<Engine*> load_engine(const fs::path& library) {
    constexpr auto kCode = ErrorCode::kInvalidArgument;
    void* const handle = ::dlopen(library.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (handle == nullptr) {
      const char* reason = ::dlerror();  // NOLINT(concurrency-mt-unsafe): glibc keeps one a thread
      return fail(kCode, "OpenVINO cannot be loaded: " + std::string(reason ? reason : ""));
    }
    // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast): as dlsym is meant
    auto* const function = reinterpret_cast<EngineFunction*>(::dlsym(handle, kEngineFunction));
    Engine* const engine = function == nullptr ? nullptr : function(kEngineInterface);
    if (engine == nullptr) {
      return fail(kCode, library.string() + " is not of this build, or cannot start");
    }
    if (engine->version() != PODSENSE_OPENVINO_VERSION) {
      return fail(kCode,
                  "OpenVINO " PODSENSE_OPENVINO_VERSION " is needed; found " + engine->version());
    }
    return engine;
  }

  const Options options_;
  const std::string cpu_;
  Mutex mutex_;
  Engine* engine_ GUARDED_BY(mutex_) = nullptr;
};

}  // namespace

fs::path find_library() {
  std::error_code error;
  const fs::path folder = fs::read_symlink("/proc/self/exe", error).parent_path();
  for (const fs::path& path : {folder / kLibrary, folder / ".." / "lib" / kLibrary}) {
    if (!error && fs::exists(path, error)) {
      return path;
    }
  }
  return {};
}

std::unique_ptr<model::Backend> make_backend(const Options& options) {
  Options with_library = options;
  if (with_library.library.empty()) {
    with_library.library = find_library();
  }
  return with_library.library.empty() ? nullptr
                                      : std::make_unique<OpenVinoBackend>(std::move(with_library));
}

}  // namespace podsense::openvino
